//! `otodoke run`: the processor.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::processor::{self, Part};

/// Run the processor: consumers, relay, timers and the HTTP endpoints
///
/// Applies migrations and declares the topology first, unless --no-setup. While broker or
/// database are away it says so, waits, and goes on by itself. SIGTERM and Ctrl-C let it
/// finish what it has in hand. Several may run side by side on the same queues.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke run
  otodoke run --only consume,http
  otodoke run --only relay,timers --no-setup")]
pub struct RunArguments {
    /// Only these parts: consume, relay, timers, http
    #[arg(long, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// Leave the database's schema and the broker's topology as they are
    #[arg(long)]
    no_setup: bool,
}

pub async fn run(arguments: RunArguments, settings: &Settings) -> Result<ExitCode> {
    let parts: BTreeSet<Part> = match arguments.only.is_empty() {
        true => Part::ALL.into_iter().collect(),
        false => arguments.only.into_iter().collect(),
    };
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    processor::run(settings, &parts, !arguments.no_setup, stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// SIGTERM or Ctrl-C end it in good order; a second one at once.
pub fn stop_on_signals(stop: &CancellationToken) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for Ctrl-C")?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: what is in hand is finished first");
        stop.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
    Ok(())
}
