//! The ledger: whether everything that was received, and everything that was derived, is where
//! it belongs.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use crate::contract::{InputType, Stream, Timestamp};
use crate::store::balance::{self, Audit, Named, Oddities};
use crate::store::ledger::Count;
use crate::store::{self, SNAPSHOT};

/// What the database says, all as at one moment.
pub struct Found {
    pub at: Timestamp,
    pub since: Option<Timestamp>,
    pub audit: Audit,
    oddities: Oddities,
}

/// Something that doesn't add up.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Difference {
    /// Which of the equations.
    pub check: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The equation's two sides; of rows that shouldn't be, how many there are, and 0.
    pub found: i64,
    pub expected: i64,
    pub sentence: String,
    /// The first of the rows that it is about, where they can be named.
    pub ids: Vec<String>,
}

impl Found {
    pub async fn read(
        conn: &mut PgConnection,
        since: Option<Timestamp>,
    ) -> Result<Found, sqlx::Error> {
        let mut snapshot = conn.begin_with(SNAPSHOT).await?;
        Ok(Found {
            at: store::clock(&mut snapshot).await?,
            since,
            audit: balance::audit_since(&mut snapshot, since).await?,
            oddities: balance::oddities(&mut snapshot, since).await?,
        })
    }

    /// Every stream that was received from, or that something in the history or an archive
    /// belongs to.
    pub fn streams(&self) -> BTreeMap<String, Kept> {
        let (history, archived) = (by_stream(&self.audit.types), &self.audit.archived);
        let names: BTreeSet<&String> =
            self.audit.streams.keys().chain(history.keys()).chain(archived.keys()).collect();
        names
            .into_iter()
            .map(|name| {
                let count = self.audit.streams.get(name).copied().unwrap_or_default();
                let of = |counts: &BTreeMap<String, i64>| counts.get(name).copied().unwrap_or(0);
                (name.clone(), Kept { count, history: of(&history), archived: of(archived) })
            })
            .collect()
    }

    pub fn differences(&self) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (stream, kept) in self.streams() {
            differences.extend(self.uneven(&stream, kept.count));
            differences.extend(accepted(&stream, &kept));
        }
        differences.extend(self.events());
        differences.extend(self.dead_letters());
        differences.extend(self.derived());
        differences
    }

    fn uneven(&self, stream: &str, count: Count) -> Option<Difference> {
        let Count { received, accepted, duplicates, dead } = count;
        let known = accepted + duplicates + dead;
        let rows = self.oddities.uneven.get(stream).cloned().unwrap_or_default();
        // Rows that are wrong may make up for one another in the sum.
        (received != known || rows.count > 0).then(|| Difference {
            check: "received",
            stream: Some(stream.to_owned()),
            found: received,
            expected: known,
            sentence: format!(
                "{stream}: received {received}, but accepted {accepted} + duplicates {duplicates} \
                 + dead {dead} = {known}; ledger rows that don't add up: {}",
                rows.count
            ),
            ids: rows.ids,
        })
    }

    fn events(&self) -> Vec<Difference> {
        let (keys, in_history) = (self.audit.keys, self.audit.in_history);
        let (archived, marked) = (self.archived(), self.audit.archived_keys);
        let sum = (keys != in_history + archived).then(|| Difference {
            check: "event-keys",
            stream: None,
            found: keys,
            expected: in_history + archived,
            sentence: format!(
                "the history holds {in_history} events{}, but {keys} have a key",
                and_archived(archived)
            ),
            ids: Vec::new(),
        });
        let marks = (marked != archived).then(|| Difference {
            check: "archived",
            stream: None,
            found: marked,
            expected: archived,
            sentence: format!(
                "archived cases have {archived} events, but {marked} keys are marked as archived"
            ),
            ids: Vec::new(),
        });
        let without_key = "events of the history without a key: their repetition would not be \
                           recognised (source and id)";
        let without_history = "keys without an event in the history: it was lost (key in hex)";
        sum.into_iter()
            .chain(marks)
            .chain(rows("history-without-key", without_key, &self.oddities.without_key))
            .chain(rows("key-without-history", without_history, &self.oddities.without_history))
            .collect()
    }

    /// Events in archives.
    pub fn archived(&self) -> i64 {
        self.audit.archived.values().sum()
    }

    fn dead_letters(&self) -> Option<Difference> {
        let (dead, attempts) = (self.audit.dead, self.audit.dead_letter_attempts);
        (dead != attempts).then(|| Difference {
            check: "dead-letters",
            stream: None,
            found: attempts,
            expected: dead,
            sentence: format!(
                "{dead} messages were refused, but the dead letters count {attempts} attempts"
            ),
            ids: Vec::new(),
        })
    }

    fn derived(&self) -> Vec<Difference> {
        let derived = self.audit.derived;
        let known = derived.published + derived.waiting + derived.suppressed;
        let sum = (derived.recorded != known).then(|| Difference {
            check: "derived",
            stream: None,
            found: derived.recorded,
            expected: known,
            sentence: format!(
                "{} events were derived, but published {} + waiting {} + recorded only {} = {known}",
                derived.recorded, derived.published, derived.waiting, derived.suppressed
            ),
            ids: Vec::new(),
        });
        let unsent = "derived events that are neither published nor in the outbox: nobody will \
                      send them";
        let unfounded = "messages in the outbox whose derived event is unknown, published, or \
                         was only to be recorded";
        sum.into_iter()
            .chain(rows("unsent", unsent, &self.oddities.unsent))
            .chain(rows("unfounded", unfounded, &self.oddities.unfounded))
            .collect()
    }
}

/// What was counted of a stream, and where its events are.
pub struct Kept {
    pub count: Count,
    pub history: i64,
    pub archived: i64,
}

fn and_archived(archived: i64) -> String {
    if archived == 0 { String::new() } else { format!(" and archives {archived}") }
}

fn accepted(stream: &str, kept: &Kept) -> Option<Difference> {
    let Kept { count: Count { accepted, .. }, history, archived } = *kept;
    (accepted != history + archived).then(|| Difference {
        check: "accepted",
        stream: Some(stream.to_owned()),
        found: history + archived,
        expected: accepted,
        sentence: format!(
            "{stream}: accepted {accepted}, but the history holds {history}{}",
            and_archived(archived)
        ),
        ids: Vec::new(),
    })
}

/// Rows that shouldn't be.
fn rows(check: &'static str, what: &str, named: &Named) -> Option<Difference> {
    (named.count > 0).then(|| Difference {
        check,
        stream: None,
        found: named.count,
        expected: 0,
        sentence: format!("{} {what}", named.count),
        ids: named.ids.clone(),
    })
}

/// Events of a type that this version doesn't know belong to none.
fn by_stream(types: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let mut streams = BTreeMap::new();
    for (name, count) in types {
        let stream = InputType::from_name(name).map_or("none", |kind| Stream::name(kind.stream()));
        *streams.entry(stream.to_owned()).or_default() += count;
    }
    streams
}
