//! `derived pause`, `resume` and `pauses`, with processors that keep to them.

use std::time::Duration;

use otodoke::contract::{Event, InputType, Span, Timestamp};
use serde_json::{Value, json};

use crate::shop::Shop;
use crate::support::history::{before, event, now};
use crate::support::marketplace::{Arrived, Marketplace};
use crate::support::model::settled;
use crate::support::processor::Launch;
use crate::support::wait_until;

const SOON: Duration = Duration::from_secs(60);
const REFUND: &str = "refund-required";

/// Orders that are paid, shipped, and come back, all of it within the time to ship.
struct Story {
    started: Timestamp,
}

impl Story {
    fn placed(&self, order: &str) -> Event {
        let data = json!({
            "order_id": order, "seller_id": "S1", "buyer_id": order, "sold_by": "seller",
            "fulfilled_by": "seller", "currency": "JPY",
            "payment": { "status": "authorized", "captured": true },
            "lines": [{ "line_id": "L1", "sku": "K1", "quantity": 1, "unit_price": 1500 }],
        });
        event(&format!("placed-{order}"), InputType::OrderPlaced, self.started, &data)
    }

    fn dispatched(&self, order: &str) -> Event {
        let data = json!({ "order_id": order, "package_id": "P1" });
        let time = self.started + Span::hours(1);
        event(&format!("dispatched-{order}"), InputType::ShipmentDispatched, time, &data)
    }

    fn updated(&self, order: &str, status: &str, reason: Option<&str>, hours: i64) -> Event {
        let data = json!({
            "order_id": order, "package_id": "P1", "status": status, "reason": reason,
        });
        let time = self.started + Span::hours(hours);
        event(&format!("{status}-{order}"), InputType::ShipmentUpdated, time, &data)
    }
}

fn told(arrived: &[Arrived], order: &str) -> Vec<(String, i64)> {
    let of_order = arrived.iter().filter(|message| message.event["subject"] == order);
    of_order.map(|message| (message.event_type.clone(), message.sequence())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_type_waits_with_what_follows_it_in_its_case_and_then_comes_in_order() {
    let shop = Shop::open().await;
    let market = Marketplace::of(&shop.services).await;
    let mut subscriber = market.subscribe(&["#"]).await;
    let launch = Launch::on(&shop.services);
    let mut processors = [launch.ready().await, launch.ready().await];
    let story = Story { started: before(now(), Span::hours(30)) };
    market.publish_events(&[story.placed("O-1"), story.dispatched("O-1")]).await;
    settled(&shop.pool, SOON, 2).await;

    let paused = shop.run(&["derived", "pause", "--type", REFUND, "--reason", "payer is away"]);
    assert_eq!(paused.code, 0, "{}", paused.err);
    let known = || processors.iter().all(|p| p.log().contains(&format!("operator: {REFUND}")));
    wait_until(SOON, "both processors know", async || known()).await;
    market.publish_events(&[story.updated("O-1", "returned", None, 5)]).await;
    wait_until(SOON, "the refund is held", async || held(&shop).await == 1).await;
    // The conflict and, since the reason changes, the withdrawal and another refund.
    market.publish_events(&[story.updated("O-1", "delivered", None, 3)]).await;
    wait_until(SOON, "the conflict is held", async || held(&shop).await == 2).await;
    market.publish_events(&[story.updated("O-1", "returning", Some("refused"), 4)]).await;
    market.publish_events(&[story.placed("O-2"), story.dispatched("O-2")]).await;
    wait_until(SOON, "what follows is held", async || held(&shop).await == 4).await;
    wait_until(SOON, "others pass", async || {
        told(subscriber.arrived().await, "O-2").len() == 2 && waiting(&shop).await == 4
    })
    .await;
    assert_eq!(told(subscriber.arrived().await, "O-1").len(), 2, "what was told before");

    let listed = shop.json(&["derived", "pauses"]);
    assert_eq!((&listed[0]["type"], &listed[0]["waiting"]), (&json!(REFUND), &json!(3)));
    assert_eq!(listed[0]["reason"], "payer is away");
    let listed = shop.run(&["derived", "pauses"]);
    assert!(listed.out.contains("payer is away"), "{}", listed.out);
    assert!(listed.err.starts_with("1 messages of other types wait"), "{}", listed.err);
    let status = shop.json(&["status"]);
    assert_eq!((&status["paused"][0]["waiting"], &status["outbox"]), (&json!(3), &json!(4)));
    assert_eq!(status["oldest_unpublished_seconds"], Value::Null);
    assert!(shop.run(&["status"]).out.contains("payer is away"));
    let gauge = "otodoke_outbox_paused{type=\"refund-required\"}";
    assert_eq!(processors[1].metric(gauge), Some(3.0));
    assert_eq!(shop.json(&["verify"])["adds_up"], true);

    // Through a restart, and through the end of the one that held.
    processors[0].kill().await;
    assert!(processors[1].stop().await.success());
    let mut processor = launch.ready().await;
    market.publish_events(&[story.placed("O-3")]).await;
    wait_until(SOON, "it works", async || !told(subscriber.arrived().await, "O-3").is_empty())
        .await;
    wait_until(SOON, "all is held anew", async || held(&shop).await == 4).await;
    assert_eq!(told(subscriber.arrived().await, "O-1").len(), 2);

    assert_eq!(shop.run(&["derived", "resume", "--type", REFUND]).code, 0);
    settled(&shop.pool, SOON, 8).await;
    let told = told(subscriber.arrived().await, "O-1");
    let sequences: Vec<i64> = told.iter().map(|(_, sequence)| *sequence).collect();
    assert!(sequences.is_sorted(), "{told:?}");
    let types: Vec<&str> = told[2..].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(types, [REFUND, "order-conflict", "derived-withdrawn", REFUND]);
    wait_until(SOON, "no gauge", async || processor.metric(gauge).is_none()).await;
    assert_eq!(shop.json(&["derived", "pauses"]), json!([]));
    assert!(processor.stop().await.success());
}

async fn held(shop: &Shop) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM outbox WHERE held")
        .fetch_one(&shop.pool)
        .await
        .unwrap()
}

async fn waiting(shop: &Shop) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&shop.pool).await.unwrap()
}

#[tokio::test]
async fn who_paused_is_kept_and_a_second_pause_changes_nothing() {
    let shop = Shop::open().await;
    let types = ["--type", REFUND, "--type", "event-dead-lettered", "--type", "derived-withdrawn"];
    let first = shop.run(&[&["derived", "pause"], &types[..]].concat());
    assert_eq!(first.code, 0, "{}", first.err);
    let again = shop.run(&["derived", "pause", "--type", REFUND, "--reason", "another"]);
    assert!(again.err.contains("was paused already"), "{}", again.err);
    let listed = shop.json(&["derived", "pauses"]);
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert!(listed.as_array().unwrap().iter().all(|pause| pause["reason"].is_null()));
    assert!(!listed[0]["who"].as_str().unwrap().is_empty());
    let resumed = shop.run(&["derived", "resume", "--type", REFUND, "--type", "shipment-overdue"]);
    assert_eq!(resumed.code, 0);
    assert!(resumed.err.contains("shipment-overdue was not paused"), "{}", resumed.err);
    assert_eq!(shop.json(&["derived", "pauses"]).as_array().unwrap().len(), 2);
    let wrong = shop.run(&["derived", "pause", "--type", "refunds"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("refund-required"), "the types are listed: {}", wrong.err);
}
