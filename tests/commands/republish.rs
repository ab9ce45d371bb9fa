//! `derived republish`: what was published once comes again, to one queue.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use otodoke::contract::{Event, InputType, Span, Timestamp};
use serde_json::{Value, json};

use crate::shop::Shop;
use crate::support::history::{before, distinct, event, history, now};
use crate::support::marketplace::{Arrived, Marketplace, Subscriber};
use crate::support::model::settled;
use crate::support::processor::Launch;
use crate::support::wait_until;

const SOON: Duration = Duration::from_secs(60);

/// A shop whose processor has published all that follows from a history.
async fn shop() -> (Shop, Marketplace, Vec<Arrived>) {
    let shop = Shop::open().await;
    let market = Marketplace::of(&shop.services).await;
    let mut subscriber = market.subscribe(&["#"]).await;
    let mut processor = Launch::on(&shop.services).ready().await;
    let events = history(21, 400);
    market.publish_events(&events).await;
    settled(&shop.pool, SOON, distinct(&events)).await;
    assert!(processor.stop().await.success());
    let published = subscriber.arrived().await.to_vec();
    (shop, market, published)
}

/// What was published and not withdrawn, by id.
fn standing(published: &[Arrived]) -> BTreeMap<&str, &Arrived> {
    let mut standing: BTreeMap<&str, &Arrived> =
        published.iter().map(|message| (message.message_id.as_str(), message)).collect();
    for message in published.iter().filter(|message| message.event_type == "derived-withdrawn") {
        standing.remove(message.message_id.as_str());
        standing.remove(message.event["data"]["withdraws"].as_str().unwrap());
    }
    standing
}

fn assert_same(again: &[Arrived], standing: &BTreeMap<&str, &Arrived>, queue: &str) {
    assert_eq!(again.len(), standing.len());
    for message in again {
        let first = standing[message.message_id.as_str()];
        assert_eq!(message.bytes, first.bytes, "to the byte");
        assert_eq!(message.routing_key, queue);
        assert_eq!(
            (&message.event_type, &message.content_type, message.timestamp, message.persistent),
            (&first.event_type, &first.content_type, first.timestamp, first.persistent)
        );
        assert_eq!(message.headers, first.headers);
    }
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for message in again {
        let before = last.insert(message.event["subject"].as_str().unwrap(), message.sequence());
        assert!(before.is_none_or(|before| before < message.sequence()), "in order by case");
    }
}

/// A queue that no exchange knows.
async fn latecomer(market: &Marketplace) -> Subscriber {
    market.subscribe(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_comes_again_as_it_was_in_order_and_as_often_as_asked() {
    let (shop, market, published) = shop().await;
    let standing = standing(&published);
    let mut late = latecomer(&market).await;
    let queue = late.queue().to_owned();

    let dry = shop.json(&["derived", "republish", "--to", &queue, "--dry-run"]);
    assert_eq!((&dry["events"], &dry["dry_run"]), (&json!(standing.len()), &json!(true)));
    assert_eq!(late.arrived().await.len(), 0);

    let done = shop.json(&["derived", "republish", "--to", &queue]);
    assert_eq!((&done["events"], &done["left_out"]), (&json!(standing.len()), &json!(0)));
    assert_eq!(done["by_type"], dry["by_type"]);
    assert_same(late.arrived().await, &standing, &queue);

    // From the middle on: the rest comes, and nothing before.
    let mut places: Vec<(String, i64, String)> = standing.values().map(|m| place(m)).collect();
    places.sort();
    let (case, sequence, _) = &places[places.len() / 2];
    let after = format!("{case}/{sequence}");
    let rest = &places[places.len() / 2 + 1..];
    let done = shop.json(&["derived", "republish", "--to", &queue, "--after", &after]);
    assert_eq!(done["events"], rest.len());
    let mut again: Vec<_> = late.arrived().await[standing.len()..].iter().map(place).collect();
    again.sort();
    assert_eq!(again, rest);
}

/// Its case and sequence, by which events are gone through, and its id.
fn place(message: &Arrived) -> (String, i64, String) {
    let subject = message.event["subject"].as_str().unwrap();
    let case = match subject.strip_prefix("thread:") {
        Some(thread) => format!("t/{thread}"),
        None => format!("o/{subject}"),
    };
    (case, message.sequence(), message.message_id.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filters_narrow_and_another_source_is_left_out() {
    let (shop, market, published) = shop().await;
    let standing = standing(&published);
    let queue = latecomer(&market).await.queue().to_owned();
    let count = |filters: &[&str]| -> Value {
        let command = ["derived", "republish", "--dry-run", "--to", &queue];
        shop.json(&[&command, filters].concat())["events"].clone()
    };
    let expected = |wanted: &dyn Fn(&Arrived) -> bool| -> Value {
        standing.values().filter(|message| wanted(message)).count().into()
    };
    let one = standing.values().next().unwrap();
    let (kind, seller) = (&one.event_type, one.event["data"]["seller_id"].as_str().unwrap());
    assert_eq!(count(&["--type", kind]), expected(&|m| m.event_type == *kind));
    let both = ["--type", kind, "--type", "payment-overdue", "--seller", seller];
    let wanted = |m: &Arrived| {
        (m.event_type == *kind || m.event_type == "payment-overdue")
            && m.event["data"]["seller_id"] == seller
    };
    assert_eq!(count(&both), expected(&wanted));
    let time = one.event["time"].as_str().unwrap();
    let from: Timestamp = time.parse().unwrap();
    let is_later =
        |m: &Arrived| m.event["time"].as_str().unwrap().parse::<Timestamp>().unwrap() >= from;
    assert_eq!(count(&["--since", time]), expected(&is_later));
    assert_eq!(count(&["--until", time]), expected(&|m| !is_later(m)));

    let elsewhere = ["derived", "republish", "--to", &queue, "--source", "/other", "--json"];
    let ran = shop.run(&elsewhere);
    assert_eq!(ran.code, 1);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&told["events"], &told["left_out"]), (&json!(0), &json!(standing.len())));
    assert!(ran.err.contains("OTODOKE_SOURCE"), "{}", ran.err);
    let wrong = shop.run(&["derived", "republish", "--to", &queue, "--type", "derived-withdrawn"]);
    assert_eq!(wrong.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_only_comes_when_asked_for() {
    let shop = Shop::open().await;
    let market = Marketplace::of(&shop.services).await;
    let started = before(now(), Span::hours(30));
    let launch = Launch::on(&shop.services).with("OTODOKE_PUBLISH_FROM", &now().to_string());
    let mut processor = launch.ready().await;
    let placed: Event = event(
        "p",
        InputType::OrderPlaced,
        started,
        &crate::shop::order_placed("O-1", "authorized"),
    );
    market.publish_events(&[placed]).await;
    settled(&shop.pool, SOON, 1).await;
    assert!(processor.stop().await.success());
    let mut late = latecomer(&market).await;
    let queue = late.queue().to_owned();
    assert_eq!(shop.json(&["derived", "republish", "--to", &queue])["events"], 0);
    let with = shop.json(&["derived", "republish", "--to", &queue, "--include-unsent"]);
    assert_eq!(with["events"], 1);
    assert_eq!(late.arrived().await[0].event_type, "shipment-required");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_queue_a_sentence_says_how_to_get_one() {
    let shop = Shop::open().await;
    let ran = shop.run(&["derived", "republish", "--to", "nobody"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("no queue `nobody`") && ran.err.contains("declare"), "{}", ran.err);
    for place in ["o/O-1", "x/1/2", "o//3", "7"] {
        let ran = shop.run(&["derived", "republish", "--to", "nobody", "--after", place]);
        assert_eq!(ran.code, 2, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_says_from_where_to_go_on() {
    let (shop, _market, published) = shop().await;
    assert!(standing(&published).len() > 20);
    let connection = shop.services.amqp().await;
    let channel = connection.create_channel().await.unwrap();
    let queue = format!("{}full", shop.services.prefix());
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(3));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(queue.as_str().into(), options, arguments.clone()).await.unwrap();

    let mut child = Command::new(env!("CARGO_BIN_EXE_otodoke"))
        .args(["derived", "republish", "--to", &queue, "--after", "o/0/0"])
        .env("DATABASE_URL", shop.services.database_url())
        .env("AMQP_URL", shop.services.amqp_url())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until(SOON, "the queue is full", async || {
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let asked = channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
        asked.await.unwrap().message_count() >= 3
    })
    .await;
    assert_eq!(child.try_wait().unwrap(), None, "it waits for the queue");
    let interrupt = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("--after o/0/0") && told.contains("interrupted"), "{told}");
}
