//! The count of everything that came in.

use std::collections::BTreeMap;

use sqlx::{FromRow, PgConnection};

use super::{Result, SqlTime, Together, sql_time};
use crate::contract::Timestamp;

pub use super::balance::{Audit, audit};

/// What became of the messages of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Count {
    /// Counted before anything is looked at, so that the others can be held against it.
    pub received: i64,
    pub accepted: i64,
    pub duplicates: i64,
    pub dead: i64,
}

/// Adds the counts of a batch, by stream; `none` where the stream isn't known.
pub fn add(writes: &mut Together, counts: &BTreeMap<&'static str, Count>, now: Timestamp) {
    let column = |of: fn(&Count) -> i64| counts.values().map(of).collect::<Vec<_>>();
    writes
        .add(
            "counted",
            "INSERT INTO ledger (stream, received, accepted, duplicates, dead, committed_at)
         SELECT stream, received, accepted, duplicates, dead, $6
         FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
             AS new (stream, received, accepted, duplicates, dead)",
        )
        .bind(counts.keys().copied().collect::<Vec<_>>())
        .bind(column(|count| count.received))
        .bind(column(|count| count.accepted))
        .bind(column(|count| count.duplicates))
        .bind(column(|count| count.dead))
        .bind(sql_time(now));
}

/// The end of the ledger: where counting from now on begins, and when it was written.
pub async fn end(conn: &mut PgConnection) -> Result<(i64, Option<Timestamp>)> {
    let last: Option<(i64, SqlTime)> =
        sqlx::query_as("SELECT id, committed_at FROM ledger ORDER BY id DESC LIMIT 1")
            .fetch_optional(conn)
            .await?;
    let (id, at) = last.unzip();
    Ok((id.unwrap_or(0), at.map(Timestamp::from_chrono)))
}

/// What was counted after a row of the ledger.
pub async fn after(conn: &mut PgConnection, id: i64) -> Result<Count> {
    let (received, accepted, duplicates, dead): (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT coalesce(sum(received), 0)::bigint, coalesce(sum(accepted), 0)::bigint,
                coalesce(sum(duplicates), 0)::bigint, coalesce(sum(dead), 0)::bigint
         FROM ledger WHERE id > $1",
    )
    .bind(id)
    .fetch_one(conn)
    .await?;
    Ok(Count { received, accepted, duplicates, dead })
}
