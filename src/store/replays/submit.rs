//! Submitting a job: its set of letters is fixed once and for all.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::Result;

/// A job to be submitted.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub id: Uuid,
    pub submitted_by: String,
    /// How the letters were chosen, for people.
    pub filter: Value,
    pub patch: Option<Value>,
    /// How many go one by one at first.
    pub canary: i32,
    /// The most in a second; `None`: as fast as they go.
    pub rate: Option<i32>,
    /// It stops when more than so many were refused again.
    pub max_failures: i32,
}

/// What came of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The letters of the job: nobody else replays or discards them now.
    pub claimed: i64,
    /// Letters that wait in another job already, with that job and who submitted it.
    pub elsewhere: Vec<(Uuid, String, i64)>,
}

/// Submits a job with those of the letters that are not replayed and wait in no other job; in
/// a transaction. Where no letter is left no job is made.
///
/// The letters are locked first, so that nobody discards one meanwhile; a letter that another
/// job finishes meanwhile is taken out by the last statement, which sees it.
pub async fn submit(conn: &mut PgConnection, job: &NewJob, letters: &[Uuid]) -> Result<Submitted> {
    sqlx::query("SELECT FROM dead_letters WHERE id = ANY ($1) ORDER BY fingerprint FOR UPDATE")
        .bind(letters)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "INSERT INTO replay_jobs (id, submitted_by, submitted_at, filter, patch, letters, canary,
                                  rate, max_failures)
         VALUES ($1, $2, clock_timestamp(), $3, $4, $5, $6, $7, $8)",
    )
    .bind(job.id)
    .bind(&job.submitted_by)
    .bind(&job.filter)
    .bind(&job.patch)
    .bind(i64::try_from(letters.len()).unwrap_or(i64::MAX).max(1))
    .bind(job.canary)
    .bind(job.rate)
    .bind(job.max_failures)
    .execute(&mut *conn)
    .await?;
    let claimed = claim(conn, job.id, letters).await?;
    let elsewhere = elsewhere(conn, job.id, letters).await?;
    if claimed == 0 {
        sqlx::query("DELETE FROM replay_jobs WHERE id = $1").bind(job.id).execute(conn).await?;
    } else {
        sqlx::query("UPDATE replay_jobs SET letters = $2 WHERE id = $1")
            .bind(job.id)
            .bind(claimed)
            .execute(conn)
            .await?;
    }
    Ok(Submitted { claimed, elsewhere })
}

async fn claim(conn: &mut PgConnection, job: Uuid, letters: &[Uuid]) -> Result<i64> {
    sqlx::query(
        "INSERT INTO replay_letters (job, position, letter)
         SELECT $1, position, letter
         FROM unnest($2::uuid[]) WITH ORDINALITY AS wanted (letter, position)
         ORDER BY letter
         ON CONFLICT (letter) WHERE outcome IS NULL DO NOTHING",
    )
    .bind(job)
    .bind(letters)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "DELETE FROM replay_letters USING dead_letters
         WHERE replay_letters.job = $1 AND dead_letters.id = replay_letters.letter
           AND dead_letters.status = 'replayed'",
    )
    .bind(job)
    .execute(&mut *conn)
    .await?;
    sqlx::query_scalar("SELECT count(*) FROM replay_letters WHERE job = $1")
        .bind(job)
        .fetch_one(conn)
        .await
}

async fn elsewhere(
    conn: &mut PgConnection,
    job: Uuid,
    letters: &[Uuid],
) -> Result<Vec<(Uuid, String, i64)>> {
    sqlx::query_as(
        "SELECT other.id, other.submitted_by, count(*)
         FROM replay_letters JOIN replay_jobs other ON other.id = replay_letters.job
         WHERE letter = ANY ($2) AND outcome IS NULL AND replay_letters.job <> $1
         GROUP BY other.id ORDER BY other.submitted_at",
    )
    .bind(job)
    .bind(letters)
    .fetch_all(conn)
    .await
}
