//! How fast the whole program is: from queues that are full to an outbox that is empty,
//! batched as it comes and with one event a transaction, side by side.
//!
//! `cargo bench --bench pipeline`, in the services of DATABASE_URL and AMQP_URL, else in
//! private ones. Only the ratio of the two says something about the program; the rates
//! say as much about the machine. `OTODOKE_BENCH_EVENTS` sets the size.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use otodoke::sandbox::{Options, Sandbox};
use support::history::{distinct, history};
use support::marketplace::Marketplace;
use support::model::settled;
use support::processor::{Launch, Processor};
use support::{Services, wait_until};

const RUNS: usize = 3;
const LONG: Duration = Duration::from_secs(1800);
/// How much less is sent where each event has a transaction to itself.
const FEWER: usize = 10;
/// The kernel's unit of CPU time on every Linux that this runs on, in seconds.
const TICK: f64 = 0.01;

/// One way from full queues to an empty outbox.
struct Run {
    events_per_second: f64,
    cpu_seconds_per_1000: f64,
    peak_mib: f64,
}

#[tokio::main]
async fn main() {
    let count = std::env::var("OTODOKE_BENCH_EVENTS").ok().and_then(|text| text.parse().ok());
    let count: usize = count.unwrap_or(20_000);
    let given = std::env::var("DATABASE_URL").is_ok() && std::env::var("AMQP_URL").is_ok();
    let sandbox = match given {
        true => None,
        false => Some(Sandbox::start(Options::default()).await.expect("private servers")),
    };
    let (mut batched, mut single) = (Vec::new(), Vec::new());
    for number in 0..RUNS {
        // In turns, so that a noisy neighbour disturbs both.
        batched.push(measure(sandbox.as_ref(), number as u64, count, None).await);
        single.push(measure(sandbox.as_ref(), number as u64, count / FEWER, Some("1")).await);
    }
    show("batched (the default)", &batched);
    show("one event a transaction", &single);
    let ratio = median(&batched, |run| run.events_per_second)
        / median(&single, |run| run.events_per_second);
    println!("batched is {ratio:.1} times as fast (medians of {RUNS})");
    if let Some(sandbox) = sandbox {
        sandbox.stop().await.expect("the private servers stop");
    }
}

async fn measure(
    sandbox: Option<&Sandbox>,
    seed: u64,
    count: usize,
    batch_max: Option<&str>,
) -> Run {
    let services = match sandbox {
        Some(sandbox) => Services::at(sandbox.database_url(), sandbox.amqp_url(), None).await,
        None => Services::start().await,
    };
    let market = Marketplace::of(&services).await;
    let launch = Launch::on(&services);
    // The schema is not what is measured.
    assert!(launch.ready().await.stop().await.success());
    let events = history(seed, count);
    market.publish_events(&events).await;

    let launch = match batch_max {
        Some(most) => launch.with("OTODOKE_BATCH_MAX", most),
        None => launch,
    };
    let pool = services.pool().await;
    let begun = Instant::now();
    let mut processor = launch.start();
    wait_until(LONG, "the queues are empty", async || market.backlog().await == 0).await;
    settled(&pool, LONG, distinct(&events)).await;
    let took = begun.elapsed().as_secs_f64();
    let run = Run {
        events_per_second: count as f64 / took,
        cpu_seconds_per_1000: cpu_seconds(&processor) * 1000.0 / count as f64,
        peak_mib: peak_mib(&processor),
    };
    assert!(processor.stop().await.success());
    run
}

fn show(name: &str, runs: &[Run]) {
    println!(
        "{name}: {:.0} events/s, {:.2} CPU seconds per 1,000 events, {:.0} MiB at most",
        median(runs, |run| run.events_per_second),
        median(runs, |run| run.cpu_seconds_per_1000),
        median(runs, |run| run.peak_mib),
    );
}

fn median(runs: &[Run], of: fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Of the processor alone, in user and kernel mode.
fn cpu_seconds(processor: &Processor) -> f64 {
    let stat = process_file(processor, "stat");
    // The program's name, in brackets, may hold spaces; utime and stime are fields 14 and 15.
    let (_, rest) = stat.rsplit_once(')').expect("the kernel's format");
    let ticks = rest.split_whitespace().skip(11).take(2);
    ticks.map(|field| field.parse::<f64>().expect("a number of ticks")).sum::<f64>() * TICK
}

/// The most memory that the processor ever had.
fn peak_mib(processor: &Processor) -> f64 {
    let status = process_file(processor, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).expect("the kernel tells it");
    kib.parse::<f64>().expect("a number of KiB") / 1024.0
}

fn process_file(processor: &Processor, name: &str) -> String {
    let path = format!("/proc/{}/{name}", processor.id());
    std::fs::read_to_string(path).expect("the processor runs")
}
