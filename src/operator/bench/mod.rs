//! `otodoke bench`: how fast it is on this machine, and what that costs.
//!
//! A benchmark runs this very program as a process of its own, on private servers or on a
//! database and names of its own on given ones. Each run is held against the rules run in
//! memory: one that loses or doubles anything is an error, not a figure.

pub mod cost;
pub mod delay;
mod growth;
pub mod latency;
pub mod meter;
pub mod passage;
pub mod plot;
pub mod processor;
mod soak;
pub mod spread;
pub mod throughput;
pub mod workload;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::config::Settings;

/// Measure this program on this machine: throughput (by itself too), latency, soak, growth
///
/// The workload is made from a seed: orders of two thirds as many buyers, with all that follows,
/// bodies of about 1 KB, 3 % out of order, 1 % twice, 0.1 % wrong. What stands in the end is
/// compared with the rules run in memory. Machines differ and have neighbours:
/// compare only figures of one machine and time, CPU seconds rather than rates.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  otodoke bench throughput                        from full queues to an empty outbox
  otodoke bench throughput --events 100000 --runs 5 --json
  otodoke bench latency --rate 1000               from publishing to the derived event
  otodoke bench soak --minutes 30 --svg soak.svg  whether it stays as it is for half an hour
  otodoke bench growth --history 10000000         whether a full database slows it down

`cargo bench --bench compare`, in the source, holds it against bulk rows, bare messages and a
consumer written by hand, in one run."
)]
pub struct BenchArguments {
    #[command(subcommand)]
    command: Option<BenchCommand>,
    #[command(flatten)]
    throughput: throughput::ThroughputArguments,
}

#[derive(Subcommand, Debug)]
enum BenchCommand {
    Throughput(throughput::ThroughputArguments),
    Latency(latency::LatencyArguments),
    Soak(soak::SoakArguments),
    Growth(growth::GrowthArguments),
}

pub async fn bench(arguments: BenchArguments, settings: &Settings) -> Result<ExitCode> {
    match arguments.command.unwrap_or(BenchCommand::Throughput(arguments.throughput)) {
        BenchCommand::Throughput(arguments) => throughput::run(arguments, settings).await,
        BenchCommand::Latency(arguments) => latency::run(arguments, settings).await,
        BenchCommand::Soak(arguments) => soak::run(arguments, settings).await,
        BenchCommand::Growth(arguments) => growth::run(arguments, settings).await,
    }
}
