//! After an outage the answer to a buyer may stand in the queue behind the question: no
//! deadline may be thought missed before all that waits is read.

mod support;

use std::time::Duration;

use otodoke::contract::{Event, InputType, Span, Timestamp};
use serde_json::{Value, json};
use sqlx::PgPool;
use support::Services;
use support::history::{before, event, now};
use support::marketplace::Marketplace;
use support::model::{assert_equals_model, settled};
use support::processor::{Launch, Processor};

const ORDERS: usize = 2_000;
/// In two threads each, every question with its answer.
const QUESTIONS: usize = 2 * ORDERS;
const LONG: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_waited_in_the_queue_through_an_outage_are_in_time() {
    prove_with(|services| vec![Launch::on(services)]).await;
}

/// The replies in the slow one's hands are in no queue any more, and not in the store yet.
#[tokio::test(flavor = "multi_thread")]
async fn replies_that_another_processor_has_in_hand_are_in_time_too() {
    prove_with(|services| {
        let slow = Launch::on(services).argument("--only").argument("consume,http");
        let slow = slow.with("OTODOKE_BATCH_MAX", "1").with("OTODOKE_PREFETCH", "200");
        vec![slow, Launch::on(services)]
    })
    .await;
}

async fn prove_with(launches: impl Fn(&Services) -> Vec<Launch>) {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let mut subscriber = market.subscribe(&["#"]).await;
    assert!(Launch::on(&services).ready().await.stop().await.success());

    // Past both deadlines: two days for an answer, two weeks for the guarantee.
    let asked = before(now(), Span::days(20));
    let mut events: Vec<Event> = (0..ORDERS).map(|order| placed(order, asked)).collect();
    events.extend((0..QUESTIONS).map(|number| message("buyer", number, asked)));
    events.push(message("buyer", QUESTIONS, asked));
    events.extend((0..QUESTIONS).map(|number| message("seller", number, asked + Span::hours(30))));
    market.publish_events(&events).await;

    let mut processors: Vec<Processor> = Vec::new();
    for launch in launches(&services) {
        processors.push(launch.ready().await);
    }
    let pool = services.pool().await;
    settled(&pool, LONG, events.len()).await;
    for processor in &mut processors {
        assert!(processor.stop().await.success());
    }
    assert_equals_model(&pool, &events).await;

    // The one question without an answer shows that deadlines are kept at all.
    let unanswered = [format!("T{QUESTIONS}")];
    assert_eq!(threads_of(&pool, "reply-overdue").await, unanswered);
    assert_eq!(threads_of(&pool, "guarantee-eligible").await, unanswered);
    // Nor is an order thought unknown that was placed before it was asked about.
    assert_eq!(threads_of(&pool, "inquiry-unmatched").await, [] as [String; 0]);
    for kind in ["reply-overdue", "guarantee-eligible"] {
        let sent = subscriber.of_type(kind).await;
        assert_eq!(sent.len(), 1, "{kind}");
        assert_eq!(sent[0].event["data"]["thread_id"], *unanswered[0]);
    }
}

/// All that was ever recorded counts, what was withdrawn too.
async fn threads_of(pool: &PgPool, kind: &str) -> Vec<String> {
    sqlx::query_scalar("SELECT data ->> 'thread_id' FROM derived_events WHERE type = $1")
        .bind(kind)
        .fetch_all(pool)
        .await
        .unwrap()
}

fn placed(order: usize, asked: Timestamp) -> Event {
    let data = json!({
        "order_id": format!("O{order}"), "seller_id": "S1", "buyer_id": format!("B{order}"),
        "sold_by": "seller", "fulfilled_by": "seller", "currency": "JPY",
        "payment": {"status": "authorized", "captured": true},
        "lines": [{"line_id": "L1", "sku": "K1", "quantity": 1, "unit_price": 1500}],
    });
    let time = before(asked, Span::days(1));
    event(&format!("placed-{order}"), InputType::OrderPlaced, time, &data)
}

fn message(from: &str, number: usize, time: Timestamp) -> Event {
    let order = number % ORDERS;
    let data: Value = json!({
        "message_id": format!("M{number}-{from}"), "thread_id": format!("T{number}"),
        "order_id": format!("O{order}"), "seller_id": "S1", "buyer_id": format!("B{order}"),
        "from": from, "topic": "other",
    });
    event(&format!("{from}-{number}"), InputType::MessageSent, time, &data)
}
