//! `otodoke bench growth`: whether a database that years have filled makes it slower.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use sqlx::{ConnectOptions, Connection};

use super::meter::Cost;
use super::passage::{Load, counted, finished, model, pass};
use super::plot::{self, Line, Plot};
use super::processor::Program;
use super::spread::Spread;
use super::throughput;
use crate::config::Settings;
use crate::operator::output::{progress, say, table};
use crate::operator::stage::Stage;
use crate::processor::pool;
use crate::store::filling::{self, Filling};
use crate::store::{self, ledger};

/// Throughput on a database that years have filled, beside that on an empty one
///
/// The database is filled by a few statements with orders as a run would have left them: their
/// history, read model and derived events, further cases that wait for a deadline in a year, and
/// dead letters; then it is cleaned and analysed. Runs on it and on empty ones take turns.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke bench growth
  otodoke bench growth --history 10000000 --runs 5 --svg growth.svg")]
pub struct GrowthArguments {
    /// Events in the history
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000,
          value_parser = clap::value_parser!(i64).range(0..=1_000_000_000))]
    history: i64,
    /// Further cases with an open deadline
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000,
          value_parser = clap::value_parser!(i64).range(0..=100_000_000))]
    deadlines: i64,
    /// Open dead letters
    #[arg(long, value_name = "COUNT", default_value_t = 100_000,
          value_parser = clap::value_parser!(i64).range(0..=100_000_000))]
    dead_letters: i64,
    /// Events in a run
    #[arg(long, value_name = "COUNT", default_value_t = 50_000)]
    events: usize,
    /// Runs on each of the two; medians count
    #[arg(long, value_name = "COUNT", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// What the workload is made from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Draw the runs into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Two runs of the same events, one after the other.
struct Pair {
    empty: Cost,
    full: Cost,
}

pub async fn run(arguments: GrowthArguments, settings: &Settings) -> Result<ExitCode> {
    let full = Stage::set(settings).await?;
    let pairs = measure(&full, &arguments, settings).await;
    full.clear().await?;
    tell(&arguments, &pairs?)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(
    full: &Stage,
    arguments: &GrowthArguments,
    settings: &Settings,
) -> Result<Vec<Pair>> {
    fill(full, arguments).await?;
    let program = Program::own()?;
    let mut pairs = Vec::new();
    for number in 0..arguments.runs {
        eprintln!("run {} of {}", number + 1, arguments.runs);
        let load = Load::new(arguments.seed + u64::from(number), arguments.events);
        let empty = Stage::set(settings).await?;
        let measured = throughput::measure(&empty, &program, &load).await;
        empty.clear().await?;
        pairs.push(Pair { empty: measured?, full: on_full(full, &program, &load).await? });
    }
    Ok(pairs)
}

async fn fill(stage: &Stage, arguments: &GrowthArguments) -> Result<()> {
    let filling = Filling {
        history: arguments.history,
        deadlines: arguments.deadlines,
        dead_letters: arguments.dead_letters,
    };
    let pool = pool(&stage.settings)?;
    let bar = progress(Some(filling::steps()), "{bar:40} {pos}/{len} {msg}");
    let told = |table: &str| {
        bar.inc(1);
        bar.set_message(table.to_owned());
    };
    // Statements of minutes are what it is about: none is worth a warning.
    let quiet = pool.connect_options().as_ref().clone().disable_statement_logging();
    let mut conn = quiet.connect().await?;
    filling::fill(&mut conn, &filling, told).await?;
    conn.close().await?;
    bar.finish_and_clear();
    pool.close().await;
    Ok(())
}

/// A run on what is there already. What it left is only counted: the rules' word on what was
/// filled in would take longer than the run.
async fn on_full(stage: &Stage, program: &Program, load: &Load) -> Result<Cost> {
    let pool = pool(&stage.settings)?;
    let (before, _) = ledger::end(&mut *pool.acquire().await?).await?;
    let cost = pass(stage, &pool, program, load, async |pool, processor| {
        finished(pool, processor, before, load.events).await
    })
    .await?;
    let conn = &mut *pool.acquire().await?;
    let now = store::clock(conn).await?;
    counted(conn, before, &model(load.messages(), now, &stage.settings)).await?;
    Ok(cost)
}

fn tell(arguments: &GrowthArguments, pairs: &[Pair]) -> Result<()> {
    if let Some(path) = &arguments.svg {
        plot::write(path, &[drawn(arguments, pairs)])?;
    }
    let ratios =
        pairs.iter().map(|pair| pair.full.events_per_second / pair.empty.events_per_second);
    let ratio = Spread::of(ratios).unwrap_or_default();
    let cpu = Spread::of(pairs.iter().map(|pair| pair.full.cpu() / pair.empty.cpu()));
    let cpu = cpu.unwrap_or_default();
    if arguments.json {
        let side = |of: fn(&Pair) -> &Cost| pairs.iter().map(|p| of(p).json()).collect::<Vec<_>>();
        let object = json!({
            "benchmark": "growth", "history": arguments.history, "deadlines": arguments.deadlines,
            "dead_letters": arguments.dead_letters, "events": arguments.events,
            "seed": arguments.seed, "empty": side(|pair| &pair.empty),
            "full": side(|pair| &pair.full), "throughput_ratio": ratio.json(),
            "cpu_ratio": cpu.json(),
        });
        return Ok(say(&serde_json::to_string_pretty(&object)?)?);
    }
    let mut rows = table(["", "events/s", "processor", "PostgreSQL", "WAL bytes", "peak MiB"]);
    for (number, pair) in pairs.iter().enumerate() {
        for (name, cost) in [("empty", pair.empty), ("full", pair.full)] {
            rows.add_row([
                format!("{name} {}", number + 1),
                format!("{:.0}", cost.events_per_second),
                format!("{:.3}", cost.program),
                cost.postgres.map_or("-".to_owned(), |cpu| format!("{cpu:.3}")),
                format!("{:.0}", cost.wal_bytes),
                format!("{:.0}", cost.peak_mib.unwrap_or_default()),
            ]);
        }
    }
    say(&rows.trim_fmt())?;
    say(&format!("full / empty: throughput {}, CPU seconds {}", ratio.show(2), cpu.show(2)))?;
    eprintln!("CPU seconds are for 1,000 events, WAL bytes for one");
    Ok(())
}

fn drawn(arguments: &GrowthArguments, pairs: &[Pair]) -> Plot {
    let line = |name: &str, of: fn(&Pair) -> &Cost| {
        let points = pairs.iter().zip(1..);
        let points = points.map(|(pair, run)| (f64::from(run), of(pair).events_per_second));
        Line { name: name.to_owned(), points: points.collect() }
    };
    Plot {
        title: format!("events/s, {} events of history", arguments.history),
        across: "run".to_owned(),
        lines: vec![line("empty", |pair| &pair.empty), line("full", |pair| &pair.full)],
    }
}
