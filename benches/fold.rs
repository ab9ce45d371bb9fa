//! How fast the rules are by themselves: a whole marketplace decided from memory.
//!
//! `cargo bench --bench fold`; `OTODOKE_BENCH_EVENTS` sets the size.

#[path = "../tests/support/generate.rs"]
#[allow(dead_code, reason = "a benchmark needs only the histories")]
mod generate;

use std::time::{Duration, Instant};

use generate::Generator;
use otodoke::contract::Timestamp;
use otodoke::rules::Policy;
use otodoke::rules::world::decide_all;

const RUNS: usize = 5;

fn main() {
    let count = std::env::var("OTODOKE_BENCH_EVENTS").ok().and_then(|text| text.parse().ok());
    let events = Generator::new(1).events(count.unwrap_or(50_000));
    let as_of: Timestamp = "2027-01-01T00:00:00Z".parse().expect("a moment");
    let mut times: Vec<Duration> = Vec::new();
    let (mut cases, mut derived) = (0, 0);
    for _ in 0..RUNS {
        let begun = Instant::now();
        let world = decide_all(&events, &Policy::default(), as_of);
        times.push(begun.elapsed());
        cases = world.cases.len();
        derived = world.cases.values().map(|decision| decision.derived.len()).sum();
    }
    times.sort();
    let median = times[RUNS / 2].as_secs_f64();
    println!(
        "fold: {} events in {cases} cases, {derived} derived: {:.0} events/s, {:.1} µs a case \
         (median of {RUNS})",
        events.len(),
        events.len() as f64 / median,
        median * 1e6 / cases as f64
    );
}
