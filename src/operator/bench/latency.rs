//! `otodoke bench latency`: from publishing an event to what is derived from it.

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::delay::{self, Delays};
use super::passage::{Load, finished, verify};
use super::processor::Program;
use crate::config::Settings;
use crate::operator::output::{say, table};
use crate::operator::stage::Stage;
use crate::processor::pool;

/// How long a derived event takes behind the event that made it true, at a steady rate
///
/// Counted is what is dated as its cause is, where all before that in the world was published
/// before it: so neither deadlines nor late arrivals have a part in what is measured.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke bench latency --rate 200
  otodoke bench latency --rate 1000 --seconds 60 --json")]
pub struct LatencyArguments {
    /// Events published in a second
    #[arg(long, value_name = "COUNT", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How long, in seconds; the first tenth isn't counted
    #[arg(long, value_name = "SECONDS", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// What the workload is made from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// One JSON object; times in milliseconds
    #[arg(long)]
    json: bool,
}

pub async fn run(arguments: LatencyArguments, settings: &Settings) -> Result<ExitCode> {
    let stage = Stage::set(settings).await?;
    let load = Load::new(arguments.seed, arguments.rate as usize * arguments.seconds as usize);
    let measured = measure(&stage, &Program::own()?, &load, arguments.rate).await;
    stage.clear().await?;
    tell(&arguments, &measured?)?;
    Ok(ExitCode::SUCCESS)
}

/// On an empty stage. An error where what stands in the end isn't what the rules say.
pub async fn measure(stage: &Stage, program: &Program, load: &Load, rate: u32) -> Result<Delays> {
    let pool = pool(&stage.settings)?;
    let delays = delay::measure(stage, &pool, program, load, rate, async |pool, processor| {
        finished(pool, processor, 0, load.events).await
    })
    .await?;
    verify(&pool, load, &stage.settings).await?;
    pool.close().await;
    Ok(delays)
}

fn tell(arguments: &LatencyArguments, delays: &Delays) -> Result<()> {
    let figures = delays.figures();
    if arguments.json {
        let object = json!({
            "benchmark": "latency", "rate": arguments.rate, "seconds": arguments.seconds,
            "seed": arguments.seed, "derived": delays.count(),
            "milliseconds": figures.iter().copied().collect::<HashMap<_, _>>(),
        });
        return Ok(say(&serde_json::to_string_pretty(&object)?)?);
    }
    let mut rows = table(["events/s", "derived", "p50", "p95", "p99", "max"]);
    let [p50, p95, p99, max] = figures.map(|(_, time)| format!("{time:.1} ms"));
    rows.add_row([arguments.rate.to_string(), delays.count().to_string(), p50, p95, p99, max]);
    say(&rows.trim_fmt())?;
    Ok(())
}
