//! What came in and what was derived a moment ago, counted by slices of time, for screens that
//! look again and again: each look reads what is new only.

use sqlx::{FromRow, PgConnection};

use super::{Result, SqlTime, sql_time};
use crate::contract::Timestamp;

/// What happened in one slice of time.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Slice {
    /// A stream, or a type.
    pub name: String,
    /// The slice: seconds since 1970, divided by its length.
    pub slice: i64,
    pub count: i64,
}

/// Messages received since a moment, by stream and slice.
pub async fn received(
    conn: &mut PgConnection,
    since: Timestamp,
    seconds: i64,
) -> Result<Vec<Slice>> {
    sqlx::query_as(
        "SELECT stream AS name, floor(extract(epoch FROM committed_at) / $2)::bigint AS slice,
                sum(received)::bigint AS count
         FROM ledger WHERE committed_at >= $1 GROUP BY 1, 2",
    )
    .persistent(false)
    .bind(sql_time(since))
    .bind(seconds)
    .fetch_all(conn)
    .await
}

/// Events derived since a moment, by type and slice.
pub async fn derived(
    conn: &mut PgConnection,
    since: Timestamp,
    seconds: i64,
) -> Result<Vec<Slice>> {
    sqlx::query_as(
        "SELECT type AS name, floor(extract(epoch FROM recorded_at) / $2)::bigint AS slice,
                count(*) AS count
         FROM derived_events WHERE recorded_at >= $1 GROUP BY 1, 2",
    )
    .persistent(false)
    .bind(sql_time(since))
    .bind(seconds)
    .fetch_all(conn)
    .await
}

/// Cases with something ahead, counted up to [`COUNTED_MAX`] each: beyond that nobody counts
/// them on a screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Ahead {
    /// Due already.
    pub due: i64,
    pub hour: i64,
    pub day: i64,
    pub week: i64,
}

/// How far is counted.
pub const COUNTED_MAX: i64 = 10_000;

/// How many cases time alone changes, and how soon.
pub async fn ahead(conn: &mut PgConnection) -> Result<Ahead> {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM (SELECT FROM cases WHERE next_at <= now() LIMIT $1) c) AS due,
                (SELECT count(*) FROM (SELECT FROM cases WHERE next_at > now()
                     AND next_at <= now() + interval '1 hour' LIMIT $1) c) AS hour,
                (SELECT count(*) FROM (SELECT FROM cases WHERE next_at > now()
                     AND next_at <= now() + interval '1 day' LIMIT $1) c) AS day,
                (SELECT count(*) FROM (SELECT FROM cases WHERE next_at > now()
                     AND next_at <= now() + interval '7 days' LIMIT $1) c) AS week",
    )
    .persistent(false)
    .bind(COUNTED_MAX)
    .fetch_one(conn)
    .await
}

/// When something came in last, by stream, of the rows since a moment.
pub async fn last_received(
    conn: &mut PgConnection,
    since: Timestamp,
) -> Result<Vec<(String, Timestamp)>> {
    let rows: Vec<(String, SqlTime)> = sqlx::query_as(
        "SELECT stream, max(committed_at) FROM ledger
         WHERE committed_at >= $1 AND received > 0 GROUP BY stream",
    )
    .persistent(false)
    .bind(sql_time(since))
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(stream, at)| (stream, Timestamp::from_chrono(at))).collect())
}
