//! Looking at everything that a small database holds, to hold it against a model: what
//! the demonstration does. Reads only, and whole tables.

use serde_json::Value;
use sqlx::{FromRow, PgConnection};

use super::{Result, SqlTime, case_id, corrupt};
use crate::contract::{Rule, Timestamp};
use crate::rules::CaseId;

/// A derived event that stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub case: CaseId,
    pub event_type: String,
    pub key: String,
    pub rule: Rule,
    pub time: Timestamp,
    pub data: Value,
}

/// Every derived event that stands, by case and in the order in which it was derived.
pub async fn standing(conn: &mut PgConnection) -> Result<Vec<Standing>> {
    let rows: Vec<(String, String, String, String, SqlTime, Value)> = sqlx::query_as(
        "SELECT case_key, type, key, rule, time, data FROM derived_events
         WHERE withdrawn_at IS NULL ORDER BY case_key, sequence",
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(case, event_type, key, rule, time, data)| {
            let rule = Rule::from_id(&rule).ok_or_else(|| corrupt("a rule that there isn't"))?;
            let time = Timestamp::from_chrono(time);
            Ok(Standing { case: case_id(&case)?, event_type, key, rule, time, data })
        })
        .collect()
}

/// How many messages were put into the outbox so far: derived events, withdrawals, and
/// an alert for each dead letter.
pub async fn queued(conn: &mut PgConnection) -> Result<i64> {
    sqlx::query_scalar(
        "SELECT (SELECT count(*) + count(withdrawn_at) FROM derived_events WHERE NOT suppressed)
                + (SELECT count(*) FROM dead_letters)",
    )
    .fetch_one(conn)
    .await
}

/// In how many rows of the history, the read model and the outbox one of the texts stands,
/// wherever in them. Dead letters, which keep what came as it came, are left out.
pub async fn rows_holding(conn: &mut PgConnection, texts: &[&str]) -> Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM (
             SELECT h::text AS content FROM history h
             UNION ALL SELECT o::text FROM read_model.orders o
             UNION ALL SELECT l::text FROM read_model.order_lines l
             UNION ALL SELECT p::text FROM read_model.packages p
             UNION ALL SELECT t::text FROM read_model.threads t
             UNION ALL SELECT r::text FROM read_model.refunds r
             UNION ALL SELECT g::text FROM read_model.guarantees g
             UNION ALL SELECT d::text FROM derived_events d
             UNION ALL SELECT q::text FROM outbox q) AS rows
         WHERE EXISTS (SELECT FROM unnest($1::text[]) AS held (text)
                       WHERE position(held.text IN rows.content) > 0)",
    )
    .bind(texts)
    .fetch_one(conn)
    .await
}

/// An order as it stands, with what is personal in it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Glimpse {
    pub status: String,
    pub buyer_name: Option<String>,
    pub phone: Option<String>,
    pub has_address: bool,
}

/// One order; `None` before it is placed.
pub async fn glimpse(conn: &mut PgConnection, order: &str) -> Result<Option<Glimpse>> {
    sqlx::query_as(
        "SELECT status, buyer_name, phone, ship_to IS NOT NULL AS has_address
         FROM read_model.orders WHERE order_id = $1",
    )
    .bind(order)
    .fetch_optional(conn)
    .await
}

/// How much was ever written to the write-ahead log, in bytes.
pub async fn wal(conn: &mut PgConnection) -> Result<i64> {
    sqlx::query_scalar("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
        .fetch_one(conn)
        .await
}

/// How much room a table takes, with its indexes and partitions.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Weight {
    pub name: String,
    pub bytes: i64,
    /// Rows that are deleted or changed, and still take room. As last reported.
    pub dead_rows: i64,
}

/// The tables that are written all the time.
pub async fn weights(conn: &mut PgConnection) -> Result<Vec<Weight>> {
    sqlx::query_as(
        "SELECT name, sum(pg_total_relation_size(part))::bigint AS bytes,
                coalesce(sum(pg_stat_get_dead_tuples(part)), 0)::bigint AS dead_rows
         FROM unnest(ARRAY['outbox', 'history', 'wake_ups', 'derived_events', 'cases'])
             WITH ORDINALITY AS tables (name, place)
         CROSS JOIN LATERAL (
             SELECT to_regclass(name) AS part
             UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(name)) parts
         GROUP BY name, place ORDER BY place",
    )
    .fetch_all(conn)
    .await
}

/// How many sessions of this database wait for a lock.
pub async fn lock_waits(conn: &mut PgConnection) -> Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .fetch_one(conn)
    .await
}

/// Begins a transaction that keeps everything from being cleaned up that was alive at its
/// beginning. To be ended with its connection.
pub async fn hold_horizon(conn: &mut PgConnection) -> Result<()> {
    sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ").execute(&mut *conn).await?;
    sqlx::query("SELECT pg_current_xact_id()::text").execute(conn).await.map(drop)
}
