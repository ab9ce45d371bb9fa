//! The broker's side, against a real RabbitMQ.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lapin::options::{
    BasicPublishOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use otodoke::broker::{
    BrokerError, Consumer, Delivery, HeaderValue, Headers, Names, Outcome, Outgoing, Publisher,
    QueueDepth, Session, Subscription, backlog, declare,
};
use otodoke::contract::Stream;

const DEADLINE: Duration = Duration::from_secs(20);

fn amqp_url() -> String {
    std::env::var("AMQP_URL").expect(
        "these tests need a RabbitMQ: set AMQP_URL, e.g. amqp://guest:guest@127.0.0.1:5672/%2f \
         of `docker run -p 5672:5672 rabbitmq:4`",
    )
}

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| panic!("no {what} in time"))
}

/// A topology of its own on the shared broker, and a plain client to look at it from outside.
struct Place {
    names: Names,
    outside: Connection,
}

impl Place {
    async fn empty() -> Place {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let place = PLACES.fetch_add(1, Ordering::Relaxed);
        let names = Names::new(&format!("test-{}-{place}", std::process::id())).unwrap();
        let outside =
            Connection::connect(&amqp_url(), ConnectionProperties::default()).await.unwrap();
        Place { names, outside }
    }

    async fn declared() -> Place {
        let place = Place::empty().await;
        assert_eq!(place.declare().await, []);
        place
    }

    async fn declare(&self) -> Vec<otodoke::broker::Difference> {
        declare(&session().await, &self.names).await.unwrap()
    }

    async fn channel(&self) -> Channel {
        self.outside.create_channel().await.unwrap()
    }

    async fn delete_queue(&self, queue: &str) {
        let options = QueueDeleteOptions::default();
        self.channel().await.queue_delete(queue.into(), options).await.unwrap();
    }

    async fn consumer(&self, streams: &[Stream]) -> Consumer {
        let subscription = Subscription::Streams(streams.to_vec());
        Consumer::open(&amqp_url(), &self.names, &subscription, 100).await.unwrap()
    }

    fn event(&self, routing_key: &str, id: &str) -> Outgoing {
        Outgoing { exchange: self.names.events(), ..message(routing_key, id) }
    }

    async fn publish(&self, messages: &[Outgoing]) -> Vec<Outcome> {
        let mut publisher = Publisher::open(&amqp_url()).await.unwrap();
        let outcomes = in_time("confirms", publisher.publish_all(messages)).await;
        publisher.close().await;
        outcomes
    }

    async fn tidy_up(self) {
        let channel = self.channel().await;
        for queue in
            Stream::ALL.map(|stream| self.names.queue(stream)).iter().chain([&self.names.dead()])
        {
            channel
                .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
                .await
                .unwrap();
        }
        for exchange in [self.names.events(), self.names.derived(), self.names.dead()] {
            let options = ExchangeDeleteOptions::default();
            channel.exchange_delete(exchange.as_str().into(), options).await.unwrap();
        }
        self.outside.close(200, "OK".into()).await.unwrap();
    }
}

async fn session() -> Session {
    Session::open(&amqp_url(), "test").await.unwrap()
}

fn message(routing_key: &str, id: &str) -> Outgoing {
    Outgoing {
        exchange: String::new(),
        routing_key: routing_key.to_owned(),
        body: format!("body of {id}").into(),
        message_id: id.to_owned(),
        event_type: "order-placed".to_owned(),
        timestamp: Some(1_700_000_000),
        content_type: "application/cloudevents+json".to_owned(),
        headers: Headers::new(),
        mandatory: true,
    }
}

async fn next(consumer: &mut Consumer) -> Delivery {
    in_time("delivery", consumer.next()).await.unwrap()
}

/// The message ids of as many deliveries, sorted.
async fn ids(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(next(consumer).await.properties.message_id.unwrap());
    }
    ids.sort();
    ids
}

fn routed(routed: bool) -> Outcome {
    Outcome::Confirmed { routed }
}

#[tokio::test]
async fn declaring_twice_changes_nothing() {
    let place = Place::declared().await;
    assert_eq!(place.declare().await, []);
    place.tidy_up().await;
}

#[tokio::test]
async fn what_exists_with_other_arguments_is_used_and_the_difference_named() {
    let place = Place::empty().await;
    let channel = place.channel().await;
    let queue = place.names.queue(Stream::Orders);
    let arguments = FieldTable::from(BTreeMap::from([(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    )]));
    channel
        .queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), arguments)
        .await
        .unwrap();
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel
        .exchange_declare(
            place.names.derived().as_str().into(),
            ExchangeKind::Direct,
            options,
            FieldTable::default(),
        )
        .await
        .unwrap();

    let differences: Vec<String> = place.declare().await.iter().map(ToString::to_string).collect();
    assert_eq!(differences.len(), 2, "{differences:?}");
    assert_eq!(
        differences[0],
        format!(
            "the exchange `{}` is used as it is, with type: 'direct' instead of 'topic'",
            place.names.derived()
        )
    );
    let start = format!("the queue `{queue}` is used as it is, with x-");
    assert!(differences[1].starts_with(&start), "{differences:?}");
    assert!(differences[1].contains(": none instead of "), "{differences:?}");

    let mut consumer = place.consumer(&[Stream::Orders]).await;
    assert_eq!(place.publish(&[place.event("orders.order-placed", "a")]).await, [routed(true)]);
    assert_eq!(ids(&mut consumer, 1).await, ["a"]);
    consumer.close().await;
    place.tidy_up().await;
}

#[tokio::test]
async fn a_message_arrives_as_it_was_sent() {
    let place = Place::declared().await;
    let mut sent = place.event("payments.payment-authorized", "a");
    sent.headers = Headers::from([
        ("traceparent".into(), "00-ab-cd-01".into()),
        (
            "nested".into(),
            HeaderValue::List(vec![HeaderValue::Table(Headers::from([(
                "count".into(),
                HeaderValue::Integer(3),
            )]))]),
        ),
    ]);
    place.publish(std::slice::from_ref(&sent)).await;
    let mut consumer = place.consumer(&Stream::ALL).await;
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.stream, Some(Stream::Payments));
    assert_eq!(delivery.routing_key, "payments.payment-authorized");
    assert_eq!(delivery.body, sent.body);
    assert!(!delivery.redelivered);
    assert_eq!(delivery.properties.headers, sent.headers);
    assert_eq!(delivery.properties.message_id.as_deref(), Some("a"));
    assert_eq!(delivery.properties.event_type.as_deref(), Some("order-placed"));
    assert_eq!(delivery.properties.timestamp, Some(1_700_000_000));
    assert_eq!(delivery.properties.content_type.as_deref(), Some("application/cloudevents+json"));
    consumer.close().await;
    place.tidy_up().await;
}

#[tokio::test]
async fn only_what_is_done_up_to_the_first_gap_is_acknowledged() {
    let place = Place::declared().await;
    let sent: Vec<Outgoing> =
        (1..=5).map(|n| place.event("orders.order-placed", &n.to_string())).collect();
    place.publish(&sent).await;
    let mut consumer = place.consumer(&[Stream::Orders]).await;
    let acks = consumer.acks();
    let mut tokens = Vec::new();
    for _ in 0..5 {
        tokens.push(next(&mut consumer).await.token);
    }

    acks.done([tokens[4], tokens[1]]);
    acks.flush().await.unwrap();
    acks.done([tokens[0]]);
    acks.flush().await.unwrap();
    consumer.close().await;

    let mut consumer = place.consumer(&[Stream::Orders]).await;
    assert_eq!(ids(&mut consumer, 3).await, ["3", "4", "5"]);
    consumer.close().await;
    place.tidy_up().await;
}

#[tokio::test]
async fn a_token_of_an_earlier_session_acknowledges_nothing() {
    let place = Place::declared().await;
    place.publish(&[place.event("orders.order-placed", "a")]).await;
    let mut earlier = place.consumer(&[Stream::Orders]).await;
    let token = next(&mut earlier).await.token;
    let earlier_acks = earlier.acks();
    earlier.close().await;
    earlier_acks.done([token]);
    assert!(matches!(earlier_acks.flush().await, Err(BrokerError::Closed)));

    let mut later = place.consumer(&[Stream::Orders]).await;
    assert!(next(&mut later).await.redelivered);
    later.acks().done([token]);
    later.acks().flush().await.unwrap();
    later.close().await;

    let mut last = place.consumer(&[Stream::Orders]).await;
    assert_eq!(ids(&mut last, 1).await, ["a"]);
    last.close().await;
    place.tidy_up().await;
}

#[tokio::test]
async fn a_deleted_queue_is_a_fault_also_beside_queues_that_live() {
    let place = Place::declared().await;
    let mut consumer = place.consumer(&Stream::ALL).await;
    let queue = place.names.queue(Stream::Shipments);
    place.delete_queue(&queue).await;
    let fault = in_time("fault", consumer.next()).await.unwrap_err();
    assert!(matches!(&fault, BrokerError::Ended { queue: ended } if *ended == queue), "{fault:?}");

    let subscription = Subscription::Streams(vec![Stream::Shipments]);
    let reopened = Consumer::open(&amqp_url(), &place.names, &subscription, 1).await;
    assert!(matches!(reopened, Err(BrokerError::Consume { .. })));
    place.declare().await;
    place.consumer(&[Stream::Shipments]).await.close().await;
    place.tidy_up().await;
}

#[tokio::test]
async fn an_unknown_routing_key_and_what_the_broker_gives_up_end_in_the_dead_queue() {
    let place = Place::declared().await;
    // The alternate exchange takes it, so it counts as routed.
    assert_eq!(place.publish(&[place.event("returns.made", "a")]).await, [routed(true)]);
    let subscription = Subscription::DeadQueue;
    let mut consumer = Consumer::open(&amqp_url(), &place.names, &subscription, 10).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!((delivery.stream, delivery.routing_key.as_str()), (None, "returns.made"));
    consumer.acks().done([delivery.token]);
    consumer.acks().flush().await.unwrap();

    let rejected = Outgoing { headers: Headers::new(), ..place.event("orders.order-placed", "b") };
    place.publish(&[rejected]).await;
    reject_one(&place, &place.names.queue(Stream::Orders)).await;
    let dead = next(&mut consumer).await;
    assert_eq!(dead.properties.message_id.as_deref(), Some("b"));
    let headers = otodoke::broker::headers_to_json(&dead.properties.headers);
    assert_eq!(headers["x-death"][0]["reason"], "rejected");
    assert_eq!(headers["x-death"][0]["queue"], place.names.queue(Stream::Orders));
    consumer.close().await;
    place.tidy_up().await;
}

async fn reject_one(place: &Place, queue: &str) {
    let channel = place.channel().await;
    let got = in_time("message", async {
        loop {
            let got = channel.basic_get(queue.into(), Default::default()).await.unwrap();
            if let Some(got) = got {
                return got;
            }
        }
    });
    got.await.reject(Default::default()).await.unwrap();
}

#[tokio::test]
async fn every_outcome_is_told_for_its_own_message_under_many_confirms() {
    let place = Place::declared().await;
    let channel = place.channel().await;
    let queue = channel
        .queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default())
        .await
        .unwrap();
    channel
        .queue_bind(
            queue.name().clone(),
            place.names.derived().as_str().into(),
            "refund-required.*".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let messages: Vec<Outgoing> = (0..600)
        .map(|n| {
            let key = if n % 3 == 0 { "refund-required.A1" } else { "payment-overdue.A1" };
            Outgoing { exchange: place.names.derived(), ..message(key, &n.to_string()) }
        })
        .collect();
    let outcomes = place.publish(&messages).await;
    for (n, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome, routed(n % 3 == 0), "message {n}");
    }
    place.tidy_up().await;
}

#[tokio::test]
async fn a_carbon_copy_reaches_the_subscribers_of_the_other_key_too() {
    let place = Place::declared().await;
    let mut sent = place.event("orders.order-placed", "a");
    sent.headers.insert("CC".into(), HeaderValue::List(vec!["payments.payment-failed".into()]));
    assert_eq!(place.publish(&[sent]).await, [routed(true)]);
    let mut consumer = place.consumer(&Stream::ALL).await;
    let streams: BTreeSet<_> =
        [next(&mut consumer).await.stream, next(&mut consumer).await.stream].into();
    assert_eq!(streams, BTreeSet::from([Some(Stream::Orders), Some(Stream::Payments)]));
    consumer.close().await;
    place.tidy_up().await;
}

#[tokio::test]
async fn a_publisher_recovers_by_itself_from_a_channel_that_broke() {
    let place = Place::declared().await;
    let mut publisher = Publisher::open(&amqp_url()).await.unwrap();
    let lost = Outgoing { exchange: "no-such-exchange".into(), ..message("a", "a") };
    assert_eq!(in_time("outcome", publisher.publish_all(&[lost])).await, [Outcome::Unknown]);
    assert!(matches!(publisher.fault(), Some(BrokerError::Publish { .. })));
    let good = place.event("orders.order-placed", "b");
    assert_eq!(in_time("outcome", publisher.publish_all(&[good])).await, [routed(true)]);
    assert!(publisher.fault().is_none());
    publisher.close().await;
    place.tidy_up().await;
}

#[tokio::test]
async fn a_name_that_amqp_has_no_room_for_harms_no_other_message() {
    let place = Place::declared().await;
    let long = "あ".repeat(100);
    let outcomes = place
        .publish(&[
            place.event(&format!("orders.{long}"), "a"),
            place.event("orders.order-placed", &long),
        ])
        .await;
    assert_eq!(outcomes, [Outcome::Unsendable, routed(true)]);
    let mut consumer = place.consumer(&[Stream::Orders]).await;
    assert_eq!(next(&mut consumer).await.properties.message_id, None);
    consumer.close().await;
    place.tidy_up().await;
}

#[tokio::test]
async fn the_backlog_counts_what_waits_and_tells_a_queue_that_is_missing() {
    let place = Place::declared().await;
    let events = [place.event("orders.order-placed", "a"), place.event("orders.order-placed", "b")];
    place.publish(&events).await;
    let watching = session().await;
    let waiting = in_time("backlog", async {
        loop {
            let depths = backlog(&watching, &place.names).await.unwrap();
            if depths[0].ready == Some(2) {
                return depths;
            }
        }
    })
    .await;
    let queue = place.names.queue(Stream::Orders);
    let stream = Some(Stream::Orders);
    assert_eq!(waiting[0], QueueDepth { stream, queue, ready: Some(2), consumers: 0 });
    assert_eq!(waiting.len(), 5);
    assert_eq!((waiting[4].stream, waiting[4].ready), (None, Some(0)));

    place.delete_queue(&place.names.dead()).await;
    assert_eq!(backlog(&watching, &place.names).await.unwrap()[4].ready, None);
    place.tidy_up().await;
}

#[tokio::test]
async fn a_broker_that_is_away_is_told_without_the_password() {
    let away = "amqp://app:secret@127.0.0.1:1/%2f";
    let error = in_time("error", Publisher::open(away)).await.unwrap_err();
    assert!(error.is_transient());
    let text = otodoke::retry::Causes(&error).to_string();
    assert!(text.contains("amqp://app:***@127.0.0.1:1/%2f"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_message_that_another_client_sent_bare_arrives_too() {
    let place = Place::declared().await;
    let (exchange, key) = (place.names.events(), "messages.message-sent");
    let options = BasicPublishOptions::default();
    place
        .channel()
        .await
        .basic_publish(
            exchange.as_str().into(),
            key.into(),
            options,
            b"",
            BasicProperties::default(),
        )
        .await
        .unwrap();
    let mut consumer = place.consumer(&[Stream::Messages]).await;
    let delivery = next(&mut consumer).await;
    assert_eq!((delivery.body.len(), delivery.properties), (0, Default::default()));
    consumer.close().await;
    place.tidy_up().await;
}
