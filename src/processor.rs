//! The processor: consuming, relay, timers and HTTP side by side until SIGTERM.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgPool};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::broker::{BrokerError, Names, check_url};
use crate::config::{Missing, Settings};
use crate::fail_points::FailPoint;
use crate::http;
use crate::pipeline::apply::{self, Door};
use crate::pipeline::archive::Archive;
use crate::pipeline::failure::{self, Class};
use crate::pipeline::traces::Traces;
use crate::pipeline::{
    Metrics, Probe, Purpose, Services, Shared, consume, keep_topology, relay, replays, timers,
    watch_backlog,
};
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
    #[error(
        "traces can't be sent to `{0}`: {1}; OTEL_EXPORTER_OTLP_ENDPOINT is a URL like http://localhost:4318"
    )]
    Traces(String, String),
    #[error("a part of the processor failed unexpectedly")]
    Part,
}

/// Runs the given parts until `stop`, then drains and returns.
pub async fn run(
    settings: &Settings,
    parts: &BTreeSet<Part>,
    sets_up: bool,
    stop: CancellationToken,
) -> Result<(), ProcessorError> {
    let amqp_url = settings.services.amqp_url()?.to_owned();
    check_url(&amqp_url)?;
    let names = Names::new(&settings.services.prefix)?;
    let (pool, metrics) = (pool(settings)?, Metrics::default());
    let mut tasks = JoinSet::new();
    if parts.contains(&Part::Http) {
        // The endpoints answer before the services do: they say that these don't.
        let parts = http::Parts {
            metrics: metrics.clone(),
            probe: Probe::new(pool.clone(), amqp_url.clone(), names.clone()),
            pool: console_pool(settings)?,
            door_pool: pool.clone(),
            door_settings: door_settings(settings),
        };
        tasks.spawn(serve(settings.clone(), parts, stop.clone()));
    }
    let Some(door) =
        stop.run_until_cancelled(open_door(settings, &pool, sets_up)).await.transpose()?
    else {
        return Ok(());
    };
    let traces = match &settings.services.otlp_endpoint {
        Some(endpoint) => Traces::to(endpoint)
            .map_err(|error| ProcessorError::Traces(endpoint.clone(), error.to_string()))?,
        None => Traces::default(),
    };
    let services = Services { pool, amqp_url, names, metrics, traces: traces.clone(), door };
    let shared = Arc::new(Shared::new(services, settings, sets_up, stop.clone()));
    start(&mut tasks, &shared, parts, &stop);
    let ended = finish(tasks, &shared, &stop).await;
    traces.finish().await;
    ended
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
    if shared.is_halted() { Err(ProcessorError::Halted) } else { Ok(()) }
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
        FailPoint::Migrated.pass();
    }
    Ok(door(settings, pool).await?)
}

/// The door of a database that is set up.
pub async fn door(settings: &Settings, pool: &PgPool) -> Result<Door, sqlx::Error> {
    let archive = settings.pipeline.archive.clone().map(Archive::at);
    Ok(Door::open(pool.clone(), door_settings(settings)).await?.with_archive(archive))
}

/// What the door needs to know.
pub fn door_settings(settings: &Settings) -> apply::Settings {
    apply::Settings {
        policy: settings.rules.policy(),
        source: settings.services.source.clone(),
        publish_from: settings.pipeline.publish_from,
    }
}

fn database(settings: &Settings) -> Result<PgConnectOptions, ProcessorError> {
    let url = settings.services.database_url()?;
    url.parse().map_err(|error: sqlx::Error| ProcessorError::DatabaseUrl(error.to_string()))
}

/// What people look at. Their questions are planned with the values at hand, and none of them
/// may take long.
fn console_pool(settings: &Settings) -> Result<PgPool, ProcessorError> {
    let options = database(settings)?.application_name("otodoke console");
    Ok(PgPoolOptions::new()
        .max_connections(CONSOLE_CONNECTIONS)
        .acquire_timeout(std::time::Duration::from_secs(5))
        .after_connect(|conn, _| {
            Box::pin(async move { conn.execute(BRIEF_LOOKUPS).await.map(drop) })
        })
        .connect_lazy_with(options))
}

const CONSOLE_CONNECTIONS: u32 = 4;

/// Every page finds its rows by an index, also where statistics are still missing.
const BRIEF_LOOKUPS: &str =
    "SET enable_seqscan = off; SET jit = off; SET statement_timeout = 20000";

/// Connections are made when they are needed, so an absent database is no error here.
pub fn pool(settings: &Settings) -> Result<PgPool, ProcessorError> {
    let options = database(settings)?;
    Ok(PgPoolOptions::new()
        .max_connections(u32::from(settings.pipeline.database_connections))
        .acquire_timeout(std::time::Duration::from_secs(10))
        .after_connect(|conn, _| {
            Box::pin(async move { conn.execute(EVERY_SESSION).await.map(drop) })
        })
        .connect_lazy_with(
            options.application_name("otodoke").statement_cache_capacity(STATEMENTS_KEPT),
        ))
}

/// Every statement of the pipeline finds its rows by a key, however many rows there are. A plan
/// that was made while a table was empty would read it whole for as long as the connection
/// lasts; planning each time anew costs more than many statements do.
///
/// And where this process, or the way to it, is gone without a word, the database is to notice: what it
/// had locked would else stay locked for the hours that a server takes by itself.
///
/// Set, rather than asked for at the start: a pooler in between may refuse that.
const EVERY_SESSION: &str =
    "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET jit = off;
     SET idle_in_transaction_session_timeout = '60s';
     SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
     SET tcp_user_timeout = '30s'";

/// Which tables a transaction writes to makes its last statement another one; each is planned
/// once by connection.
const STATEMENTS_KEPT: usize = 300;

/// Serves the endpoints. Orders matter more than they do: while another process has the
/// address, the rest goes on without them.
async fn serve(settings: Settings, parts: http::Parts, stop: CancellationToken) {
    let address = settings.services.http_addr;
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
        tracing::info!("serving http://{address}/ (the console), /health/ready and /metrics");
    }
    if let Err(error) = http::serve(listener, parts, &settings, stop).await {
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
        tasks.spawn(keep_topology(shared.clone(), stop.clone()));
    } else {
        tasks.spawn(watch_backlog(shared.clone(), stop.clone()));
    }
    if parts.contains(&Part::Relay) {
        tasks.spawn(relay(shared.clone(), stop.clone()));
    }
    if parts.contains(&Part::Timers) {
        tasks.spawn(timers(shared.clone(), stop.clone()));
        tasks.spawn(replays(shared.clone(), stop.clone()));
    }
}
