//! Sending at a pace of one's own: no message waits for the confirm of another, which is looked
//! at when it is there.

use std::collections::VecDeque;

use futures_util::FutureExt;
use lapin::{Channel, Confirmation, PublisherConfirm};

use super::publisher::{confirming, publish};
use super::session::answered;
use super::{BrokerError, Fault, Outgoing, Session};

/// A session that sends. Any error is the end of it.
pub struct Flow {
    session: Session,
    channel: Channel,
    confirms: VecDeque<PublisherConfirm>,
    refused: u64,
}

impl Flow {
    /// Connects. The exchanges must exist: see [`super::declare`].
    pub async fn open(url: &str) -> Result<Flow, BrokerError> {
        let session = Session::open(url, "flow").await?;
        let channel = confirming(&session).await?;
        Ok(Flow { session, channel, confirms: VecDeque::new(), refused: 0 })
    }

    /// Sends a message, and doesn't wait for the broker's word on it.
    pub async fn send(&mut self, message: &Outgoing) -> Result<(), BrokerError> {
        let sent = publish(&self.channel, message).await.map_err(|error| failed(error.into()))?;
        match sent {
            Some(confirm) => self.confirms.push_back(confirm),
            None => self.refused += 1,
        }
        while let Some(confirmation) = self.confirms.front_mut().and_then(|c| c.now_or_never()) {
            self.confirms.pop_front();
            self.count(confirmation.map_err(|error| failed(error.into()))?);
        }
        Ok(())
    }

    /// Waits for what isn't confirmed, and tells how many messages the broker didn't take.
    pub async fn finish(mut self) -> Result<u64, BrokerError> {
        while let Some(confirm) = self.confirms.pop_front() {
            let confirmation = answered(confirm).await.map_err(failed)?;
            self.count(confirmation);
        }
        self.session.close().await;
        Ok(self.refused)
    }

    fn count(&mut self, confirmation: Confirmation) {
        self.refused += u64::from(!matches!(confirmation, Confirmation::Ack(_)));
    }
}

fn failed(source: Fault) -> BrokerError {
    BrokerError::Publish { source }
}
