//! What the parts of a processor share, and what each of them does with a batch.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use sqlx::PgPool;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::apply::{Batch, Door, Interrupted, Outcome};
use super::metrics::BatchCounts;
use super::silence::ask;
use super::traces::Traces;
use super::{DatabaseClock, Hold, Metrics, since};
use crate::broker::{BrokerError, Names, Session, declare};
use crate::config::{PipelineSettings, Settings};
use crate::contract::Timestamp;
use crate::store;

/// What all parts of a processor share.
pub struct Shared {
    pub pool: PgPool,
    pub amqp_url: String,
    pub names: Names,
    pub settings: PipelineSettings,
    pub clock: DatabaseClock,
    hold: Hold,
    pub metrics: Metrics,
    pub traces: Traces,
    /// A commit has put something into the outbox.
    pub outbox_filled: Notify,
    /// A commit has left cases to be decided.
    pub cases_woken: Notify,
    door: Door,
    sets_up: bool,
    /// Says a topology that differs once, not at each reconnection.
    differences_said: Mutex<BTreeSet<String>>,
    halted: AtomicBool,
    stop: CancellationToken,
}

/// What a processor works with.
pub struct Services {
    pub pool: PgPool,
    pub amqp_url: String,
    pub names: Names,
    pub metrics: Metrics,
    pub traces: Traces,
    pub door: Door,
}

impl Shared {
    pub fn new(
        services: Services,
        settings: &Settings,
        sets_up: bool,
        stop: CancellationToken,
    ) -> Shared {
        let Services { pool, amqp_url, names, metrics, traces, door } = services;
        Shared {
            pool,
            amqp_url,
            names,
            // Until the database tells the time, a moment later.
            clock: DatabaseClock::new(Timestamp::from_chrono(chrono::Utc::now())),
            hold: Hold::new(settings.pipeline.max_hold.to_std()),
            metrics,
            traces,
            outbox_filled: Notify::new(),
            cases_woken: Notify::new(),
            door,
            sets_up,
            differences_said: Mutex::default(),
            halted: AtomicBool::new(false),
            stop,
            settings: settings.pipeline.clone(),
        }
    }

    /// A door for who goes through it all the time.
    pub fn own_door(&self) -> Door {
        self.door.with_own_connection()
    }

    /// Whether it stopped because going on would help nobody.
    pub fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    /// Through the door; what it came to is counted, and who has to do with it is nudged.
    /// What can't be done now is in the error. If waiting doesn't help, all parts stop.
    pub async fn apply(&self, batch: Batch) -> Result<(), Box<Interrupted>> {
        self.apply_by(&self.door, batch).await.map(drop)
    }

    /// The same, by a door of the caller's own. Tells when its cases were decided.
    pub async fn apply_by(
        &self,
        door: &Door,
        batch: Batch,
    ) -> Result<Option<SystemTime>, Box<Interrupted>> {
        let (begun, events) = (Instant::now(), batch.received.len());
        let newest = newest(&batch);
        let applied = door.apply_isolating(batch).await;
        let (done, interrupted) = match applied {
            Ok(outcome) => (outcome, None),
            Err(mut interrupted) => (std::mem::take(&mut interrupted.done), Some(interrupted)),
        };
        self.metrics.connected("database", interrupted.is_none());
        self.note(&done, events, begun);
        if let (Some(newest), Some(clock)) = (newest, done.clock) {
            self.metrics.lag(since(Some(newest), clock));
        }
        match interrupted {
            None => Ok(done.decided_at),
            Some(interrupted) if !interrupted.may_pass => {
                self.halt(&interrupted);
                Err(interrupted)
            }
            Some(interrupted) => Err(interrupted),
        }
    }

    fn note(&self, done: &Outcome, events: usize, begun: Instant) {
        let Some(clock) = done.clock else { return };
        self.clock.told(clock);
        self.metrics.batch(&counts(done), events, begun.elapsed());
        if !done.queued.is_empty() {
            self.outbox_filled.notify_one();
        }
        if done.next_at.is_some_and(|next| next <= clock) {
            self.cases_woken.notify_one();
        }
        for case in &done.parked {
            tracing::warn!(%case, "its decision failed: it is parked and tried again, the others go on");
        }
    }

    /// Whether deadlines wait for a backlog; the metrics show what was answered last.
    pub fn deadlines_are_held(&self) -> bool {
        let held = self.hold.is_held();
        self.metrics.held(held);
        held
    }

    /// The session with the broker is new: deadlines wait for what came in meanwhile.
    pub fn hold_deadlines(&self) {
        self.hold.restart();
        self.metrics.held(true);
    }

    /// The backlog is done: deadlines are due.
    pub fn release_deadlines(&self) {
        self.hold.drained();
        self.metrics.held(false);
        self.cases_woken.notify_one();
    }

    /// We are wrong, or the database is: stop all parts, loudly.
    fn halt(&self, interrupted: &Interrupted) {
        tracing::error!("the database is not as this program needs it: {interrupted}");
        self.halted.store(true, Ordering::Relaxed);
        self.stop.cancel();
    }

    pub async fn read_clock(&self) -> Result<(), sqlx::Error> {
        let asked = ask(&self.pool, async |conn| store::clock(conn).await).await;
        self.metrics.connected("database", asked.is_ok());
        self.clock.told(asked?);
        Ok(())
    }

    /// Declares the topology anew, in case somebody deleted a part of it.
    pub async fn declare(&self) -> Result<(), BrokerError> {
        let opened = Session::open(&self.amqp_url, "declare").await;
        self.metrics.connected("broker", opened.is_ok());
        let session = opened?;
        if self.sets_up {
            let mut said = self.differences_said.lock().await;
            for difference in declare(&session, &self.names).await? {
                let text = difference.to_string();
                if said.insert(text.clone()) {
                    tracing::warn!("{text}");
                }
            }
        }
        session.close().await;
        Ok(())
    }
}

/// When the last of the events in a batch happened.
fn newest(batch: &Batch) -> Option<Timestamp> {
    let accepted = batch.received.iter().filter_map(|received| received.judged.as_ref().ok());
    accepted.map(|accepted| accepted.event.time).max()
}

fn counts(outcome: &Outcome) -> BatchCounts {
    BatchCounts {
        accepted: outcome.accepted,
        duplicates: outcome.duplicates,
        dead: outcome.dead.iter().map(|(code, count)| (code.name(), *count)).collect(),
        queued: outcome.queued.iter().map(|(name, count)| (*name, *count)).collect(),
    }
}
