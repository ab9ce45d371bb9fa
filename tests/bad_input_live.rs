//! Every kind of bad input, sent between good events through the real program: each is
//! filed with its code and place and told of once, and none holds up those behind it.

mod support;

#[path = "support/bad_input.rs"]
mod bad_input;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bad_input::{BadInput, bad_inputs};
use otodoke::broker::{HeaderValue, Outgoing};
use otodoke::contract::Header;
use otodoke::store::ledger::{self, Audit};
use sqlx::PgPool;
use support::history::{distinct, history};
use support::marketplace::Marketplace;
use support::model::{assert_equals_model, settled};
use support::processor::Launch;
use support::{Services, wait_until};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_input_is_filed_and_told_of_once_and_holds_up_nothing() {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let mut alerts = market.subscribe(&["event-dead-lettered.*"]).await;
    let mut processor = Launch::on(&services).ready().await;
    let (bad, good) = (bad_inputs(), history(8, 1_000));
    let wrong: Vec<Outgoing> =
        bad.iter().enumerate().map(|(number, bad)| spoiled(&market, number, bad)).collect();
    let mut messages: Vec<Outgoing> = good.iter().map(|event| market.event(event)).collect();
    for (number, wrong) in wrong.iter().enumerate() {
        messages.insert(number * 7, wrong.clone());
    }
    market.publish(&messages).await;
    let pool = services.pool().await;
    settled(&pool, SOON, distinct(&good)).await;
    wait_until(SOON, "all are filed", async || attempts(&pool).await == bad.len() as i64).await;

    let filed = dead_letters(&pool).await;
    assert_eq!(filed.len(), bad.len(), "one row each");
    for (number, bad) in bad.iter().enumerate() {
        let row = &filed[&routing_key(number, bad)];
        let found = (row.code.as_str(), row.pointer.as_deref(), row.attempts);
        assert_eq!(found, (bad.code.name(), bad.pointer, 1), "{}", bad.name);
        assert!(row.body == bad.body, "{}: its bytes are kept as they came", bad.name);
        assert!(!row.detail.is_empty(), "{}: a sentence says what is wrong", bad.name);
    }
    let told = async || alerts.arrived().await.len() >= bad.len();
    wait_until(SOON, "all are told of", told).await;

    // The same once more: counted, and told of no second time.
    market.publish(&wrong).await;
    wait_until(SOON, "all are counted", async || attempts(&pool).await == 2 * bad.len() as i64)
        .await;
    assert!(processor.stop().await.success());
    assert!(
        dead_letters(&pool).await.values().all(|row| row.attempts == 2 && row.status == "open")
    );
    let subjects: BTreeMap<String, String> = filed
        .into_values()
        .map(|row| (row.id.to_string(), format!("event-dead-lettered.{}", row.stream)))
        .collect();
    let arrived = alerts.arrived().await;
    assert_eq!(arrived.len(), bad.len(), "one alert each");
    for alert in arrived {
        let id = alert.event["subject"].as_str().expect("its subject is the dead letter");
        assert_eq!(Some(&alert.routing_key), subjects.get(id));
        assert_eq!(alert.event["data"]["dead_letter_id"], id);
        for absent in ["order_id", "seller_id", "rule"] {
            assert_eq!(alert.event["data"].get(absent), None);
        }
    }
    let ids: BTreeSet<&str> =
        arrived.iter().filter_map(|alert| alert.event["subject"].as_str()).collect();
    assert_eq!(ids.len(), bad.len(), "each dead letter has an alert of its own");
    assert_ledger_agrees(&audit(&pool).await, messages.len() + wrong.len());
    assert_equals_model(&pool, &good).await;
}

/// Received = history + duplicates + dead letters, as counted and as stored.
fn assert_ledger_agrees(audit: &Audit, published: usize) {
    let sum = |of: fn(&ledger::Count) -> i64| audit.streams.values().map(of).sum::<i64>();
    let (accepted, dead) = (sum(|count| count.accepted), sum(|count| count.dead));
    assert_eq!(sum(|count| count.received), published as i64, "{audit:?}");
    assert_eq!(accepted + sum(|count| count.duplicates) + dead, published as i64, "{audit:?}");
    assert_eq!((accepted, accepted), (audit.in_history, audit.keys), "{audit:?}");
    assert_eq!(dead, audit.dead_letter_attempts, "{audit:?}");
}

/// A routing key of its own tells which it was.
fn routing_key(number: usize, bad: &BadInput) -> String {
    format!("{}.bad-{number}", bad.stream.name())
}

fn spoiled(market: &Marketplace, number: usize, bad: &BadInput) -> Outgoing {
    let header = |value: &Header<'_>| match value {
        Header::Text(text) => HeaderValue::Text((*text).to_owned()),
        Header::NotUtf8 => HeaderValue::Bytes(vec![0xff, 0xfe]),
        Header::Timestamp(seconds) => HeaderValue::Time(*seconds),
        Header::Other => HeaderValue::Integer(5),
    };
    Outgoing {
        routing_key: routing_key(number, bad),
        content_type: bad.content_type.unwrap_or_default().to_owned(),
        headers: bad.headers.iter().map(|(n, value)| ((*n).to_owned(), header(value))).collect(),
        ..market.structured(bad.stream, "", bad.body.clone())
    }
}

#[derive(sqlx::FromRow)]
struct DeadLetter {
    id: uuid::Uuid,
    stream: String,
    routing_key: String,
    code: String,
    pointer: Option<String>,
    detail: String,
    attempts: i64,
    status: String,
    body: Vec<u8>,
}

async fn dead_letters(pool: &PgPool) -> BTreeMap<String, DeadLetter> {
    let rows: Vec<DeadLetter> = sqlx::query_as(
        "SELECT id, stream, routing_key, code, pointer, detail, attempts::bigint, status, body
         FROM read_model.dead_letters",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter().map(|row| (row.routing_key.clone(), row)).collect()
}

async fn audit(pool: &PgPool) -> Audit {
    ledger::audit(&mut pool.acquire().await.unwrap()).await.unwrap()
}

async fn attempts(pool: &PgPool) -> i64 {
    audit(pool).await.dead_letter_attempts
}
