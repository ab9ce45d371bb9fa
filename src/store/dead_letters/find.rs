//! Finding dead letters: by filters, one by one, or grouped by what is wrong with them.

use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::super::{Result, SqlTime, sql_time};
use crate::contract::Timestamp;

/// What dead letters are narrowed by; an absent one doesn't narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub id: Option<Uuid>,
    pub code: Option<String>,
    pub event_type: Option<String>,
    pub stream: Option<String>,
    pub status: Option<String>,
    /// Bytes of the body: the id, as it would stand in the event.
    pub order: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// In the detail, or in the body's bytes.
    pub text: Option<String>,
    /// Of the group with this place and cause, as [`Group`] tells them.
    pub place: Option<String>,
    pub cause: Option<String>,
}

/// A statement with the conditions of a filter, which [`bound`] binds as $1 to $11.
macro_rules! filtered {
    ($head:literal, $tail:literal) => {
        concat!(
            $head,
            " FROM dead_letters
             WHERE ($1::uuid IS NULL OR id = $1) AND ($2::text IS NULL OR code = $2)
               AND ($3::text IS NULL OR event_type = $3) AND ($4::text IS NULL OR stream = $4)
               AND ($5::text IS NULL OR status = $5)
               AND ($6::timestamptz IS NULL OR last_seen_at >= $6)
               AND ($7::timestamptz IS NULL OR last_seen_at <= $7)
               AND ($8::bytea IS NULL OR position($8 IN body) > 0)
               AND ($9::text IS NULL OR position($9 IN detail) > 0
                    OR position(convert_to($9, 'UTF8') IN body) > 0)
               AND ($10::text IS NULL OR coalesce(place, '') = $10)
               AND ($11::text IS NULL OR cause = $11) ",
            $tail
        )
    };
}

/// With the values at hand (not persistent) the absent conditions vanish, and the others can
/// use their index.
macro_rules! bound {
    ($query:expr, $filter:expr) => {{
        let quoted = $filter.order.as_ref().map(|order| format!("\"{order}\"").into_bytes());
        $query
            .persistent(false)
            .bind($filter.id)
            .bind(&$filter.code)
            .bind(&$filter.event_type)
            .bind(&$filter.stream)
            .bind(&$filter.status)
            .bind($filter.since.map(sql_time))
            .bind($filter.until.map(sql_time))
            .bind(quoted)
            .bind(&$filter.text)
            .bind(&$filter.place)
            .bind(&$filter.cause)
    }};
}

/// A dead letter as a list shows it.
#[derive(Clone, Debug, FromRow)]
pub struct Summary {
    pub id: Uuid,
    pub stream: Option<String>,
    pub routing_key: String,
    pub event_source: Option<String>,
    pub event_id: Option<String>,
    pub event_type: Option<String>,
    pub code: String,
    pub detail: String,
    pub pointer: Option<String>,
    pub attempts: i64,
    pub first_seen_at: SqlTime,
    pub last_seen_at: SqlTime,
    pub status: String,
}

/// A place in a list: when a dead letter was last seen, and which one it is.
pub type Place = (Timestamp, Uuid);

/// Dead letters, the latest first; the next page is `before` the last one of this.
pub async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    before: Option<Place>,
    limit: i64,
) -> Result<Vec<Summary>> {
    let query = sqlx::query_as(filtered!(
        "SELECT id, stream, routing_key, event_source, event_id, event_type, code, detail, pointer,
                attempts, first_seen_at, last_seen_at, status",
        "AND ($12::timestamptz IS NULL OR (last_seen_at, id) < ($12, $13))
         ORDER BY last_seen_at DESC, id DESC LIMIT $14"
    ));
    bound!(query, filter)
        .bind(before.map(|(time, _)| sql_time(time)))
        .bind(before.map(|(_, id)| id))
        .bind(limit)
        .fetch_all(conn)
        .await
}

/// The ids of all that fit, in no order.
pub async fn ids(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Uuid>> {
    let query = sqlx::query_scalar(filtered!("SELECT id", ""));
    bound!(query, filter).fetch_all(conn).await
}

/// How many fit, counted up to `most`.
pub async fn count(conn: &mut PgConnection, filter: &Filter, most: i64) -> Result<i64> {
    let query = sqlx::query_scalar(filtered!("SELECT count(*) FROM (SELECT", "LIMIT $12) letters"));
    bound!(query, filter).bind(most).fetch_one(conn).await
}

/// Dead letters with one thing wrong with them.
#[derive(Clone, Debug, FromRow)]
pub struct Group {
    pub count: i64,
    pub code: String,
    pub event_type: Option<String>,
    /// The pointer, with `*` for places in lists.
    pub place: Option<String>,
    /// The sentence, without names and numbers.
    pub cause: String,
    pub first_seen_at: SqlTime,
    pub last_seen_at: SqlTime,
    /// One of them: the latest.
    pub example: Uuid,
}

/// The groups, the largest first.
pub async fn groups(conn: &mut PgConnection, filter: &Filter, limit: i64) -> Result<Vec<Group>> {
    let query = sqlx::query_as(filtered!(
        "SELECT count(*), code, event_type, place, cause, min(first_seen_at) AS first_seen_at,
                max(last_seen_at) AS last_seen_at, max(id::text)::uuid AS example",
        "GROUP BY code, event_type, place, cause
         ORDER BY count(*) DESC, code, event_type, place, cause LIMIT $12"
    ));
    bound!(query, filter).bind(limit).fetch_all(conn).await
}

/// A dead letter with all that came.
#[derive(Clone, Debug, FromRow)]
pub struct DeadLetter {
    #[sqlx(flatten)]
    pub summary: Summary,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
    pub headers: Value,
}

/// One dead letter.
pub async fn show(conn: &mut PgConnection, id: Uuid) -> Result<Option<DeadLetter>> {
    Ok(some(conn, &[id]).await?.pop())
}

/// Those of the ids that there are, in no order.
pub async fn some(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<DeadLetter>> {
    sqlx::query_as(
        "SELECT id, stream, routing_key, event_source, event_id, event_type, code, detail, pointer,
                attempts, first_seen_at, last_seen_at, status, content_type, body, headers
         FROM dead_letters WHERE id = ANY ($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// Whole dead letters that fit, those first seen first; the next page is `after` the last id
/// of this.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<DeadLetter>> {
    let query = sqlx::query_as(filtered!(
        "SELECT id, stream, routing_key, event_source, event_id, event_type, code, detail, pointer,
                attempts, first_seen_at, last_seen_at, status, content_type, body, headers",
        "AND ($12::uuid IS NULL OR id > $12) ORDER BY id LIMIT $13"
    ));
    bound!(query, filter).bind(after).bind(limit).fetch_all(conn).await
}
