//! Types of messages that an operator holds back.

use sqlx::{FromRow, PgConnection};

use super::{Result, SqlTime};

/// A type that is not sent for now.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Pause {
    #[sqlx(rename = "type")]
    pub event_type: String,
    pub since: SqlTime,
    pub who: String,
    pub reason: Option<String>,
}

/// The types that are paused: what the relay looks at every second.
pub async fn types(conn: &mut PgConnection) -> Result<Vec<String>> {
    sqlx::query_scalar("SELECT type FROM pauses ORDER BY type").fetch_all(conn).await
}

/// Pauses types, and returns those that were not paused before. The others stay as they are.
pub async fn add(
    conn: &mut PgConnection,
    types: &[String],
    who: &str,
    reason: Option<&str>,
) -> Result<Vec<String>> {
    sqlx::query_scalar(
        "INSERT INTO pauses (type, since, who, reason)
         SELECT type, clock_timestamp(), $2, $3 FROM unnest($1::text[]) AS new (type)
         ON CONFLICT DO NOTHING RETURNING type",
    )
    .bind(types)
    .bind(who)
    .bind(reason)
    .fetch_all(conn)
    .await
}

/// Ends pauses, and returns those that there were.
pub async fn remove(conn: &mut PgConnection, types: &[String]) -> Result<Vec<Pause>> {
    sqlx::query_as("DELETE FROM pauses WHERE type = ANY ($1) RETURNING type, since, who, reason")
        .bind(types)
        .fetch_all(conn)
        .await
}

/// A pause, and what waits for its end.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Waiting {
    #[sqlx(flatten)]
    pub pause: Pause,
    /// Messages of the type, and withdrawals of such.
    pub waiting: i64,
    /// Since when the oldest of them waits.
    pub oldest: Option<SqlTime>,
}

/// The pauses with what waits for them. Where nothing is paused, the outbox isn't read.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Waiting>> {
    sqlx::query_as(
        "SELECT p.type, p.since, p.who, p.reason, o.waiting, o.oldest
         FROM pauses p CROSS JOIN LATERAL (
             SELECT count(*) AS waiting, min(queued_at) AS oldest FROM outbox
             WHERE outbox.type = p.type OR split_part(copied_to, '.', 1) = p.type) o
         ORDER BY p.since, p.type",
    )
    .persistent(false)
    .fetch_all(conn)
    .await
}

/// How many messages wait only because an earlier one of their case does.
pub async fn behind(conn: &mut PgConnection) -> Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM outbox o
         WHERE held AND NOT EXISTS (
             SELECT FROM pauses p WHERE p.type = o.type OR p.type = split_part(copied_to, '.', 1))",
    )
    .persistent(false)
    .fetch_one(conn)
    .await
}
