//! Dead letters as a person looks at them: groups, the list, and one with its fault.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::filters::NO_PLACE;
use super::letters::{Body, Change, body, changes, fault};
use super::redact::{self, Personal};
use crate::contract::Timestamp;
use crate::store::dead_letters::{self, DeadLetter, Filter, Place, Summary};
use crate::store::{Result, audit, replays};

/// Letters with one thing wrong with them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Group {
    pub count: i64,
    pub code: String,
    pub event_type: Option<String>,
    /// JSON Pointer, with * for places in lists.
    pub pointer: Option<String>,
    pub detail: String,
    /// What tells the group apart, for the filter `cause`.
    pub cause: String,
    pub first_seen_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// One of them.
    pub example: Uuid,
}

impl Group {
    /// For the filter `place`.
    pub fn place(&self) -> &str {
        self.pointer.as_deref().filter(|place| !place.is_empty()).unwrap_or(NO_PLACE)
    }
}

/// Groups, the largest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Groups {
    pub groups: Vec<Group>,
    /// Whether there are more.
    pub more: bool,
}

pub async fn groups(conn: &mut PgConnection, filter: &Filter, limit: i64) -> Result<Groups> {
    let mut found = dead_letters::groups(conn, filter, limit + 1).await?;
    let more = found.len() as i64 > limit;
    found.truncate(usize::try_from(limit).unwrap_or(0));
    Ok(Groups { groups: found.into_iter().map(Group::from).collect(), more })
}

impl From<dead_letters::Group> for Group {
    fn from(group: dead_letters::Group) -> Group {
        // The place stands in a column of its own.
        let why = group.cause.strip_prefix("…: ").filter(|_| group.place.is_some());
        Group {
            count: group.count,
            detail: why.unwrap_or(&group.cause).to_owned(),
            code: group.code,
            event_type: group.event_type,
            pointer: group.place,
            cause: group.cause,
            first_seen_at: Timestamp::from_chrono(group.first_seen_at),
            last_seen_at: Timestamp::from_chrono(group.last_seen_at),
            example: group.example,
        }
    }
}

/// A dead letter in a list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Row {
    pub id: Uuid,
    pub stream: Option<String>,
    pub routing_key: String,
    pub event_source: Option<String>,
    pub event_id: Option<String>,
    pub event_type: Option<String>,
    pub code: String,
    pub detail: String,
    pub pointer: Option<String>,
    pub attempts: i64,
    pub first_seen_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub status: String,
}

impl From<&Summary> for Row {
    fn from(letter: &Summary) -> Row {
        let letter = letter.clone();
        Row {
            id: letter.id,
            stream: letter.stream,
            routing_key: letter.routing_key,
            event_source: letter.event_source,
            event_id: letter.event_id,
            event_type: letter.event_type,
            code: letter.code,
            detail: letter.detail,
            pointer: letter.pointer,
            attempts: letter.attempts,
            first_seen_at: Timestamp::from_chrono(letter.first_seen_at),
            last_seen_at: Timestamp::from_chrono(letter.last_seen_at),
            status: letter.status,
        }
    }
}

/// A page of dead letters.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Page {
    pub dead_letters: Vec<Row>,
    /// Where the next page begins; nothing where this is the last.
    pub next: Option<String>,
}

pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter,
    after: Option<Place>,
    limit: i64,
) -> Result<Page> {
    let mut found = dead_letters::list(conn, filter, after, limit + 1).await?;
    let more = found.len() as i64 > limit;
    found.truncate(usize::try_from(limit).unwrap_or(0));
    let place =
        |last: &Summary| format!("{}/{}", Timestamp::from_chrono(last.last_seen_at), last.id);
    let next = found.last().filter(|_| more).map(place);
    Ok(Page { dead_letters: found.iter().map(Row::from).collect(), next })
}

/// A place as a page names it.
pub fn place(text: &str) -> Option<Place> {
    let (time, id) = text.split_once('/')?;
    Some((time.parse().ok()?, id.parse().ok()?))
}

/// A dead letter with all that may be seen of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Letter {
    #[serde(flatten)]
    pub row: Row,
    pub content_type: Option<String>,
    pub headers: Value,
    pub body_bytes: usize,
    pub body_form: BodyForm,
    /// The event where it is JSON, else its text; nothing where it is hidden.
    pub body: Value,
    /// Where in the body the fault is.
    pub fault: Option<String>,
    /// Whether personal data is shown.
    pub revealed: bool,
    /// The replays that it was or is in.
    pub replays: Vec<Attempt>,
    /// What people did with it.
    pub acts: Vec<Act>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BodyForm {
    Json,
    Text,
    /// Not JSON, so nobody may know what is in it.
    Hidden,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Attempt {
    pub job: Uuid,
    pub by: String,
    pub submitted_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// accepted, duplicate, refused or cancelled; nothing while it waits.
    pub outcome: Option<String>,
    pub detail: Option<String>,
    /// What the repair changed.
    pub changes: Vec<Changed>,
}

/// A place that a repair changes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Changed {
    pub pointer: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl From<Change> for Changed {
    fn from(change: Change) -> Changed {
        Changed { pointer: change.place, before: change.before, after: change.after }
    }
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Act {
    pub at: Timestamp,
    pub by: String,
    pub act: String,
    pub reason: Option<String>,
}

/// One dead letter; `None` where there is none of this id.
pub async fn letter(
    conn: &mut PgConnection,
    id: Uuid,
    personal: Personal,
) -> Result<Option<Letter>> {
    let Some(letter) = dead_letters::show(conn, id).await? else { return Ok(None) };
    let attempts = replays::attempts(conn, id).await?;
    let acts = audit::of(conn, &id.to_string()).await?;
    let replays = attempts.into_iter().map(|attempt| Attempt {
        changes: changes(&letter, &attempt, personal).into_iter().map(Changed::from).collect(),
        job: attempt.job,
        by: attempt.submitted_by,
        submitted_at: Timestamp::from_chrono(attempt.submitted_at),
        finished_at: attempt.finished_at.map(Timestamp::from_chrono),
        outcome: attempt.outcome,
        detail: attempt.detail,
    });
    let replays = replays.collect();
    let acts = acts.into_iter().map(|act| Act {
        at: Timestamp::from_chrono(act.at),
        by: act.who,
        act: act.act,
        reason: act.detail.get("reason").and_then(Value::as_str).map(str::to_owned),
    });
    let acts = acts.collect();
    Ok(Some(seen(&letter, personal, replays, acts)))
}

/// The same with personal data, which is recorded.
pub async fn reveal(conn: &mut PgConnection, id: Uuid, who: &str) -> Result<Option<Letter>> {
    let mut transaction = conn.begin().await?;
    let detail = serde_json::json!({ "of": "dead letter" });
    let id_text = id.to_string();
    audit::record(&mut transaction, who, "reveal", Some(&id_text), &detail).await?;
    let Some(letter) = letter(&mut transaction, id, Personal::Shown).await? else {
        return Ok(None);
    };
    transaction.commit().await?;
    Ok(Some(letter))
}

fn seen(letter: &DeadLetter, personal: Personal, replays: Vec<Attempt>, acts: Vec<Act>) -> Letter {
    let (body_form, body) = match body(letter, personal) {
        Body::Json(value) => (BodyForm::Json, value),
        Body::Text(text) => (BodyForm::Text, Value::from(text)),
        Body::Hidden => (BodyForm::Hidden, Value::Null),
    };
    Letter {
        row: Row::from(&letter.summary),
        content_type: letter.content_type.clone(),
        headers: redact::headers(&letter.headers, personal),
        body_bytes: letter.body.len(),
        body_form,
        body,
        fault: fault(letter).map(str::to_owned),
        revealed: personal == Personal::Shown,
        replays,
        acts,
    }
}
