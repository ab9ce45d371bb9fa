//! The settings that cases were opened with.

use std::sync::Arc;

use sqlx::PgConnection;
use sqlx::types::Json;

use super::Result;
use crate::contract::Span;
use crate::rules::Policy;

/// The policy that cases are opened with now. Most cases have it, so it isn't read with each.
#[derive(Clone, Debug)]
pub struct Current {
    pub id: i32,
    pub policy: Arc<Policy>,
}

/// A policy as the current one; it is recorded where it is new.
pub async fn current(conn: &mut PgConnection, policy: &Policy) -> Result<Current> {
    Ok(Current { id: id_of(conn, policy).await?, policy: Arc::new(policy.clone()) })
}

async fn id_of(conn: &mut PgConnection, policy: &Policy) -> Result<i32> {
    let known = sqlx::query_scalar("SELECT id FROM policies WHERE content = $1");
    if let Some(id) = known.bind(Json(policy)).fetch_optional(&mut *conn).await? {
        return Ok(id);
    }
    // The update writes nothing new, but returns a row that another processor has just written.
    sqlx::query_scalar(
        "INSERT INTO policies (content) VALUES ($1)
         ON CONFLICT (content) DO UPDATE SET content = excluded.content RETURNING id",
    )
    .bind(Json(policy))
    .fetch_one(conn)
    .await
}

/// The longest time that any case leaves for late arrivals.
pub async fn longest_settle(conn: &mut PgConnection) -> Result<Span> {
    let policies: Vec<Json<Policy>> =
        sqlx::query_scalar("SELECT content FROM policies").fetch_all(conn).await?;
    Ok(policies.into_iter().map(|policy| policy.0.settle).max().unwrap_or(Span::ZERO))
}
