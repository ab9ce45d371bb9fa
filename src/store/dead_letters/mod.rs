//! Messages that were refused, each kept as it came.

mod end;
mod find;

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

pub use end::{Discarded, discard};
pub use find::{
    DeadLetter, Filter, Group, Place, Summary, count, groups, ids, list, page, show, some,
};

use super::{Digest, Result, digest, sql_time};
use crate::contract::{Rejection, Stream, Timestamp};

/// A message that was refused.
#[derive(Clone, Debug)]
pub struct Refused<'a> {
    pub stream: Option<Stream>,
    pub routing_key: &'a str,
    pub content_type: Option<&'a str>,
    pub headers: &'a Value,
    pub body: &'a [u8],
    pub rejection: &'a Rejection,
}

impl Refused<'_> {
    /// The same for the same message: body, content type, CloudEvents attributes and stream.
    /// Other headers (a delivery count, a trace) differ from one delivery to the next.
    pub fn fingerprint(&self) -> Digest {
        let attributes: BTreeMap<&str, String> = self
            .headers
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((attribute(name)?, value.to_string())))
            .collect();
        let stream = self.stream.map_or("", Stream::name);
        let mut parts = vec![self.body, self.content_type.unwrap_or("").as_bytes()];
        parts.push(stream.as_bytes());
        parts.extend(attributes.iter().flat_map(|(n, value)| [n.as_bytes(), value.as_bytes()]));
        digest(parts)
    }
}

/// The attribute that a header of the binary mode stands for.
fn attribute(header: &str) -> Option<&str> {
    header.strip_prefix("cloudEvents_").or_else(|| header.strip_prefix("cloudEvents:"))
}

/// What PostgreSQL can store, and an index can hold: a dead letter must never fail on what
/// made its message a dead letter.
fn storable(text: &str) -> String {
    const LONGEST: usize = 512;
    text.chars().take(LONGEST).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}

fn storable_json(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "\u{fffd}")),
        Value::Array(items) => items.iter().map(storable_json).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.replace('\0', "\u{fffd}"), storable_json(value)))
            .collect(),
        other => other.clone(),
    }
}

/// Files refused messages. The same message again counts up the attempts of its row, takes
/// over the last judgement, and reopens the row where it was replayed.
///
/// Returns, for each that is new, its index and id: somebody has to be told, once.
pub async fn file(
    conn: &mut PgConnection,
    refused: &[Refused<'_>],
    now: Timestamp,
) -> Result<Vec<(usize, Uuid)>> {
    let mut letters: BTreeMap<Digest, Letter> = BTreeMap::new();
    for (index, message) in refused.iter().enumerate() {
        let letter = Letter { index, id: Uuid::now_v7(), attempts: 0 };
        letters.entry(message.fingerprint()).or_insert(letter).attempts += 1;
    }
    let filed = write(conn, refused, &letters, now).await?;
    let mut new: Vec<(usize, Uuid)> = letters
        .values()
        .filter(|letter| filed.contains(&letter.id))
        .map(|letter| (letter.index, letter.id))
        .collect();
    new.sort_unstable();
    Ok(new)
}

struct Letter {
    index: usize,
    id: Uuid,
    attempts: i64,
}

async fn write(
    conn: &mut PgConnection,
    refused: &[Refused<'_>],
    letters: &BTreeMap<Digest, Letter>,
    now: Timestamp,
) -> Result<Vec<Uuid>> {
    let messages = || letters.values().map(|letter| &refused[letter.index]);
    let rejections = || messages().map(|message| message.rejection);
    let optional = |text: &Option<String>| text.as_deref().map(storable);
    sqlx::query_scalar(
        "INSERT INTO dead_letters AS old (id, fingerprint, stream, routing_key, content_type,
             event_source, event_id, event_type, code, detail, pointer, attempts, body, headers,
             first_seen_at, last_seen_at)
         SELECT id, fingerprint, stream, routing_key, content_type, event_source, event_id,
             event_type, code, detail, pointer, attempts, body, headers::jsonb, $15, $15
         FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[],
                     $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[],
                     $13::bytea[], $14::text[])
             AS new (id, fingerprint, stream, routing_key, content_type, event_source, event_id,
                     event_type, code, detail, pointer, attempts, body, headers)
         ORDER BY fingerprint
         ON CONFLICT (fingerprint) DO UPDATE SET
             attempts = old.attempts + excluded.attempts,
             code = excluded.code, detail = excluded.detail, pointer = excluded.pointer,
             event_source = excluded.event_source, event_id = excluded.event_id,
             event_type = excluded.event_type, routing_key = excluded.routing_key,
             headers = excluded.headers,
             last_seen_at = greatest(old.last_seen_at, excluded.last_seen_at),
             status = CASE old.status WHEN 'replayed' THEN 'open' ELSE old.status END
         RETURNING id",
    )
    .bind(letters.values().map(|letter| letter.id).collect::<Vec<_>>())
    .bind(letters.keys().map(|fingerprint| fingerprint.as_slice()).collect::<Vec<_>>())
    .bind(messages().map(|message| message.stream.map(Stream::name)).collect::<Vec<_>>())
    .bind(messages().map(|message| storable(message.routing_key)).collect::<Vec<_>>())
    .bind(messages().map(|message| message.content_type.map(storable)).collect::<Vec<_>>())
    .bind(rejections().map(|rejection| optional(&rejection.event_source)).collect::<Vec<_>>())
    .bind(rejections().map(|rejection| optional(&rejection.event_id)).collect::<Vec<_>>())
    .bind(rejections().map(|rejection| optional(&rejection.event_type)).collect::<Vec<_>>())
    .bind(rejections().map(|rejection| rejection.code.name()).collect::<Vec<_>>())
    .bind(rejections().map(|rejection| rejection.detail.replace('\0', "")).collect::<Vec<_>>())
    .bind(
        rejections()
            .map(|rejection| rejection.pointer.as_ref().map(|at| at.replace('\0', "\u{fffd}")))
            .collect::<Vec<_>>(),
    )
    .bind(letters.values().map(|letter| letter.attempts).collect::<Vec<_>>())
    .bind(messages().map(|message| message.body).collect::<Vec<_>>())
    .bind(messages().map(|m| headers_of(m).to_string()).collect::<Vec<_>>())
    .bind(sql_time(now))
    .fetch_all(conn)
    .await
}

fn headers_of(message: &Refused<'_>) -> Value {
    match storable_json(message.headers) {
        headers @ Value::Object(_) => headers,
        Value::Null => Value::Object(Default::default()),
        other => serde_json::json!({ "": other }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::RejectionCode;
    use serde_json::json;

    fn fingerprint(headers: &Value, body: &[u8], stream: Option<Stream>) -> Digest {
        let rejection = Rejection {
            code: RejectionCode::NotJson,
            pointer: None,
            detail: String::new(),
            event_source: None,
            event_id: None,
            event_type: None,
        };
        let (routing_key, content_type) = ("", None);
        Refused { stream, routing_key, content_type, headers, body, rejection: &rejection }
            .fingerprint()
    }

    #[test]
    fn a_fingerprint_is_of_the_message_and_not_of_its_way() {
        let plain = fingerprint(&json!({}), b"x", Some(Stream::Orders));
        let delivered = json!({ "x-delivery-count": 3, "traceparent": "00-…" });
        assert_eq!(plain, fingerprint(&delivered, b"x", Some(Stream::Orders)));
        assert_ne!(plain, fingerprint(&json!({}), b"x", Some(Stream::Payments)));
        assert_ne!(plain, fingerprint(&json!({}), b"y", Some(Stream::Orders)));
        let underscore = fingerprint(&json!({ "cloudEvents_id": "1" }), b"x", None);
        assert_eq!(underscore, fingerprint(&json!({ "cloudEvents:id": "1" }), b"x", None));
        assert_ne!(underscore, fingerprint(&json!({ "cloudEvents_id": "2" }), b"x", None));
    }
}
