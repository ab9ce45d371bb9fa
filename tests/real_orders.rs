//! Orders that really happened, where there are some: `OTODOKE_REAL_ORDERS` names a file
//! of newline-delimited CloudEvents. It isn't part of this repository, whose licence can't
//! cover it; without it this test says so and proves nothing.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use otodoke::contract::{Event, InputType, Message, Span, intake};
use serde_json::Value;
use sqlx::PgPool;
use support::Services;
use support::generate::Dice;
use support::history::{distinct, now};
use support::marketplace::Marketplace;
use support::model::{Picture, assert_equals_model, assert_same, counts, picture, settled};
use support::processor::Launch;

const LONG: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn real_orders_come_to_the_same_in_any_order_and_however_often() {
    let Ok(path) = std::env::var("OTODOKE_REAL_ORDERS") else {
        eprintln!(
            "SKIPPED: OTODOKE_REAL_ORDERS names no file of real orders; there is none in the \
             repository, since it couldn't be redistributed"
        );
        return;
    };
    let text = std::fs::read_to_string(&path).expect("OTODOKE_REAL_ORDERS names a file");
    let in_order: Vec<Event> = text.lines().map(read).collect();
    let mut dice = Dice::new(1);
    let mut shuffled = in_order.clone();
    dice.shuffle(&mut shuffled);
    let mut doubled = [in_order.clone(), in_order.clone()].concat();
    dice.shuffle(&mut doubled);

    let expected = stands_after(&in_order, None).await;
    assert_same("in order", &expected, "shuffled", &stands_after(&shuffled, None).await);
    // The first import of old orders: all of it recorded, none of it sent.
    let today = now().to_string()[..10].to_owned();
    let imported = stands_after(&doubled, Some(&today)).await;
    assert_same("in order", &expected, "doubled and shuffled", &imported);
}

/// What stands after these events, in services of their own.
async fn stands_after(events: &[Event], publish_from: Option<&str>) -> Picture {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let mut subscriber = market.subscribe(&["#"]).await;
    let launch = Launch::on(&services);
    let launch = match publish_from {
        Some(from) => launch.with("OTODOKE_PUBLISH_FROM", from),
        None => launch,
    };
    let mut processor = launch.ready().await;
    market.publish_events(events).await;
    let pool = services.pool().await;
    settled(&pool, LONG, distinct(events)).await;
    assert!(processor.stop().await.success());
    assert_equals_model(&pool, events).await;
    assert_eq!(subscriber.arrived().await.is_empty(), publish_from.is_some());
    tell(&pool, events.len()).await;
    picture(&pool).await
}

async fn tell(pool: &PgPool, published: usize) {
    let statuses: BTreeMap<String, i64> =
        counts(pool, "SELECT status, count(*) FROM read_model.orders GROUP BY status").await;
    let derived = counts(
        pool,
        "SELECT type, count(*) FROM read_model.derived_events WHERE withdrawn_at IS NULL
         GROUP BY type",
    )
    .await;
    println!("{published} events published: orders {statuses:?}; derived {derived:?}");
}

fn read(line: &str) -> Event {
    let document: Value = serde_json::from_str(line).expect("a line is JSON");
    let kind = document["type"].as_str().and_then(InputType::from_name).expect("a known type");
    let message = Message {
        body: line.as_bytes(),
        content_type: None,
        attributes: &[],
        stream: kind.stream(),
    };
    intake(&message, now(), Span::ZERO).expect("real orders are good input").event
}
