//! Several processors on the same queues, and processors that die at any moment: what
//! stands in the end is what one undisturbed processor would have come to, and no
//! subscriber is told anything else on the way.

mod support;

use std::time::Duration;

use otodoke::contract::Event;
use otodoke::store::ledger;
use sqlx::PgPool;
use support::history::{distinct, history, size};
use support::marketplace::{Marketplace, Subscriber};
use support::model::{assert_equals_model, settled};
use support::processor::Launch;
use support::record::assert_lawful;
use support::{Services, wait_until};

/// Long enough for the full sizes on a busy machine.
const LONG: Duration = Duration::from_secs(1200);

#[tokio::test(flavor = "multi_thread")]
async fn two_processors_come_to_what_the_model_says() {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let mut subscriber = market.subscribe(&["#"]).await;
    let launch = Launch::on(&services);
    let (mut one, mut other) = (launch.ready().await, launch.ready().await);
    let events = history(1, size(10_000, 100_000));
    market.publish_events(&events).await;

    let pool = services.pool().await;
    settled(&pool, LONG, distinct(&events)).await;
    for processor in [&one, &other] {
        assert!(processor.metric("otodoke_events_accepted_total") > Some(0.0), "one did it all");
    }
    assert!(one.stop().await.success() && other.stop().await.success());
    assert_all_is_right(&pool, &market, &mut subscriber, &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_that_is_killed_again_and_again_loses_nothing() {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let mut subscriber = market.subscribe(&["#"]).await;
    let (count, kills) = (size(5_000, 50_000), size(3, 10));
    let events = history(2, count);
    market.publish_events(&events).await;

    // Small batches: there is always one under way.
    let launch = Launch::on(&services).with("OTODOKE_BATCH_MAX", "100");
    let pool = services.pool().await;
    let mut processor = launch.start();
    for kill in 1..=kills {
        let stored = (distinct(&events) * kill / (kills + 1)) as i64;
        wait_until(LONG, "it gets on", async || accepted(&pool).await >= stored).await;
        processor.kill().await;
        processor = launch.start();
    }
    settled(&pool, LONG, distinct(&events)).await;
    assert!(processor.stop().await.success());
    assert_all_is_right(&pool, &market, &mut subscriber, &events).await;
}

async fn assert_all_is_right(
    pool: &PgPool,
    market: &Marketplace,
    subscriber: &mut Subscriber,
    events: &[Event],
) {
    assert_eq!(market.backlog().await, 0, "nothing was left behind in the queues");
    let audit = ledger::audit(&mut pool.acquire().await.unwrap()).await.unwrap();
    let received: i64 = audit.streams.values().map(|count| count.received).sum();
    let duplicates: i64 = audit.streams.values().map(|count| count.duplicates).sum();
    assert!(received >= events.len() as i64, "{received} of {}", events.len());
    assert_eq!(received, audit.in_history + duplicates, "the ledger disagrees");
    assert_equals_model(pool, events).await;
    assert_lawful(pool, subscriber.arrived().await).await;
}

/// Events stored so far; none before the first migration.
async fn accepted(pool: &PgPool) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM event_keys");
    count.fetch_one(pool).await.unwrap_or(0)
}
