//! `otodoke demo`: the main job, on a real broker and a real database.
//!
//! Runs the processor in this process, tells a day of a marketplace that exercises every
//! rule, and holds what stands in the end against the rules run in memory. It works on
//! services, a database and names of its own: what others have there is never touched.

mod audience;
mod checks;
mod day;
mod log;
mod narrator;
mod play;
mod privacy;
mod summary;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use log::KeptLog;

use super::output::say;
use super::run::stop_on_signals;
use super::stage::Stage;
use crate::config::Settings;
use crate::contract::Timestamp;
use crate::processor::{self, Part, ProcessorError};
use checks::Findings;
use day::Day;
use narrator::Narrator;
use play::Play;

/// As a shell puts it: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// See the main job at work: a day of a marketplace, on a real broker and database
///
/// Publishes orders, payments, shipments and messages, and shows the derived events as they
/// come. Ends with a table of all rules and checks what stands against the rules run in
/// memory; exits 0 only if every rule was at work and nothing differs.
///
/// Where DATABASE_URL or AMQP_URL isn't set, a private server is started instead. On a given
/// server it works in a database, and under names, of its own, which it removes in the end.
/// The rules' settings are their defaults.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke demo
  otodoke demo --once
  otodoke demo --once --json | jq .ok")]
pub struct DemoArguments {
    /// End after the summary, and leave nothing behind; otherwise it runs until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Only the summary, as JSON
    #[arg(long)]
    json: bool,
}

pub async fn demo(arguments: DemoArguments, settings: &Settings) -> Result<ExitCode> {
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    if settings.services.database_url.is_none() || settings.services.amqp_url.is_none() {
        eprintln!("Starting private servers; they take a few seconds.");
    }
    let Some(stage) = stop.run_until_cancelled(Stage::set(settings)).await.transpose()? else {
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let outcome = perform(&arguments, &stage.settings, &stop).await;
    // Also after a failure; that one is then the more telling.
    let cleared = stage.clear().await;
    let code = outcome?;
    cleared?;
    Ok(code)
}

/// Processor and play side by side; the processor drains before this returns.
async fn perform(
    arguments: &DemoArguments,
    settings: &Settings,
    stop: &CancellationToken,
) -> Result<ExitCode> {
    // Not `stop` itself: the processor is to outlive the play.
    let drain = CancellationToken::new();
    let mut processor = start_processor(settings.clone(), drain.clone());
    let outcome = tokio::select! {
        outcome = show(arguments, settings, stop) => outcome,
        ended = &mut processor => {
            ended.context("the processor failed")?.context("the processor failed")?;
            bail!("the processor ended by itself");
        }
    };
    drain.cancel();
    processor.await.context("the processor failed")??;
    outcome
}

fn start_processor(
    settings: Settings,
    stop: CancellationToken,
) -> JoinHandle<Result<(), ProcessorError>> {
    let parts = Part::ALL.into_iter().collect();
    // The stage is set up already.
    tokio::spawn(async move { processor::run(&settings, &parts, false, stop).await })
}

/// The stories, the summary, and holding on until somebody ends it.
async fn show(
    arguments: &DemoArguments,
    settings: &Settings,
    stop: &CancellationToken,
) -> Result<ExitCode> {
    let narrator = Narrator::new(!arguments.json, arguments.once);
    let mut play = Play::open(settings, narrator).await?;
    let Some(findings) = stop.run_until_cancelled(tell(&mut play, settings)).await else {
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let findings = findings?;
    summary::present(&findings, arguments.json)?;
    if !arguments.once {
        hold(settings, stop).await?;
    }
    play.close().await;
    Ok(if findings.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The whole day, and what is to be found in the end.
async fn tell(play: &mut Play, settings: &Settings) -> Result<Findings> {
    let now = Timestamp::from_chrono(chrono::Utc::now());
    // Random enough that no two runs tell of the same orders.
    let run = uuid::Uuid::now_v7().as_u128() as u32;
    for story in Day::new(now, run).stories() {
        play.tell(&story).await?;
    }
    let metrics = metrics(settings.services.http_addr).await?;
    checks::findings(play, &metrics).await
}

/// What the processor tells of itself.
async fn metrics(address: SocketAddr) -> Result<String> {
    let fetch = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        std::io::Result::Ok(text)
    };
    fetch.await.with_context(|| format!("the processor's metrics at {address} can't be read"))
}

/// The processor goes on, for whoever wants to look around.
async fn hold(settings: &Settings, stop: &CancellationToken) -> Result<()> {
    let services = &settings.services;
    say("\nThe processor runs on until Ctrl-C. To look around, from another terminal:\n")?;
    say(&format!("  export DATABASE_URL='{}'", services.database_url()?))?;
    say(&format!("  export AMQP_URL='{}'", services.amqp_url()?))?;
    if !services.prefix.is_empty() {
        say(&format!("  export OTODOKE_PREFIX='{}'", services.prefix))?;
    }
    say("  otodoke tail                # derived events as they come")?;
    say(&format!("  otodoke report orders --seller {}", day::sweets()))?;
    say("  psql \"$DATABASE_URL\" -c 'TABLE read_model.orders'")?;
    say(&format!("  curl http://{}/metrics", services.http_addr))?;
    stop.cancelled().await;
    Ok(())
}
