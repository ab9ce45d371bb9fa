//! The jobs: how far they are, and who works on them.

use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::super::{Result, SqlTime};

/// A job, and how far it is.
#[derive(Clone, Debug, FromRow)]
pub struct Job {
    pub id: Uuid,
    pub submitted_by: String,
    pub submitted_at: SqlTime,
    pub filter: Value,
    pub patch: Option<Value>,
    pub letters: i64,
    pub canary: i32,
    pub rate: Option<i32>,
    pub max_failures: i32,
    pub state: String,
    pub why: Option<String>,
    pub forgiven: i64,
    pub ended_at: Option<SqlTime>,
    pub accepted: i64,
    pub duplicates: i64,
    pub refused: i64,
    pub cancelled: i64,
}

impl Job {
    /// How many were processed.
    pub fn processed(&self) -> i64 {
        self.accepted + self.duplicates + self.refused
    }

    pub fn waiting(&self) -> i64 {
        self.letters - self.processed() - self.cancelled
    }

    pub fn is_running(&self) -> bool {
        self.state == "running"
    }
}

/// A statement that tells of jobs how far they are.
macro_rules! told {
    ($jobs:literal, $tail:literal) => {
        concat!(
            "SELECT job.*, told.accepted, told.duplicates, told.refused, told.cancelled FROM ",
            $jobs,
            " job CROSS JOIN LATERAL (
                 SELECT count(*) FILTER (WHERE outcome = 'accepted') AS accepted,
                        count(*) FILTER (WHERE outcome = 'duplicate') AS duplicates,
                        count(*) FILTER (WHERE outcome = 'refused') AS refused,
                        count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled
                 FROM replay_letters WHERE job = job.id) told ",
            $tail
        )
    };
}

/// The jobs, the latest first.
pub async fn jobs(conn: &mut PgConnection, limit: i64) -> Result<Vec<Job>> {
    sqlx::query_as(told!(
        "(SELECT * FROM replay_jobs ORDER BY submitted_at DESC, id DESC LIMIT $1)",
        "ORDER BY submitted_at DESC, id DESC"
    ))
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// One job.
pub async fn job(conn: &mut PgConnection, id: Uuid) -> Result<Option<Job>> {
    sqlx::query_as(told!("replay_jobs", "WHERE job.id = $1")).bind(id).fetch_optional(conn).await
}

/// The jobs that are to be worked on, the earliest first.
pub async fn running(conn: &mut PgConnection) -> Result<Vec<Uuid>> {
    sqlx::query_scalar("SELECT id FROM replay_jobs WHERE state = 'running' ORDER BY submitted_at")
        .fetch_all(conn)
        .await
}

/// Brings a job from one of the states `from` into another; whether it was in one of them. A
/// resumed job forgives the failures that it had.
pub async fn turn(
    conn: &mut PgConnection,
    job: Uuid,
    from: &[&str],
    to: &str,
    why: Option<&str>,
) -> Result<bool> {
    let turned = sqlx::query(
        "UPDATE replay_jobs SET state = $3, why = $4,
             ended_at = CASE WHEN $3 IN ('cancelled', 'done') THEN clock_timestamp() END,
             forgiven = CASE WHEN $3 = 'running' THEN
                 (SELECT count(*) FROM replay_letters WHERE job = $1 AND outcome = 'refused')
                 ELSE forgiven END
         WHERE id = $1 AND state = ANY ($2)",
    )
    .bind(job)
    .bind(from)
    .bind(to)
    .bind(why)
    .execute(conn)
    .await?;
    Ok(turned.rows_affected() > 0)
}

/// Gives back the letters of a cancelled job that still wait; how many.
pub async fn release(conn: &mut PgConnection, job: Uuid) -> Result<u64> {
    let released = sqlx::query(
        "UPDATE replay_letters SET outcome = 'cancelled', finished_at = clock_timestamp()
         WHERE job = $1 AND outcome IS NULL",
    )
    .bind(job)
    .execute(conn)
    .await?;
    Ok(released.rows_affected())
}

/// What tells the locks of jobs from the program's other advisory locks.
const JOB_LOCKS: i32 = 0x6f74_6a6f;

/// Leases a job: one process works on it, for as long as this connection lasts.
pub async fn try_lease(conn: &mut PgConnection, job: Uuid) -> Result<bool> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext($2::text))")
        .bind(JOB_LOCKS)
        .bind(job)
        .fetch_one(conn)
        .await
}
