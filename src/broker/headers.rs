//! The headers of a message: as plain data, on the wire, and as JSON.

use std::collections::BTreeMap;

use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use serde_json::{Map, Value, json};

use crate::contract::Timestamp;

/// The headers of a message, by name.
pub type Headers = BTreeMap<String, HeaderValue>;

/// The value of a header.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderValue {
    Nothing,
    Flag(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    /// Bytes, or a text that isn't UTF-8.
    Bytes(Vec<u8>),
    /// Seconds since 1970.
    Time(u64),
    List(Vec<HeaderValue>),
    Table(Headers),
}

impl HeaderValue {
    pub fn as_text(&self) -> Option<&str> {
        match self {
            HeaderValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// For storing and showing: a time as RFC 3339, bytes as `{"hex": "…"}`, a number that
    /// JSON can't write as `null`. U+0000, which PostgreSQL can't store, becomes U+FFFD.
    pub fn to_json(&self) -> Value {
        match self {
            HeaderValue::Nothing => Value::Null,
            HeaderValue::Flag(flag) => json!(flag),
            HeaderValue::Integer(number) => json!(number),
            HeaderValue::Number(number) => json!(number),
            HeaderValue::Text(text) => json!(storable(text)),
            HeaderValue::Bytes(bytes) => json!({ "hex": hex(bytes) }),
            HeaderValue::Time(seconds) => time(*seconds),
            HeaderValue::List(list) => list.iter().map(HeaderValue::to_json).collect(),
            HeaderValue::Table(headers) => headers_to_json(headers),
        }
    }
}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        HeaderValue::Text(text.to_owned())
    }
}

impl From<String> for HeaderValue {
    fn from(text: String) -> Self {
        HeaderValue::Text(text)
    }
}

/// All headers as one object, see [`HeaderValue::to_json`].
pub fn headers_to_json(headers: &Headers) -> Value {
    let members = headers.iter().map(|(name, value)| (storable(name), value.to_json()));
    Value::Object(members.collect::<Map<_, _>>())
}

fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn time(seconds: u64) -> Value {
    let micros = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000));
    match micros.map(Timestamp::from_micros).filter(|moment| moment.to_chrono().is_some()) {
        Some(moment) => json!(moment),
        None => json!(seconds),
    }
}

pub(super) fn from_table(table: &FieldTable) -> Headers {
    table.into_iter().map(|(name, value)| (name.to_string(), HeaderValue::from(value))).collect()
}

impl From<&AMQPValue> for HeaderValue {
    fn from(value: &AMQPValue) -> Self {
        match value {
            AMQPValue::Void => HeaderValue::Nothing,
            AMQPValue::Boolean(flag) => HeaderValue::Flag(*flag),
            AMQPValue::ShortShortInt(number) => HeaderValue::Integer(i64::from(*number)),
            AMQPValue::ShortShortUInt(number) => HeaderValue::Integer(i64::from(*number)),
            AMQPValue::ShortInt(number) => HeaderValue::Integer(i64::from(*number)),
            AMQPValue::ShortUInt(number) => HeaderValue::Integer(i64::from(*number)),
            AMQPValue::LongInt(number) => HeaderValue::Integer(i64::from(*number)),
            AMQPValue::LongUInt(number) => HeaderValue::Integer(i64::from(*number)),
            AMQPValue::LongLongInt(number) => HeaderValue::Integer(*number),
            AMQPValue::Float(number) => HeaderValue::Number(f64::from(*number)),
            AMQPValue::Double(number) => HeaderValue::Number(*number),
            AMQPValue::DecimalValue(decimal) => {
                HeaderValue::Number(f64::from(decimal.value) / 10f64.powi(i32::from(decimal.scale)))
            }
            AMQPValue::ShortString(text) => HeaderValue::Text(text.to_string()),
            AMQPValue::LongString(text) => text_or_bytes(text.as_bytes()),
            AMQPValue::ByteArray(bytes) => HeaderValue::Bytes(bytes.as_slice().to_vec()),
            AMQPValue::Timestamp(seconds) => HeaderValue::Time(*seconds),
            AMQPValue::FieldArray(list) => {
                HeaderValue::List(list.as_slice().iter().map(HeaderValue::from).collect())
            }
            AMQPValue::FieldTable(table) => HeaderValue::Table(from_table(table)),
        }
    }
}

fn text_or_bytes(bytes: &[u8]) -> HeaderValue {
    match std::str::from_utf8(bytes) {
        Ok(text) => HeaderValue::Text(text.to_owned()),
        Err(_) => HeaderValue::Bytes(bytes.to_vec()),
    }
}

/// Leaves out a header whose name is longer than the 255 bytes that AMQP has room for.
pub(super) fn to_table(headers: &Headers) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        if let Ok(name) = ShortString::try_new(&**name) {
            table.insert(name, value.into());
        }
    }
    table
}

impl From<&HeaderValue> for AMQPValue {
    fn from(value: &HeaderValue) -> Self {
        match value {
            HeaderValue::Nothing => AMQPValue::Void,
            HeaderValue::Flag(flag) => AMQPValue::Boolean(*flag),
            HeaderValue::Integer(number) => AMQPValue::LongLongInt(*number),
            HeaderValue::Number(number) => AMQPValue::Double(*number),
            HeaderValue::Text(text) => AMQPValue::LongString(LongString::from(text.as_str())),
            HeaderValue::Bytes(bytes) => AMQPValue::ByteArray(bytes.clone().into()),
            HeaderValue::Time(seconds) => AMQPValue::Timestamp(*seconds),
            HeaderValue::List(list) => {
                AMQPValue::FieldArray(list.iter().map(AMQPValue::from).collect::<Vec<_>>().into())
            }
            HeaderValue::Table(headers) => AMQPValue::FieldTable(to_table(headers)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death() -> Headers {
        let death = Headers::from([
            ("count".into(), HeaderValue::Integer(1)),
            ("reason".into(), "delivery_limit".into()),
            ("routing-keys".into(), HeaderValue::List(vec!["orders.order-placed".into()])),
            ("time".into(), HeaderValue::Time(1_700_000_000)),
        ]);
        Headers::from([("x-death".into(), HeaderValue::List(vec![HeaderValue::Table(death)]))])
    }

    #[test]
    fn the_story_of_a_dead_letter_survives_into_json() {
        assert_eq!(
            headers_to_json(&death()),
            json!({ "x-death": [{
                "count": 1,
                "reason": "delivery_limit",
                "routing-keys": ["orders.order-placed"],
                "time": "2023-11-14T22:13:20Z",
            }] })
        );
    }

    #[test]
    fn headers_come_back_from_the_wire_as_they_were_sent() {
        let mut sent = death();
        sent.insert("nothing".into(), HeaderValue::Nothing);
        sent.insert("bytes".into(), HeaderValue::Bytes(vec![0xc3, 0x28]));
        sent.insert("number".into(), HeaderValue::Number(0.5));
        sent.insert("flag".into(), HeaderValue::Flag(true));
        assert_eq!(from_table(&to_table(&sent)), sent);
    }

    #[test]
    fn what_json_or_postgresql_cannot_hold_is_shown_and_harmless() {
        assert_eq!(HeaderValue::from("a\0b").to_json(), json!("a\u{FFFD}b"));
        assert_eq!(text_or_bytes(&[0xc3, 0x28]).to_json(), json!({ "hex": "c328" }));
        assert_eq!(HeaderValue::Number(f64::NAN).to_json(), Value::Null);
        assert_eq!(HeaderValue::Time(u64::MAX).to_json(), json!(u64::MAX));
    }
}
