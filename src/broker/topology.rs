//! The exchanges, queues and bindings, see section 1 of the contract.
//!
//! Declaring is safe to repeat. What exists with other arguments belongs to
//! whoever made it so: it is used as it is, and never deleted or changed.

use std::fmt;

use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, ExchangeKind};

use super::session::answered;
use super::{BrokerError, Fault, Names, Session};
use crate::contract::Stream;
use crate::fail_points::FailPoint;

/// How often a message of a stream may come back before the broker gives it up.
///
/// Every loss of a connection counts, also for the messages that were merely waiting with the
/// one that caused it. So the limit is far above what restarts and outages bring, and is only
/// reached by a message that kills its consumer each time. RabbitMQ 4 would set 20, 3.10 none.
const DELIVERY_LIMIT: i32 = 100;
/// As good as none: what comes back from the dead queue too often would be lost.
/// (-1 means that only since RabbitMQ 4.)
const DEAD_DELIVERY_LIMIT: i32 = i32::MAX;
/// The broker's code for a declaration that contradicts what exists.
const PRECONDITION_FAILED: u16 = 406;
/// The broker's code for something that doesn't exist.
const NOT_FOUND: u16 = 404;

/// Something that exists with other arguments than the contract's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// As in ``queue `otodoke.orders` ``.
    pub what: String,
    /// The first difference; the broker names no more. As in
    /// `x-delivery-limit: none instead of '100' of type 'signedint'`.
    pub detail: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} is used as it is, with {}", self.what, self.detail)
    }
}

/// Declares everything, and tells what is used although it differs: for the caller to warn of.
pub async fn declare(session: &Session, names: &Names) -> Result<Vec<Difference>, BrokerError> {
    let mut differences = Vec::new();
    for part in parts(names) {
        differences.extend(part.declare(session).await?);
        FailPoint::Declaring.pass();
    }
    for (queue, exchange, routing_key) in bindings(names) {
        bind(session, &queue, &exchange, routing_key).await?;
    }
    Ok(differences)
}

/// Deletes everything of these names, with all that waits in the queues: for whoever
/// declared them for a while. What isn't there is no error.
pub async fn remove(session: &Session, names: &Names) -> Result<(), BrokerError> {
    for part in parts(names).into_iter().rev() {
        let what = part.what();
        part.remove(&session.channel().await?)
            .await
            .map_err(|source| BrokerError::Remove { what, source })?;
    }
    Ok(())
}

/// How much waits in a queue, and who receives from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// `None`: the dead queue.
    pub stream: Option<Stream>,
    pub queue: String,
    /// `None`: there is no such queue.
    pub ready: Option<u32>,
    pub consumers: u32,
}

/// The depth of every queue that is consumed, the dead queue last. Messages that were
/// delivered and not acknowledged aren't counted.
pub async fn backlog(session: &Session, names: &Names) -> Result<Vec<QueueDepth>, BrokerError> {
    let streams = Stream::ALL.map(|stream| (Some(stream), names.queue(stream)));
    let mut depths = Vec::new();
    for (stream, queue) in streams.into_iter().chain([(None, names.dead())]) {
        depths.push(depth(session, stream, queue).await?);
    }
    Ok(depths)
}

/// Whether there is a queue of this name, whoever declared it.
pub async fn queue_exists(session: &Session, queue: &str) -> Result<bool, BrokerError> {
    let depth = depth(session, None, queue.to_owned()).await?;
    Ok(depth.ready.is_some())
}

async fn depth(
    session: &Session,
    stream: Option<Stream>,
    queue: String,
) -> Result<QueueDepth, BrokerError> {
    // A channel of its own: asking for a queue that doesn't exist closes it.
    let channel = session.channel().await?;
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    let found = channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
    match answered(found).await {
        Ok(found) => Ok(QueueDepth {
            stream,
            queue,
            ready: Some(found.message_count()),
            consumers: found.consumer_count(),
        }),
        Err(fault) if replied(&fault, NOT_FOUND) => {
            Ok(QueueDepth { stream, queue, ready: None, consumers: 0 })
        }
        Err(source) => Err(BrokerError::Depth { queue, source }),
    }
}

/// An exchange or a queue, durable.
struct Part {
    name: String,
    kind: Kind,
    arguments: FieldTable,
}

enum Kind {
    Exchange(ExchangeKind),
    Queue,
}

/// In an order in which what is named exists already.
fn parts(names: &Names) -> Vec<Part> {
    let dead = names.dead();
    let exchange = |name, kind, arguments| Part { name, kind: Kind::Exchange(kind), arguments };
    let queue = |name, arguments| Part { name, kind: Kind::Queue, arguments };
    let mut parts = vec![
        exchange(dead.clone(), ExchangeKind::Fanout, FieldTable::default()),
        queue(dead.clone(), quorum(DEAD_DELIVERY_LIMIT)),
        exchange(
            names.events(),
            ExchangeKind::Topic,
            with_texts(FieldTable::default(), &[("alternate-exchange", &dead)]),
        ),
        exchange(names.derived(), ExchangeKind::Topic, FieldTable::default()),
    ];
    let dead_lettering = [
        ("x-dead-letter-exchange", dead.as_str()),
        ("x-dead-letter-strategy", "at-least-once"),
        // The strategy requires it: otherwise a full queue would drop messages.
        ("x-overflow", "reject-publish"),
    ];
    parts.extend(Stream::ALL.map(|stream| {
        queue(names.queue(stream), with_texts(quorum(DELIVERY_LIMIT), &dead_lettering))
    }));
    parts
}

/// Queue, exchange, routing key.
fn bindings(names: &Names) -> Vec<(String, String, String)> {
    let stream =
        |stream: Stream| (names.queue(stream), names.events(), format!("{}.#", stream.name()));
    let dead = (names.dead(), names.dead(), String::new());
    std::iter::once(dead).chain(Stream::ALL.map(stream)).collect()
}

fn quorum(delivery_limit: i32) -> FieldTable {
    let mut arguments = with_texts(FieldTable::default(), &[("x-queue-type", "quorum")]);
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(delivery_limit));
    arguments
}

fn with_texts(mut arguments: FieldTable, texts: &[(&str, &str)]) -> FieldTable {
    for (name, text) in texts {
        arguments.insert((*name).into(), AMQPValue::LongString(LongString::from(*text)));
    }
    arguments
}

impl Part {
    async fn declare(self, session: &Session) -> Result<Option<Difference>, BrokerError> {
        let what = self.what();
        // A channel for each: one that differs closes its channel.
        let answer = self.request(&session.channel().await?, false).await;
        let difference = match answer {
            Ok(()) => return Ok(None),
            Err(fault) => match fault.reply() {
                Some((PRECONDITION_FAILED, text)) => {
                    Difference { what: what.clone(), detail: difference(text) }
                }
                _ => return Err(BrokerError::Declare { what, source: fault }),
            },
        };
        // The same code also says that our arguments are invalid: then there is nothing.
        match self.request(&session.channel().await?, true).await {
            Ok(()) => Ok(Some(difference)),
            Err(source) => Err(BrokerError::Declare { what, source }),
        }
    }

    /// Declares it, or if `passive` only asks whether it exists.
    async fn request(&self, channel: &Channel, passive: bool) -> Result<(), Fault> {
        let (name, arguments) = (self.name.as_str().into(), self.arguments.clone());
        match &self.kind {
            Kind::Exchange(kind) => {
                let options =
                    ExchangeDeclareOptions { passive, durable: true, ..Default::default() };
                answered(channel.exchange_declare(name, kind.clone(), options, arguments)).await
            }
            Kind::Queue => {
                let options = QueueDeclareOptions { passive, durable: true, ..Default::default() };
                answered(channel.queue_declare(name, options, arguments)).await.map(drop)
            }
        }
    }

    async fn remove(&self, channel: &Channel) -> Result<(), Fault> {
        let name = self.name.as_str().into();
        match self.kind {
            Kind::Exchange(_) => {
                answered(channel.exchange_delete(name, ExchangeDeleteOptions::default())).await
            }
            Kind::Queue => {
                let deleted = channel.queue_delete(name, QueueDeleteOptions::default());
                answered(deleted).await.map(drop)
            }
        }
    }

    fn what(&self) -> String {
        match self.kind {
            Kind::Exchange(_) => format!("exchange `{}`", self.name),
            Kind::Queue => format!("queue `{}`", self.name),
        }
    }
}

async fn bind(
    session: &Session,
    queue: &str,
    exchange: &str,
    routing_key: String,
) -> Result<(), BrokerError> {
    let channel = session.channel().await?;
    let what = format!("the binding `{routing_key}` of queue `{queue}`");
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    answered(channel.queue_bind(
        queue.into(),
        exchange.into(),
        routing_key.into(),
        options,
        arguments,
    ))
    .await
    .map_err(|source| BrokerError::Declare { what, source })
}

fn replied(fault: &Fault, code: u16) -> bool {
    fault.reply().is_some_and(|(replied, _)| replied == code)
}

/// Reads the broker's `inequivalent arg 'A' for … 'N' in vhost 'V': received W but current is C`.
/// Where it says something else, or is cut off at 255 bytes, its own words must do.
fn difference(text: &str) -> String {
    let read = || {
        let (_, rest) = text.split_once("inequivalent arg '")?;
        let (argument, rest) = rest.split_once('\'')?;
        let (_, rest) = rest.rsplit_once(": received ")?;
        let (wanted, found) = rest.split_once(" but current is ")?;
        Some((argument, wanted, found))
    };
    match read() {
        Some((argument, wanted, found)) => {
            let [wanted, found] =
                [wanted, found].map(|value| value.trim_start_matches("the value "));
            format!("{argument}: {found} instead of {wanted}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_words_become_a_difference() {
        for (text, detail) in [
            (
                "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'a' in vhost \
                 '/': received the value '100' of type 'signedint' but current is none",
                "x-delivery-limit: none instead of '100' of type 'signedint'",
            ),
            (
                "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'a' in vhost '/': \
                 received 'topic' but current is 'direct'",
                "type: 'direct' instead of 'topic'",
            ),
            ("PRECONDITION_FAILED - something new", "PRECONDITION_FAILED - something new"),
        ] {
            assert_eq!(difference(text), detail);
        }
    }
}
