//! Looking on: derived events as they are published, without taking them from anybody.

use futures_util::StreamExt;
use lapin::Channel;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;

use super::session::answered;
use super::{BrokerError, Delivery, Names, Session, Token};

/// A queue of our own on the derived exchange; it goes when the session does.
pub struct Tail {
    // Keeps the connection, and with it the queue, open.
    _session: Session,
    channel: Channel,
    consumer: lapin::Consumer,
    queue: String,
}

/// What may wait unread at this end.
const PREFETCH: u16 = 200;

impl Tail {
    /// `patterns`: binding keys such as `refund-required.*`.
    pub async fn open(url: &str, names: &Names, patterns: &[String]) -> Result<Tail, BrokerError> {
        let session = Session::open(url, "tail").await?;
        let channel = session.channel().await?;
        let queue = own_queue(&channel, names, patterns).await?;
        answered(channel.basic_qos(PREFETCH, BasicQosOptions::default()))
            .await
            .map_err(|source| BrokerError::Channel { source })?;
        let options = BasicConsumeOptions::default();
        let consumer = answered(channel.basic_consume(
            queue.as_str().into(),
            "".into(),
            options,
            FieldTable::default(),
        ))
        .await
        .map_err(|source| BrokerError::Consume { queue: queue.clone(), source })?;
        Ok(Tail { _session: session, channel, consumer, queue })
    }

    /// The next message; waits as long as there is none.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let received = self
            .consumer
            .next()
            .await
            .ok_or_else(|| BrokerError::Ended { queue: self.queue.clone() })?;
        let delivery = received.map_err(|error| BrokerError::Deliver {
            queue: self.queue.clone(),
            source: error.into(),
        })?;
        let tag = delivery.delivery_tag;
        answered(self.channel.basic_ack(tag, BasicAckOptions::default()))
            .await
            .map_err(|source| BrokerError::Acknowledge { source })?;
        Ok(Delivery::new(Token::acknowledged(), None, delivery))
    }
}

async fn own_queue(
    channel: &Channel,
    names: &Names,
    patterns: &[String],
) -> Result<String, BrokerError> {
    let declare =
        |source| BrokerError::Declare { what: "a queue to look on with".to_owned(), source };
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let queue = answered(channel.queue_declare("".into(), options, FieldTable::default()))
        .await
        .map_err(declare)?;
    let queue = queue.name().to_string();
    for pattern in patterns {
        let bound = channel.queue_bind(
            queue.as_str().into(),
            names.derived().as_str().into(),
            pattern.as_str().into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        answered(bound).await.map_err(declare)?;
    }
    Ok(queue)
}
