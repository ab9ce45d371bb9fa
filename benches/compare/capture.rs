//! What goes through the outbox and is gone in the end: caught once, in a run whose relay begins
//! only when everything is decided.

use anyhow::{Result, ensure};
use otodoke::broker::{Delivery, Names, Outgoing, Tail};
use otodoke::operator::bench::passage::{Load, finished, preload};
use otodoke::operator::bench::processor::{Processor, Program};
use otodoke::operator::stage::Stage;
use otodoke::processor::pool;
use otodoke::store::{inspection, ledger, status};
use sqlx::PgPool;
use std::time::Duration;

use crate::tables::{Table, read_all};

/// So many events are enough to know what messages look like.
const ENOUGH: usize = 5_000;
const LOOK: Duration = Duration::from_millis(50);

/// What was caught.
pub struct Caught {
    pub outbox: Option<Table>,
    pub messages: Vec<Outgoing>,
}

pub async fn capture(stage: &Stage, otodoke: &str, load: &Load) -> Result<Caught> {
    let load = Load { events: load.events.min(ENOUGH), ..*load };
    let settings = &stage.settings;
    let pool = pool(settings)?;
    preload(settings, &load).await?;
    let names = Names::new(&settings.services.prefix)?;
    let mut tail = Tail::open(settings.services.amqp_url()?, &names, &["#".to_owned()]).await?;

    let without_relay = Program::new(otodoke, ["run", "--only", "consume,timers,http"]);
    let mut processor = without_relay.start(settings)?;
    decided(&pool, &mut processor, load.events).await?;
    processor.stop().await?;
    let tables = read_all(&mut *pool.acquire().await?).await?;
    let outbox = tables.into_iter().find(|table| table.name == "outbox" && table.len() > 0);

    let relay = Program::new(otodoke, ["run", "--only", "relay,http"]);
    let mut processor = relay.start(settings)?;
    let queued = inspection::queued(&mut *pool.acquire().await?).await?;
    let mut messages = Vec::new();
    for _ in 0..queued {
        messages.push(outgoing(tail.next().await?));
    }
    finished(&pool, &mut processor, 0, load.events).await?;
    processor.stop().await?;
    ensure!(!messages.is_empty(), "nothing is derived: take more events");
    Ok(Caught { outbox, messages })
}

/// Until everything is taken and decided.
async fn decided(pool: &PgPool, processor: &mut Processor, events: usize) -> Result<()> {
    loop {
        tokio::time::sleep(LOOK).await;
        processor.check()?;
        let mut conn = pool.acquire().await?;
        let received = ledger::after(&mut conn, 0).await?.received;
        let figures = status::figures(&mut conn).await?;
        if received >= events as i64 && figures.wake_ups == 0 && figures.oldest_due.is_none() {
            return Ok(());
        }
    }
}

fn outgoing(delivery: Delivery) -> Outgoing {
    let properties = delivery.properties;
    Outgoing {
        exchange: delivery.exchange,
        routing_key: delivery.routing_key,
        body: delivery.body.into(),
        message_id: properties.message_id.unwrap_or_default(),
        event_type: properties.event_type.unwrap_or_default(),
        timestamp: properties.timestamp,
        content_type: properties.content_type.unwrap_or_default(),
        headers: properties.headers,
        mandatory: false,
    }
}
