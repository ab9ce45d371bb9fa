//! The yardstick of habit: the same queues and the same kind of work, as a good team writes it by
//! hand today with lapin and sqlx. One message is one transaction; sixteen are under way at a
//! time; an inbox recognises duplicates, an outbox and its relay publish what follows.
//!
//! It is plain, not careless: prepared statements, prefetch, an ack after the commit, indexes,
//! upserts that forgive a wrong order, persistent messages, pipelined confirms, a relay that is
//! told of new rows. It doesn't do what Otodoke is for: no deadlines, no history to decide from,
//! no withdrawals, no order by case.

mod apply;
mod event;
mod relay;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions,
};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use otodoke::broker::Names;
use otodoke::contract::Stream;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, Semaphore};

/// Transactions at a time.
const AT_ONCE: u32 = 16;
/// Unacknowledged messages of a queue.
const PREFETCH: u16 = 64;

/// What all its parts share.
struct Shared {
    pool: PgPool,
    /// Something was put into the outbox.
    filled: Notify,
    /// Messages that are committed or refused.
    done: AtomicU64,
    permits: Semaphore,
}

/// Creates its tables.
pub async fn set_up(pool: &PgPool) -> Result<()> {
    sqlx::raw_sql(include_str!("schema.sql")).execute(pool).await?;
    Ok(())
}

/// Runs until SIGTERM, with the same variables as `otodoke run`.
pub async fn run() -> Result<()> {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let names = Names::new(&std::env::var("OTODOKE_PREFIX").unwrap_or_default())?;
    let options = PgPoolOptions::new().max_connections(AT_ONCE + 2);
    let shared = Arc::new(Shared {
        pool: options.connect(&variable("DATABASE_URL")?).await?,
        filled: Notify::new(),
        done: AtomicU64::new(0),
        permits: Semaphore::new(AT_ONCE as usize),
    });
    let url = variable("AMQP_URL")?;
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let relay = tokio::spawn(relay::relay(shared.clone(), url, names.derived()));
    let mut deliveries = consume(&connection, &names).await?;
    let listener = TcpListener::bind(variable("OTODOKE_HTTP_ADDR")?.parse::<SocketAddr>()?).await?;
    tokio::spawn(tell(shared.clone(), listener));
    let mut end = signal(SignalKind::terminate())?;
    loop {
        let delivery = tokio::select! {
            _ = end.recv() => break,
            delivery = deliveries.next() => delivery.context("the broker ended the consumer")??,
        };
        let permit = shared.permits.acquire().await?;
        permit.forget();
        let shared = shared.clone();
        tokio::spawn(async move {
            take(&shared, delivery).await;
            shared.permits.add_permits(1);
        });
    }
    // What is under way is finished; the relay leaves the rest to the next start.
    let _ = shared.permits.acquire_many(AT_ONCE).await?;
    relay.abort();
    Ok(())
}

async fn consume(connection: &Connection, names: &Names) -> Result<SelectAll<lapin::Consumer>> {
    let channel = connection.create_channel().await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let mut deliveries = SelectAll::new();
    for stream in Stream::ALL {
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let queue = names.queue(stream);
        deliveries.push(
            channel.basic_consume(queue.as_str().into(), "".into(), options, arguments).await?,
        );
    }
    Ok(deliveries)
}

/// One message: a transaction, then its ack. What can't be read is refused for good.
async fn take(shared: &Shared, delivery: Delivery) {
    let answered = match event::read(&delivery.data) {
        None => delivery.acker.reject(BasicRejectOptions { requeue: false }).await,
        Some(event) => match apply::apply(&shared.pool, &event).await {
            Ok(follows) => {
                if follows {
                    shared.filled.notify_one();
                }
                delivery.acker.ack(BasicAckOptions::default()).await
            }
            Err(error) => {
                eprintln!("{}: {error:#}", event.id);
                let again = BasicNackOptions { requeue: true, multiple: false };
                let _ = delivery.acker.nack(again).await;
                return;
            }
        },
    };
    if let Err(error) = answered {
        eprintln!("the broker doesn't take an answer: {error}");
    }
    shared.done.fetch_add(1, Ordering::Relaxed);
}

/// Tells whoever connects how many messages are done, so that asking costs next to nothing.
async fn tell(shared: Arc<Shared>, listener: TcpListener) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let done = shared.done.load(Ordering::Relaxed).to_string();
        let _ = socket.write_all(done.as_bytes()).await;
    }
}
