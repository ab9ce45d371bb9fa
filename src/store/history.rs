//! The accepted events. What no rule reads of them (`unread`) is written and shown, never
//! loaded for a decision: a case of 20,000 long messages must not come into memory whole.

use std::collections::BTreeMap;

use sqlx::{FromRow, PgConnection};

use super::partitions::Month;
use super::{
    CaseSet, Digest, Result, SqlTime, Together, case_id, case_keys, corrupt, identifier, sql_time,
    sql_times, texts,
};
use crate::contract::{Accepted, Event, EventRef, Identifier, Input, InputType, Timestamp};
use crate::rules::{CaseId, Placement};

/// An event of the history, without what no rule reads.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: Digest,
    pub event: Event,
    pub placement: Placement,
    pub trace: Trace,
}

/// Where an event belongs in a distributed trace (W3C); carried along, never read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    pub parent: Option<String>,
    pub state: Option<String>,
}

/// An event that this version of the program can't read back.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// The case that was to be read: an event's home, or a message's thread.
    pub case: CaseId,
    pub problem: String,
}

/// An event on its way into the history.
#[derive(Clone, Debug)]
pub struct NewEntry<'a> {
    pub accepted: &'a Accepted,
    pub placement: Placement,
    /// Of its home.
    pub opened: Month,
}

impl NewEntry<'_> {
    fn thread(&self) -> Option<&str> {
        match &self.accepted.event.input {
            Input::MessageSent(message) => Some(message.thread_id.as_str()),
            _ => None,
        }
    }
}

/// Adds events.
pub fn insert(writes: &mut Together, entries: &[NewEntry<'_>], received_at: Timestamp) {
    let accepted = || entries.iter().map(|entry| entry.accepted);
    let placed = || entries.iter().map(|entry| &entry.placement);
    writes
        .add(
            "events",
            "INSERT INTO history (case_key, key, source, event_id, type, time, subject, thread_id,
             facts, unread, joined_at, owns_thread, found, stray, repeated, received_at,
             traceparent, tracestate, opened)
         SELECT case_key, key, source, event_id, type, time, subject, thread_id,
             facts::json, unread::json, joined_at, owns_thread, found, stray, repeated, $15,
             traceparent, tracestate, opened
         FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::text[],
                     $6::timestamptz[], $7::text[], $8::text[], $9::text[], $10::text[],
                     $11::timestamptz[], $12::bool[], $13::bool[], $14::bool[],
                     $16::text[], $17::text[], $18::bool[], $19::date[])
             AS new (case_key, key, source, event_id, type, time, subject, thread_id, facts,
                     unread, joined_at, owns_thread, found, repeated, traceparent, tracestate,
                     stray, opened)",
        )
        .bind(case_keys(placed().map(|placement| &placement.home)))
        .bind(accepted().map(|accepted| accepted.key_digest.as_slice()).collect::<Vec<_>>())
        .bind(accepted().map(|accepted| accepted.event.key.source.as_str()).collect::<Vec<_>>())
        .bind(accepted().map(|accepted| accepted.event.key.id.as_str()).collect::<Vec<_>>())
        .bind(accepted().map(|a| a.event.input.input_type().name()).collect::<Vec<_>>())
        .bind(sql_times(accepted().map(|accepted| accepted.event.time)))
        .bind(accepted().map(|accepted| accepted.subject.as_deref()).collect::<Vec<_>>())
        .bind(entries.iter().map(NewEntry::thread).collect::<Vec<_>>())
        .bind(accepted().map(|accepted| accepted.facts.as_str()).collect::<Vec<_>>())
        .bind(accepted().map(|accepted| accepted.unread.as_deref()).collect::<Vec<_>>())
        .bind(placed().map(|placement| placement.joined_at.map(sql_time)).collect::<Vec<_>>())
        .bind(placed().map(|placement| placement.owns_thread).collect::<Vec<_>>())
        .bind(placed().map(|placement| placement.found).collect::<Vec<_>>())
        .bind(placed().map(|placement| placement.repeated).collect::<Vec<_>>())
        .bind(sql_time(received_at))
        .bind(accepted().map(|accepted| accepted.traceparent.as_deref()).collect::<Vec<_>>())
        .bind(accepted().map(|accepted| accepted.tracestate.as_deref()).collect::<Vec<_>>())
        .bind(placed().map(|placement| placement.stray).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| entry.opened.first_day()).collect::<Vec<_>>());
}

/// A message that belongs elsewhere from now on.
#[derive(Clone, Debug)]
pub struct Move {
    pub from: CaseId,
    pub key: Digest,
    pub to: Placement,
}

/// Moves messages to their new homes. `opened` tells of each case in which month it was opened.
pub async fn relocate(
    conn: &mut PgConnection,
    moves: &[Move],
    opened: impl Fn(&CaseId) -> Month,
) -> Result<()> {
    // A join by both columns of the key: of the many tables only that of the month is looked at.
    sqlx::query(
        "UPDATE history SET case_key = new.home, opened = new.to_opened, joined_at = new.joined_at,
             owns_thread = new.owns_thread, found = new.found, stray = new.stray,
             repeated = new.repeated
         FROM unnest($1::text[], $2::bytea[], $3::text[], $4::timestamptz[], $5::bool[],
                     $6::bool[], $7::bool[], $8::bool[], $9::date[], $10::date[])
             AS new (case_key, key, home, joined_at, owns_thread, found, repeated, stray,
                     from_opened, to_opened)
         WHERE history.case_key = new.case_key AND history.key = new.key
           AND history.opened = new.from_opened",
    )
    .bind(case_keys(moves.iter().map(|from| &from.from)))
    .bind(moves.iter().map(|from| from.key.as_slice()).collect::<Vec<_>>())
    .bind(case_keys(moves.iter().map(|from| &from.to.home)))
    .bind(moves.iter().map(|from| from.to.joined_at.map(sql_time)).collect::<Vec<_>>())
    .bind(moves.iter().map(|from| from.to.owns_thread).collect::<Vec<_>>())
    .bind(moves.iter().map(|from| from.to.found).collect::<Vec<_>>())
    .bind(moves.iter().map(|from| from.to.repeated).collect::<Vec<_>>())
    .bind(moves.iter().map(|from| from.to.stray).collect::<Vec<_>>())
    .bind(moves.iter().map(|from| opened(&from.from).first_day()).collect::<Vec<_>>())
    .bind(moves.iter().map(|from| opened(&from.to.home).first_day()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    case_key: String,
    key: Vec<u8>,
    source: String,
    event_id: String,
    #[sqlx(rename = "type")]
    event_type: String,
    time: SqlTime,
    thread_id: Option<String>,
    facts: String,
    joined_at: Option<SqlTime>,
    owns_thread: bool,
    found: bool,
    stray: bool,
    repeated: bool,
    traceparent: Option<String>,
    tracestate: Option<String>,
}

/// So many months are read by one statement.
const MONTHS: usize = 4;

/// The events whose home the cases are, each of which was opened in the month that `opened`
/// tells. One that can't be read is the fault of its case alone.
///
/// One statement, but where the cases were opened in more than four months. The months are
/// named one by one, not as an array: so the other months' tables are left out before the
/// statement begins, whoever planned it.
pub async fn of_cases(
    conn: &mut PgConnection,
    cases: &CaseSet,
    opened: impl Fn(&CaseId) -> Month,
) -> Result<Vec<std::result::Result<Entry, Unreadable>>> {
    let mut by_month: BTreeMap<Month, Vec<String>> = BTreeMap::new();
    for case in cases {
        by_month.entry(opened(case)).or_default().push(case.key());
    }
    let months: Vec<Month> = by_month.keys().copied().collect();
    let mut entries = Vec::new();
    for some in months.chunks(MONTHS) {
        let keys: Vec<String> =
            some.iter().flat_map(|month| by_month.remove(month).unwrap_or_default()).collect();
        let last = some.last().copied();
        let month = |place: usize| some.get(place).copied().or(last).map(Month::first_day);
        let rows: Vec<Row> = sqlx::query_as(OF_CASES)
            .bind(keys)
            .bind(month(0))
            .bind(month(1))
            .bind(month(2))
            .bind(month(3))
            .fetch_all(&mut *conn)
            .await?;
        for row in rows {
            entries.push(read(case_id(&row.case_key)?, row)?);
        }
    }
    Ok(entries)
}

/// The same where nobody knows the months: all tables are looked into.
pub async fn of_cases_anywhere(
    conn: &mut PgConnection,
    cases: &CaseSet,
) -> Result<Vec<std::result::Result<Entry, Unreadable>>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT case_key, key, source, event_id, type, time, thread_id, facts::text, joined_at,
                owns_thread, found, stray, repeated, traceparent, tracestate
         FROM history WHERE case_key = ANY ($1)",
    )
    .bind(case_keys(cases))
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| read(case_id(&row.case_key)?, row)).collect()
}

const OF_CASES: &str = "
    SELECT case_key, key, source, event_id, type, time, thread_id, facts::text, joined_at,
           owns_thread, found, stray, repeated, traceparent, tracestate
    FROM history WHERE case_key = ANY ($1) AND opened IN ($2, $3, $4, $5)";

/// All messages of threads, wherever their home is.
pub async fn of_threads(
    conn: &mut PgConnection,
    threads: &CaseSet,
) -> Result<Vec<std::result::Result<Entry, Unreadable>>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT case_key, key, source, event_id, type, time, thread_id, facts::text, joined_at,
                owns_thread, found, stray, repeated, traceparent, tracestate
         FROM history WHERE thread_id = ANY ($1)",
    )
    .bind(texts(threads.iter().filter_map(CaseId::thread_id)))
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| read(thread(&row)?, row)).collect()
}

/// An event with the moment at which it was accepted, which no rule reads.
#[derive(Clone, Debug)]
pub struct Received {
    pub entry: Entry,
    pub received_at: Timestamp,
}

/// What the decision of a case is made from: an order's events, or all messages of a thread.
pub async fn with_receipt(
    conn: &mut PgConnection,
    case: &CaseId,
) -> Result<Vec<std::result::Result<Received, Unreadable>>> {
    #[derive(FromRow)]
    struct WithReceipt {
        received_at: SqlTime,
        #[sqlx(flatten)]
        row: Row,
    }
    let rows: Vec<WithReceipt> = sqlx::query_as(
        "SELECT case_key, key, source, event_id, type, time, thread_id, facts::text, joined_at,
                owns_thread, found, stray, repeated, traceparent, tracestate, received_at
         FROM history WHERE case_key = $1 OR thread_id = $2",
    )
    .bind(case.order_id().map(|_| case.key()))
    .bind(case.thread_id().map(Identifier::as_str))
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|WithReceipt { received_at, row }| {
            let received_at = Timestamp::from_chrono(received_at);
            let entry = read(case.clone(), row)?;
            Ok(entry.map(|entry| Received { entry, received_at }))
        })
        .collect()
}

fn thread(row: &Row) -> Result<CaseId> {
    let id = row.thread_id.clone().ok_or_else(|| corrupt("a message has a thread"))?;
    identifier(id).map(CaseId::Thread)
}

fn read(case: CaseId, row: Row) -> Result<std::result::Result<Entry, Unreadable>> {
    let input = match read_facts(&row.event_type, &row.facts) {
        Ok(input) => input,
        Err(problem) => {
            let problem = format!("event {} {}: {problem}", row.source, row.event_id);
            return Ok(Err(Unreadable { case, problem }));
        }
    };
    let key = EventRef { source: row.source, id: row.event_id };
    Ok(Ok(Entry {
        key: row.key.try_into().map_err(|_| corrupt("a digest has 16 bytes"))?,
        event: Event { time: Timestamp::from_chrono(row.time), key, input },
        placement: Placement {
            home: case_id(&row.case_key)?,
            joined_at: row.joined_at.map(Timestamp::from_chrono),
            owns_thread: row.owns_thread,
            found: row.found,
            stray: row.stray,
            repeated: row.repeated,
        },
        trace: Trace { parent: row.traceparent, state: row.tracestate },
    }))
}

/// The problem names no value: it ends in the case's row and in logs.
fn read_facts(event_type: &str, facts: &str) -> std::result::Result<Input, String> {
    let input_type = InputType::from_name(event_type).ok_or("its type is unknown")?;
    input_type.read(&mut serde_json::Deserializer::from_str(facts)).map_err(|error| {
        format!("its facts can't be read back (line {}, column {})", error.line(), error.column())
    })
}
