//! Whether everything adds up: what was counted at the door against what the tables hold.

use std::collections::BTreeMap;

use sqlx::{Connection, FromRow, PgConnection};

use super::ledger::Count;
use super::{Result, SNAPSHOT, SqlTime, sql_time};
use crate::contract::{Stream, Timestamp};

/// The ledger's sums by stream, and what the tables hold of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    pub streams: BTreeMap<String, Count>,
    /// Events in the history, by type.
    pub types: BTreeMap<String, i64>,
    /// All of them.
    pub in_history: i64,
    /// Events of archived cases, by stream; none where only a stretch of time is looked at.
    pub archived: BTreeMap<String, i64>,
    /// Events ever accepted; where only a stretch of time is looked at, those of its history.
    pub keys: i64,
    /// Those of them that are marked as archived; likewise.
    pub archived_keys: i64,
    /// Dead letters by the ledger, repetitions included. Never restricted to a stretch of time:
    /// a dead letter that came again does not say when it came before.
    pub dead: i64,
    /// The attempts of all dead letters, likewise.
    pub dead_letter_attempts: i64,
    pub derived: Derivations,
}

/// What became of the derived events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Derivations {
    pub recorded: i64,
    pub published: i64,
    /// Recorded only, by the setting publish-from.
    pub suppressed: i64,
    /// In the outbox.
    pub waiting: i64,
}

/// All of it, as at one moment.
pub async fn audit(conn: &mut PgConnection) -> Result<Audit> {
    let mut snapshot = conn.begin_with(SNAPSHOT).await?;
    audit_since(&mut snapshot, None).await
}

/// What was received since a moment, or all of it. The caller's transaction has to be a
/// [`SNAPSHOT`]; these are several statements.
///
/// What is archived says of no event when it came in: a stretch of time has to begin after
/// [`archived_until`].
///
/// The statements are planned for the moment at hand: without one a table is read whole, with
/// one only where its index of block ranges points to.
pub async fn audit_since(conn: &mut PgConnection, since: Option<Timestamp>) -> Result<Audit> {
    let since = since.map(sql_time);
    let types: BTreeMap<String, i64> = types(conn, since).await?.into_iter().collect();
    let (dead, dead_letter_attempts) = dead(conn).await?;
    let (archived, archived_keys) = match since {
        None => archived(conn).await?,
        Some(_) => Default::default(),
    };
    Ok(Audit {
        streams: streams(conn, since).await?,
        in_history: types.values().sum(),
        types,
        archived,
        archived_keys,
        keys: keys(conn, since).await?,
        dead,
        dead_letter_attempts,
        derived: derivations(conn, since).await?,
    })
}

/// When the last event was accepted of those that are archived; `None` where none is.
pub async fn archived_until(conn: &mut PgConnection) -> Result<Option<Timestamp>> {
    let last: Option<SqlTime> =
        sqlx::query_scalar("SELECT max(last_received_at) FROM pruned_cases")
            .persistent(false)
            .fetch_one(conn)
            .await?;
    Ok(last.map(Timestamp::from_chrono))
}

/// What cases took along into archives, by stream, and how many keys say the same.
async fn archived(conn: &mut PgConnection) -> Result<(BTreeMap<String, i64>, i64)> {
    let (orders, payments, shipments, messages, keys): (i64, i64, i64, i64, i64) = sqlx::query_as(
        "SELECT coalesce(sum(orders), 0)::bigint, coalesce(sum(payments), 0)::bigint,
                coalesce(sum(shipments), 0)::bigint, coalesce(sum(messages), 0)::bigint,
                (SELECT count(*) FROM event_keys WHERE archived)
         FROM pruned_cases",
    )
    .persistent(false)
    .fetch_one(conn)
    .await?;
    let counts = [
        (Stream::Orders, orders),
        (Stream::Payments, payments),
        (Stream::Shipments, shipments),
        (Stream::Messages, messages),
    ];
    let some = counts.into_iter().filter(|(_, count)| *count > 0);
    Ok((some.map(|(stream, count)| (stream.name().to_owned(), count)).collect(), keys))
}

async fn streams(
    conn: &mut PgConnection,
    since: Option<SqlTime>,
) -> Result<BTreeMap<String, Count>> {
    #[derive(FromRow)]
    struct Row {
        stream: String,
        #[sqlx(flatten)]
        count: Count,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT stream, sum(received)::bigint AS received, sum(accepted)::bigint AS accepted,
                sum(duplicates)::bigint AS duplicates, sum(dead)::bigint AS dead
         FROM ledger WHERE $1::timestamptz IS NULL OR committed_at >= $1 GROUP BY stream",
    )
    .persistent(false)
    .bind(since)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.stream, row.count)).collect())
}

async fn types(conn: &mut PgConnection, since: Option<SqlTime>) -> Result<Vec<(String, i64)>> {
    sqlx::query_as(
        "SELECT type, count(*) FROM history
         WHERE $1::timestamptz IS NULL OR received_at >= $1 GROUP BY type",
    )
    .persistent(false)
    .bind(since)
    .fetch_all(conn)
    .await
}

async fn keys(conn: &mut PgConnection, since: Option<SqlTime>) -> Result<i64> {
    let Some(since) = since else {
        return sqlx::query_scalar("SELECT count(*) FROM event_keys").fetch_one(conn).await;
    };
    sqlx::query_scalar(
        "SELECT count(*) FROM history JOIN event_keys USING (key) WHERE received_at >= $1",
    )
    .persistent(false)
    .bind(since)
    .fetch_one(conn)
    .await
}

async fn dead(conn: &mut PgConnection) -> Result<(i64, i64)> {
    sqlx::query_as(
        "SELECT (SELECT coalesce(sum(dead), 0)::bigint FROM ledger WHERE dead > 0),
                (SELECT coalesce(sum(attempts), 0)::bigint FROM dead_letters)",
    )
    .persistent(false)
    .fetch_one(conn)
    .await
}

async fn derivations(conn: &mut PgConnection, since: Option<SqlTime>) -> Result<Derivations> {
    sqlx::query_as(concat!(
        "SELECT count(*) AS recorded, count(*) FILTER (WHERE ",
        is_published!(),
        ") AS published,
                count(*) FILTER (WHERE suppressed) AS suppressed,
                (SELECT count(*) FROM outbox
                 WHERE derived AND ($1::timestamptz IS NULL OR queued_at >= $1)) AS waiting
         FROM derived_events d WHERE $1::timestamptz IS NULL OR recorded_at >= $1"
    ))
    .persistent(false)
    .bind(since)
    .fetch_one(conn)
    .await
}

/// Rows that have no counterpart, or don't add up by themselves: how many, and the first of
/// them by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub count: i64,
    pub ids: Vec<String>,
}

/// What is wrong by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Ledger rows that don't add up, by stream.
    pub uneven: BTreeMap<String, Named>,
    /// Events of the history that have no key.
    pub without_key: Named,
    /// Keys that have no event in the history, and are not archived; not looked for where only a
    /// stretch of time is looked at, since a key doesn't say when it came.
    pub without_history: Named,
    /// Derived events that are neither published nor on their way, nor recorded only.
    pub unsent: Named,
    /// Messages on their way that are no derived event waiting to be published.
    pub unfounded: Named,
}

/// The most rows that are named of a kind.
const NAMED_MAX: i64 = 20;

/// Looks for what is wrong by name, in the snapshot in which the sums were read.
pub async fn oddities(conn: &mut PgConnection, since: Option<Timestamp>) -> Result<Oddities> {
    let time = since.map(sql_time);
    let without_history = match since {
        None => named(conn, WITHOUT_HISTORY, None).await?,
        Some(_) => Named::default(),
    };
    Ok(Oddities {
        uneven: uneven(conn, time).await?,
        without_key: named(conn, WITHOUT_KEY, time).await?,
        without_history,
        unsent: named(conn, UNSENT, time).await?,
        unfounded: named(conn, UNFOUNDED, None).await?,
    })
}

async fn uneven(
    conn: &mut PgConnection,
    since: Option<SqlTime>,
) -> Result<BTreeMap<String, Named>> {
    let rows: Vec<(String, i64, Vec<String>)> = sqlx::query_as(
        "SELECT stream, count(*), (array_agg(id::text ORDER BY id))[:$2]
         FROM ledger WHERE received <> accepted + duplicates + dead
           AND ($1::timestamptz IS NULL OR committed_at >= $1)
         GROUP BY stream",
    )
    .persistent(false)
    .bind(since)
    .bind(i32::try_from(NAMED_MAX).unwrap_or(i32::MAX))
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(stream, count, ids)| (stream, Named { count, ids })).collect())
}

const WITHOUT_KEY: &str = "SELECT count(*) OVER (), source || ' ' || event_id FROM history
    WHERE ($2::timestamptz IS NULL OR received_at >= $2)
      AND NOT EXISTS (SELECT FROM event_keys WHERE event_keys.key = history.key)
    LIMIT $1";

const WITHOUT_HISTORY: &str = "SELECT count(*) OVER (), encode(key, 'hex') FROM event_keys
    WHERE $2::timestamptz IS NULL AND NOT archived
      AND NOT EXISTS (SELECT FROM history WHERE history.key = event_keys.key)
    LIMIT $1";

const UNSENT: &str = concat!(
    "SELECT count(*) OVER (), event_id::text FROM derived_events d
    WHERE ($2::timestamptz IS NULL OR recorded_at >= $2)
      AND NOT suppressed AND ",
    is_published!(),
    " IS NOT TRUE
      AND NOT EXISTS (SELECT FROM outbox o WHERE o.derived AND o.event_id = d.event_id)
    LIMIT $1"
);

const UNFOUNDED: &str = concat!(
    "SELECT count(*) OVER (), event_id::text FROM outbox o
    WHERE $2::timestamptz IS NULL AND derived
      AND NOT EXISTS (SELECT FROM derived_events d WHERE d.event_id = o.event_id
                      AND NOT d.suppressed AND ",
    is_published!(),
    " IS NOT TRUE)
    LIMIT $1"
);

async fn named(
    conn: &mut PgConnection,
    statement: &'static str,
    since: Option<SqlTime>,
) -> Result<Named> {
    let rows: Vec<(i64, String)> = sqlx::query_as(statement)
        .persistent(false)
        .bind(NAMED_MAX)
        .bind(since)
        .fetch_all(conn)
        .await?;
    let count = rows.first().map_or(0, |(count, _)| *count);
    Ok(Named { count, ids: rows.into_iter().map(|(_, id)| id).collect() })
}
