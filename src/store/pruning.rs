//! Cases that are over: finding them, what is archived of them, and taking them out. What stays
//! of one is a row of `pruned_cases`, the keys of its events, and what other cases may still
//! look for: who placed the order, when it could be shipped, what its threads asked.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Sum;

use serde_json::value::RawValue;
use sqlx::{FromRow, PgConnection};

use super::{CaseSet, Result, SqlTime, case_id, case_keys, sql_time, texts};
use crate::contract::archive::{Row, RowKind};
use crate::contract::{Identifier, InputType, Stream, Timestamp};
use crate::rules::CaseId;

/// Where a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// The file's name, without its folder.
    pub file: String,
    pub at: Timestamp,
}

/// A transaction would change cases that were archived.
#[derive(Debug, thiserror::Error)]
#[error("it would change a case that was archived")]
pub struct Archived(pub CaseSet);

impl Archived {
    /// As the door's errors are: of one batch, and to be isolated in it.
    pub fn error(cases: CaseSet) -> sqlx::Error {
        sqlx::Error::Decode(Box::new(Archived(cases)))
    }

    /// What of an error tells that it is this one.
    pub fn of(error: &sqlx::Error) -> Option<&Archived> {
        match error {
            sqlx::Error::Decode(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

/// Those of the cases that were archived.
pub async fn among(
    conn: &mut PgConnection,
    cases: impl IntoIterator<Item = &CaseId>,
) -> Result<BTreeMap<CaseId, Pruned>> {
    let rows: Vec<(String, String, SqlTime)> =
        sqlx::query_as("SELECT key, file, pruned_at FROM pruned_cases WHERE key = ANY ($1)")
            .bind(case_keys(cases))
            .fetch_all(conn)
            .await?;
    rows.into_iter()
        .map(|(key, file, at)| {
            Ok((case_id(&key)?, Pruned { file, at: Timestamp::from_chrono(at) }))
        })
        .collect()
}

/// What tells this lock from the program's other advisory locks.
const PRUNE: i32 = 0x6f74_7072;

/// Leases pruning: one command at a time does it, for as long as its connection lasts.
pub async fn try_lease(conn: &mut PgConnection) -> Result<bool> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1, 0)").bind(PRUNE).fetch_one(conn).await
}

/// How many cases were opened before a moment.
pub async fn count_old(conn: &mut PgConnection, before: Timestamp) -> Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM cases WHERE opened_at < $1")
        .persistent(false)
        .bind(sql_time(before))
        .fetch_one(conn)
        .await
}

/// A page of the cases that were opened before a moment, in the order of their keys.
pub async fn old(
    conn: &mut PgConnection,
    before: Timestamp,
    after: Option<&CaseId>,
    limit: i64,
) -> Result<Vec<CaseId>> {
    let keys: Vec<String> = sqlx::query_scalar(
        "SELECT key FROM cases WHERE opened_at < $1 AND key > $2 ORDER BY key LIMIT $3",
    )
    .persistent(false)
    .bind(sql_time(before))
    .bind(after.map(CaseId::key).unwrap_or_default())
    .bind(limit)
    .fetch_all(conn)
    .await?;
    keys.iter().map(|key| case_id(key)).collect()
}

/// Pairs of an order, or a thread, and a thread, that go together: a message of the thread is
/// at home in the order, or names it. All pairs in which one of the cases is.
pub async fn links(conn: &mut PgConnection, cases: &CaseSet) -> Result<BTreeSet<(CaseId, CaseId)>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT case_key, 't/' || thread_id FROM history
         WHERE case_key = ANY ($1) AND thread_id IS NOT NULL
         UNION SELECT case_key, 't/' || thread_id FROM history WHERE thread_id = ANY ($2)
         UNION SELECT 'o/' || order_id, case_key FROM lookups WHERE order_id = ANY ($3)
         UNION SELECT 'o/' || order_id, case_key FROM lookups
         WHERE case_key = ANY ($1) AND order_id IS NOT NULL",
    )
    .persistent(false)
    .bind(case_keys(cases))
    .bind(texts(cases.iter().filter_map(CaseId::thread_id)))
    .bind(texts(cases.iter().filter_map(CaseId::order_id)))
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|(a, b)| Ok((case_id(&a)?, case_id(&b)?))).collect()
}

/// Why a case is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Open {
    /// An event of it was dated, or accepted, later than that.
    Recent,
    /// Time alone will change it.
    Deadline,
    /// Its decision fails.
    Parked,
    /// A refund is required and not issued.
    Refund,
    /// Something of it is still to be published.
    Unpublished,
    /// It is to be decided again.
    WokenUp,
    /// A dead letter that is open names it.
    DeadLetter,
    /// Somebody works on it just now.
    Busy,
}

const OPEN: [(&str, Open); 6] = [
    ("recent", Open::Recent),
    ("deadline", Open::Deadline),
    ("parked", Open::Parked),
    ("refund", Open::Refund),
    ("unpublished", Open::Unpublished),
    ("woken-up", Open::WokenUp),
];

/// Those of the cases that are not over, with all reasons but dead letters.
pub async fn open(
    conn: &mut PgConnection,
    cases: &CaseSet,
    before: Timestamp,
) -> Result<BTreeSet<(CaseId, Open)>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT key, CASE WHEN opened_at >= $3 THEN 'recent' WHEN parked_until IS NOT NULL
                          THEN 'parked' ELSE 'deadline' END
         FROM cases
         WHERE key = ANY ($1)
           AND (opened_at >= $3 OR next_at IS NOT NULL OR parked_until IS NOT NULL)
         UNION SELECT case_key, 'recent' FROM history
         WHERE case_key = ANY ($1) AND (received_at >= $3 OR time >= $3)
         UNION SELECT 'o/' || order_id, 'refund' FROM read_model.refunds
         WHERE order_id = ANY ($2) AND status = 'required'
         UNION SELECT case_key, 'unpublished' FROM outbox WHERE case_key = ANY ($1)
         UNION SELECT case_key, 'woken-up' FROM wake_ups WHERE case_key = ANY ($1)",
    )
    .persistent(false)
    .bind(case_keys(cases))
    .bind(texts(cases.iter().filter_map(CaseId::order_id)))
    .bind(sql_time(before))
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(key, word)| {
            let reason = OPEN.iter().find(|(name, _)| *name == word).map(|(_, reason)| *reason);
            Ok((case_id(&key)?, reason.ok_or_else(|| super::corrupt("a reason that there isn't"))?))
        })
        .collect()
}

/// How much there is of a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub events: i64,
    /// Of its events, as they are stored.
    pub bytes: i64,
}

impl Sum for Size {
    fn sum<I: Iterator<Item = Size>>(sizes: I) -> Size {
        sizes.fold(Size::default(), |a, b| Size {
            events: a.events + b.events,
            bytes: a.bytes + b.bytes,
        })
    }
}

/// How much there is of each of the cases that has an event.
pub async fn sizes(conn: &mut PgConnection, cases: &CaseSet) -> Result<BTreeMap<CaseId, Size>> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT case_key, count(*), sum(pg_column_size(history))::bigint
         FROM history WHERE case_key = ANY ($1) GROUP BY case_key",
    )
    .persistent(false)
    .bind(case_keys(cases))
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(key, events, bytes)| Ok((case_id(&key)?, Size { events, bytes })))
        .collect()
}

/// Locks those of the cases that nobody else works on, and returns them.
pub async fn lock(conn: &mut PgConnection, cases: &CaseSet) -> Result<CaseSet> {
    let keys: Vec<String> = sqlx::query_scalar(
        "SELECT key FROM cases WHERE key = ANY ($1) ORDER BY key FOR UPDATE SKIP LOCKED",
    )
    .persistent(false)
    .bind(case_keys(cases))
    .fetch_all(conn)
    .await?;
    keys.iter().map(|key| case_id(key)).collect()
}

/// A page of the bodies of open dead letters, in the order of their ids; with the last id.
pub async fn open_letters(
    conn: &mut PgConnection,
    after: Option<uuid::Uuid>,
    limit: i64,
) -> Result<Vec<(uuid::Uuid, Vec<u8>)>> {
    sqlx::query_as(
        "SELECT id, body FROM dead_letters
         WHERE status = 'open' AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2",
    )
    .persistent(false)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await
}

#[derive(FromRow)]
struct Stored {
    kind: String,
    case_key: String,
    table_name: Option<String>,
    row: String,
    policy: Option<String>,
}

/// All rows of cases, as an archive has them: each case first, then its events, what was derived
/// from it, and its read model.
pub async fn rows(conn: &mut PgConnection, cases: &CaseSet) -> Result<Vec<Row>> {
    let rows: Vec<Stored> = sqlx::query_as(
        "SELECT 'case' AS kind, key AS case_key, NULL AS table_name,
                row_to_json(c)::text AS row, p.content::text AS policy, 1 AS place, 0 AS nth
         FROM cases c JOIN policies p ON p.id = c.policy WHERE key = ANY ($1)
         UNION ALL SELECT 'event', case_key, NULL, row_to_json(h)::text, NULL, 2,
                row_number() OVER (ORDER BY time, source, event_id)
         FROM history h WHERE case_key = ANY ($1)
         UNION ALL SELECT 'derived', case_key, NULL, row_to_json(d)::text, NULL, 3, sequence
         FROM derived_events d
         WHERE (order_id = ANY ($2) AND case_key LIKE 'o/%')
            OR (case_key = ANY ($1) AND case_key LIKE 't/%')
         UNION ALL SELECT 'read-model', 'o/' || order_id, 'orders', row_to_json(r)::text, NULL, 4, 0
         FROM read_model.orders r WHERE order_id = ANY ($2)
         UNION ALL SELECT 'read-model', 'o/' || order_id, 'order_lines', row_to_json(r)::text,
                NULL, 5, 0
         FROM read_model.order_lines r WHERE order_id = ANY ($2)
         UNION ALL SELECT 'read-model', 'o/' || order_id, 'packages', row_to_json(r)::text, NULL,
                6, 0
         FROM read_model.packages r WHERE order_id = ANY ($2)
         UNION ALL SELECT 'read-model', 'o/' || order_id, 'refunds', row_to_json(r)::text, NULL,
                7, 0
         FROM read_model.refunds r WHERE order_id = ANY ($2)
         UNION ALL SELECT 'read-model', 'o/' || order_id, 'guarantees', row_to_json(r)::text,
                NULL, 8, 0
         FROM read_model.guarantees r WHERE order_id = ANY ($2)
         UNION ALL SELECT 'read-model', case_key, 'threads', row_to_json(r)::text, NULL, 9, 0
         FROM threads r WHERE case_key = ANY ($1)
         ORDER BY case_key, place, nth",
    )
    .persistent(false)
    .bind(case_keys(cases))
    .bind(texts(cases.iter().filter_map(CaseId::order_id)))
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(read).collect()
}

fn read(stored: Stored) -> Result<Row> {
    let raw = |text: String| {
        RawValue::from_string(text).map_err(|_| super::corrupt("a row that is no JSON"))
    };
    let kind = match stored.kind.as_str() {
        "case" => RowKind::Case,
        "event" => RowKind::Event,
        "derived" => RowKind::Derived,
        _ => RowKind::ReadModel,
    };
    Ok(Row {
        kind,
        case: stored.case_key,
        table: stored.table_name,
        row: raw(stored.row)?,
        policy: stored.policy.map(raw).transpose()?,
    })
}

/// Takes cases out that stand in an archive: their rows in all tables go, and what stays says in
/// which file they are. The cases have to be locked.
pub async fn remove(
    conn: &mut PgConnection,
    cases: &CaseSet,
    file: &str,
    now: Timestamp,
) -> Result<()> {
    let keys = case_keys(cases);
    sqlx::query(
        "INSERT INTO pruned_cases (key, file, pruned_at, last_received_at, orders, payments,
                                   shipments, messages)
         SELECT c.key, $2, $3, max(h.received_at),
                count(*) FILTER (WHERE h.type = ANY ($4)), count(*) FILTER (WHERE h.type = ANY ($5)),
                count(*) FILTER (WHERE h.type = ANY ($6)), count(*) FILTER (WHERE h.type = ANY ($7))
         FROM cases c LEFT JOIN history h ON h.case_key = c.key
         WHERE c.key = ANY ($1) GROUP BY c.key",
    )
    .persistent(false)
    .bind(&keys)
    .bind(file)
    .bind(sql_time(now))
    .bind(types(Stream::Orders))
    .bind(types(Stream::Payments))
    .bind(types(Stream::Shipments))
    .bind(types(Stream::Messages))
    .execute(&mut *conn)
    .await?;
    for statement in OF_CASES {
        sqlx::query(statement).persistent(false).bind(&keys).execute(&mut *conn).await?;
    }
    let orders: Vec<&Identifier> = cases.iter().filter_map(CaseId::order_id).collect();
    for statement in OF_ORDERS {
        let orders = texts(orders.iter().copied());
        sqlx::query(statement).persistent(false).bind(orders).execute(&mut *conn).await?;
    }
    Ok(())
}

/// The types of a stream: what the verdict on its sums is told by.
fn types(stream: Stream) -> Vec<&'static str> {
    InputType::ALL.iter().filter(|kind| kind.stream() == stream).map(|kind| kind.name()).collect()
}

const OF_CASES: [&str; 6] = [
    "UPDATE event_keys SET archived = true
     FROM history h WHERE h.case_key = ANY ($1) AND event_keys.key = h.key",
    "DELETE FROM history WHERE case_key = ANY ($1)",
    "DELETE FROM derived_events WHERE case_key = ANY ($1) AND case_key LIKE 't/%'",
    "DELETE FROM threads WHERE case_key = ANY ($1)",
    // Left meanwhile, by another case: a restored one is decided again in any case.
    "DELETE FROM wake_ups WHERE case_key = ANY ($1)",
    "DELETE FROM cases WHERE key = ANY ($1)",
];

const OF_ORDERS: [&str; 6] = [
    "DELETE FROM derived_events WHERE order_id = ANY ($1) AND case_key LIKE 'o/%'",
    "DELETE FROM read_model.orders WHERE order_id = ANY ($1)",
    "DELETE FROM read_model.order_lines WHERE order_id = ANY ($1)",
    "DELETE FROM read_model.packages WHERE order_id = ANY ($1)",
    "DELETE FROM read_model.refunds WHERE order_id = ANY ($1)",
    "DELETE FROM read_model.guarantees WHERE order_id = ANY ($1)",
];
