//! Cases: their locks, and what is remembered of their last decision.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

use super::partitions::Month;
use super::policies::Current;
use super::pruning::Archived;
use super::read_model::Written;
use super::{CaseSet, Result, SqlTime, Together, case_id, case_keys, corrupt, sql_time};
use crate::contract::Timestamp;
use crate::rules::{CaseId, Policy};

/// A case whose row is locked until the transaction ends.
#[derive(Clone, Debug)]
pub struct Case {
    pub policy: Arc<Policy>,
    /// Where its events stand.
    pub opened: Month,
    /// When it was decided last; `None`: never by the clock.
    pub as_of: Option<Timestamp>,
    pub last_sequence: i64,
    /// Rises whenever anything of the case is written.
    pub version: i64,
    /// How often in a row its decision has failed.
    pub parked_attempts: i32,
    /// What the read model was given last.
    pub written: Written,
    /// The database's clock after the lock was taken.
    pub clock: Timestamp,
    /// Opened by this transaction: nothing is recorded of it.
    pub is_new: bool,
    /// How many events its last decision read.
    pub events: i64,
    /// A wake-up will have it decided.
    pub deferred: bool,
}

#[derive(FromRow)]
struct Row {
    key: String,
    policy: i32,
    /// Of another policy than the current one.
    content: Option<Json<Policy>>,
    opened_at: SqlTime,
    as_of: Option<SqlTime>,
    last_sequence: i64,
    version: i64,
    parked_attempts: i32,
    written: Option<Vec<u8>>,
    events: i64,
    deferred: bool,
    clock: SqlTime,
    is_new: bool,
}

/// Locks cases in the order of their keys, and opens those that aren't there with the current
/// policy.
///
/// Fails with [`Archived`] where one was archived.
///
/// One statement; one more where another transaction opens the same case at the same moment. The
/// threads of a transaction are locked before its orders; a transaction that keeps to this waits
/// in a circle only with one that opens the same cases at the same moment, which the database
/// ends.
pub async fn lock(
    conn: &mut PgConnection,
    cases: &CaseSet,
    current: &Current,
) -> Result<BTreeMap<CaseId, Case>> {
    let mut locked = BTreeMap::new();
    for _ in 0..2 {
        let missing = case_keys(cases.iter().filter(|case| !locked.contains_key(*case)));
        if missing.is_empty() {
            return Ok(locked);
        }
        locked.extend(lock_or_open(conn, missing, current).await?);
    }
    if locked.len() < cases.len() {
        let gone = cases.iter().filter(|case| !locked.contains_key(*case)).cloned();
        return Err(Archived::error(gone.collect()));
    }
    Ok(locked)
}

/// Those that another transaction opens at the same moment are waited for, and not returned;
/// nor are those that were archived.
async fn lock_or_open(
    conn: &mut PgConnection,
    keys: Vec<String>,
    current: &Current,
) -> Result<BTreeMap<CaseId, Case>> {
    // The query that locks is no plain subquery, so each row's clock is read after its lock.
    let rows: Vec<Row> = sqlx::query_as(
        "WITH locked AS MATERIALIZED (
             SELECT key, policy, opened_at, as_of, last_sequence, version, parked_attempts, written,
                 events, deferred
             FROM cases WHERE key = ANY ($1) ORDER BY key FOR UPDATE),
         opened AS (
             INSERT INTO cases (key, policy, opened_at, written)
             SELECT key, $2, clock_timestamp(), '\\x00' FROM unnest($1::text[]) AS new (key)
             WHERE NOT EXISTS (SELECT FROM locked WHERE locked.key = new.key)
               AND NOT EXISTS (SELECT FROM pruned_cases gone WHERE gone.key = new.key)
             ORDER BY key COLLATE \"C\" ON CONFLICT DO NOTHING
             RETURNING key, policy, opened_at, as_of, last_sequence, version, parked_attempts,
                 written, events, deferred)
         SELECT l.*, p.content, clock_timestamp() AS clock, false AS is_new
         FROM locked l LEFT JOIN policies p ON p.id = l.policy AND l.policy <> $2
         UNION ALL SELECT opened.*, NULL, clock_timestamp(), true FROM opened",
    )
    .bind(keys)
    .bind(current.id)
    .fetch_all(conn)
    .await?;
    read(rows, Some(current))
}

/// A case as it stands, without its lock; `None` where there is no such case.
pub async fn look(conn: &mut PgConnection, case: &CaseId) -> Result<Option<Case>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT c.key, c.policy, c.opened_at, c.as_of, c.last_sequence, c.version,
                c.parked_attempts, c.written, c.events, c.deferred, p.content, clock_timestamp() AS clock,
                false AS is_new
         FROM cases c JOIN policies p ON p.id = c.policy WHERE c.key = $1",
    )
    .bind(case.key())
    .fetch_all(conn)
    .await?;
    Ok(read(rows, None)?.remove(case))
}

fn read(rows: Vec<Row>, current: Option<&Current>) -> Result<BTreeMap<CaseId, Case>> {
    let mut policies: HashMap<i32, Arc<Policy>> = HashMap::new();
    policies.extend(current.map(|current| (current.id, current.policy.clone())));
    rows.into_iter()
        .map(|row| {
            let other = row.content.map(|content| Arc::new(content.0));
            let policy = match policies.get(&row.policy).cloned().or(other) {
                Some(policy) => policies.entry(row.policy).or_insert(policy).clone(),
                None => return Err(corrupt("a case has a policy that there isn't")),
            };
            let case = Case {
                policy,
                opened: Month::of(row.opened_at),
                as_of: row.as_of.map(Timestamp::from_chrono),
                last_sequence: row.last_sequence,
                version: row.version,
                parked_attempts: row.parked_attempts,
                written: Written::from_bytes(row.written.as_deref()),
                clock: Timestamp::from_chrono(row.clock),
                is_new: row.is_new,
                events: row.events,
                deferred: row.deferred,
            };
            Ok((case_id(&row.key)?, case))
        })
        .collect()
}

/// What is to be remembered of a decision.
#[derive(Clone, Debug)]
pub struct Decided {
    pub case: CaseId,
    pub as_of: Option<Timestamp>,
    pub next_at: Option<Timestamp>,
    pub last_sequence: i64,
    /// What the read model was given.
    pub written: Written,
    /// How many events were read.
    pub events: i64,
}

/// Remembers decisions; what was parked no longer is.
pub fn remember(writes: &mut Together, decided: &[Decided]) {
    let times = |of: fn(&Decided) -> Option<Timestamp>| -> Vec<Option<SqlTime>> {
        decided.iter().map(|decided| of(decided).map(sql_time)).collect()
    };
    writes
        .add(
            "decided",
            "UPDATE cases SET as_of = new.as_of, next_at = new.next_at,
             last_sequence = new.last_sequence, version = cases.version + 1,
             written = new.written, events = new.events, deferred = false,
             parked_until = NULL, parked_attempts = 0, parked_error = NULL
         FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::bigint[],
                     $5::bytea[], $6::bigint[])
             AS new (key, as_of, next_at, last_sequence, written, events)
         WHERE cases.key = new.key",
        )
        .bind(case_keys(decided.iter().map(|decided| &decided.case)))
        .bind(times(|decided| decided.as_of))
        .bind(times(|decided| decided.next_at))
        .bind(decided.iter().map(|decided| decided.last_sequence).collect::<Vec<_>>())
        .bind(decided.iter().map(|decided| decided.written.to_bytes()).collect::<Vec<_>>())
        .bind(decided.iter().map(|decided| decided.events).collect::<Vec<_>>());
}

/// Notes that events have come that a wake-up will have decided.
pub fn defer<'a>(writes: &mut Together, cases: impl IntoIterator<Item = &'a CaseId>) {
    writes
        .add(
            "deferred",
            "UPDATE cases SET version = version + 1, deferred = true WHERE key = ANY ($1)",
        )
        .bind(case_keys(cases));
}

/// Forgets what the read model was given: all of it is written at the next decision.
pub async fn forget_written(
    conn: &mut PgConnection,
    cases: impl Iterator<Item = &CaseId>,
) -> Result<()> {
    sqlx::query("UPDATE cases SET written = NULL WHERE key = ANY ($1) AND written IS NOT NULL")
        .bind(case_keys(cases))
        .execute(conn)
        .await?;
    Ok(())
}

/// A case whose decision failed on what is stored.
#[derive(Clone, Debug)]
pub struct Parked {
    pub case: CaseId,
    pub until: Timestamp,
    pub error: String,
}

/// Parks cases: nothing of theirs changes but the moment of the next attempt.
pub async fn park(conn: &mut PgConnection, parked: &[Parked]) -> Result<()> {
    sqlx::query(
        "UPDATE cases SET next_at = new.until, parked_until = new.until,
             version = cases.version + 1, parked_attempts = cases.parked_attempts + 1, parked_error = new.error
         FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS new (key, until, error)
         WHERE cases.key = new.key",
    )
    .bind(case_keys(parked.iter().map(|parked| &parked.case)))
    .bind(parked.iter().map(|parked| sql_time(parked.until)).collect::<Vec<_>>())
    .bind(parked.iter().map(|parked| parked.error.replace('\0', "\u{fffd}")).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Cases that time alone changes by now, the longest due first.
pub async fn due(conn: &mut PgConnection, now: Timestamp, limit: i64) -> Result<Vec<CaseId>> {
    let keys: Vec<String> =
        sqlx::query_scalar("SELECT key FROM cases WHERE next_at <= $1 ORDER BY next_at LIMIT $2")
            .persistent(false)
            .bind(sql_time(now))
            .bind(limit)
            .fetch_all(conn)
            .await?;
    keys.iter().map(|key| case_id(key)).collect()
}

/// A case that time alone will change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    pub case: CaseId,
    pub next_at: Timestamp,
}

/// A page of the cases that time alone changes by `until`, or ever, in the order of when.
pub async fn ahead(
    conn: &mut PgConnection,
    after: Option<&Ahead>,
    until: Option<Timestamp>,
    limit: i64,
) -> Result<Vec<Ahead>> {
    let rows: Vec<(String, SqlTime)> = sqlx::query_as(
        "SELECT key, next_at FROM cases
         WHERE next_at IS NOT NULL AND ($1::timestamptz IS NULL OR next_at <= $1)
           AND ($2::timestamptz IS NULL OR (next_at >= $2 AND (next_at, key) > ($2, $3)))
         ORDER BY next_at, key LIMIT $4",
    )
    .persistent(false)
    .bind(until.map(sql_time))
    .bind(after.map(|ahead| sql_time(ahead.next_at)))
    .bind(after.map(|ahead| ahead.case.key()))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(key, next_at)| {
            Ok(Ahead { case: case_id(&key)?, next_at: Timestamp::from_chrono(next_at) })
        })
        .collect()
}

/// How many they are.
pub async fn count_ahead(conn: &mut PgConnection, until: Timestamp) -> Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM cases WHERE next_at <= $1")
        .persistent(false)
        .bind(sql_time(until))
        .fetch_one(conn)
        .await
}

/// When time alone changes one case. The outer `None`: there is no such case.
pub async fn next_at(conn: &mut PgConnection, case: &CaseId) -> Result<Option<Option<Timestamp>>> {
    let next: Option<Option<SqlTime>> =
        sqlx::query_scalar("SELECT next_at FROM cases WHERE key = $1")
            .bind(case.key())
            .fetch_optional(conn)
            .await?;
    Ok(next.map(|next| next.map(Timestamp::from_chrono)))
}

/// How many cases there are.
pub async fn count(conn: &mut PgConnection) -> Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM cases").fetch_one(conn).await
}

/// A page of all cases, in the order of their keys: what a rebuild goes through.
pub async fn page(
    conn: &mut PgConnection,
    after: Option<&CaseId>,
    limit: i64,
) -> Result<Vec<CaseId>> {
    let keys: Vec<String> =
        sqlx::query_scalar("SELECT key FROM cases WHERE key > $1 ORDER BY key LIMIT $2")
            .bind(after.map(CaseId::key).unwrap_or_default())
            .bind(limit)
            .fetch_all(conn)
            .await?;
    keys.iter().map(|key| case_id(key)).collect()
}
