//! The processor: consuming, relay, timers and HTTP side by side until SIGTERM.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use sqlx::PgPool;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::apply::{self, Batch, Door, Interrupted, Outcome};
use super::consume::{Purpose, consume};
use super::failure::{self, Class};
use super::metrics::BatchCounts;
use super::{DatabaseClock, Hold, Metrics, Probe, relay, timers, watch};
use crate::broker::{BrokerError, Names, Session, declare};
use crate::config::{Missing, PipelineSettings, Settings};
use crate::contract::Timestamp;
use crate::http;
use crate::retry::Outage;
use crate::store;

/// A part of the processor, for `--only`.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Take events from the queues
    Consume,
    /// Send derived events
    Relay,
    /// Decide cases that time changes
    Timers,
    /// Serve health and metrics
    Http,
}

impl Part {
    pub const ALL: [Part; 4] = [Part::Consume, Part::Relay, Part::Timers, Part::Http];
}

/// Something that ends the processor: waiting wouldn't help.
#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(
        "the database's address can't be understood: {0}; write postgres://user:password@host/database"
    )]
    DatabaseUrl(String),
    #[error("stopped, since the database is not as this program needs it; the log says more")]
    Halted,
    #[error("the database can't be set up")]
    Migrate(#[from] MigrateError),
    #[error("the database refuses this program: {}", failure::sentence(.0))]
    Database(#[from] sqlx::Error),
    #[error("a part of the processor failed unexpectedly")]
    Part,
}

/// What all parts of a processor share.
pub struct Shared {
    pub pool: PgPool,
    pub amqp_url: String,
    pub names: Names,
    pub settings: PipelineSettings,
    pub clock: DatabaseClock,
    hold: Hold,
    pub metrics: Metrics,
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

impl Shared {
    /// Through the door; what it came to is counted, and who has to do with it is nudged.
    /// What can't be done now is in the error. If waiting doesn't help, all parts stop.
    pub async fn apply(&self, batch: Batch) -> Result<(), Box<Interrupted>> {
        let (begun, events) = (Instant::now(), batch.received.len());
        let newest = newest(&batch);
        let applied = self.door.apply_isolating(batch).await;
        let (done, interrupted) = match applied {
            Ok(outcome) => (outcome, None),
            Err(mut interrupted) => (std::mem::take(&mut interrupted.done), Some(interrupted)),
        };
        self.metrics.connected("database", interrupted.is_none());
        self.note(&done, events, begun);
        if let (Some(newest), Some(clock)) = (newest, done.clock) {
            self.metrics.lag(watch::since(Some(newest), clock));
        }
        match interrupted {
            None => Ok(()),
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
        let mut connection =
            self.pool.acquire().await.inspect_err(|_| self.metrics.connected("database", false))?;
        self.clock.told(store::clock(&mut connection).await?);
        self.metrics.connected("database", true);
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

/// Runs the given parts until `stop`, then drains and returns.
pub async fn run(
    settings: &Settings,
    parts: &BTreeSet<Part>,
    sets_up: bool,
    stop: CancellationToken,
) -> Result<(), ProcessorError> {
    let amqp_url = settings.services.amqp_url()?.to_owned();
    crate::broker::check_url(&amqp_url)?;
    let names = Names::new(&settings.services.prefix)?;
    let (pool, metrics) = (pool(settings)?, Metrics::default());
    let mut tasks = JoinSet::new();
    if parts.contains(&Part::Http) {
        // The endpoints answer before the services do: they say that these don't.
        let probe = Probe::new(pool.clone(), amqp_url.clone(), names.clone());
        tasks.spawn(serve(settings.services.http_addr, metrics.clone(), probe, stop.clone()));
    }
    let Some(door) =
        stop.run_until_cancelled(open_door(settings, &pool, sets_up)).await.transpose()?
    else {
        return Ok(());
    };
    let shared = Arc::new(Shared {
        pool,
        amqp_url,
        names,
        clock: DatabaseClock::new(Timestamp::from_chrono(chrono::Utc::now())),
        hold: Hold::new(settings.pipeline.max_hold.to_std()),
        metrics,
        outbox_filled: Notify::new(),
        cases_woken: Notify::new(),
        door,
        sets_up,
        differences_said: Mutex::default(),
        halted: AtomicBool::new(false),
        stop: stop.clone(),
        settings: settings.pipeline.clone(),
    });
    start(&mut tasks, &shared, parts, &stop);
    finish(tasks, &shared, &stop).await
}

async fn finish(
    mut tasks: JoinSet<()>,
    shared: &Shared,
    stop: &CancellationToken,
) -> Result<(), ProcessorError> {
    while let Some(ended) = tasks.join_next().await {
        if ended.is_err() {
            // A panic: the others finish what they have, so that nothing is lost by it.
            stop.cancel();
            while tasks.join_next().await.is_some() {}
            return Err(ProcessorError::Part);
        }
    }
    if shared.halted.load(Ordering::Relaxed) { Err(ProcessorError::Halted) } else { Ok(()) }
}

/// Waits for the database, for ever, and sets it up.
async fn open_door(
    settings: &Settings,
    pool: &PgPool,
    sets_up: bool,
) -> Result<Door, ProcessorError> {
    let mut outage = Outage::of("the database");
    loop {
        let error = match try_open_door(settings, pool, sets_up).await {
            Ok(door) => {
                outage.over();
                return Ok(door);
            }
            Err(error) => error,
        };
        let passes = match &error {
            ProcessorError::Migrate(
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
            )
            | ProcessorError::Database(error) => failure::classify(error) != Class::Halt,
            _ => false,
        };
        if !passes {
            return Err(error);
        }
        outage.wait(&error).await;
    }
}

async fn try_open_door(
    settings: &Settings,
    pool: &PgPool,
    sets_up: bool,
) -> Result<Door, ProcessorError> {
    if sets_up {
        store::migrate(pool).await?;
    }
    Ok(door(settings, pool).await?)
}

/// The door of a database that is set up.
pub async fn door(settings: &Settings, pool: &PgPool) -> Result<Door, sqlx::Error> {
    let settings = apply::Settings {
        policy: settings.rules.policy(),
        source: settings.services.source.clone(),
        publish_from: settings.pipeline.publish_from,
    };
    Door::open(pool.clone(), settings).await
}

/// Connections are made when they are needed, so an absent database is no error here.
pub fn pool(settings: &Settings) -> Result<PgPool, ProcessorError> {
    let url = settings.services.database_url()?;
    let options: PgConnectOptions =
        url.parse().map_err(|error: sqlx::Error| ProcessorError::DatabaseUrl(error.to_string()))?;
    Ok(PgPoolOptions::new()
        .max_connections(u32::from(settings.pipeline.database_connections))
        .acquire_timeout(std::time::Duration::from_secs(10))
        .connect_lazy_with(options.application_name("otodoke")))
}

/// Serves the endpoints. Orders matter more than they do: while another process has the
/// address, the rest goes on without them.
async fn serve(address: SocketAddr, metrics: Metrics, probe: Probe, stop: CancellationToken) {
    let mut outage = Outage::of("the HTTP endpoint");
    let listener = loop {
        match http::bind(address).await {
            Ok(listener) => break listener,
            Err(error) => tokio::select! {
                () = stop.cancelled() => return,
                () = outage.wait(&error) => {}
            },
        }
    };
    outage.over();
    if let Ok(address) = listener.local_addr() {
        tracing::info!("serving http://{address}/health/ready and /metrics");
    }
    if let Err(error) = http::serve(listener, metrics, Arc::new(probe), stop).await {
        tracing::error!("the HTTP endpoints ended: {error}");
    }
}

fn start(
    tasks: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    parts: &BTreeSet<Part>,
    stop: &CancellationToken,
) {
    if parts.contains(&Part::Consume) {
        tasks.spawn(consume(shared.clone(), Purpose::Events, stop.clone()));
        tasks.spawn(consume(shared.clone(), Purpose::GivenUp, stop.clone()));
    } else {
        tasks.spawn(watch::watch_backlog(shared.clone(), stop.clone()));
    }
    if parts.contains(&Part::Relay) {
        tasks.spawn(relay::relay(shared.clone(), stop.clone()));
    }
    if parts.contains(&Part::Timers) {
        tasks.spawn(timers::timers(shared.clone(), stop.clone()));
    }
}
