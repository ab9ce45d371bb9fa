//! `otodoke bench throughput`: from full queues to an empty outbox.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::cost::{cpu_seconds, peak_mib};
use super::processor::Processor;
use super::workload::Workload;
use crate::broker::{Names, Outcome, Publisher};
use crate::config::Settings;
use crate::contract::Timestamp;
use crate::operator::model::{Model, Sent, compare_derived};
use crate::operator::output::{progress, say, table};
use crate::operator::stage::Stage;
use crate::processor::pool;
use crate::sandbox::Server;
use crate::store::{self, inspection, ledger, status};

/// How many events a second go from full queues to an empty outbox, and what they cost
#[derive(Debug, clap::Args)]
pub struct ThroughputArguments {
    /// Events in a run
    #[arg(long, value_name = "COUNT", default_value_t = 50_000)]
    events: usize,
    /// Runs, each from an empty database; the median counts
    #[arg(long, value_name = "COUNT", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// What the workload is made from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// How many messages wait for their confirms.
const CHUNK: usize = 1_000;
/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(50);
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn run(arguments: ThroughputArguments, settings: &Settings) -> Result<ExitCode> {
    let mut runs = Vec::new();
    for number in 0..arguments.runs {
        eprintln!("run {} of {}", number + 1, arguments.runs);
        let stage = Stage::set(settings).await?;
        let measured = measure(&stage, &arguments, u64::from(number)).await;
        stage.clear().await?;
        runs.push(measured?);
    }
    tell(&arguments, &runs)?;
    Ok(ExitCode::SUCCESS)
}

/// What a run came to.
#[derive(Clone, Copy, Debug)]
struct Run {
    events_per_second: f64,
    /// CPU seconds for 1,000 events; of servers that aren't ours nothing is known.
    processor: f64,
    postgres: Option<f64>,
    rabbitmq: Option<f64>,
    wal_bytes: f64,
    peak_mib: f64,
}

async fn measure(stage: &Stage, arguments: &ThroughputArguments, run: u64) -> Result<Run> {
    let now = Timestamp::from_chrono(chrono::Utc::now());
    let workload = Workload::new(arguments.seed + run, now).events(arguments.events);
    preload(&stage.settings, &workload).await?;
    let pool = pool(&stage.settings)?;
    let servers = [Server::Postgres, Server::RabbitMq].map(|server| stage.process_id(server));
    let used = || servers.map(|id| id.map(cpu_seconds));
    let (wal, before) = (inspection::wal(&mut *pool.acquire().await?).await?, used());

    let begun = Instant::now();
    let mut processor = Processor::start(&stage.settings)?;
    finished(&pool, &mut processor, arguments.events).await?;
    let took = begun.elapsed().as_secs_f64();
    let (after, wal) = (used(), inspection::wal(&mut *pool.acquire().await?).await? - wal);
    let events = arguments.events as f64;
    let cost = |index: usize| Some((after[index]? - before[index]?) * 1_000.0 / events);
    let run = Run {
        events_per_second: events / took,
        processor: cpu_seconds(processor.id()) * 1_000.0 / events,
        postgres: cost(0),
        rabbitmq: cost(1),
        wal_bytes: wal as f64 / events,
        peak_mib: peak_mib(processor.id()),
    };
    processor.stop().await?;
    verify(&pool, &workload, &stage.settings).await?;
    pool.close().await;
    Ok(run)
}

async fn preload(settings: &Settings, workload: &[Sent]) -> Result<()> {
    let names = Names::new(&settings.services.prefix)?;
    let mut publisher = Publisher::open(settings.services.amqp_url()?).await?;
    let bar = progress(Some(workload.len() as u64), "{bar:40} {pos}/{len} published");
    for chunk in workload.chunks(CHUNK) {
        let messages: Vec<_> = chunk.iter().map(|sent| sent.outgoing(&names)).collect();
        let outcomes = publisher.publish_all(&messages).await;
        if outcomes.iter().any(|outcome| *outcome != Outcome::Confirmed { routed: true }) {
            bail!("the broker doesn't take the workload");
        }
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    publisher.close().await;
    Ok(())
}

/// Until all is taken, decided and sent.
pub async fn finished(pool: &PgPool, processor: &mut Processor, events: usize) -> Result<()> {
    let bar = progress(Some(events as u64), "{bar:40} {pos}/{len} {per_sec}");
    let mut last = (0, Instant::now());
    loop {
        tokio::time::sleep(LOOK).await;
        processor.check()?;
        let mut conn = pool.acquire().await?;
        let received = ledger::after(&mut conn, 0).await?.received;
        advance(&bar, received, &mut last)?;
        if received < events as i64 {
            continue;
        }
        let figures = status::figures(&mut conn).await?;
        if figures.outbox == 0 && figures.wake_ups == 0 && figures.oldest_due.is_none() {
            bar.finish_and_clear();
            return Ok(());
        }
    }
}

fn advance(bar: &ProgressBar, received: i64, last: &mut (i64, Instant)) -> Result<()> {
    bar.set_position(received.unsigned_abs());
    if received > last.0 {
        *last = (received, Instant::now());
    } else if last.1.elapsed() > PATIENCE {
        bail!("nothing happened for {PATIENCE:?}, after {received} events");
    }
    Ok(())
}

/// A run that loses or doubles anything is no result.
pub async fn verify(pool: &PgPool, workload: &[Sent], settings: &Settings) -> Result<()> {
    let conn = &mut *pool.acquire().await?;
    let now = store::clock(conn).await?;
    let mut model = Model::default();
    for sent in workload {
        model.take(sent, now, settings.pipeline.max_clock_skew);
    }
    let standing = inspection::standing(conn).await?;
    let differences = compare_derived(&model.world(now), &standing);
    let count = ledger::after(conn, 0).await?;
    let dead: i64 = model.dead.values().sum();
    let told = (count.accepted, count.duplicates, count.dead);
    let expected = (model.events().len() as i64, model.duplicates, dead);
    if told != expected {
        bail!("accepted, duplicates, dead: {told:?} instead of {expected:?}");
    }
    match differences.first() {
        None => Ok(()),
        Some(first) => bail!("{} derived events differ: {first}, …", differences.len()),
    }
}

fn tell(arguments: &ThroughputArguments, runs: &[Run]) -> Result<()> {
    if arguments.json {
        let object = json!({
            "benchmark": "throughput", "events": arguments.events, "seed": arguments.seed,
            "median": object(&median(runs)), "runs": runs.iter().map(object).collect::<Vec<_>>(),
        });
        return Ok(say(&serde_json::to_string_pretty(&object)?)?);
    }
    let header = ["", "events/s", "processor", "PostgreSQL", "RabbitMQ", "WAL bytes", "peak MiB"];
    let mut rows = table(header);
    for (number, run) in runs.iter().enumerate() {
        rows.add_row(row(&format!("run {}", number + 1), run));
    }
    rows.add_row(row("median", &median(runs)));
    say(&rows.trim_fmt())?;
    eprintln!(
        "CPU seconds are for 1,000 events, WAL bytes for one; each run is what the rules say"
    );
    Ok(())
}

fn row(name: &str, run: &Run) -> [String; 7] {
    let cpu = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    [
        name.to_owned(),
        format!("{:.0}", run.events_per_second),
        cpu(Some(run.processor)),
        cpu(run.postgres),
        cpu(run.rabbitmq),
        format!("{:.0}", run.wal_bytes),
        format!("{:.0}", run.peak_mib),
    ]
}

fn object(run: &Run) -> Value {
    json!({
        "events_per_second": run.events_per_second,
        "cpu_seconds_per_1000_events": {
            "processor": run.processor, "postgres": run.postgres, "rabbitmq": run.rabbitmq,
        },
        "wal_bytes_per_event": run.wal_bytes,
        "peak_mib": run.peak_mib,
    })
}

/// Of each figure by itself.
fn median(runs: &[Run]) -> Run {
    let of = |figure: fn(&Run) -> Option<f64>| {
        let mut values: Vec<f64> = runs.iter().filter_map(figure).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    Run {
        events_per_second: of(|run| Some(run.events_per_second)).unwrap_or_default(),
        processor: of(|run| Some(run.processor)).unwrap_or_default(),
        postgres: of(|run| run.postgres),
        rabbitmq: of(|run| run.rabbitmq),
        wal_bytes: of(|run| Some(run.wal_bytes)).unwrap_or_default(),
        peak_mib: of(|run| Some(run.peak_mib)).unwrap_or_default(),
    }
}
