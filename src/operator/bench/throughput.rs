//! `otodoke bench throughput`: from full queues to an empty outbox.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use super::meter::Cost;
use super::passage::{Load, finished, pass, verify};
use super::processor::Program;
use super::spread::Spread;
use crate::config::Settings;
use crate::operator::output::{say, table};
use crate::operator::stage::Stage;
use crate::processor::pool;

/// How many events a second go from full queues to an empty outbox, and what they cost
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke bench throughput --events 100000 --runs 5 --json
  otodoke bench throughput --events 1000000 --runs 1 --memory-limit 150")]
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
    /// Processors that share the work, 1 to 8
    #[arg(long, value_name = "COUNT", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(1..=8))]
    processors: u8,
    /// Fail where a processor ever had more memory than that, however much waits
    #[arg(long, value_name = "MIB")]
    memory_limit: Option<u32>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub async fn run(arguments: ThroughputArguments, settings: &Settings) -> Result<ExitCode> {
    let program = Program::own()?;
    let mut runs = Vec::new();
    for number in 0..arguments.runs {
        eprintln!("run {} of {}", number + 1, arguments.runs);
        let load = Load::new(arguments.seed + u64::from(number), arguments.events);
        let load = Load { processors: arguments.processors, ..load };
        let stage = Stage::set(settings).await?;
        let measured = measure(&stage, &program, &load).await;
        stage.clear().await?;
        runs.push(measured?);
    }
    tell(&arguments, &runs)?;
    let peak = runs.iter().filter_map(|run| run.peak_mib).fold(0.0, f64::max);
    match arguments.memory_limit {
        Some(limit) if peak > f64::from(limit) => {
            bail!("the processor had {peak:.0} MiB at most, which is over the limit of {limit} MiB")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// One run on an empty stage. An error where what stands in the end isn't what the rules say.
pub async fn measure(stage: &Stage, program: &Program, load: &Load) -> Result<Cost> {
    let pool = pool(&stage.settings)?;
    let cost = pass(stage, &pool, program, load, async |pool, processor| {
        finished(pool, processor, 0, load.events).await
    })
    .await?;
    verify(&pool, load, &stage.settings).await?;
    pool.close().await;
    Ok(cost)
}

fn tell(arguments: &ThroughputArguments, runs: &[Cost]) -> Result<()> {
    if arguments.json {
        let object = json!({
            "benchmark": "throughput", "events": arguments.events, "seed": arguments.seed,
            "processors": arguments.processors,
            "median": median(runs).json(), "runs": runs.iter().map(Cost::json).collect::<Vec<_>>(),
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

fn row(name: &str, run: &Cost) -> [String; 7] {
    let cpu = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    [
        name.to_owned(),
        format!("{:.0}", run.events_per_second),
        cpu(Some(run.program)),
        cpu(run.postgres),
        cpu(run.rabbitmq),
        format!("{:.0}", run.wal_bytes),
        format!("{:.0}", run.peak_mib.unwrap_or_default()),
    ]
}

/// Of each figure by itself.
fn median(runs: &[Cost]) -> Cost {
    let of = |figure: fn(&Cost) -> Option<f64>| {
        Spread::of(runs.iter().filter_map(figure)).map(|spread| spread.median)
    };
    Cost {
        events_per_second: of(|run| Some(run.events_per_second)).unwrap_or_default(),
        program: of(|run| Some(run.program)).unwrap_or_default(),
        postgres: of(|run| run.postgres),
        rabbitmq: of(|run| run.rabbitmq),
        wal_bytes: of(|run| Some(run.wal_bytes)).unwrap_or_default(),
        peak_mib: of(|run| run.peak_mib),
    }
}
