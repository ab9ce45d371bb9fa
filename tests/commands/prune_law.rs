//! Whatever is archived in between: once all has come back, what stands is what the rules say of
//! all events, and nothing went out twice.

use std::time::Duration;

use otodoke::contract::Event;
use serde_json::{Value, json};

use crate::shop::Shop;
use crate::support::history::{distinct, history};
use crate::support::marketplace::Marketplace;
use crate::support::model::{assert_equals_model, settled};
use crate::support::processor::Launch;
use crate::support::record::assert_lawful;
use crate::support::wait_until;

const SOON: Duration = Duration::from_secs(90);

async fn received(shop: &Shop) -> i64 {
    let sum = "SELECT coalesce(sum(received), 0)::bigint FROM ledger";
    sqlx::query_scalar(sum).fetch_one(&shop.pool).await.unwrap()
}

/// Open letters whose case is archived.
async fn late(shop: &Shop) -> i64 {
    let open = "SELECT count(*) FROM dead_letters WHERE status = 'open' AND code = 'case-pruned'";
    sqlx::query_scalar(open).fetch_one(&shop.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_pruning_and_restoring_the_law_holds() {
    let shop = Shop::open().await;
    let market = Marketplace::of(&shop.services).await;
    let mut subscriber = market.subscribe(&["#"]).await;
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().to_str().unwrap();
    let mut processor = Launch::on(&shop.services).with("OTODOKE_ARCHIVE", archive).ready().await;
    let events: Vec<Event> = history(23, 400);
    let (early, rest) = events.split_at(events.len() / 2);
    market.publish_events(early).await;
    wait_until(SOON, "the first half is received", async || {
        received(&shop).await == early.len() as i64
    })
    .await;
    settled(&shop.pool, SOON, distinct(early)).await;
    let pruned = shop.json(&["prune", "--older-than", "0s", "--to", archive, "--yes"]);
    assert!(pruned["orders"].as_u64().unwrap() > 10, "{pruned}");
    assert_eq!(shop.json(&["verify"])["adds_up"], true);

    market.publish_events(rest).await;
    wait_until(SOON, "the second half is received", async || {
        received(&shop).await == events.len() as i64
    })
    .await;
    assert!(late(&shop).await > 0);
    assert_eq!(shop.json(&["verify"])["adds_up"], true);
    let ran = shop.run(&["dead-letters", "replay", "--code", "case-pruned", "--yes"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(late(&shop).await, 0);
    let left: Vec<String> = sqlx::query_scalar(
        "SELECT CASE WHEN key LIKE 't/%' THEN 'thread:' ELSE '' END || substr(key, 3) FROM pruned_cases",
    )
    .fetch_all(&shop.pool)
    .await
    .unwrap();
    if !left.is_empty() {
        let names: Vec<&str> = left.iter().map(String::as_str).collect();
        let ran = shop.run_with(
            &[&["prune", "--restore"], &names[..]].concat(),
            &[("OTODOKE_ARCHIVE", archive)],
        );
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    settled(&shop.pool, SOON, distinct(&events)).await;
    assert_equals_model(&shop.pool, &events).await;
    let found: Value = shop.json(&["verify"]);
    assert_eq!((&found["adds_up"], &found["archived"]), (&json!(true), &json!(0)));
    assert!(processor.stop().await.success());
    assert_lawful(&shop.pool, subscriber.arrived().await).await;
}
