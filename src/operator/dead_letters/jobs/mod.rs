//! `otodoke dead-letters jobs`: replays under way, and those that were.

pub mod follow;
mod show;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::config::Settings;
use crate::contract::Timestamp;
use crate::desk::redact::{self, Personal};
use crate::desk::replays::{self as replays_desk, Turn, Turned};
use crate::desk::who::who;
use crate::operator::database::connect;
use crate::operator::output::{say, table};
use crate::store::replays::{self, Job};

/// Replay jobs: list, show, pause, resume, cancel; by itself it lists them
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct JobsArguments {
    #[command(subcommand)]
    command: Option<JobsCommand>,
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Subcommand, Debug)]
enum JobsCommand {
    List(ListArguments),
    Show(show::ShowArguments),
    Pause(PauseArguments),
    Resume(ResumeArguments),
    Cancel(CancelArguments),
}

/// List replay jobs, the latest first
#[derive(Debug, clap::Args)]
pub struct ListArguments {
    /// The most to list
    #[arg(long, value_name = "COUNT", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// A JSON array
    #[arg(long)]
    json: bool,
}

/// Let a job rest: no letter of it is replayed until it is resumed
#[derive(Debug, clap::Args)]
pub struct PauseArguments {
    /// The job, as `dead-letters jobs list` names it
    #[arg(value_name = "JOB")]
    job: Uuid,
}

/// Let a paused or stopped job go on; the failures that it had count no longer
#[derive(Debug, clap::Args)]
pub struct ResumeArguments {
    /// The job, as `dead-letters jobs list` names it
    #[arg(value_name = "JOB")]
    job: Uuid,
}

/// End a job: what it has replayed stays replayed, its other letters are free again
#[derive(Debug, clap::Args)]
pub struct CancelArguments {
    /// The job, as `dead-letters jobs list` names it
    #[arg(value_name = "JOB")]
    job: Uuid,
}

pub async fn jobs(arguments: JobsArguments, settings: &Settings) -> Result<ExitCode> {
    let mut conn = connect(settings).await?;
    match arguments.command.unwrap_or(JobsCommand::List(arguments.list)) {
        JobsCommand::List(arguments) => return list(&mut conn, &arguments).await,
        JobsCommand::Show(arguments) => return show::show(&mut conn, arguments, settings).await,
        JobsCommand::Pause(PauseArguments { job }) => {
            turn(&mut conn, job, Turn::Pause).await?;
        }
        JobsCommand::Resume(ResumeArguments { job }) => {
            turn(&mut conn, job, Turn::Resume).await?;
            eprintln!(
                "a running processor goes on with it; `dead-letters jobs show {job} --follow` does it where none runs"
            );
        }
        JobsCommand::Cancel(CancelArguments { job }) => {
            turn(&mut conn, job, Turn::Cancel).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(conn: &mut PgConnection, arguments: &ListArguments) -> Result<ExitCode> {
    let jobs = replays::jobs(conn, i64::from(arguments.limit)).await?;
    if arguments.json {
        let objects: Vec<Value> = jobs.iter().map(object).collect();
        say(&serde_json::to_string_pretty(&objects)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if jobs.is_empty() {
        eprintln!("nothing was ever replayed");
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = table([
        "submitted",
        "job",
        "by",
        "state",
        "letters",
        "accepted",
        "duplicate",
        "refused",
        "waiting",
        "why",
    ]);
    for job in &jobs {
        rows.add_row([
            Timestamp::from_chrono(job.submitted_at).to_string(),
            job.id.to_string(),
            job.submitted_by.clone(),
            job.state.clone(),
            job.letters.to_string(),
            job.accepted.to_string(),
            job.duplicates.to_string(),
            job.refused.to_string(),
            job.waiting().to_string(),
            job.why.clone().unwrap_or_default(),
        ]);
    }
    say(&rows.trim_fmt())?;
    Ok(ExitCode::SUCCESS)
}

/// A job for programs.
pub fn object(job: &Job) -> Value {
    json!({
        "job": job.id,
        "submitted_by": job.submitted_by,
        "submitted_at": Timestamp::from_chrono(job.submitted_at),
        "ended_at": job.ended_at.map(Timestamp::from_chrono),
        "state": job.state,
        "why": job.why,
        "filter": job.filter,
        "patch": job.patch.as_ref().map(|patch| redact::patch(patch, Personal::Hidden)),
        "rate": job.rate,
        "canary": job.canary,
        "max_failures": job.max_failures,
        "letters": job.letters,
        "accepted": job.accepted,
        "duplicates": job.duplicates,
        "refused": job.refused,
        "cancelled": job.cancelled,
        "waiting": job.waiting(),
    })
}

async fn turn(conn: &mut PgConnection, id: Uuid, turn: Turn) -> Result<()> {
    let released = match replays_desk::turn(conn, id, turn, &who()).await? {
        Turned::Unknown => bail!("there is no job {id}"),
        Turned::Unfit(state) => bail!("the job is {state}: there is nothing to {}", turn.act()),
        Turned::Done { released } => released,
    };
    if turn == Turn::Cancel {
        eprintln!("{released} letters are free again");
    }
    eprintln!("job {id} is {}", turn.state());
    Ok(())
}
