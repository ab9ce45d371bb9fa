//! A replay in earnest: the letters become a job.

use anyhow::{Result, bail};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::ReplayArguments;
use super::report::tell_refused;
use crate::contract::Repair;
use crate::desk::replays::{self, Selection};
use crate::desk::who::who;
use crate::operator::output::say;
use crate::store::replays::{NewJob, Submitted};

/// Submits what is valid, and says what is left out; `None` where nothing is left to do.
pub async fn submit(
    conn: &mut PgConnection,
    arguments: &ReplayArguments,
    selection: Selection,
    repair: Option<Repair>,
) -> Result<Option<Uuid>> {
    tell_refused(&selection.refused);
    if repair.is_some() && !selection.refused.is_empty() && !arguments.skip_invalid {
        bail!(
            "the repair leaves {} of the letters invalid, so nothing was sent: mend it, narrow \
             the filter, or add --skip-invalid to leave these out",
            selection.refused.len()
        );
    }
    if selection.replayed > 0 {
        eprintln!("{} are replayed already", selection.replayed);
    }
    if selection.valid.is_empty() {
        return Ok(None);
    }
    let job = NewJob {
        id: Uuid::now_v7(),
        submitted_by: who(),
        filter: arguments.filters.describe(),
        patch: repair.and_then(Repair::stripped).map(|repair| repair.to_json()),
        canary: arguments.canary,
        rate: arguments.rate,
        max_failures: arguments.max_failures,
    };
    let letters: Vec<Uuid> = selection.valid.iter().map(|candidate| candidate.letter).collect();
    let submitted = replays::submit(conn, &job, &letters).await?;
    tell(arguments, &job, &letters, &submitted)?;
    Ok((submitted.claimed > 0).then_some(job.id))
}

fn tell(
    arguments: &ReplayArguments,
    job: &NewJob,
    letters: &[Uuid],
    submitted: &Submitted,
) -> Result<()> {
    let mut elsewhere = 0;
    for (other, whose, count) in &submitted.elsewhere {
        elsewhere += count;
        eprintln!("{count} wait in the job {other} of {whose} already, and are left to it");
    }
    let gone = letters.len() as i64 - submitted.claimed - elsewhere;
    if gone > 0 {
        eprintln!("{gone} were replayed by somebody else meanwhile");
    }
    if submitted.claimed == 0 {
        eprintln!("nothing is left to replay");
    } else if arguments.detach && arguments.json {
        say(&json!({ "job": job.id, "letters": submitted.claimed }).to_string())?;
    } else {
        eprintln!("job {}: {} letters", job.id, submitted.claimed);
    }
    Ok(())
}
