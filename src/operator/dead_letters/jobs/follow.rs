//! Staying with a job until it ends, and doing its work where no processor does.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use sqlx::{PgConnection, PgPool};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::object;
use crate::config::Settings;
use crate::contract::Span;
use crate::operator::output::{progress, say};
use crate::pipeline::replay::{Way, Worker, WorkerError};
use crate::processor::{door, pool};
use crate::retry::Causes;
use crate::store::leases;
use crate::store::replays::{self, Job};

/// How often it is looked how far the job is.
const LOOK: Duration = Duration::from_millis(250);
/// How long nobody has to have the timers until this command takes their place.
const ABSENT: Duration = Duration::from_secs(1);
/// How long a database that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Follows a job to its end. The exit code says whether all its letters are replayed.
pub async fn follow(
    conn: &mut PgConnection,
    id: Uuid,
    json: bool,
    settings: &Settings,
) -> Result<ExitCode> {
    let Some(job) = replays::job(conn, id).await? else { bail!("there is no job {id}") };
    let pool = pool(settings)?;
    let door = door(settings, &pool).await.context("the database isn't set up")?;
    let way = Way::Command(pool.clone(), door);
    let stop = CancellationToken::new();
    let stand_in = StandIn {
        pool: pool.clone(),
        job: id,
        skew: settings.pipeline.max_clock_skew,
        way,
        stop: stop.clone(),
    };
    let working = tokio::spawn(stand_in.run());
    let bar = progress(
        Some(job.letters.unsigned_abs()),
        "{bar:40} {pos}/{len} {per_sec} {eta} left {msg}",
    );
    let ended = tokio::select! {
        ended = watch(&pool, id, &bar) => Some(ended),
        _ = tokio::signal::ctrl_c() => None,
    };
    bar.finish_and_clear();
    finish(&stop, working).await;
    match ended.transpose()? {
        Some(job) => told(&job, json),
        None => {
            eprintln!(
                "the job goes on where a processor runs: see `otodoke dead-letters jobs show {id}`"
            );
            Ok(ExitCode::from(130))
        }
    }
}

async fn finish(stop: &CancellationToken, working: JoinHandle<()>) {
    stop.cancel();
    _ = working.await;
}

/// Until the job is neither running nor merely paused.
async fn watch(pool: &PgPool, id: Uuid, bar: &ProgressBar) -> Result<Job> {
    let mut answered = tokio::time::Instant::now();
    loop {
        let looked = match pool.acquire().await {
            Ok(mut conn) => replays::job(&mut conn, id).await,
            Err(error) => Err(error),
        };
        match looked {
            Ok(Some(job)) => {
                answered = tokio::time::Instant::now();
                bar.set_position(job.processed().unsigned_abs());
                bar.set_message(message(&job));
                if !job.is_running() && job.state != "paused" {
                    return Ok(job);
                }
            }
            Ok(None) => bail!("the job {id} is gone"),
            // A restart of the database ends nothing.
            Err(_) if answered.elapsed() < PATIENCE => {}
            Err(error) => return Err(error).context("the database doesn't answer any more"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn message(job: &Job) -> String {
    let refused = match job.refused {
        0 => String::new(),
        count => format!("{count} refused again "),
    };
    let rests = job.why.as_deref().filter(|_| job.state == "paused").unwrap_or_default();
    refused + rests
}

fn told(job: &Job, json: bool) -> Result<ExitCode> {
    if json {
        say(&serde_json::to_string_pretty(&object(job))?)?;
    } else {
        say(&format!(
            "{} accepted, {} duplicates, {} refused again, {} left",
            job.accepted,
            job.duplicates,
            job.refused,
            job.waiting() + job.cancelled
        ))?;
    }
    if let Some(why) = &job.why {
        eprintln!("the job is {}: {why}", job.state);
    }
    if job.state == "stopped" {
        let id = job.id;
        eprintln!(
            "look at `otodoke dead-letters jobs show {id}`, then go on with `jobs resume {id}` or \
             end it with `jobs cancel {id}`"
        );
    }
    let is_well = job.state == "done" && job.refused == 0;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Does a processor's work on the job while none runs.
struct StandIn {
    pool: PgPool,
    job: Uuid,
    skew: Span,
    way: Way,
    stop: CancellationToken,
}

impl StandIn {
    async fn run(self) {
        while !self.stop.is_cancelled() {
            // Errors pass, or are seen by whoever follows.
            if let Err(error) = self.work_if_nobody_does().await {
                tracing::warn!("the replay waits: {}", Causes(&error));
            }
            _ = tokio::time::timeout(ABSENT, self.stop.cancelled()).await;
        }
    }

    async fn work_if_nobody_does(&self) -> Result<(), WorkerError> {
        if !self.is_alone().await? {
            return Ok(());
        }
        Worker::new(self.way.clone(), self.skew).one(self.job, &self.stop).await
    }

    /// Whether no processor looks after time, now and a moment later: it may be starting.
    async fn is_alone(&self) -> Result<bool, sqlx::Error> {
        if leases::anyone_has_timers(&mut *self.pool.acquire().await?).await? {
            return Ok(false);
        }
        _ = tokio::time::timeout(ABSENT, self.stop.cancelled()).await;
        Ok(!leases::anyone_has_timers(&mut *self.pool.acquire().await?).await?)
    }
}
