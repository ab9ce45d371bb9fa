//! The figures of `status` and of the metrics.

use std::collections::BTreeMap;

use sqlx::{FromRow, PgConnection};

use super::pauses::{self, Waiting};
use super::{Result, SqlTime, case_id};
use crate::contract::Timestamp;
use crate::rules::CaseId;

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The database's clock, which the ages are to be counted by.
    pub clock: Timestamp,
    /// Messages that the broker hasn't confirmed.
    pub outbox: i64,
    /// Since when the oldest of them waits that isn't held by a pause.
    pub oldest_unpublished: Option<Timestamp>,
    /// What is paused, with what waits for it.
    pub paused: Vec<Waiting>,
    pub wake_ups: i64,
    pub parked_cases: i64,
    /// Since when the case that is longest overdue has waited to be decided.
    pub oldest_due: Option<Timestamp>,
    /// Open dead letters, by code.
    pub open_dead_letters: BTreeMap<String, i64>,
}

#[derive(FromRow)]
struct Row {
    clock: SqlTime,
    outbox: i64,
    oldest_unpublished: Option<SqlTime>,
    wake_ups: i64,
    parked_cases: i64,
    oldest_due: Option<SqlTime>,
}

/// Reads the figures; three statements.
pub async fn figures(conn: &mut PgConnection) -> Result<Figures> {
    // A lane's lowest position is its oldest message, give or take a transaction's length.
    let row: Row = sqlx::query_as(
        "SELECT clock_timestamp() AS clock,
                (SELECT count(*) FROM outbox) AS outbox,
                (SELECT min(first.queued_at) FROM generate_series(0, 15) AS lanes (lane)
                 CROSS JOIN LATERAL (
                     SELECT queued_at FROM outbox WHERE outbox.lane = lanes.lane AND NOT held
                     ORDER BY position LIMIT 1) first) AS oldest_unpublished,
                (SELECT count(*) FROM wake_ups) AS wake_ups,
                (SELECT count(*) FROM cases WHERE parked_until IS NOT NULL) AS parked_cases,
                (SELECT min(next_at) FROM cases WHERE next_at <= now()) AS oldest_due",
    )
    .persistent(false)
    .fetch_one(&mut *conn)
    .await?;
    let open: Vec<(String, i64)> = sqlx::query_as(
        "SELECT code, count(*) FROM dead_letters WHERE status = 'open' GROUP BY code",
    )
    .fetch_all(&mut *conn)
    .await?;
    Ok(Figures {
        clock: Timestamp::from_chrono(row.clock),
        outbox: row.outbox,
        oldest_unpublished: row.oldest_unpublished.map(Timestamp::from_chrono),
        paused: pauses::list(conn).await?,
        wake_ups: row.wake_ups,
        parked_cases: row.parked_cases,
        oldest_due: row.oldest_due.map(Timestamp::from_chrono),
        open_dead_letters: open.into_iter().collect(),
    })
}

/// A case whose decision fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedCase {
    pub case: CaseId,
    pub until: Timestamp,
    pub attempts: i32,
    pub error: String,
}

/// The parked cases, in the order of their keys.
pub async fn parked(conn: &mut PgConnection, limit: i64) -> Result<Vec<ParkedCase>> {
    let rows: Vec<(String, SqlTime, i32, String)> = sqlx::query_as(
        "SELECT key, parked_until, parked_attempts, parked_error FROM cases
         WHERE parked_until IS NOT NULL ORDER BY key LIMIT $1",
    )
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(key, until, attempts, error)| {
            let until = Timestamp::from_chrono(until);
            Ok(ParkedCase { case: case_id(&key)?, until, attempts, error })
        })
        .collect()
}
