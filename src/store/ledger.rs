//! The count of everything that came in.

use std::collections::BTreeMap;

use sqlx::{FromRow, PgConnection};

use super::{Result, SqlTime, sql_time};
use crate::contract::Timestamp;

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
pub async fn add(
    conn: &mut PgConnection,
    counts: &BTreeMap<&'static str, Count>,
    now: Timestamp,
) -> Result<()> {
    let column = |of: fn(&Count) -> i64| counts.values().map(of).collect::<Vec<_>>();
    sqlx::query(
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
    .bind(sql_time(now))
    .execute(conn)
    .await?;
    Ok(())
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

/// The ledger's sums by stream, and what the tables hold of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    pub streams: BTreeMap<String, Count>,
    /// Events in the history.
    pub in_history: i64,
    /// Events ever accepted; the archived ones too.
    pub keys: i64,
    /// The attempts of all dead letters.
    pub dead_letter_attempts: i64,
}

/// Reads what `verify` compares, all of it as at one moment.
pub async fn audit(conn: &mut PgConnection) -> Result<Audit> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT stream, sum(received)::bigint AS received, sum(accepted)::bigint AS accepted,
                sum(duplicates)::bigint AS duplicates, sum(dead)::bigint AS dead,
                (SELECT count(*) FROM history) AS in_history,
                (SELECT count(*) FROM event_keys) AS keys,
                (SELECT coalesce(sum(attempts), 0)::bigint FROM dead_letters)
                    AS dead_letter_attempts
         FROM (TABLE ledger UNION ALL SELECT 0, NULL, 0, 0, 0, 0, now()) AS rows
         GROUP BY stream",
    )
    .fetch_all(conn)
    .await?;
    let mut audit = Audit::default();
    for row in rows {
        audit.in_history = row.in_history;
        audit.keys = row.keys;
        audit.dead_letter_attempts = row.dead_letter_attempts;
        if let Some(stream) = row.stream {
            audit.streams.insert(stream, row.count);
        }
    }
    Ok(audit)
}

#[derive(FromRow)]
struct Row {
    stream: Option<String>,
    #[sqlx(flatten)]
    count: Count,
    in_history: i64,
    keys: i64,
    dead_letter_attempts: i64,
}
