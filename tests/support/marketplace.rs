//! The world around the processor: systems that publish events, and subscribers of what
//! is derived from them. A plain client, so that the program's own broker code is not
//! what it is judged by.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};
use otodoke::broker::{Names, Outcome, Outgoing, Publisher, Session, declare};
use otodoke::contract::{Event, Stream};
use serde_json::Value;

use super::Services;
use super::generate::to_cloudevent;

/// The most messages that wait for their confirms at a time.
const CHUNK: usize = 1_000;
const DELIVERY: Duration = Duration::from_secs(30);

/// One broker, and how things are called on it.
#[derive(Clone)]
pub struct Marketplace {
    amqp_url: String,
    pub names: Names,
}

impl Marketplace {
    pub async fn of(services: &Services) -> Marketplace {
        Marketplace::open(services.amqp_url(), services.prefix()).await
    }

    /// Declares the topology, so that events can be published before a processor runs.
    pub async fn open(amqp_url: &str, prefix: &str) -> Marketplace {
        let names = Names::new(prefix).expect("a prefix without dots at its ends");
        let session = Session::open(amqp_url, "test").await.expect("the broker answers");
        declare(&session, &names).await.expect("the broker takes the topology");
        session.close().await;
        Marketplace { amqp_url: amqp_url.to_owned(), names }
    }

    /// Publishes in this order, and returns once the broker has confirmed all.
    pub async fn publish(&self, messages: &[Outgoing]) {
        let mut publisher = Publisher::open(&self.amqp_url).await.expect("the broker answers");
        for chunk in messages.chunks(CHUNK) {
            let outcomes = publisher.publish_all(chunk).await;
            let lost = outcomes.iter().find(|o| **o != Outcome::Confirmed { routed: true });
            assert_eq!(lost, None, "not confirmed: {:?}", publisher.fault());
        }
        publisher.close().await;
    }

    pub async fn publish_events(&self, events: &[Event]) {
        let messages: Vec<Outgoing> = events.iter().map(|event| self.event(event)).collect();
        self.publish(&messages).await;
    }

    /// In structured mode.
    pub fn event(&self, event: &Event) -> Outgoing {
        let input = event.input.input_type();
        self.structured(input.stream(), input.name(), to_cloudevent(event).to_string())
    }

    pub fn structured(&self, stream: Stream, kind: &str, body: impl Into<Vec<u8>>) -> Outgoing {
        Outgoing {
            exchange: self.names.events(),
            routing_key: format!("{}.{kind}", stream.name()),
            body: body.into().into(),
            message_id: String::new(),
            event_type: kind.to_owned(),
            timestamp: None,
            content_type: "application/cloudevents+json".to_owned(),
            headers: Default::default(),
            mandatory: true,
        }
    }

    /// A queue for what goes out under these routing keys.
    pub async fn subscribe(&self, routing_keys: &[&str]) -> Subscriber {
        self.subscribe_by(routing_keys, FieldTable::default()).await
    }

    /// The same, with a queue that outlives a crash of the broker as the processor's own do.
    pub async fn subscribe_for_good(&self, routing_keys: &[&str]) -> Subscriber {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        self.subscribe_by(routing_keys, arguments).await
    }

    async fn subscribe_by(&self, routing_keys: &[&str], arguments: FieldTable) -> Subscriber {
        let (_connection, channel) = connect(&self.amqp_url).await;
        let queue = format!("subscriber-{}", uuid::Uuid::now_v7());
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let declared = channel.queue_declare(queue.as_str().into(), options, arguments);
        declared.await.expect("the broker takes a queue");
        for key in routing_keys {
            let (queue, exchange) = (queue.as_str().into(), self.names.derived());
            let options = QueueBindOptions::default();
            let exchange = exchange.as_str().into();
            let bound =
                channel.queue_bind(queue, exchange, (*key).into(), options, FieldTable::default());
            bound.await.expect("the broker takes a binding");
        }
        Subscriber { amqp_url: self.amqp_url.clone(), queue, arrived: Vec::new() }
    }

    /// How many messages wait in the four input queues, those handed out not counted.
    pub async fn backlog(&self) -> u32 {
        let (_connection, channel) = connect(&self.amqp_url).await;
        let mut ready = 0;
        for stream in Stream::ALL {
            ready += count(&channel, &self.names.queue(stream)).await;
        }
        ready
    }
}

/// Somebody who is told of derived events.
pub struct Subscriber {
    amqp_url: String,
    queue: String,
    arrived: Vec<Arrived>,
}

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub routing_key: String,
    pub message_id: String,
    pub event_type: String,
    pub content_type: String,
    /// Seconds since 1970.
    pub timestamp: Option<u64>,
    pub persistent: bool,
    pub headers: FieldTable,
    pub bytes: Vec<u8>,
    pub event: Value,
}

impl Subscriber {
    /// The name of its queue.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// All that has arrived since the beginning, in order.
    pub async fn arrived(&mut self) -> &[Arrived] {
        let (_connection, channel) = connect(&self.amqp_url).await;
        let waiting = count(&channel, &self.queue).await as usize;
        if waiting > 0 {
            self.take(&channel, waiting).await;
        }
        &self.arrived
    }

    pub async fn of_type(&mut self, event_type: &str) -> Vec<Arrived> {
        let arrived = self.arrived().await.iter();
        arrived.filter(|message| message.event_type == event_type).cloned().collect()
    }

    async fn take(&mut self, channel: &Channel, waiting: usize) {
        let bound = u16::try_from(waiting).unwrap_or(u16::MAX);
        channel.basic_qos(bound, BasicQosOptions::default()).await.expect("a bound");
        let options = BasicConsumeOptions::default();
        let table = FieldTable::default();
        let consumer = channel.basic_consume(self.queue.as_str().into(), "".into(), options, table);
        let mut consumer = consumer.await.expect("the queue is there");
        for _ in 0..waiting {
            let next = tokio::time::timeout(DELIVERY, consumer.next()).await;
            let delivery = next.expect("what waits is delivered").expect("the queue stays");
            let delivery = delivery.expect("the channel stays");
            delivery.acker.ack(BasicAckOptions::default()).await.expect("the channel stays");
            self.arrived.push(Arrived::of(delivery));
        }
        channel.close(200, "done".into()).await.expect("the channel closes");
    }
}

impl Arrived {
    fn of(delivery: Delivery) -> Arrived {
        let properties = &delivery.properties;
        let text = |text: &Option<lapin::types::ShortString>| {
            text.as_ref().map(ToString::to_string).unwrap_or_default()
        };
        Arrived {
            routing_key: delivery.routing_key.to_string(),
            message_id: text(properties.message_id()),
            event_type: text(properties.kind()),
            content_type: text(properties.content_type()),
            timestamp: *properties.timestamp(),
            persistent: *properties.delivery_mode() == Some(2),
            headers: properties.headers().clone().unwrap_or_default(),
            event: serde_json::from_slice(&delivery.data).expect("what goes out is JSON"),
            bytes: delivery.data,
        }
    }

    pub fn header(&self, name: &str) -> Option<String> {
        match self.headers.inner().get(name)? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            _ => None,
        }
    }

    pub fn sequence(&self) -> i64 {
        let text = self.event["sequence"].as_str().expect("a sequence is a text");
        text.parse().expect("a sequence is a decimal number")
    }
}

async fn connect(amqp_url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await;
    let connection = connection.expect("the broker takes connections");
    let channel = connection.create_channel().await.expect("the broker takes channels");
    (connection, channel)
}

async fn count(channel: &Channel, queue: &str) -> u32 {
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
    declared.await.expect("the queue is there").message_count()
}
