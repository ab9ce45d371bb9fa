//! Acknowledging what is done, and nothing that isn't.
//!
//! Deliveries finish in any order. An acknowledgement covers every delivery up
//! to a tag, so it may only name a tag of which all below are done; the others
//! wait for their turn.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use lapin::Channel;
use lapin::options::BasicAckOptions;

use super::BrokerError;
use super::session::answered;

/// What a delivery is acknowledged by; worthless in any session but its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    session: u64,
    tag: u64,
}

impl Token {
    /// Of a delivery that is acknowledged already: there is no such session.
    pub(super) fn acknowledged() -> Token {
        Token { session: u64::MAX, tag: 0 }
    }
}

/// Acknowledges deliveries of one consumer. A clone shares its state.
///
/// Doesn't keep the consumer's session open: once that is dropped, what wasn't
/// acknowledged is the broker's again.
#[derive(Clone, Debug)]
pub struct Acks {
    session: u64,
    ledger: Weak<Ledger>,
}

/// The channel's side of the acknowledgements, held by the consumer.
#[derive(Debug)]
pub(super) struct Ledger {
    session: u64,
    pub(super) channel: Channel,
    window: Mutex<Window>,
    /// The tag acknowledged last. Locked while acknowledging: tags must not go backwards.
    acknowledged: tokio::sync::Mutex<u64>,
}

/// Which tags are done. The broker counts them from 1, without gaps.
#[derive(Debug, Default)]
struct Window {
    /// This tag and all below it are done.
    complete: u64,
    /// Done, but with one below that isn't.
    beyond: BTreeSet<u64>,
}

impl Acks {
    /// Marks deliveries as done, in any order. Those of an earlier session are passed over:
    /// the broker delivers their messages again, and then they are duplicates.
    pub fn done(&self, tokens: impl IntoIterator<Item = Token>) {
        let Some(ledger) = self.ledger.upgrade() else { return };
        let mut window = ledger.window.lock().unwrap_or_else(PoisonError::into_inner);
        tokens
            .into_iter()
            .filter(|token| token.session == self.session)
            .for_each(|token| window.done(token.tag));
    }

    /// Acknowledges up to the last delivery of which all before are done. To be called after
    /// the commit, never before. An error means that the session is lost: what wasn't
    /// acknowledged comes again.
    pub async fn flush(&self) -> Result<(), BrokerError> {
        let ledger = self.ledger.upgrade().ok_or(BrokerError::Closed)?;
        ledger.flush().await
    }
}

impl Ledger {
    pub(super) fn new(channel: Channel) -> Arc<Ledger> {
        static SESSIONS: AtomicU64 = AtomicU64::new(0);
        Arc::new(Ledger {
            session: SESSIONS.fetch_add(1, Ordering::Relaxed),
            channel,
            window: Mutex::default(),
            acknowledged: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn acks(self: &Arc<Self>) -> Acks {
        Acks { session: self.session, ledger: Arc::downgrade(self) }
    }

    pub(super) fn token(&self, tag: u64) -> Token {
        Token { session: self.session, tag }
    }

    async fn flush(&self) -> Result<(), BrokerError> {
        let mut acknowledged = self.acknowledged.lock().await;
        let complete = self.window.lock().unwrap_or_else(PoisonError::into_inner).complete;
        if complete > *acknowledged {
            let everything_up_to = BasicAckOptions { multiple: true };
            answered(self.channel.basic_ack(complete, everything_up_to))
                .await
                .map_err(|source| BrokerError::Acknowledge { source })?;
            *acknowledged = complete;
        }
        Ok(())
    }
}

impl Window {
    fn done(&mut self, tag: u64) {
        if tag <= self.complete {
            return;
        }
        self.beyond.insert(tag);
        while self.beyond.remove(&(self.complete + 1)) {
            self.complete += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_window_is_complete_up_to_the_first_tag_that_is_not_done(
            tags in proptest::collection::vec(1u64..40, 0..60),
        ) {
            let mut window = Window::default();
            tags.iter().for_each(|tag| window.done(*tag));
            let first_missing = (1..).find(|tag| !tags.contains(tag)).unwrap();
            prop_assert_eq!(window.complete, first_missing - 1);
            prop_assert!(window.beyond.iter().all(|tag| *tag > first_missing));
        }
    }
}
