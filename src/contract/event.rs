//! An accepted input event, as the rules see it.

use super::{Input, Timestamp};

/// What names an event: unique together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventRef {
    pub source: String,
    pub id: String,
}

/// An accepted input event. Sorts in history order: by time, source, id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub time: Timestamp,
    pub key: EventRef,
    pub input: Input,
}

impl Event {
    /// The order of a history.
    pub fn position(&self) -> (Timestamp, &EventRef) {
        (self.time, &self.key)
    }
}
