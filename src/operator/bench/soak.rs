//! `otodoke bench soak`: whether it stays as it is while events come on and on, also while
//! somebody else's transaction keeps the database from cleaning up.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::pool::PoolConnection;

use super::cost::memory_mib;
use super::delay::{Causes, Delays, Listener, publish};
use super::passage::{Load, finished, verify};
use super::plot::{self, Line, Plot};
use super::processor::{Processor, Program};
use crate::config::Settings;
use crate::operator::output::{say, table};
use crate::operator::stage::Stage;
use crate::processor::pool;
use crate::store::inspection::{self, Weight};
use crate::store::ledger;

/// Whether delays, memory and tables stay as they are at a steady rate
///
/// With --hold-transaction another session keeps a transaction open in the middle third: what
/// is deleted meanwhile can't be cleaned up until it ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke bench soak --minutes 30 --rate 500
  otodoke bench soak --minutes 30 --rate 500 --hold-transaction --svg soak.svg")]
pub struct SoakArguments {
    /// How long events are published; fractions are fine
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0, value_parser = minutes)]
    minutes: f64,
    /// Events published in a second
    #[arg(long, value_name = "COUNT", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Keep a transaction open in the middle third
    #[arg(long)]
    hold_transaction: bool,
    /// How often it is looked, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
    /// What the workload is made from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Draw the samples into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse().ok().filter(|minutes| (0.05..=100_000.0).contains(minutes));
    minutes.ok_or_else(|| format!("`{text}` is no number of minutes from 0.05 to 100000"))
}

/// How things stood at a moment.
struct Sample {
    seconds: f64,
    events_per_second: f64,
    p99_ms: f64,
    memory_mib: f64,
    tables: Vec<Weight>,
    lock_waits: i64,
    /// Somebody keeps a transaction open.
    held: bool,
}

pub async fn run(arguments: SoakArguments, settings: &Settings) -> Result<ExitCode> {
    let stage = Stage::set(settings).await?;
    let samples = measure(&stage, &arguments).await;
    stage.clear().await?;
    tell(&arguments, &samples?)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(stage: &Stage, arguments: &SoakArguments) -> Result<Vec<Sample>> {
    let settings = &stage.settings;
    let events = (arguments.minutes * 60.0 * f64::from(arguments.rate)).ceil() as usize;
    let load = Load::new(arguments.seed, events);
    let pool = pool(settings)?;
    let mut processor = Program::own()?.start(settings)?;
    processor.ready().await?;
    let causes = Mutex::new(Causes::of(load.messages()));
    let mut watch = Watch {
        listener: Listener::open(settings).await?,
        pool: &pool,
        causes: &causes,
        begun: Instant::now(),
        counted: (0, Instant::now()),
        samples: Vec::new(),
        held: None,
    };
    tokio::select! {
        published = publish(settings, load.messages(), arguments.rate, &causes) => published?,
        error = watch.look(arguments, &mut processor) => return Err(error),
    }
    finished(&pool, &mut processor, 0, events).await?;
    watch.sample(&processor).await?;
    processor.stop().await?;
    let Watch { listener, samples, held, .. } = watch;
    listener.stop().await?;
    drop(held);
    verify(&pool, &load, settings).await?;
    pool.close().await;
    Ok(samples)
}

struct Watch<'a> {
    listener: Listener,
    pool: &'a PgPool,
    causes: &'a Mutex<Causes>,
    begun: Instant,
    /// The ledger's last row that was counted, and when.
    counted: (i64, Instant),
    samples: Vec<Sample>,
    /// Keeps the transaction open.
    held: Option<PoolConnection<sqlx::Postgres>>,
}

impl Watch<'_> {
    /// Until it is dropped, or fails.
    async fn look(
        &mut self,
        arguments: &SoakArguments,
        processor: &mut Processor,
    ) -> anyhow::Error {
        let mut ticks = tokio::time::interval(Duration::from_secs(arguments.every));
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let looked = async {
                processor.check()?;
                if arguments.hold_transaction {
                    self.hold(arguments.minutes * 60.0).await?;
                }
                self.sample(processor).await
            };
            if let Err(error) = looked.await {
                return error;
            }
        }
    }

    async fn hold(&mut self, all: f64) -> Result<()> {
        let share = self.begun.elapsed().as_secs_f64() / all;
        let is_due = (1.0 / 3.0..2.0 / 3.0).contains(&share);
        if is_due && self.held.is_none() {
            let mut held = self.pool.acquire().await?;
            held.close_on_drop();
            inspection::hold_horizon(&mut held).await?;
            self.held = Some(held);
        } else if !is_due {
            self.held = None;
        }
        Ok(())
    }

    async fn sample(&mut self, processor: &Processor) -> Result<()> {
        let conn = &mut *self.pool.acquire().await?;
        let (before, since) = self.counted;
        let received = ledger::after(conn, before).await?.received;
        let (end, _) = ledger::end(conn).await?;
        self.counted = (end, Instant::now());
        let heard = self.listener.take();
        let delays = {
            let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
            heard.iter().filter_map(|(heard, at)| causes.delay(heard, *at)).collect()
        };
        let [_, _, (_, p99), _] = Delays::new(delays).figures();
        self.samples.push(Sample {
            seconds: self.begun.elapsed().as_secs_f64(),
            events_per_second: received as f64 / since.elapsed().as_secs_f64().max(1e-3),
            p99_ms: p99,
            memory_mib: memory_mib(processor.id()),
            tables: inspection::weights(conn).await?,
            lock_waits: inspection::lock_waits(conn).await?,
            held: self.held.is_some(),
        });
        Ok(())
    }
}

fn tell(arguments: &SoakArguments, samples: &[Sample]) -> Result<()> {
    if let Some(path) = &arguments.svg {
        plot::write(path, &drawn(samples))?;
    }
    if arguments.json {
        let object = json!({
            "benchmark": "soak", "minutes": arguments.minutes, "rate": arguments.rate,
            "hold_transaction": arguments.hold_transaction, "seed": arguments.seed,
            "samples": samples.iter().map(object).collect::<Vec<_>>(),
        });
        return Ok(say(&serde_json::to_string_pretty(&object)?)?);
    }
    let header = ["second", "events/s", "p99 ms", "MiB", "lock waits", "held", "KiB (dead rows)"];
    let mut rows = table(header);
    for sample in samples {
        let tables = sample.tables.iter();
        let tables = tables.map(|t| format!("{} {} ({})", t.name, t.bytes / 1024, t.dead_rows));
        rows.add_row([
            format!("{:.0}", sample.seconds),
            format!("{:.0}", sample.events_per_second),
            format!("{:.1}", sample.p99_ms),
            format!("{:.0}", sample.memory_mib),
            sample.lock_waits.to_string(),
            if sample.held { "yes" } else { "" }.to_owned(),
            tables.collect::<Vec<_>>().join(", "),
        ]);
    }
    say(&rows.trim_fmt())?;
    eprintln!("what stands in the end is what the rules say");
    Ok(())
}

fn object(sample: &Sample) -> Value {
    let tables = sample.tables.iter().map(|table| {
        (table.name.clone(), json!({ "bytes": table.bytes, "dead_rows": table.dead_rows }))
    });
    json!({
        "seconds": sample.seconds, "events_per_second": sample.events_per_second,
        "p99_ms": sample.p99_ms, "memory_mib": sample.memory_mib,
        "lock_waits": sample.lock_waits, "transaction_held": sample.held,
        "tables": tables.collect::<serde_json::Map<_, _>>(),
    })
}

fn drawn(samples: &[Sample]) -> Vec<Plot> {
    let line = |name: &str, of: &dyn Fn(&Sample) -> f64| Line {
        name: name.to_owned(),
        points: samples.iter().map(|sample| (sample.seconds, of(sample))).collect(),
    };
    let tables = |of: fn(&Weight) -> f64| -> Vec<Line> {
        let names = samples.first().map_or(&[][..], |sample| &sample.tables).iter().enumerate();
        names
            .map(|(index, table)| {
                let of = |sample: &Sample| sample.tables.get(index).map_or(0.0, of);
                line(&table.name, &of)
            })
            .collect()
    };
    let plot = |title: &str, lines| Plot { title: title.to_owned(), across: "s".to_owned(), lines };
    vec![
        plot("events/s", vec![line("", &|s| s.events_per_second)]),
        plot("p99, ms", vec![line("", &|s| s.p99_ms)]),
        plot("memory of the processor, MiB", vec![line("", &|s| s.memory_mib)]),
        plot("tables, MiB", tables(|table| table.bytes as f64 / 1024.0 / 1024.0)),
        plot("dead rows", tables(|table| table.dead_rows as f64)),
        plot(
            "transaction held (1), lock waits",
            vec![
                line("held", &|s| f64::from(u8::from(s.held))),
                line("lock waits", &|s| s.lock_waits as f64),
            ],
        ),
    ]
}
