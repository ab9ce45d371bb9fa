//! `verify`: what adds up, and what doesn't once somebody has laid hands on the tables.

use std::time::Duration;

use otodoke::contract::{EventRef, InputType, Stream};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::shop::Shop;
use crate::support::history::{before, distinct, event, history, now};
use crate::support::marketplace::Marketplace;
use crate::support::model::settled;
use crate::support::processor::Launch;

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn after_a_mixed_run_everything_adds_up() {
    let shop = Shop::open().await;
    let market = Marketplace::of(&shop.services).await;
    let mut processor = Launch::on(&shop.services).ready().await;
    let mut events = history(11, 300);
    market.publish_events(&events).await;
    // Again, a collision, and what is no event at all, twice.
    market.publish_events(&events[..40]).await;
    let mut other = event("other", InputType::OrderCancelled, before(now(), span()), &cancelled());
    other.key = EventRef { source: events[0].key.source.clone(), id: events[0].key.id.clone() };
    market.publish(&[market.event(&other)]).await;
    let broken = || market.structured(Stream::Payments, "payment-failed", "no JSON");
    market.publish(&[broken(), broken()]).await;
    settled(&shop.pool, SOON, distinct(&events)).await;
    let all = events.len() as i64 + 43;
    let received = "SELECT sum(received)::bigint FROM ledger";
    crate::support::wait_until(SOON, "all is received", async || {
        let sum: i64 = sqlx::query_scalar(received).fetch_one(&shop.pool).await.unwrap();
        sum == all
    })
    .await;
    settled(&shop.pool, SOON, distinct(&events)).await;

    let found = shop.json(&["verify"]);
    assert_eq!((&found["adds_up"], &found["differences"]), (&json!(true), &json!([])));
    let sum = |name: &str| -> i64 {
        found["streams"].as_array().unwrap().iter().map(|s| s[name].as_i64().unwrap()).sum()
    };
    assert_eq!((sum("received"), sum("dead")), (all, 3));
    assert_eq!(sum("history"), distinct(&events) as i64);
    assert_eq!(
        (&found["dead_letter_attempts"], &found["derived"]["waiting"]),
        (&3.into(), &0.into())
    );
    assert!(found["derived"]["published"].as_i64().unwrap() > 100);
    events.clear();

    let recent = shop.json(&["verify", "--since", "2020-01-01"]);
    for equal in ["streams", "history", "event_keys", "derived"] {
        assert_eq!(recent[equal], found[equal], "{equal}");
    }
    let later = shop.json(&["verify", "--since", "2999-01-01"]);
    assert_eq!((&later["streams"], &later["history"]), (&json!([]), &json!(0)));
    assert_eq!(later["dead_letter_attempts"], 3, "of dead letters all are counted in any case");
    let text = shop.run(&["verify"]);
    assert_eq!(text.code, 0, "{}", text.err);
    assert!(text.out.contains("everything adds up"), "{}", text.out);
    assert!(processor.stop().await.success());
}

fn span() -> otodoke::contract::Span {
    otodoke::contract::Span::days(1)
}

fn cancelled() -> Value {
    json!({ "order_id": "O-other", "actor": "marketplace" })
}

/// Two orders, a duplicate and a dead letter; nothing is sent.
async fn shop() -> Shop {
    let shop = Shop::open().await;
    shop.place("O-1", "2026-03-01T09:00:00Z").await;
    shop.place("O-2", "2026-03-02T09:00:00Z").await;
    shop.place("O-1", "2026-03-01T09:00:00Z").await;
    shop.deliver(Stream::Payments, b"no JSON").await;
    assert_eq!(shop.run(&["verify"]).code, 0);
    shop
}

/// What doesn't add up after a statement, by the name of its check.
async fn after(shop: &Shop, statement: &str, arguments: &[&str]) -> Vec<Value> {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&shop.pool).await.unwrap();
    let ran = shop.run(&[&["verify", "--json"], arguments].concat());
    assert_eq!((ran.code, ran.err.as_str()), (1, ""), "{statement}");
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found["adds_up"], false);
    found["differences"].as_array().unwrap().clone()
}

fn checks(differences: &[Value]) -> Vec<&str> {
    differences.iter().map(|difference| difference["check"].as_str().unwrap()).collect()
}

fn ids<'a>(differences: &'a [Value], check: &str) -> Vec<&'a str> {
    let found = differences.iter().find(|difference| difference["check"] == check);
    let ids = found.unwrap_or_else(|| panic!("{check}: {differences:?}"))["ids"].as_array();
    ids.unwrap().iter().map(|id| id.as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_event_that_vanished_from_the_history_is_missed() {
    let shop = shop().await;
    let forget = "DELETE FROM history WHERE event_id = 'placed-O-1'";
    let differences = after(&shop, forget, &[]).await;
    assert_eq!(checks(&differences), ["accepted", "event-keys", "key-without-history"]);
    let accepted = &differences[0];
    assert_eq!(
        (&accepted["stream"], &accepted["expected"], &accepted["found"]),
        (&json!("orders"), &json!(2), &json!(1))
    );
    assert_eq!(ids(&differences, "key-without-history")[0].len(), 32);
    let recent = after(&shop, "SELECT 1", &["--since", "2020-01-01"]).await;
    assert_eq!(checks(&recent), ["accepted"]);
    let text = shop.run(&["verify"]);
    assert_eq!(text.code, 1);
    assert!(text.out.contains("orders: accepted 2, but the history holds 1"), "{}", text.out);
}

#[tokio::test]
async fn an_event_without_its_key_is_named() {
    let shop = shop().await;
    let forget = "DELETE FROM event_keys
                  WHERE key = (SELECT key FROM history WHERE event_id = 'placed-O-2')";
    for arguments in [&[][..], &["--since", "2020-01-01"]] {
        let differences = after(&shop, forget, arguments).await;
        assert_eq!(checks(&differences), ["event-keys", "history-without-key"]);
        assert_eq!(ids(&differences, "history-without-key"), ["/shop placed-O-2"]);
    }
}

#[tokio::test]
async fn a_message_that_became_nothing_is_missed_though_another_was_counted_twice() {
    let shop = shop().await;
    let more = "UPDATE ledger SET received = received + 1 WHERE duplicates = 1";
    let differences = after(&shop, more, &[]).await;
    assert_eq!(checks(&differences), ["received"]);
    assert_eq!((&differences[0]["found"], &differences[0]["expected"]), (&json!(4), &json!(3)));
    // In the sum it is made up for.
    let less = "UPDATE ledger SET received = 0
                WHERE id = (SELECT min(id) FROM ledger WHERE stream = 'orders')";
    for arguments in [&[][..], &["--since", "2020-01-01"]] {
        let differences = after(&shop, less, arguments).await;
        assert_eq!(ids(&differences, "received").len(), 2, "{differences:?}");
    }
}

#[tokio::test]
async fn a_dead_letter_too_many_is_noticed_whatever_the_time_looked_at() {
    let shop = shop().await;
    let again = "UPDATE dead_letters SET attempts = 2";
    for arguments in [&[][..], &["--since", "2999-01-01"]] {
        let differences = after(&shop, again, arguments).await;
        assert_eq!(checks(&differences), ["dead-letters"]);
        assert_eq!((&differences[0]["found"], &differences[0]["expected"]), (&json!(2), &json!(1)));
    }
}

#[tokio::test]
async fn a_derived_event_that_nobody_will_send_is_named() {
    let shop = shop().await;
    let lose = "DELETE FROM outbox WHERE case_key = 'o/O-1' AND derived";
    for arguments in [&[][..], &["--since", "2020-01-01"]] {
        let differences = after(&shop, lose, arguments).await;
        assert_eq!(checks(&differences), ["derived", "unsent"]);
        let lost = "SELECT event_id::text FROM derived_events WHERE case_key = 'o/O-1'";
        let lost: Vec<String> = sqlx::query_scalar(lost).fetch_all(&shop.pool).await.unwrap();
        let mut named = ids(&differences, "unsent");
        named.sort_unstable();
        assert_eq!(named.len(), lost.len());
        assert!(lost.iter().all(|id| named.contains(&id.as_str())), "{lost:?}");
    }
}

#[tokio::test]
async fn a_message_of_an_event_that_was_published_is_unfounded() {
    let shop = shop().await;
    let publish = "INSERT INTO publications (last, first, published_at)
                   SELECT position, position, now() FROM derived_events WHERE case_key = 'o/O-2'";
    let differences = after(&shop, publish, &[]).await;
    assert_eq!(checks(&differences), ["derived", "unfounded"]);
    let suppress = "WITH gone AS (DELETE FROM publications)
                    UPDATE derived_events SET suppressed = true, position = NULL";
    let differences = after(&shop, suppress, &[]).await;
    assert!(checks(&differences).contains(&"unfounded"), "{differences:?}");
    // A withdrawal, which stands in the outbox only, is none.
    let mend = "UPDATE derived_events d SET suppressed = false, position = o.position
                FROM outbox o WHERE o.event_id = d.event_id";
    sqlx::query(mend).execute(&shop.pool).await.unwrap();
    let withdraw = "UPDATE outbox SET derived = false, type = 'derived-withdrawn'
                    WHERE case_key = 'o/O-2'";
    let differences = after(&shop, withdraw, &[]).await;
    assert_eq!(checks(&differences), ["derived", "unsent"]);
}
