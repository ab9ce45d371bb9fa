//! Cases to be decided again because another case changed.

use sqlx::PgConnection;

use super::{CaseSet, Result, Together, case_id, case_keys, sql_time, sql_times};
use crate::contract::Timestamp;
use crate::rules::CaseId;

/// A case to be decided again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WakeUp {
    pub case: CaseId,
    /// Its facts count as changed then: its neighbours could not be told of them.
    pub announce: bool,
    /// Not before.
    pub due_at: Timestamp,
}

/// Leaves wake-ups. They count once the transaction has committed.
pub fn leave(writes: &mut Together, wake_ups: &[WakeUp]) {
    writes
        .add(
            "woken",
            "INSERT INTO wake_ups (case_key, announce, due_at)
         SELECT * FROM unnest($1::text[], $2::bool[], $3::timestamptz[])",
        )
        .bind(case_keys(wake_ups.iter().map(|wake_up| &wake_up.case)))
        .bind(wake_ups.iter().map(|wake_up| wake_up.announce).collect::<Vec<_>>())
        .bind(sql_times(wake_ups.iter().map(|wake_up| wake_up.due_at)));
}

/// Takes the wake-ups of cases that are about to be decided, and tells which of them are to
/// announce their facts.
///
/// Only those that are visible now: one that is left while the case is being decided stays.
/// One that another transaction is taking is left to it.
pub async fn take(conn: &mut PgConnection, cases: &CaseSet) -> Result<CaseSet> {
    let rows: Vec<(String, bool)> = sqlx::query_as(
        "DELETE FROM wake_ups WHERE id IN (
             SELECT id FROM wake_ups WHERE case_key = ANY ($1) FOR UPDATE SKIP LOCKED)
         RETURNING case_key, announce",
    )
    .bind(case_keys(cases))
    .fetch_all(conn)
    .await?;
    rows.into_iter().filter(|(_, announce)| *announce).map(|(key, _)| case_id(&key)).collect()
}

/// The cases with a wake-up that is due, the oldest first. A case that somebody is deciding now
/// is left for later: waiting for its lock would hold up all others.
pub async fn due(conn: &mut PgConnection, now: Timestamp, limit: i64) -> Result<Vec<CaseId>> {
    let keys: Vec<String> = sqlx::query_scalar(
        "SELECT case_key FROM (
             SELECT case_key, min(due_at) AS due_at FROM (
                 SELECT case_key, due_at FROM wake_ups WHERE due_at <= $1
                 ORDER BY due_at LIMIT 8 * $2) first
             GROUP BY case_key) due
         WHERE EXISTS (SELECT FROM cases WHERE key = case_key FOR UPDATE SKIP LOCKED)
         ORDER BY due_at LIMIT $2",
    )
    .persistent(false)
    .bind(sql_time(now))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    keys.iter().map(|key| case_id(key)).collect()
}
