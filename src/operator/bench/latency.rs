//! `otodoke bench latency`: from publishing an event to what is derived from it, at a steady
//! rate.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::task::JoinHandle;

use super::processor::Processor;
use super::throughput::{finished, verify};
use super::workload::Workload;
use crate::broker::{Names, Outcome, Outgoing, Publisher, Tail};
use crate::config::Settings;
use crate::contract::Timestamp;
use crate::operator::model::Sent;
use crate::operator::output::{progress, say, table};
use crate::operator::stage::Stage;
use crate::processor::pool;

/// How long a derived event takes behind the event that made it true, at a steady rate
#[derive(Debug, clap::Args)]
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

/// How often what is due by then is published.
const TICK: Duration = Duration::from_millis(5);

pub async fn run(arguments: LatencyArguments, settings: &Settings) -> Result<ExitCode> {
    let stage = Stage::set(settings).await?;
    let measured = measure(&stage, &arguments).await;
    stage.clear().await?;
    tell(&arguments, measured?)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(stage: &Stage, arguments: &LatencyArguments) -> Result<Vec<f64>> {
    let settings = &stage.settings;
    let count = arguments.rate as usize * arguments.seconds as usize;
    let now = Timestamp::from_chrono(chrono::Utc::now());
    let workload = Workload::new(arguments.seed, now).events(count);
    let names = Names::new(&settings.services.prefix)?;
    let mut processor = Processor::start(settings)?;
    processor.ready().await?;
    let heard = listen(settings, &names).await?;
    let sent = publish(settings, &names, &workload, arguments.rate).await?;
    let pool = pool(settings)?;
    finished(&pool, &mut processor, count).await?;
    processor.stop().await?;
    verify(&pool, &workload, settings).await?;
    pool.close().await;
    heard.stop.cancel();
    let heard = heard.task.await.context("the subscriber failed")??;
    let warm = workload.len() / 10;
    let mut times: Vec<f64> = heard
        .into_iter()
        .filter_map(|(cause, at)| {
            let (index, published) = sent.get(&cause)?;
            (*index >= warm).then(|| at.saturating_duration_since(*published).as_secs_f64() * 1e3)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Which event a derived one follows from, and when that one arrived.
type Heard = Vec<(String, Instant)>;

struct Listener {
    task: JoinHandle<Result<Heard>>,
    stop: tokio_util::sync::CancellationToken,
}

async fn listen(settings: &Settings, names: &Names) -> Result<Listener> {
    let mut tail = Tail::open(settings.services.amqp_url()?, names, &["#".to_owned()]).await?;
    let stop = tokio_util::sync::CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        let mut heard = Heard::new();
        while let Some(delivery) = stopped.run_until_cancelled(tail.next()).await {
            let at = Instant::now();
            if let Some(cause) = cause(&delivery?.body) {
                heard.push((cause, at));
            }
        }
        Ok(heard)
    });
    Ok(Listener { task, stop })
}

/// The id of the event that made it true.
fn cause(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Caused {
        causationid: String,
    }
    let caused: Caused = serde_json::from_slice(body).ok()?;
    caused.causationid.split_once(' ').map(|(_, id)| id.to_owned())
}

/// Publishes at the rate, and tells when each event was first published, and as which.
async fn publish(
    settings: &Settings,
    names: &Names,
    workload: &[Sent],
    rate: u32,
) -> Result<HashMap<String, (usize, Instant)>> {
    let mut publisher = Publisher::open(settings.services.amqp_url()?).await?;
    let bar = progress(Some(workload.len() as u64), "{bar:40} {pos}/{len} {per_sec}");
    let (mut sent, mut done) = (HashMap::new(), 0);
    let begun = Instant::now();
    while done < workload.len() {
        let due = (begun.elapsed().as_secs_f64() * f64::from(rate)) as usize;
        let due = due.clamp(done, workload.len());
        let messages: Vec<Outgoing> =
            workload[done..due].iter().map(|sent| sent.outgoing(names)).collect();
        let at = Instant::now();
        for (index, event) in workload[done..due].iter().enumerate() {
            sent.entry(event.event_id.clone()).or_insert((done + index, at));
        }
        let outcomes = publisher.publish_all(&messages).await;
        if outcomes.iter().any(|outcome| *outcome != Outcome::Confirmed { routed: true }) {
            bail!("the broker doesn't take the workload");
        }
        bar.inc((due - done) as u64);
        done = due;
        tokio::time::sleep(TICK).await;
    }
    bar.finish_and_clear();
    publisher.close().await;
    Ok(sent)
}

fn tell(arguments: &LatencyArguments, times: Vec<f64>) -> Result<()> {
    let at = |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len() - 1));
    let at = |share: f64| if times.is_empty() { 0.0 } else { *at(share).unwrap_or(&0.0) };
    let figures = [("p50", at(0.5)), ("p95", at(0.95)), ("p99", at(0.99)), ("max", at(1.0))];
    if arguments.json {
        let object = json!({
            "benchmark": "latency", "rate": arguments.rate, "seconds": arguments.seconds,
            "seed": arguments.seed, "derived": times.len(),
            "milliseconds": figures.iter().copied().collect::<HashMap<_, _>>(),
        });
        return Ok(say(&serde_json::to_string_pretty(&object)?)?);
    }
    let mut rows = table(["events/s", "derived", "p50", "p95", "p99", "max"]);
    let [p50, p95, p99, max] = figures.map(|(_, time)| format!("{time:.1} ms"));
    rows.add_row([arguments.rate.to_string(), times.len().to_string(), p50, p95, p99, max]);
    say(&rows.trim_fmt())?;
    Ok(())
}
