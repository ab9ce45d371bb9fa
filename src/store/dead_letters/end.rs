//! How a dead letter ends that isn't replayed: discarded, by somebody who said why.

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::Result;

/// What became of letters that were to be discarded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discarded {
    /// Those that are discarded now.
    pub ids: Vec<Uuid>,
    /// How many wait in a replay job, so were left alone.
    pub claimed: i64,
    /// How many were not open any more.
    pub ended: i64,
}

/// Discards open letters. In a transaction: the letters are locked before it is looked whether
/// a job has them, so that none is replayed and discarded at once.
pub async fn discard(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Discarded> {
    sqlx::query("SELECT FROM dead_letters WHERE id = ANY ($1) ORDER BY fingerprint FOR UPDATE")
        .bind(ids)
        .execute(&mut *conn)
        .await?;
    let (claimed, ended): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM replay_letters
                 WHERE letter = ANY ($1) AND outcome IS NULL),
                (SELECT count(*) FROM dead_letters WHERE id = ANY ($1) AND status <> 'open')",
    )
    .bind(ids)
    .fetch_one(&mut *conn)
    .await?;
    let ids = sqlx::query_scalar(
        "UPDATE dead_letters SET status = 'discarded'
         WHERE id = ANY ($1) AND status = 'open' AND NOT EXISTS (
             SELECT FROM replay_letters WHERE letter = dead_letters.id AND outcome IS NULL)
         RETURNING id",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(Discarded { ids, claimed, ended })
}
