//! From publishing an event to what is derived from it, at a steady rate.

mod causes;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use causes::{Causes, Heard};

use super::passage::Load;
use super::processor::{Processor, Program};
use super::spread::percentile;
use crate::broker::{Flow, Names, Outgoing, Tail};
use crate::config::Settings;
use crate::operator::model::Sent;
use crate::operator::output::progress;
use crate::operator::stage::Stage;

/// How often what is due by then is published.
const TICK: Duration = Duration::from_millis(1);

/// How long what was derived took, in milliseconds.
#[derive(Clone, Debug)]
pub struct Delays {
    sorted: Vec<f64>,
}

impl Delays {
    pub fn new(mut delays: Vec<f64>) -> Delays {
        delays.sort_by(f64::total_cmp);
        Delays { sorted: delays }
    }

    /// How many were counted.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// p50, p95, p99 and the longest.
    pub fn figures(&self) -> [(&'static str, f64); 4] {
        [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)]
            .map(|(name, share)| (name, percentile(&self.sorted, share)))
    }
}

/// Publishes the load at a rate to a running `program`, until `finished` returns.
pub async fn measure(
    stage: &Stage,
    pool: &PgPool,
    program: &Program,
    load: &Load,
    rate: u32,
    finished: impl AsyncFnOnce(&PgPool, &mut Processor) -> Result<()>,
) -> Result<Delays> {
    let settings = &stage.settings;
    let mut processor = program.start(settings)?;
    processor.ready().await?;
    let heard = Listener::open(settings).await?;
    let causes = Arc::new(Mutex::new(Causes::of(load.messages())));
    // Made before: making them would take time between two of them.
    let messages: Vec<Sent> = load.messages().collect();
    publish(settings, messages.into_iter(), rate, &causes).await?;
    finished(pool, &mut processor).await?;
    processor.stop().await?;
    let heard = heard.stop().await?;
    let mut causes = causes.lock().unwrap_or_else(PoisonError::into_inner);
    let delays = heard.into_iter().filter_map(|(heard, at)| causes.delay(&heard, at));
    Ok(Delays::new(delays.collect()))
}

/// Publishes at a steady rate without waiting for confirms, and notes when it did.
pub async fn publish(
    settings: &Settings,
    mut messages: impl ExactSizeIterator<Item = Sent>,
    rate: u32,
    causes: &Mutex<Causes>,
) -> Result<()> {
    let names = Names::new(&settings.services.prefix)?;
    let mut flow = Flow::open(settings.services.amqp_url()?).await?;
    let all = messages.len();
    let bar = progress(Some(all as u64), "{bar:40} {pos}/{len} {per_sec}");
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (begun, mut done) = (Instant::now(), 0);
    while done < all {
        ticks.tick().await;
        let due = (begun.elapsed().as_secs_f64() * f64::from(rate)) as usize;
        for sent in messages.by_ref().take(due.min(all).saturating_sub(done)) {
            let message: Outgoing = sent.outgoing(&names);
            causes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .published(&sent.event_id, Instant::now());
            flow.send(&message).await?;
            done += 1;
        }
        bar.set_position(done as u64);
    }
    bar.finish_and_clear();
    match flow.finish().await? {
        0 => Ok(()),
        refused => bail!("the broker didn't take {refused} of {all} messages"),
    }
}

/// Takes down what is derived, and when it arrived.
pub struct Listener {
    task: JoinHandle<Result<()>>,
    heard: Arc<Mutex<Vec<(Heard, Instant)>>>,
    stop: CancellationToken,
}

impl Listener {
    pub async fn open(settings: &Settings) -> Result<Listener> {
        let names = Names::new(&settings.services.prefix)?;
        let url = settings.services.amqp_url()?;
        let mut tail = Tail::open(url, &names, &["#".to_owned()]).await?;
        let (stop, heard) = (CancellationToken::new(), Arc::<Mutex<Vec<_>>>::default());
        let (stopped, all) = (stop.clone(), heard.clone());
        let task = tokio::spawn(async move {
            while let Some(delivery) = stopped.run_until_cancelled(tail.next()).await {
                let (delivery, at) = (delivery?, Instant::now());
                // An alert of a dead letter has no cause.
                if let Ok(heard) = serde_json::from_slice(&delivery.body) {
                    all.lock().unwrap_or_else(PoisonError::into_inner).push((heard, at));
                }
            }
            Ok(())
        });
        Ok(Listener { task, heard, stop })
    }

    /// What was heard since the last time.
    pub fn take(&self) -> Vec<(Heard, Instant)> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was heard since the last time, and the end.
    pub async fn stop(self) -> Result<Vec<(Heard, Instant)>> {
        self.stop.cancel();
        let Listener { task, heard, .. } = self;
        task.await.context("the subscriber failed")??;
        Ok(std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
