//! The second half of the limit: the same messages taken, acknowledged and published with
//! confirms, with no database.

use std::time::Duration;

use anyhow::{Result, ensure};
use otodoke::broker::{Consumer, Names, Outcome, Outgoing, Publisher, Subscription, Token};
use otodoke::contract::Stream;
use otodoke::operator::bench::cost::own_cpu_seconds;
use otodoke::operator::bench::meter::{Cost, Meter};
use otodoke::operator::bench::passage::{Load, preload};
use otodoke::operator::stage::Stage;
use otodoke::processor::pool;
use tokio::time::timeout;

/// How many are acknowledged at once.
const BATCH: usize = 500;
const PREFETCH: u16 = 2_000;
/// How long a batch waits to be filled: the broker may be waiting for the acks of what is in it.
const LINGER: Duration = Duration::from_millis(20);

/// Takes a load from the queues of a fresh stage, and publishes `derived` messages like those
/// of another run.
pub async fn measure(
    stage: &Stage,
    load: &Load,
    like: &[Outgoing],
    derived: usize,
) -> Result<Cost> {
    preload(&stage.settings, load).await?;
    let settings = &stage.settings;
    let names = Names::new(&settings.services.prefix)?;
    let pool = pool(settings)?;
    let url = settings.services.amqp_url()?;
    let (meter, before) = (Meter::start(stage, &pool).await?, own_cpu_seconds());
    let subscription = Subscription::Streams(Stream::ALL.to_vec());
    let mut consumer = Consumer::open(url, &names, &subscription, PREFETCH).await?;
    let acks = consumer.acks();
    let mut publisher = Publisher::open(url).await?;
    let (mut taken, mut published) = (0, 0);
    while taken < load.events {
        let tokens = batch(&mut consumer, BATCH.min(load.events - taken)).await?;
        taken += tokens.len();
        let due = derived * taken / load.events;
        let messages: Vec<Outgoing> = like
            .iter()
            .cycle()
            .skip(published % like.len().max(1))
            .take(due - published)
            .cloned()
            .collect();
        let outcomes = publisher.publish_all(&messages).await;
        let confirmed = |outcome: &Outcome| matches!(outcome, Outcome::Confirmed { .. });
        ensure!(outcomes.iter().all(confirmed), "the broker doesn't take the messages");
        published = due;
        acks.done(tokens);
        acks.flush().await?;
    }
    let cost = meter.read(&pool, load.events, own_cpu_seconds() - before).await?;
    publisher.close().await;
    consumer.close().await;
    Ok(cost)
}

async fn batch(consumer: &mut Consumer, size: usize) -> Result<Vec<Token>> {
    let mut tokens = vec![consumer.next().await?.token];
    while tokens.len() < size {
        match timeout(LINGER, consumer.next()).await {
            Ok(delivery) => tokens.push(delivery?.token),
            Err(_) => break,
        }
    }
    Ok(tokens)
}
