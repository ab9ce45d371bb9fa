//! The database's clock, read without asking it each time.

use std::sync::Mutex;
use std::time::Instant;

use crate::contract::{Span, Timestamp};

/// Counts on from the last moment that the database told, by this machine's steady
/// clock: the wall clock of a processor may be wrong by hours.
#[derive(Debug)]
pub struct DatabaseClock(Mutex<(Timestamp, Instant)>);

impl DatabaseClock {
    pub fn new(told: Timestamp) -> DatabaseClock {
        DatabaseClock(Mutex::new((told, Instant::now())))
    }

    pub fn told(&self, moment: Timestamp) {
        *self.lock() = (moment, Instant::now());
    }

    pub fn now(&self) -> Timestamp {
        let (told, at) = *self.lock();
        let since = i64::try_from(at.elapsed().as_micros()).unwrap_or(i64::MAX);
        told + Span::micros_of(since)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, Instant)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
