//! What of a dead letter may be seen, and how one ends.

use serde_json::{Value, json};
use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use super::redact::{self, Personal};
use crate::contract::Repair;
use crate::pipeline::replay::{Letter, document};
use crate::store::dead_letters::{self, DeadLetter, Discarded};
use crate::store::replays::Attempt;
use crate::store::{Result, audit};

/// Discards letters for a reason, and records who did.
pub async fn discard(
    conn: &mut PgConnection,
    ids: &[Uuid],
    reason: &str,
    filter: &Value,
    who: &str,
) -> Result<Discarded> {
    let mut transaction = conn.begin().await?;
    let discarded = dead_letters::discard(&mut transaction, ids).await?;
    let detail = json!({ "reason": reason, "filter": filter });
    let targets: Vec<String> = discarded.ids.iter().map(Uuid::to_string).collect();
    audit::record_each(&mut transaction, who, "discard", &targets, &detail).await?;
    transaction.commit().await?;
    Ok(discarded)
}

/// A body as it may be shown.
pub enum Body {
    Json(Value),
    Text(String),
    /// Not JSON, and nobody may know what is in it.
    Hidden,
}

/// A letter's body as it may be shown.
pub fn body(letter: &DeadLetter, personal: Personal) -> Body {
    match (serde_json::from_slice::<Value>(&letter.body), personal) {
        (Ok(value), _) => Body::Json(redact::value(value, personal)),
        (Err(_), Personal::Hidden) => Body::Hidden,
        (Err(_), Personal::Shown) => {
            Body::Text(redact::text(&String::from_utf8_lossy(&letter.body)))
        }
    }
}

/// Where in the body the fault is. A binary event's body is its `data`, and the pointer is
/// always as in structured mode.
pub fn fault(letter: &DeadLetter) -> Option<&str> {
    let pointer = letter.summary.pointer.as_deref()?;
    let is_structured = letter
        .content_type
        .as_deref()
        .is_some_and(|kind| kind.to_lowercase().starts_with("application/cloudevents"));
    let mut headers = letter.headers.as_object().into_iter().flatten();
    let has_attributes = headers.any(|(name, _)| redact::is_attribute(name));
    match has_attributes && !is_structured {
        true => pointer.strip_prefix("/data"),
        false => Some(pointer),
    }
}

/// A place that a repair changed.
pub struct Change {
    pub place: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl Change {
    pub fn words(&self) -> String {
        let word = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
        format!("{} → {}", word(&self.before), word(&self.after))
    }

    pub fn object(&self) -> Value {
        json!({ "pointer": self.place, "before": self.before, "after": self.after })
    }
}

/// What a repair changed, with what may not be seen masked.
pub fn changes(letter: &DeadLetter, attempt: &Attempt, personal: Personal) -> Vec<Change> {
    match attempt.patch.clone().map(Repair::from_json) {
        Some(Ok(repair)) => changed_by(&repair, letter, personal),
        _ => Vec::new(),
    }
}

/// What a repair would change, with what may not be seen masked.
pub fn changed_by(repair: &Repair, letter: &DeadLetter, personal: Personal) -> Vec<Change> {
    let before = document(&Letter::from(letter.clone())).unwrap_or_default();
    let mut after = before.clone();
    if repair.apply(&mut after).is_err() {
        return Vec::new();
    }
    let places = Repair::between(&before, &after).map_or(Vec::new(), |repair| repair.places());
    let [before, after] = [before, after].map(|document| redact::value(document, personal));
    let change = |place: String| Change {
        before: before.pointer(&place).cloned(),
        after: after.pointer(&place).cloned(),
        place,
    };
    places.into_iter().map(change).collect()
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Letter {
        Letter {
            stream: letter.summary.stream,
            routing_key: letter.summary.routing_key,
            content_type: letter.content_type,
            event_type: letter.summary.event_type,
            headers: letter.headers,
            body: letter.body,
        }
    }
}
