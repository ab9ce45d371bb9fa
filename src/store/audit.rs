//! What operators did.

use serde_json::Value;
use sqlx::{FromRow, PgConnection};

use super::{Result, SqlTime};

/// Somebody's act.
#[derive(Clone, Debug, FromRow)]
pub struct Act {
    pub at: SqlTime,
    pub who: String,
    pub act: String,
    pub detail: Value,
}

/// Records an act, in the transaction that does it. `target` is an id or a type; `None` where
/// it is done to several.
pub async fn record(
    conn: &mut PgConnection,
    who: &str,
    act: &str,
    target: Option<&str>,
    detail: &Value,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO audit (at, who, act, target, detail) VALUES (clock_timestamp(), $1, $2, $3, $4)",
    )
    .bind(who)
    .bind(act)
    .bind(target)
    .bind(detail)
    .execute(conn)
    .await?;
    Ok(())
}

/// Records the same act for each of several targets.
pub async fn record_each(
    conn: &mut PgConnection,
    who: &str,
    act: &str,
    targets: &[String],
    detail: &Value,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO audit (at, who, act, target, detail)
         SELECT clock_timestamp(), $1, $2, target, $4 FROM unnest($3::text[]) AS target",
    )
    .bind(who)
    .bind(act)
    .bind(targets)
    .bind(detail)
    .execute(conn)
    .await?;
    Ok(())
}

/// What was done to one thing, the first act first.
pub async fn of(conn: &mut PgConnection, target: &str) -> Result<Vec<Act>> {
    sqlx::query_as("SELECT at, who, act, detail FROM audit WHERE target = $1 ORDER BY id")
        .bind(target)
        .fetch_all(conn)
        .await
}
