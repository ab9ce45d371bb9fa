//! The comparison as tables for people and as JSON for programs.

use std::collections::BTreeMap;
use std::num::NonZero;

use anyhow::Result;
use otodoke::operator::bench::meter::Cost;
use otodoke::operator::bench::spread::Spread;
use otodoke::operator::output::{say, table};
use serde_json::{Value, json};

use crate::{Arguments, Latency, Round};

pub fn tell(arguments: &Arguments, rounds: &[Round], latencies: &[Latency]) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    if arguments.json {
        return Ok(say(&serde_json::to_string_pretty(&object(
            arguments, rounds, latencies, cores,
        ))?)?);
    }
    costs(rounds)?;
    say("")?;
    ratios(rounds, cores)?;
    if arguments.latency_rounds > 0 {
        say("")?;
        delays(latencies)?;
    }
    eprintln!(
        "medians (least-greatest); CPU seconds are for 1,000 events, WAL bytes for one; \
         the limit is that of {cores} cores doing nothing but rows and messages"
    );
    Ok(())
}

/// One of a round's four measurements.
type Part = fn(&Round) -> &Cost;

const PARTS: [(&str, Part); 4] = [
    ("otodoke", |round| &round.otodoke),
    ("habit", |round| &round.habit),
    ("rows", |round| &round.rows),
    ("messages", |round| &round.messages),
];

/// A figure of a measurement, and with how many digits it is shown.
type Figure = (&'static str, usize, fn(&Cost) -> Option<f64>);

const FIGURES: [Figure; 7] = [
    ("events_per_second", 0, |cost| Some(cost.events_per_second)),
    ("cpu_program", 3, |cost| Some(cost.program)),
    ("cpu_postgres", 3, |cost| cost.postgres),
    ("cpu_rabbitmq", 3, |cost| cost.rabbitmq),
    ("cpu_all", 3, |cost| Some(cost.cpu())),
    ("wal_bytes_per_event", 0, |cost| Some(cost.wal_bytes)),
    ("peak_mib", 0, |cost| cost.peak_mib),
];

fn costs(rounds: &[Round]) -> Result<()> {
    let header = [
        "",
        "events/s",
        "program",
        "PostgreSQL",
        "RabbitMQ",
        "CPU s in all",
        "WAL bytes",
        "peak MiB",
    ];
    let mut rows = table(header);
    for (name, part) in PARTS {
        for (number, round) in rounds.iter().enumerate() {
            let figures = FIGURES.map(|(_, digits, figure)| {
                figure(part(round)).map_or("-".to_owned(), |value| format!("{value:.digits$}"))
            });
            rows.add_row(std::iter::once(format!("{name} {}", number + 1)).chain(figures));
        }
        let figures = FIGURES.map(|(_, digits, figure)| {
            let spread = Spread::of(rounds.iter().filter_map(|round| figure(part(round))));
            spread.map_or("-".to_owned(), |spread| spread.show(digits))
        });
        rows.add_row(std::iter::once(name.to_owned()).chain(figures));
    }
    Ok(say(&rows.trim_fmt())?)
}

/// What the rounds say when one measurement is held against another of the same round.
fn compared(rounds: &[Round], cores: usize) -> Vec<(&'static str, usize, Spread)> {
    let limit = |round: &Round| cores as f64 * 1_000.0 / (round.rows.cpu() + round.messages.cpu());
    let speed = |cost: &Cost| cost.events_per_second;
    let spread = |of: &dyn Fn(&Round) -> f64| Spread::of(rounds.iter().map(of)).unwrap_or_default();
    vec![
        ("limit, events/s", 0, spread(&limit)),
        ("throughput / habit", 2, spread(&|r| speed(&r.otodoke) / speed(&r.habit))),
        ("throughput / limit", 2, spread(&|r| speed(&r.otodoke) / limit(r))),
        (
            "CPU / CPU of the limit",
            2,
            spread(&|r| r.otodoke.cpu() / (r.rows.cpu() + r.messages.cpu())),
        ),
        ("CPU / habit's CPU", 2, spread(&|r| r.otodoke.cpu() / r.habit.cpu())),
        ("WAL / bulk rows' WAL", 2, spread(&|r| r.otodoke.wal_bytes / r.rows.wal_bytes)),
        ("otodoke publishes, of 1,000", 0, spread(&|r| r.otodoke_published)),
        ("habit publishes, of 1,000", 0, spread(&|r| r.habit_published)),
    ]
}

fn ratios(rounds: &[Round], cores: usize) -> Result<()> {
    let mut rows = table(["", "median (least-greatest)"]);
    for (name, digits, spread) in compared(rounds, cores) {
        rows.add_row([name.to_owned(), spread.show(digits)]);
    }
    Ok(say(&rows.trim_fmt())?)
}

fn delays(latencies: &[Latency]) -> Result<()> {
    let mut rows = table(["", "events/s", "derived", "p50 ms", "p95 ms", "p99 ms", "max ms"]);
    for latency in latencies {
        let derived: usize = latency.rounds.iter().map(|delays| delays.count()).sum();
        let figures = percentiles(latency).into_iter().map(|(_, spread)| spread.show(1));
        let first = [latency.program.to_owned(), latency.rate.to_string(), derived.to_string()];
        rows.add_row(first.into_iter().chain(figures));
    }
    Ok(say(&rows.trim_fmt())?)
}

fn percentiles(latency: &Latency) -> Vec<(&'static str, Spread)> {
    let figures = |index: usize| {
        let values = latency.rounds.iter().map(|delays| delays.figures()[index].1);
        Spread::of(values).unwrap_or_default()
    };
    ["p50", "p95", "p99", "max"]
        .into_iter()
        .enumerate()
        .map(|(i, name)| (name, figures(i)))
        .collect()
}

fn object(arguments: &Arguments, rounds: &[Round], latencies: &[Latency], cores: usize) -> Value {
    let parts: BTreeMap<&str, Value> = PARTS
        .into_iter()
        .map(|(name, part)| {
            let figures: BTreeMap<&str, Value> = FIGURES
                .into_iter()
                .filter_map(|(figure, _, of)| {
                    let values = rounds.iter().filter_map(|round| of(part(round)));
                    Some((figure, Spread::of(values)?.json()))
                })
                .collect();
            let rounds: Vec<Value> = rounds.iter().map(|round| part(round).json()).collect();
            (name, json!({ "spread": figures, "rounds": rounds }))
        })
        .collect();
    let compared: BTreeMap<&str, Value> = compared(rounds, cores)
        .into_iter()
        .map(|(name, _, spread)| (name, spread.json()))
        .collect();
    let latencies: Vec<Value> = latencies
        .iter()
        .filter(|latency| !latency.rounds.is_empty())
        .map(|latency| {
            let figures: BTreeMap<&str, Value> = percentiles(latency)
                .into_iter()
                .map(|(name, spread)| (name, spread.json()))
                .collect();
            json!({
                "program": latency.program, "rate": latency.rate, "milliseconds": figures,
                "derived": latency.rounds.iter().map(|delays| delays.count()).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "benchmark": "compare", "events": arguments.events, "rounds": arguments.rounds,
        "seed": arguments.seed, "cores": cores, "measured": parts, "compared": compared,
        "latency": latencies,
    })
}
