//! A replay in earnest: the letters become a job.

use serde_json::json;
use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::store::replays::{self, NewJob, Submitted};
use crate::store::{Result, audit};

/// Submits a job, and records who did.
pub async fn submit(conn: &mut PgConnection, job: &NewJob, letters: &[Uuid]) -> Result<Submitted> {
    let mut transaction = conn.begin().await?;
    let submitted = replays::submit(&mut transaction, job, letters).await?;
    if submitted.claimed > 0 {
        let detail = json!({ "letters": submitted.claimed, "filter": job.filter });
        let id = job.id.to_string();
        audit::record(&mut transaction, &job.submitted_by, "replay", Some(&id), &detail).await?;
    }
    transaction.commit().await?;
    Ok(submitted)
}
