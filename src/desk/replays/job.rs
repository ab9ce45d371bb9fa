//! A replay job as a person looks at it.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Refusal;
use crate::contract::Timestamp;
use crate::desk::redact::{self, Personal};
use crate::store::{Result, replays};

/// A job, and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Job {
    pub job: Uuid,
    pub submitted_by: String,
    pub submitted_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// running, paused, stopped, cancelled or done.
    pub state: String,
    pub why: Option<String>,
    pub filter: Value,
    pub patch: Option<Value>,
    pub rate: Option<i32>,
    pub letters: i64,
    pub accepted: i64,
    pub duplicates: i64,
    pub refused: i64,
    pub cancelled: i64,
    pub waiting: i64,
    /// The first of those that were refused again.
    pub refused_letters: Vec<Refusal>,
}

impl Job {
    pub fn processed(&self) -> i64 {
        self.letters - self.waiting
    }

    /// Whether something may still come of it.
    pub fn goes_on(&self) -> bool {
        self.ended_at.is_none()
    }
}

impl From<replays::Job> for Job {
    fn from(job: replays::Job) -> Job {
        Job {
            waiting: job.waiting(),
            job: job.id,
            submitted_by: job.submitted_by,
            submitted_at: Timestamp::from_chrono(job.submitted_at),
            ended_at: job.ended_at.map(Timestamp::from_chrono),
            state: job.state,
            why: job.why,
            filter: job.filter,
            patch: job.patch.as_ref().map(|patch| redact::patch(patch, Personal::Hidden)),
            rate: job.rate,
            letters: job.letters,
            accepted: job.accepted,
            duplicates: job.duplicates,
            refused: job.refused,
            cancelled: job.cancelled,
            refused_letters: Vec::new(),
        }
    }
}

/// How many refused letters are named.
const NAMED: i64 = 50;

/// One job; `None` where there is none of this id.
pub async fn job(conn: &mut PgConnection, id: Uuid) -> Result<Option<Job>> {
    let Some(job) = replays::job(conn, id).await? else { return Ok(None) };
    let mut job = Job::from(job);
    if job.refused > 0 {
        let refused = replays::refused(conn, id, NAMED).await?;
        job.refused_letters = refused.into_iter().map(Refusal::from).collect();
    }
    Ok(Some(job))
}

/// The jobs, the latest first.
pub async fn jobs(conn: &mut PgConnection, limit: i64) -> Result<Vec<Job>> {
    Ok(replays::jobs(conn, limit).await?.into_iter().map(Job::from).collect())
}
