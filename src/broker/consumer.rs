//! Receiving: one channel, one consumer a queue, all in one flow.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream, SelectAll};
use lapin::Channel;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use std::sync::Arc;

use super::acks::Ledger;
use super::session::{answered, close_channel};
use super::{Acks, BrokerError, Delivery, Names, Session};
use crate::contract::Stream;

/// What to receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// The input events of these streams.
    Streams(Vec<Stream>),
    /// What the broker gave up.
    DeadQueue,
}

/// A session that receives.
///
/// Any error is the end of it: drop it and open another. Dropping it hands back
/// to the broker what wasn't acknowledged.
pub struct Consumer {
    session: Session,
    ledger: Arc<Ledger>,
    deliveries: SelectAll<Deliveries>,
    queues: Vec<String>,
}

type Deliveries =
    BoxStream<'static, Result<(Option<Stream>, lapin::message::Delivery), BrokerError>>;

impl Consumer {
    /// Connects and starts to receive. `prefetch` bounds what may be unacknowledged in each
    /// queue, and so what is held in memory; 0 counts as 1.
    pub async fn open(
        url: &str,
        names: &Names,
        subscription: &Subscription,
        prefetch: u16,
    ) -> Result<Consumer, BrokerError> {
        let session = Session::open(url, "consume").await?;
        let channel = session.channel().await?;
        // 0 would mean no limit, and the whole backlog would come at once.
        answered(channel.basic_qos(prefetch.max(1), BasicQosOptions::default()))
            .await
            .map_err(|source| BrokerError::Channel { source })?;
        let (mut deliveries, mut queues) = (SelectAll::new(), Vec::new());
        for (stream, queue) in subscription.queues(names) {
            deliveries.push(consume(&channel, stream, queue.clone()).await?);
            queues.push(queue);
        }
        Ok(Consumer { session, ledger: Ledger::new(channel), deliveries, queues })
    }

    /// The next message of any queue; waits as long as there is none. May be cancelled
    /// without losing a message.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        match self.deliveries.next().await {
            Some(received) => {
                let (stream, delivery) = received?;
                let token = self.ledger.token(delivery.delivery_tag);
                Ok(Delivery::new(token, stream, delivery))
            }
            None => Err(BrokerError::Closed),
        }
    }

    /// How many messages wait in the queues, undelivered. Asked on the channel that delivers:
    /// what the broker sent before its answer is ready to be taken with [`Consumer::next`].
    pub async fn ready(&mut self) -> Result<u64, BrokerError> {
        let mut ready = 0;
        for queue in &self.queues {
            let options = QueueDeclareOptions { passive: true, ..Default::default() };
            let channel = &self.ledger.channel;
            let found =
                channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
            let found = answered(found)
                .await
                .map_err(|source| BrokerError::Depth { queue: queue.clone(), source })?;
            ready += u64::from(found.message_count());
        }
        Ok(ready)
    }

    /// What acknowledges this consumer's deliveries.
    pub fn acks(&self) -> Acks {
        self.ledger.acks()
    }

    /// Stops, and hands back what wasn't acknowledged: flush before.
    pub async fn close(self) {
        drop(self.deliveries);
        close_channel(&self.ledger.channel).await;
        self.session.close().await;
    }
}

impl Subscription {
    fn queues(&self, names: &Names) -> Vec<(Option<Stream>, String)> {
        match self {
            Subscription::Streams(streams) => {
                streams.iter().map(|stream| (Some(*stream), names.queue(*stream))).collect()
            }
            Subscription::DeadQueue => vec![(None, names.dead())],
        }
    }
}

async fn consume(
    channel: &Channel,
    stream: Option<Stream>,
    queue: String,
) -> Result<Deliveries, BrokerError> {
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer =
        answered(channel.basic_consume(queue.as_str().into(), "".into(), options, arguments))
            .await
            .map_err(|source| BrokerError::Consume { queue: queue.clone(), source })?;
    let ended = BrokerError::Ended { queue: queue.clone() };
    let received = consumer.map(move |received| match received {
        Ok(delivery) => Ok((stream, delivery)),
        Err(error) => Err(BrokerError::Deliver { queue: queue.clone(), source: error.into() }),
    });
    // The end of one stream would otherwise go unnoticed among the others: a queue that is
    // deleted, or moved to another node, only ends its own.
    Ok(received.chain(stream::once(async { Err(ended) })).boxed())
}
