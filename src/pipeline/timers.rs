//! Timers: cases that time alone changes, and cases woken by their neighbours, go
//! through the same door as everything else.
//!
//! The tables are the truth: what is due is found by looking, and a nudge only makes
//! the look come earlier. One processor looks at a time; the others stand by.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::apply::{Batch, Interrupted};
use super::failure;
use super::silence::answered;
use crate::fail_points::FailPoint;
use crate::retry::Outage;
use crate::rules::CaseId;
use crate::store::{cases, leases, partitions, wake_ups};

/// The most cases in one transaction.
const LIMIT: i64 = 200;
/// The most woken cases in one: such a case is likely to get its next event soon, which then
/// waits for this transaction.
const WOKEN: i64 = 50;
/// How often it is looked whether the history has its tables of the months to come.
const TABLES_AGAIN: Duration = Duration::from_secs(3600);
/// How long the tables go unlooked at.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Something that stops the timers for now.
#[derive(Debug, thiserror::Error)]
enum TimerError {
    #[error("the database fails the timers")]
    Database(#[from] sqlx::Error),
    #[error("the timers' cases can't be decided")]
    Door(#[from] Box<Interrupted>),
}

/// Looks until `stop`.
pub async fn timers(shared: Arc<Shared>, stop: CancellationToken) {
    let mut outage = Outage::of("the timers");
    while !stop.is_cancelled() {
        match Watch::open(&shared).await {
            Ok(mut watch) => match watch.run(&mut outage, &stop).await {
                Ok(()) => return,
                Err(error) => wait(&shared, &mut outage, &error, &stop).await,
            },
            Err(error) => wait(&shared, &mut outage, &error, &stop).await,
        }
    }
}

async fn wait(shared: &Shared, outage: &mut Outage, error: &TimerError, stop: &CancellationToken) {
    shared.metrics.connected("database", false);
    tokio::select! {
        () = stop.cancelled() => {}
        () = outage.wait(error) => {}
    }
}

struct Watch {
    shared: Arc<Shared>,
    /// Holds the lease of the timers, which ends with it.
    lease: PoolConnection<Postgres>,
    leased: bool,
    /// When the history's tables were looked after last.
    tables_at: Option<Instant>,
}

impl Watch {
    async fn open(shared: &Arc<Shared>) -> Result<Watch, TimerError> {
        let mut lease = shared.pool.acquire().await?;
        lease.close_on_drop();
        answered(leases::prepare(&mut lease)).await?;
        Ok(Watch { shared: shared.clone(), lease, leased: false, tables_at: None })
    }

    async fn run(
        &mut self,
        outage: &mut Outage,
        stop: &CancellationToken,
    ) -> Result<(), TimerError> {
        while !stop.is_cancelled() {
            let leased = self.lease().await?;
            if leased {
                self.look_after_tables().await;
            }
            let decided = if leased { self.decide_due().await? } else { 0 };
            outage.over();
            if decided < WOKEN as usize {
                self.rest(stop).await;
            }
        }
        Ok(())
    }

    /// The history's tables of the months to come. Where they can't be made now there is time:
    /// the default table takes what has none.
    async fn look_after_tables(&mut self) {
        if self.tables_at.is_some_and(|at| at.elapsed() < TABLES_AGAIN) {
            return;
        }
        self.tables_at = Some(Instant::now());
        match answered(partitions::prepare(&mut self.lease)).await {
            Ok(made) => made.iter().for_each(|month| {
                tracing::info!(%month, "the history has a table for a month to come");
            }),
            Err(error) => tracing::warn!(
                error = %failure::sentence(&error),
                "the history's tables of the months to come are not made yet: tried again in an hour"
            ),
        }
    }

    async fn lease(&mut self) -> Result<bool, TimerError> {
        if !self.leased {
            self.leased = answered(leases::try_timers(&mut self.lease)).await?;
        }
        Ok(self.leased)
    }

    /// One transaction with what is due; how many cases it decided.
    async fn decide_due(&mut self) -> Result<usize, TimerError> {
        let now = answered(crate::store::clock(&mut self.lease)).await?;
        self.shared.clock.told(now);
        // Where this part runs alone nobody else says so.
        self.shared.metrics.connected("database", true);
        let held = self.shared.deadlines_are_held();
        let mut wake: Vec<CaseId> = answered(wake_ups::due(&mut self.lease, now, WOKEN)).await?;
        if !held {
            wake.extend(answered(cases::due(&mut self.lease, now, LIMIT)).await?);
        }
        wake.sort();
        wake.dedup();
        if wake.is_empty() {
            return Ok(0);
        }
        let count = wake.len();
        FailPoint::BeforeTimer.pass();
        self.shared.apply(Batch { wake, held, ..Batch::default() }).await?;
        FailPoint::AfterTimer.pass();
        Ok(count)
    }

    async fn rest(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            _ = tokio::time::timeout(LOOK_AGAIN, self.shared.cases_woken.notified()) => {}
        }
    }
}
