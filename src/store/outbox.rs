//! Messages on their way to the broker: written by the door, sent by the relay.

use std::collections::HashSet;

use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{Result, SqlTime, Together, digest, leases, sql_time, sql_times};
use crate::contract::{Published, Timestamp};

/// How many lanes there are. A case's messages are all in one, and a lane is sent by one
/// processor at a time, which keeps them in order.
pub const LANES: i16 = 16;

/// The lane of a case, by its key.
pub fn lane_of(case_key: &str) -> i16 {
    i16::from(digest([case_key.as_bytes()])[0]) % LANES
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The case's key; of an alert `d/<dead letter id>`.
    pub case_key: String,
    /// It is recorded in `derived_events` under the same id.
    pub derived: bool,
    pub published: Published,
}

/// Queues messages; those of one case go out in the order given. Always part of `writes`, since
/// what is derived takes its position from it.
pub fn queue(writes: &mut Together, messages: &[NewMessage], now: Timestamp) {
    let published = || messages.iter().map(|message| &message.published);
    writes
        .add(
            "queued",
            "INSERT INTO outbox (lane, case_key, event_id, derived, type, routing_key, copied_to,
                             time, body, traceparent, tracestate, queued_at)
         SELECT lane, case_key, event_id, derived, type, routing_key, copied_to, time, body,
                traceparent, tracestate, $12
         FROM unnest($1::smallint[], $2::text[], $3::uuid[], $4::bool[], $5::text[], $6::text[],
                     $7::text[], $8::timestamptz[], $9::text[], $10::text[], $11::text[])
             WITH ORDINALITY AS new (lane, case_key, event_id, derived, type, routing_key,
                                     copied_to, time, body, traceparent, tracestate, ordinal)
         ORDER BY ordinal
         RETURNING event_id, position",
        )
        .bind(messages.iter().map(|message| lane_of(&message.case_key)).collect::<Vec<_>>())
        .bind(messages.iter().map(|message| message.case_key.as_str()).collect::<Vec<_>>())
        .bind(published().map(|published| published.id).collect::<Vec<_>>())
        .bind(messages.iter().map(|message| message.derived).collect::<Vec<_>>())
        .bind(published().map(|published| published.event_type.as_str()).collect::<Vec<_>>())
        .bind(published().map(Published::routing_key).collect::<Vec<_>>())
        .bind(published().map(Published::copy_routing_key).collect::<Vec<_>>())
        .bind(sql_times(published().map(|published| published.time)))
        .bind(published().map(Published::to_text).collect::<Vec<_>>())
        .bind(published().map(|published| published.traceparent.as_deref()).collect::<Vec<_>>())
        .bind(published().map(|published| published.tracestate.as_deref()).collect::<Vec<_>>())
        .bind(sql_time(now));
}

/// A message as the relay sends it.
#[derive(Clone, Debug, FromRow)]
pub struct Queued {
    pub position: i64,
    pub lane: i16,
    pub case_key: String,
    pub event_id: Uuid,
    #[sqlx(rename = "type")]
    pub event_type: String,
    pub routing_key: String,
    pub copied_to: Option<String>,
    pub time: SqlTime,
    pub body: String,
    pub traceparent: Option<String>,
    pub tracestate: Option<String>,
    pub queued_at: SqlTime,
}

impl Queued {
    pub fn place(&self) -> Place {
        (self.lane, self.position)
    }
}

/// Makes every plan of a connection follow an index in its order: one that was made while the
/// outbox was empty would else collect all that was ever in it. It is to hold leases, too.
pub async fn prepare(conn: &mut PgConnection) -> Result<()> {
    leases::prepare(conn).await?;
    sqlx::raw_sql(
        "SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The first messages of each of `lanes` after a position that are neither held nor `leaving`,
/// at most `limit` a lane. On a connection that is prepared for it.
pub async fn next(
    conn: &mut PgConnection,
    lanes: &[Place],
    leaving: &HashSet<Place>,
    limit: i64,
) -> Result<Vec<Queued>> {
    sqlx::query_as(
        "SELECT o.* FROM unnest($1::smallint[], $2::bigint[]) AS mine (lane, floor)
         CROSS JOIN LATERAL (
             SELECT position, outbox.lane, case_key, event_id, type, routing_key, copied_to, time,
                    body, traceparent, tracestate, queued_at
             FROM outbox
             WHERE outbox.lane = mine.lane AND outbox.position > mine.floor AND NOT held
               AND outbox.position <> ALL ($4)
             ORDER BY position LIMIT $3) o
         ORDER BY o.position",
    )
    .bind(self::lanes(lanes))
    .bind(positions(lanes))
    .bind(limit)
    .bind(leaving.iter().map(|(_, position)| *position).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
}

/// A message's place: its lane, and its position, which no other message ever has.
pub type Place = (i16, i64);

/// Takes messages that the broker has confirmed out of the outbox, and records that they are
/// published, in one statement: neither is ever true without the other.
pub async fn confirm(conn: &mut PgConnection, sent: &[Place], now: Timestamp) -> Result<()> {
    sqlx::query(
        "WITH sent AS (
             DELETE FROM outbox USING unnest($1::smallint[], $2::bigint[]) AS gone (lane, position)
             WHERE outbox.lane = gone.lane AND outbox.position = gone.position AND NOT held
             RETURNING outbox.position),
         runs AS (
             SELECT position, position - row_number() OVER (ORDER BY position) AS run FROM sent)
         INSERT INTO publications (last, first, published_at)
         SELECT max(position), min(position), $3 FROM runs GROUP BY run",
    )
    .bind(lanes(sent))
    .bind(positions(sent))
    .bind(sql_time(now))
    .execute(conn)
    .await?;
    Ok(())
}

fn lanes(places: &[Place]) -> Vec<i16> {
    places.iter().map(|(lane, _)| *lane).collect()
}

fn positions(places: &[Place]) -> Vec<i64> {
    places.iter().map(|(_, position)| *position).collect()
}

/// How far positions were given out, and which transactions were under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// No position above it has been given out.
    pub position: i64,
    /// All transactions with lower numbers have ended.
    pub ended: i64,
    /// Of those that have begun to write, none has a higher number.
    pub begun: i64,
}

/// How far positions are given out now. A transaction has begun to write before it gets one.
pub async fn extent(conn: &mut PgConnection) -> Result<Extent> {
    // Before the first one was given out, the sequence's last value is the one to come.
    let position = sqlx::query_scalar(
        "SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM outbox_position_seq",
    );
    let position = position.fetch_one(&mut *conn).await?;
    // Only now: who gets a position in between counts as under way. A number of its own is what
    // no other has: a snapshot knows only up to where transactions have ended.
    let (begun, ended) = sqlx::query_as(
        "SELECT pg_current_xact_id()::text::bigint,
                pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
    )
    .fetch_one(conn)
    .await?;
    Ok(Extent { position, ended, begun })
}

/// Those of `cases` of which a message is held; their lanes are among `lanes`.
pub async fn held_cases(
    conn: &mut PgConnection,
    lanes: &[i16],
    cases: &[&str],
) -> Result<Vec<String>> {
    sqlx::query_scalar(
        "SELECT DISTINCT case_key FROM outbox
         WHERE held AND lane = ANY ($1) AND case_key = ANY ($2)",
    )
    .persistent(false)
    .bind(lanes)
    .bind(cases)
    .fetch_all(conn)
    .await
}

/// Holds messages: [`next`] passes them over until they are let go.
pub async fn hold(conn: &mut PgConnection, messages: &[Place]) -> Result<()> {
    sqlx::query(
        "UPDATE outbox SET held = true
         FROM unnest($1::smallint[], $2::bigint[]) AS paused (lane, position)
         WHERE outbox.lane = paused.lane AND outbox.position = paused.position AND NOT held",
    )
    .persistent(false)
    .bind(lanes(messages))
    .bind(positions(messages))
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets go all that is held in a lane, at once: their order by case is that of their positions.
pub async fn let_go(conn: &mut PgConnection, lane: i16) -> Result<()> {
    sqlx::query("UPDATE outbox SET held = false WHERE held AND lane = $1")
        .persistent(false)
        .bind(lane)
        .execute(conn)
        .await?;
    Ok(())
}

/// What tells the locks of lanes from the program's other advisory locks.
const LANE_LOCKS: i32 = 0x6f74_6f64;

/// Leases lanes that nobody has, and returns which. They are this connection's until it ends
/// or gives them back: so the connection is to be kept for this alone.
pub async fn try_lanes(conn: &mut PgConnection, wanted: &[i16]) -> Result<Vec<i16>> {
    sqlx::query_scalar(
        "SELECT lane FROM unnest($2::smallint[]) AS lane WHERE pg_try_advisory_lock($1, lane::int)",
    )
    .bind(LANE_LOCKS)
    .bind(wanted)
    .fetch_all(conn)
    .await
}
