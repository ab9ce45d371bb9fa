//! Sending with the broker's word for it.
//!
//! A batch is sent as a whole before the first confirm is awaited: waiting for
//! each costs nine tenths of the throughput.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Confirmation, PublisherConfirm};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::session::answered;
use super::{BrokerError, Fault, Outgoing, Session};
use crate::fail_points::FailPoint;
use crate::masking::masked_url;

/// How long a batch may take, from the first message sent to the last confirm.
const BATCH_DEADLINE: Duration = Duration::from_secs(30);
const SILENCE: Fault = Fault::Silence(BATCH_DEADLINE);
/// A queue that is electing a leader goes on refusing a channel that it once refused, long
/// after the election: so a new channel, and not at once.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker is responsible for it from here on. Not `routed`: no queue took it, and it
    /// is gone (or with the exchange's alternate).
    Confirmed { routed: bool },
    /// The broker could not store it: to be sent again.
    Refused,
    /// Perhaps sent, perhaps not: to be sent again, under the same id. [`Publisher::fault`]
    /// tells why.
    Unknown,
    /// A name in it is longer than the 255 bytes that AMQP has room for: it can never be sent.
    Unsendable,
}

impl Outcome {
    fn is_final(self) -> bool {
        matches!(self, Outcome::Confirmed { .. } | Outcome::Unsendable)
    }
}

/// A session that sends.
pub struct Publisher {
    url: String,
    session: Session,
    /// `None` while a batch is under way, and after one that failed.
    channel: Option<Channel>,
    not_before: Instant,
    fault: Option<BrokerError>,
}

impl Publisher {
    /// Connects. The exchanges must exist: see [`super::declare`].
    pub async fn open(url: &str) -> Result<Publisher, BrokerError> {
        let session = Session::open(url, "publish").await?;
        let channel = Some(confirming(&session).await?);
        let not_before = Instant::now();
        Ok(Publisher { url: url.to_owned(), session, channel, not_before, fault: None })
    }

    /// Sends all messages in their order and waits for the broker's word on each, for 30 s
    /// at most: one outcome a message, in the same order.
    ///
    /// After a failure the next call opens what it needs anew, so there is no need for
    /// another publisher. Two messages of one batch that agree in exchange, routing key and
    /// message id are reported as routed only if both are.
    pub async fn publish_all(&mut self, messages: &[Outgoing]) -> Vec<Outcome> {
        self.fault = None;
        let until = Instant::now() + BATCH_DEADLINE;
        let outcomes = match self.attempt(messages, until).await {
            Ok(outcomes) => outcomes,
            Err(fault) => {
                self.fault = Some(fault);
                vec![Outcome::Unknown; messages.len()]
            }
        };
        if self.channel.is_none() {
            self.not_before = Instant::now() + PAUSE_AFTER_FAILURE;
        }
        outcomes
    }

    /// Why the last batch has outcomes that are unknown.
    pub fn fault(&self) -> Option<&BrokerError> {
        self.fault.as_ref()
    }

    /// Closes politely; nothing is under way between two batches.
    pub async fn close(self) {
        self.session.close().await;
    }

    async fn attempt(
        &mut self,
        messages: &[Outgoing],
        until: Instant,
    ) -> Result<Vec<Outcome>, BrokerError> {
        let ready = timeout_at(until, self.ready()).await;
        let channel = ready.unwrap_or_else(|_| Err(self.explained(SILENCE)))?;
        let mut batch = Batch::of(messages);
        let sent = timeout_at(until, batch.send(&channel)).await;
        let confirmed = batch.await_confirms(until).await;
        let result = sent.unwrap_or(Err(SILENCE)).and(confirmed);
        self.fault = result.err().map(|source| self.explained(source));
        if batch.outcomes.iter().all(|outcome| outcome.is_final()) {
            self.channel = Some(channel);
        }
        Ok(batch.outcomes)
    }

    /// A channel to send on, new if the last one failed. It is put back after a batch that
    /// went well, so that no other batch, one that was cancelled included, leaves confirms
    /// behind for the next.
    async fn ready(&mut self) -> Result<Channel, BrokerError> {
        sleep_until(self.not_before).await;
        // What is sent while the broker doesn't read would only pile up in memory, and a new
        // connection would be blocked as well.
        self.session.unblocked().await;
        if !self.session.is_connected() {
            self.session = Session::open(&self.url, "publish").await?;
        }
        match self.channel.take().filter(|channel| channel.status().connected()) {
            Some(channel) => Ok(channel),
            None => confirming(&self.session).await,
        }
    }

    /// A broker that is short of something says so once, and then nothing.
    fn explained(&self, source: Fault) -> BrokerError {
        match source {
            Fault::Silence(_) if self.session.is_blocked() => BrokerError::Blocked,
            source => BrokerError::Publish { source },
        }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("url", &masked_url(&self.url)).finish_non_exhaustive()
    }
}

pub(super) async fn confirming(session: &Session) -> Result<Channel, BrokerError> {
    let channel = session.channel().await?;
    answered(channel.confirm_select(ConfirmSelectOptions::default()))
        .await
        .map_err(|source| BrokerError::Channel { source })?;
    Ok(channel)
}

/// Messages on their way, and what is known of each so far.
struct Batch<'a> {
    messages: &'a [Outgoing],
    outcomes: Vec<Outcome>,
    confirms: Vec<(usize, PublisherConfirm)>,
}

/// Exchange, routing key and message id: what a returned message is recognised by.
type Address = (String, String, Option<String>);

impl<'a> Batch<'a> {
    fn of(messages: &'a [Outgoing]) -> Self {
        let outcomes = vec![Outcome::Unknown; messages.len()];
        Batch { messages, outcomes, confirms: Vec::with_capacity(messages.len()) }
    }

    async fn send(&mut self, channel: &Channel) -> Result<(), Fault> {
        for (index, message) in self.messages.iter().enumerate() {
            match publish(channel, message).await? {
                Some(confirm) => self.confirms.push((index, confirm)),
                None => self.outcomes[index] = Outcome::Unsendable,
            }
            FailPoint::Publishing.pass();
        }
        Ok(())
    }

    /// Looks at every confirm, even where an earlier one failed or never came: what is known
    /// to be confirmed needn't be sent twice.
    async fn await_confirms(&mut self, until: Instant) -> Result<(), Fault> {
        let (mut returned, mut result) = (HashSet::new(), Ok(()));
        for (index, confirm) in std::mem::take(&mut self.confirms) {
            match timeout_at(until, confirm).await {
                Ok(Ok(confirmation)) => {
                    self.outcomes[index] = outcome(&confirmation);
                    returned.extend(confirmation.take_message().map(address));
                }
                Ok(Err(error)) => result = result.and(Err(error.into())),
                Err(_) => result = result.and(Err(SILENCE)),
            }
        }
        self.mark_unrouted(&returned);
        result
    }

    /// The client hands out a returned message with some confirm, not always with its own.
    /// But the broker returns a message before it confirms it, so that when all confirms are
    /// in, all returns are.
    fn mark_unrouted(&mut self, returned: &HashSet<Address>) {
        for (outcome, message) in self.outcomes.iter_mut().zip(self.messages) {
            if let Outcome::Confirmed { routed } = outcome {
                *routed = !(message.mandatory && returned.contains(&message.address()));
            }
        }
    }
}

/// `None`: AMQP has no room for its names.
pub(super) async fn publish(
    channel: &Channel,
    message: &Outgoing,
) -> Result<Option<PublisherConfirm>, lapin::Error> {
    let (Ok(exchange), Ok(routing_key)) = (
        ShortString::try_new(message.exchange.as_str()),
        ShortString::try_new(message.routing_key.as_str()),
    ) else {
        return Ok(None);
    };
    let options = BasicPublishOptions { mandatory: message.mandatory, ..Default::default() };
    let properties = message.properties();
    channel.basic_publish(exchange, routing_key, options, &message.body, properties).await.map(Some)
}

fn outcome(confirmation: &Confirmation) -> Outcome {
    match confirmation {
        Confirmation::Ack(_) => Outcome::Confirmed { routed: true },
        Confirmation::Nack(_) => Outcome::Refused,
        Confirmation::NotRequested => Outcome::Unknown,
    }
}

fn address(returned: BasicReturnMessage) -> Address {
    let delivery = returned.delivery;
    let message_id = delivery.properties.message_id().as_ref().map(ToString::to_string);
    (delivery.exchange.into(), delivery.routing_key.into(), message_id)
}

impl Outgoing {
    fn address(&self) -> Address {
        let message_id = ShortString::try_new(self.message_id.as_str()).ok().map(String::from);
        (self.exchange.clone(), self.routing_key.clone(), message_id)
    }
}
