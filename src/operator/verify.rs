//! `otodoke verify`: the ledger. Everything that was received is in the history or an archive, a
//! duplicate of it, or a dead letter; everything that was derived is published, on its way, or was only
//! to be recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::database::connect;
use super::output::{say, table};
use super::period::{self, Limit};
use crate::config::Settings;
use crate::contract::{InputType, Stream, Timestamp};
use crate::store::balance::{self, Audit, Named, Oddities};
use crate::store::ledger::Count;
use crate::store::{self, SNAPSHOT};

/// Check the ledger: received = history + archived + duplicates + dead letters
///
/// Compares what was counted at the door, before anything was looked at, with what the tables
/// hold: by stream what was received with what became of it, what was accepted with the
/// history and with what `prune` has archived, dead letters with their attempts, derived events with what was published and what
/// waits in the outbox. All of it as at one moment, so processors may go on meanwhile. Exits
/// with 1 where something doesn't add up, and says what.
///
/// With --since only what was received and derived since then is counted, which takes
/// milliseconds: made to be run every minute. Dead letters are compared as a whole in any
/// case, and so is the outbox. What is archived doesn't say when it came in, so TIME has to be
/// later than that.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke verify
  otodoke verify --since 2026-03-01
  otodoke verify --since \"$(date -Is -d '-10 minutes')\" --json   every minute, by a timer")]
pub struct VerifyArguments {
    /// Only what came in since this day began (in the setting time-zone), or since this moment
    #[arg(long, value_name = "TIME", value_parser = period::limit)]
    since: Option<Limit>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub async fn verify(arguments: VerifyArguments, settings: &Settings) -> Result<ExitCode> {
    let since = arguments.since.map(|limit| limit.beginning(settings));
    let mut connection = connect(settings).await?;
    if let Some(since) = since {
        ask_later_than_archived(&mut connection, since).await?;
    }
    let found = Found::read(&mut connection, since)
        .await
        .context("the database can't say (is it set up? `otodoke migrate` does that)")?;
    let differences = found.differences();
    match arguments.json {
        true => say(&serde_json::to_string_pretty(&found.for_programs(&differences))?)?,
        false => say(&found.for_people(&differences))?,
    }
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask_later_than_archived(conn: &mut PgConnection, since: Timestamp) -> Result<()> {
    let until = balance::archived_until(conn)
        .await
        .context("the database can't say (is it set up? `otodoke migrate` does that)")?;
    if let Some(until) = until.filter(|until| since <= *until) {
        bail!(
            "some of what came in up to {until} is archived, and an archive isn't counted by time: \
             give a --since after that, or none to count all"
        );
    }
    Ok(())
}

/// What the database says, all as at one moment.
struct Found {
    at: Timestamp,
    since: Option<Timestamp>,
    audit: Audit,
    oddities: Oddities,
}

/// Something that doesn't add up.
#[derive(Debug, Serialize)]
struct Difference {
    /// Which of the equations.
    check: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<String>,
    /// The equation's two sides; of rows that shouldn't be, how many there are, and 0.
    found: i64,
    expected: i64,
    sentence: String,
    /// The first of the rows that it is about, where they can be named.
    ids: Vec<String>,
}

impl Found {
    async fn read(conn: &mut PgConnection, since: Option<Timestamp>) -> Result<Found, sqlx::Error> {
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
    fn streams(&self) -> BTreeMap<String, Kept> {
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

    fn differences(&self) -> Vec<Difference> {
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
    fn archived(&self) -> i64 {
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

    fn for_people(&self, differences: &[Difference]) -> String {
        let mut text = match self.since {
            Some(since) => format!("the ledger from {since} to {}\n\n", self.at),
            None => format!("the ledger as at {}\n\n", self.at),
        };
        text.push_str(&self.table());
        let (audit, derived) = (&self.audit, &self.audit.derived);
        text.push_str(&format!(
            "\n\nevents in the history {}, archived {}, with a key {}\n\
             messages refused {}, attempts of dead letters {}\n\
             derived events {}: published {}, waiting {}, recorded only {}\n\n",
            audit.in_history,
            self.archived(),
            audit.keys,
            audit.dead,
            audit.dead_letter_attempts,
            derived.recorded,
            derived.published,
            derived.waiting,
            derived.suppressed
        ));
        if differences.is_empty() {
            return text + "everything adds up";
        }
        text.push_str("this doesn't add up:\n");
        for difference in differences {
            text.push_str(&format!("- {}\n", difference.sentence));
            text.extend(difference.ids.iter().map(|id| format!("    {id}\n")));
        }
        text.trim_end().to_owned()
    }

    fn table(&self) -> String {
        let header =
            ["stream", "received", "accepted", "duplicates", "dead", "in the history", "archived"];
        let mut rows = table(header);
        for (stream, Kept { count, history, archived }) in self.streams() {
            let numbers =
                [count.received, count.accepted, count.duplicates, count.dead, history, archived];
            rows.add_row(std::iter::once(stream).chain(numbers.map(|number| number.to_string())));
        }
        rows.trim_fmt()
    }

    fn for_programs(&self, differences: &[Difference]) -> Value {
        let stream = |(stream, Kept { count, history, archived }): (String, Kept)| {
            json!({
                "stream": stream, "received": count.received, "accepted": count.accepted,
                "duplicates": count.duplicates, "dead": count.dead, "history": history,
                "archived": archived,
            })
        };
        let (audit, derived) = (&self.audit, &self.audit.derived);
        json!({
            "adds_up": differences.is_empty(),
            "at": self.at,
            "since": self.since,
            "streams": self.streams().into_iter().map(stream).collect::<Vec<_>>(),
            "history": audit.in_history,
            "archived": self.archived(),
            "event_keys": audit.keys,
            "dead": audit.dead,
            "dead_letter_attempts": audit.dead_letter_attempts,
            "derived": {
                "recorded": derived.recorded, "published": derived.published,
                "waiting": derived.waiting, "recorded_only": derived.suppressed,
            },
            "differences": differences,
        })
    }
}

/// What was counted of a stream, and where its events are.
struct Kept {
    count: Count,
    history: i64,
    archived: i64,
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
