//! Deadlines wait while a backlog drains.
//!
//! After an outage the seller's reply may still be in the queue. So from start or
//! reconnection on nothing is concluded from absence until the queues were once
//! empty, or for as long as the setting `max-hold` allows.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Whether deadlines wait. Shared by all parts of a processor.
#[derive(Debug)]
pub struct Hold {
    longest: Duration,
    /// Since when; `None`: the queues were drained.
    since: Mutex<Option<Instant>>,
}

impl Hold {
    /// Holds from now on.
    pub fn new(longest: Duration) -> Hold {
        Hold { longest, since: Mutex::new(Some(Instant::now())) }
    }

    /// The session with the broker is new: what came in meanwhile isn't known.
    pub fn restart(&self) {
        *self.lock() = Some(Instant::now());
    }

    /// The queues are empty and nothing taken from them is unfinished.
    pub fn drained(&self) {
        *self.lock() = None;
    }

    pub fn is_held(&self) -> bool {
        let mut since = self.lock();
        if since.is_some_and(|since| since.elapsed() >= self.longest) {
            tracing::warn!(
                "the backlog did not drain in {:?}: deadlines wait no longer",
                self.longest
            );
            *since = None;
        }
        since.is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_wait_until_the_queues_were_drained_once() {
        let hold = Hold::new(Duration::from_secs(900));
        assert!(hold.is_held());
        hold.drained();
        assert!(!hold.is_held());
        hold.restart();
        assert!(hold.is_held(), "a new session has a backlog again");
    }

    #[test]
    fn deadlines_wait_no_longer_than_the_setting_allows() {
        assert!(!Hold::new(Duration::ZERO).is_held());
    }
}
