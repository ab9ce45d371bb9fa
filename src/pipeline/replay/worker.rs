//! Working on a job: its letters in their order, through the door.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::letter::{Letter, judge};
use super::pace::Pace;
use crate::contract::repair::{Repair, RepairError};
use crate::contract::{Span, Timestamp};
use crate::fail_points::FailPoint;
use crate::pipeline::Shared;
use crate::pipeline::apply::{Batch, Claim, Door, Interrupted, Received};
use crate::pipeline::silence::{Lent, answered, ask};
use crate::store::replays::{self, Job, Waiting};
use crate::store::{self, leases};

/// Bodies in one transaction.
const MOST_BYTES: i64 = 4 * 1024 * 1024;
/// Each has a connection of its own for as long as it takes.
const SIDE_BY_SIDE: usize = 2;

/// Something that stops the work on jobs for now.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("the database fails the replay")]
    Database(#[from] sqlx::Error),
    #[error("the letters can't be processed")]
    Door(#[from] Box<Interrupted>),
    #[error("a job's patch is none")]
    Patch(#[from] RepairError),
}

/// How letters get to the door.
#[derive(Clone)]
pub enum Way {
    /// In a processor, which counts what it does.
    Processor(Arc<Shared>),
    /// In a command, where no processor runs.
    Command(PgPool, Door),
}

impl Way {
    fn pool(&self) -> &PgPool {
        match self {
            Way::Processor(shared) => &shared.pool,
            Way::Command(pool, _) => pool,
        }
    }

    async fn apply(&self, batch: Batch) -> Result<(), Box<Interrupted>> {
        match self {
            Way::Processor(shared) => shared.apply(batch).await,
            Way::Command(_, door) => door.apply_isolating(batch).await.map(drop),
        }
    }
}

/// Somebody who works on jobs.
pub struct Worker {
    way: Way,
    max_clock_skew: Span,
}

impl Worker {
    pub fn new(way: Way, max_clock_skew: Span) -> Worker {
        Worker { way, max_clock_skew }
    }

    /// All jobs that nobody else works on: a few side by side, so that a slow one doesn't hold up
    /// an urgent one. One that fails doesn't end the others; the first failure is told.
    pub async fn all(&self, stop: &CancellationToken) -> Result<(), WorkerError> {
        let jobs = ask(self.way.pool(), async |conn| replays::running(conn).await).await?;
        let ended = futures_util::stream::iter(jobs)
            .map(|job| self.one(job, stop))
            .buffer_unordered(SIDE_BY_SIDE)
            .collect::<Vec<_>>();
        ended.await.into_iter().collect()
    }

    /// One job, until it isn't running any more; nothing where somebody else works on it.
    pub async fn one(&self, job: Uuid, stop: &CancellationToken) -> Result<(), WorkerError> {
        let mut lease = Lent::from(self.way.pool()).await?;
        if !answered(replays::try_lease(&mut lease, job)).await? {
            lease.give_back(Ok(()))?;
        } else {
            // It ends with this connection, whatever becomes of us.
            answered(leases::prepare(&mut lease)).await?;
            let mut run = Run { worker: self, lease, job, ramp_begun: None };
            run.until_it_ends(stop).await?;
        }
        Ok(())
    }
}

struct Run<'a> {
    worker: &'a Worker,
    lease: Lent,
    job: Uuid,
    /// When the canary was over.
    ramp_begun: Option<Instant>,
}

impl Run<'_> {
    async fn until_it_ends(&mut self, stop: &CancellationToken) -> Result<(), WorkerError> {
        let mut last = Instant::now();
        while !stop.is_cancelled() {
            let Some(job) = answered(replays::job(&mut self.lease, self.job)).await? else {
                return Ok(());
            };
            if !job.is_running() || self.ends(&job).await? {
                return Ok(());
            }
            let step = Pace::new(job.canary, job.rate).step(job.processed(), self.ramping(&job));
            if last.elapsed() < step.pause {
                // Looked at again before the next letters: it may be paused meanwhile.
                let rest = (step.pause - last.elapsed()).min(Duration::from_millis(250));
                _ = tokio::time::timeout(rest, stop.cancelled()).await;
                continue;
            }
            last = Instant::now();
            self.step(&job, step.letters).await?;
        }
        Ok(())
    }

    fn ramping(&mut self, job: &Job) -> Duration {
        if job.processed() < i64::from(job.canary) {
            return Duration::ZERO;
        }
        self.ramp_begun.get_or_insert_with(Instant::now).elapsed()
    }

    /// Whether the job has come to its end, or to where somebody has to look.
    async fn ends(&mut self, job: &Job) -> Result<bool, WorkerError> {
        let failures = job.refused - job.forgiven;
        let canary_failed = failures > 0 && job.processed() <= i64::from(job.canary);
        let (state, why) = if canary_failed {
            ("stopped", Some("a letter of the canary was refused again".to_owned()))
        } else if failures > i64::from(job.max_failures) {
            ("stopped", Some(format!("{failures} letters were refused again")))
        } else if job.waiting() == 0 {
            ("done", None)
        } else {
            return Ok(false);
        };
        answered(replays::turn(&mut self.lease, job.id, &["running"], state, why.as_deref()))
            .await?;
        tracing::info!(job = %job.id, state, accepted = job.accepted, duplicates = job.duplicates,
            refused = job.refused, "a replay job has ended");
        Ok(true)
    }

    async fn step(&mut self, job: &Job, letters: i64) -> Result<(), WorkerError> {
        let waiting =
            answered(replays::waiting(&mut self.lease, job.id, letters, MOST_BYTES)).await?;
        let now = answered(store::clock(&mut self.lease)).await?;
        let repair = job.patch.clone().map(Repair::from_json).transpose()?;
        let received =
            waiting.into_iter().map(|letter| self.judged(letter, repair.as_ref(), now)).collect();
        let held = self.is_held().await?;
        self.worker.way.apply(Batch { received, held, restores: true, ..Batch::default() }).await?;
        FailPoint::Replayed.pass();
        Ok(())
    }

    fn judged(&self, letter: Waiting, repair: Option<&Repair>, now: Timestamp) -> Received {
        let claim = Claim { job: self.job, letter: letter.id, repaired: repair.is_some() };
        judge(letter.into(), repair, now, self.worker.max_clock_skew).claimed(claim)
    }

    /// Whether deadlines wait for a backlog, in this processor or in another.
    async fn is_held(&mut self) -> Result<bool, WorkerError> {
        Ok(match &self.worker.way {
            Way::Processor(shared) => shared.deadlines_are_held(),
            Way::Command(..) => answered(leases::anyone_has_backlog(&mut self.lease)).await?,
        })
    }
}

impl From<Waiting> for Letter {
    fn from(waiting: Waiting) -> Letter {
        Letter {
            stream: waiting.stream,
            routing_key: waiting.routing_key,
            content_type: waiting.content_type,
            event_type: waiting.event_type,
            headers: waiting.headers,
            body: waiting.body,
        }
    }
}
