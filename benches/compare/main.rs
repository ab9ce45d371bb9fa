//! Otodoke beside what could be done at most and what is done by habit, in one run.
//!
//! `cargo bench --bench compare`; `-- --help` tells the options. In each round, one after the
//! other and each on servers of its own that were just started:
//!
//! - Otodoke, from full queues to an empty outbox; what stands in the end is held against the
//!   rules;
//! - rows: what that run has left, written in bulk from memory ([`rows`]);
//! - messages: what it took and published, with no database ([`messages`]);
//! - habit: a consumer as a good team writes it by hand ([`habit`]).
//!
//! Rows and messages are both needed by whoever keeps the same rows and sends the same messages:
//! their CPU seconds together bound what that many cores can do. Then the delay from publishing
//! to the derived event, of Otodoke and habit in turns, at steady rates.

mod capture;
mod habit;
mod messages;
mod report;
mod rows;
mod tables;

use anyhow::{Result, bail, ensure};
use clap::Parser;
use otodoke::config::Settings;
use otodoke::operator::bench::delay::{self, Delays};
use otodoke::operator::bench::meter::Cost;
use otodoke::operator::bench::passage::{Load, Watch, model, pass};
use otodoke::operator::bench::processor::{Processor, Program};
use otodoke::operator::bench::spread::Spread;
use otodoke::operator::bench::{latency, throughput};
use otodoke::operator::stage::Stage;
use otodoke::processor::pool;
use otodoke::store::{self, inspection};
use sqlx::PgPool;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use capture::{Caught, capture};
use rows::Rows;

/// The same as the program's, so that neither side has another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OTODOKE: &str = env!("CARGO_BIN_EXE_otodoke");
const LOOK: Duration = Duration::from_millis(50);
/// At which share of its own top speed Otodoke's delay is measured.
const LOADED: f64 = 0.8;

/// Otodoke beside bulk rows, bare messages and a consumer written by hand, in one run
#[derive(Parser, Debug)]
#[command(
    name = "compare",
    after_help = "Examples:
  cargo bench --bench compare
  cargo bench --bench compare -- --events 20000 --rounds 3 --latency-rounds 0
  cargo bench --bench compare -- --json > compare.json"
)]
pub struct Arguments {
    /// Events in a round
    #[arg(long, env = "OTODOKE_BENCH_EVENTS", default_value_t = 50_000, value_name = "COUNT")]
    events: usize,
    /// Rounds of throughput; medians count, and how far apart the rounds lie is shown
    #[arg(long, env = "OTODOKE_BENCH_ROUNDS", default_value_t = 5, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Rounds of latency; 0 leaves it out
    #[arg(long, env = "OTODOKE_BENCH_LATENCY_ROUNDS", default_value_t = 3, value_name = "COUNT")]
    latency_rounds: u32,
    /// Events in a second, for latency
    #[arg(long, env = "OTODOKE_BENCH_RATES", default_values_t = [200, 1_000],
          value_delimiter = ',', value_name = "COUNT")]
    rates: Vec<u32>,
    /// How long a round of latency takes, in seconds; the first tenth isn't counted
    #[arg(long, env = "OTODOKE_BENCH_SECONDS", default_value_t = 20, value_name = "SECONDS")]
    seconds: u32,
    /// What the workload is made from
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// What cargo passes
    #[arg(long, hide = true)]
    bench: bool,
    /// `habit`: run as the consumer that is compared with
    #[arg(hide = true)]
    part: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

/// What a round of throughput came to.
pub struct Round {
    pub otodoke: Cost,
    pub habit: Cost,
    pub rows: Cost,
    pub messages: Cost,
    /// Messages published for 1,000 events.
    pub otodoke_published: f64,
    pub habit_published: f64,
}

/// Delays of one program at one rate, round by round.
pub struct Latency {
    pub program: &'static str,
    pub rate: u32,
    pub rounds: Vec<Delays>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.part.as_deref() {
        Some("habit") => habit::run().await,
        Some(other) => bail!("`{other}` is no part of this benchmark; --help tells what is"),
        None => compare(arguments).await,
    }
}

async fn compare(arguments: Arguments) -> Result<()> {
    let settings = &arguments.settings;
    ensure!(arguments.events > 0 && arguments.seconds > 0, "give a number above 0");
    eprintln!("what goes through the outbox");
    let first = Load::new(arguments.seed, arguments.events);
    let stage = Stage::set(settings).await?;
    let caught = capture(&stage, OTODOKE, &first).await;
    stage.clear().await?;
    let caught = caught?;
    let mut rounds = Vec::new();
    for number in 0..arguments.rounds {
        eprintln!("round {} of {}", number + 1, arguments.rounds);
        let load = Load::new(arguments.seed + u64::from(number), arguments.events);
        rounds.push(round(settings, &load, &caught, number % 2 == 1).await?);
    }
    let top = Spread::of(rounds.iter().map(|round| round.otodoke.events_per_second));
    let loaded = top.map_or(0.0, |top| top.median * LOADED) as u32;
    let latencies = latencies(&arguments, loaded.max(1)).await?;
    report::tell(&arguments, &rounds, &latencies)
}

/// The order changes from round to round, so that none always has the warmer disk.
async fn round(
    settings: &Settings,
    load: &Load,
    caught: &Caught,
    habit_first: bool,
) -> Result<Round> {
    let habit_before = if habit_first { Some(habit(settings, load).await?) } else { None };
    let (otodoke, rows) = otodoke(settings, load, caught).await?;
    let written = on_stage(settings, async |stage| rows::measure(stage, &rows, load.events).await);
    let written = written.await?;
    let messages = on_stage(settings, async |stage| {
        messages::measure(stage, load, &caught.messages, rows.queued).await
    });
    let messages = messages.await?;
    let (habit, habit_published) = match habit_before {
        Some(measured) => measured,
        None => habit(settings, load).await?,
    };
    let otodoke_published = rows.queued as f64 * 1_000.0 / load.events as f64;
    Ok(Round { otodoke, habit, rows: written, messages, otodoke_published, habit_published })
}

/// Sets a stage, and clears it whatever comes of it.
async fn on_stage<T>(
    settings: &Settings,
    play: impl AsyncFnOnce(&Stage) -> Result<T>,
) -> Result<T> {
    let stage = Stage::set(settings).await?;
    let outcome = play(&stage).await;
    stage.clear().await?;
    outcome
}

async fn otodoke(settings: &Settings, load: &Load, caught: &Caught) -> Result<(Cost, Rows)> {
    on_stage(settings, async |stage| {
        let program = Program::new(OTODOKE, ["run"]);
        let cost = throughput::measure(stage, &program, load).await?;
        let pool = pool(&stage.settings)?;
        let conn = &mut *pool.acquire().await?;
        let rows = Rows {
            tables: tables::read_all(conn).await?,
            partitions: tables::partitions(conn).await?,
            outbox: caught.outbox.clone(),
            queued: inspection::queued(conn).await?.unsigned_abs() as usize,
        };
        Ok((cost, rows))
    })
    .await
}

fn habit_program() -> Result<Program> {
    Ok(Program::new(std::env::current_exe()?, ["habit"]))
}

/// What the consumer by hand costs, and how many messages it publishes for 1,000 events.
async fn habit(settings: &Settings, load: &Load) -> Result<(Cost, f64)> {
    on_stage(settings, async |stage| {
        let pool = pool(&stage.settings)?;
        habit::set_up(&pool).await?;
        let cost = pass(stage, &pool, &habit_program()?, load, async |pool, processor| {
            processor.ready().await?;
            habit_finished(stage, pool, processor, load.events).await
        })
        .await?;
        let published = habit_verified(&pool, load, &stage.settings).await?;
        Ok((cost, published * 1_000.0 / load.events as f64))
    })
    .await
}

async fn habit_finished(
    stage: &Stage,
    pool: &PgPool,
    processor: &mut Processor,
    events: usize,
) -> Result<()> {
    let mut watch = Watch::new(events);
    loop {
        tokio::time::sleep(LOOK).await;
        processor.check()?;
        let mut done = String::new();
        TcpStream::connect(stage.settings.services.http_addr)
            .await?
            .read_to_string(&mut done)
            .await?;
        let done: i64 = done.parse()?;
        watch.advance(done)?;
        if done < events as i64 {
            continue;
        }
        let left: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM habit.outbox)").fetch_one(pool).await?;
        if !left {
            return Ok(());
        }
    }
}

/// It must have taken what Otodoke takes. How many messages it has published.
async fn habit_verified(pool: &PgPool, load: &Load, settings: &Settings) -> Result<f64> {
    let now = store::clock(&mut *pool.acquire().await?).await?;
    let expected = model(load.messages(), now, settings).events().len() as i64;
    let taken: i64 = sqlx::query_scalar("SELECT count(*) FROM habit.inbox").fetch_one(pool).await?;
    ensure!(taken == expected, "habit took {taken} events instead of {expected}");
    let published: i64 = sqlx::query_scalar(
        "SELECT coalesce(last_value, 0) FROM pg_sequences
         WHERE schemaname = 'habit' AND sequencename = 'outbox_position_seq'",
    )
    .fetch_one(pool)
    .await?;
    Ok(published as f64)
}

async fn latencies(arguments: &Arguments, loaded: u32) -> Result<Vec<Latency>> {
    let mut latencies = Vec::new();
    for rate in &arguments.rates {
        for program in ["otodoke", "habit"] {
            latencies.push(Latency { program, rate: *rate, rounds: Vec::new() });
        }
    }
    latencies.push(Latency { program: "otodoke", rate: loaded, rounds: Vec::new() });
    for number in 0..arguments.latency_rounds {
        for latency in &mut latencies {
            eprintln!(
                "latency of {} at {} events/s, round {} of {}",
                latency.program,
                latency.rate,
                number + 1,
                arguments.latency_rounds
            );
            let events = latency.rate as usize * arguments.seconds as usize;
            let load = Load::new(arguments.seed + u64::from(number), events);
            let measured = on_stage(&arguments.settings, async |stage| match latency.program {
                "habit" => habit_latency(stage, &load, latency.rate).await,
                _ => {
                    let program = Program::new(OTODOKE, ["run"]);
                    latency::measure(stage, &program, &load, latency.rate).await
                }
            });
            latency.rounds.push(measured.await?);
        }
    }
    Ok(latencies)
}

async fn habit_latency(stage: &Stage, load: &Load, rate: u32) -> Result<Delays> {
    let pool = pool(&stage.settings)?;
    habit::set_up(&pool).await?;
    let program = habit_program()?;
    let delays = delay::measure(stage, &pool, &program, load, rate, async |pool, processor| {
        habit_finished(stage, pool, processor, load.events).await
    })
    .await?;
    habit_verified(&pool, load, &stage.settings).await?;
    Ok(delays)
}
