//! From full queues to an empty outbox, and whether what stands then is right.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use sqlx::PgPool;

use super::meter::{Cost, Meter};
use super::processor::{Processor, Program};
use super::workload::Workload;
use crate::broker::{Names, Outcome, Outgoing, Publisher};
use crate::config::Settings;
use crate::contract::Timestamp;
use crate::operator::model::{Model, Sent, compare_derived};
use crate::operator::output::progress;
use crate::operator::stage::Stage;
use crate::store::{self, inspection, ledger, status};

/// How many messages wait for their confirms.
const CHUNK: usize = 1_000;
/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(50);
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which messages are sent: always the same ones, however often they are made.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub seed: u64,
    pub events: usize,
    /// The messages look back on the time before it.
    pub now: Timestamp,
    /// How many processors share it.
    pub processors: u8,
}

impl Load {
    /// One that looks back from this moment.
    pub fn new(seed: u64, events: usize) -> Load {
        let now = Timestamp::from_chrono(chrono::Utc::now());
        Load { seed, events, now, processors: 1 }
    }

    pub fn messages(&self) -> Workload {
        Workload::new(self.seed, self.now, self.events)
    }
}

/// Fills the queues, and measures `program` until `finished` returns. It has drained then.
pub async fn pass(
    stage: &Stage,
    pool: &PgPool,
    program: &Program,
    load: &Load,
    finished: impl AsyncFnOnce(&PgPool, &mut Processor) -> Result<()>,
) -> Result<Cost> {
    preload(&stage.settings, load).await?;
    let meter = Meter::start(stage, pool).await?;
    let mut processor = program.start(&stage.settings)?;
    let others: Vec<Processor> =
        (1..load.processors).map(|_| program.start(&stage.settings)).collect::<Result<_>>()?;
    finished(pool, &mut processor).await?;
    let all = || std::iter::once(&processor).chain(&others);
    let cost = meter.read(pool, load.events, all().map(Processor::cpu_seconds).sum()).await?;
    let peak = all().map(Processor::peak_mib).fold(0.0, f64::max);
    for processor in std::iter::once(processor).chain(others) {
        processor.stop().await?;
    }
    Ok(Cost { peak_mib: Some(peak), ..cost })
}

/// Publishes all of it.
pub async fn preload(settings: &Settings, load: &Load) -> Result<()> {
    let names = Names::new(&settings.services.prefix)?;
    let mut publisher = Publisher::open(settings.services.amqp_url()?).await?;
    let bar = progress(Some(load.events as u64), "{bar:40} {pos}/{len} published");
    let mut messages = load.messages();
    loop {
        let chunk: Vec<Outgoing> =
            messages.by_ref().take(CHUNK).map(|sent| sent.outgoing(&names)).collect();
        if chunk.is_empty() {
            break;
        }
        let outcomes = publisher.publish_all(&chunk).await;
        if outcomes.iter().any(|outcome| *outcome != Outcome::Confirmed { routed: true }) {
            bail!(
                "the broker doesn't take the workload: look whether it is short of memory or disk"
            );
        }
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    publisher.close().await;
    Ok(())
}

/// Until so many more events than `before` are taken, decided and sent.
pub async fn finished(
    pool: &PgPool,
    processor: &mut Processor,
    before: i64,
    events: usize,
) -> Result<()> {
    let mut watch = Watch::new(events);
    loop {
        tokio::time::sleep(LOOK).await;
        processor.check()?;
        let mut conn = pool.acquire().await?;
        let received = ledger::after(&mut conn, before).await?.received;
        watch.advance(received)?;
        if received < events as i64 {
            continue;
        }
        let figures = status::figures(&mut conn).await?;
        if figures.outbox == 0 && figures.wake_ups == 0 && figures.oldest_due.is_none() {
            return Ok(());
        }
    }
}

/// Shows how far it is, and notices where it stands still.
pub struct Watch {
    bar: ProgressBar,
    done: i64,
    at: Instant,
}

impl Watch {
    pub fn new(events: usize) -> Watch {
        let bar = progress(Some(events as u64), "{bar:40} {pos}/{len} {per_sec}");
        Watch { bar, done: 0, at: Instant::now() }
    }

    /// An error after two minutes without any progress.
    pub fn advance(&mut self, done: i64) -> Result<()> {
        self.bar.set_position(done.unsigned_abs());
        if done > self.done {
            (self.done, self.at) = (done, Instant::now());
        } else if self.at.elapsed() > PATIENCE {
            bail!("nothing happened for {PATIENCE:?}, after {done} events");
        }
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A run that loses or doubles anything is no result.
pub async fn verify(pool: &PgPool, load: &Load, settings: &Settings) -> Result<()> {
    let conn = &mut *pool.acquire().await?;
    let now = store::clock(conn).await?;
    let model = model(load.messages(), now, settings);
    let standing = inspection::standing(conn).await?;
    let differences = compare_derived(&model.world(now), &standing);
    counted(conn, 0, &model).await?;
    match differences.first() {
        None => Ok(()),
        Some(first) => bail!("{} derived events differ: {first}, …", differences.len()),
    }
}

/// What must come of the messages.
pub fn model(messages: impl Iterator<Item = Sent>, now: Timestamp, settings: &Settings) -> Model {
    let mut model = Model::default();
    messages.for_each(|sent| model.take(&sent, now, settings.pipeline.max_clock_skew));
    model
}

/// Whether what the ledger counted after one of its rows is what must come of the messages.
pub async fn counted(conn: &mut sqlx::PgConnection, after: i64, model: &Model) -> Result<()> {
    let count = ledger::after(conn, after).await?;
    let dead: i64 = model.dead.values().sum();
    let told = (count.accepted, count.duplicates, count.dead);
    let expected = (model.events().len() as i64, model.duplicates, dead);
    if told != expected {
        bail!("accepted, duplicates, dead: {told:?} instead of {expected:?}");
    }
    Ok(())
}
