//! What must come of the messages that were published, by the rules alone: no database
//! and no broker has a part in it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::day::{STRIPPED, Sent};
use crate::contract::{
    Accepted, Event, EventRef, Message, RejectionCode, Span, Stream, Timestamp, intake,
};
use crate::rules::Policy;
use crate::rules::world::{World, decide_all};

/// The published messages, judged one by one as they were sent.
#[derive(Default)]
pub struct Model {
    accepted: BTreeMap<EventRef, Accepted>,
    /// Dead letters by code.
    pub dead: BTreeMap<String, i64>,
    pub duplicates: i64,
    /// All of them.
    pub published: i64,
    /// Fields among them that are to be stripped (V2).
    pub to_strip: u64,
}

impl Model {
    pub fn take(&mut self, sent: &Sent, now: Timestamp, max_clock_skew: Span) {
        self.published += 1;
        let body = String::from_utf8_lossy(&sent.body);
        self.to_strip +=
            STRIPPED.map(|field| body.matches(field).count() as u64).iter().sum::<u64>();
        match judge(sent, now, max_clock_skew) {
            Err(code) => self.bury(code),
            Ok(accepted) => match self.accepted.entry(accepted.event.key.clone()) {
                Entry::Vacant(vacant) => drop(vacant.insert(accepted)),
                Entry::Occupied(first) if first.get().content_digest == accepted.content_digest => {
                    self.duplicates += 1;
                }
                Entry::Occupied(_) => self.bury(RejectionCode::IdCollision),
            },
        }
    }

    fn bury(&mut self, code: RejectionCode) {
        *self.dead.entry(code.name().to_owned()).or_default() += 1;
    }

    /// The events that stand in the history, in its order.
    pub fn events(&self) -> Vec<Event> {
        let mut events: Vec<Event> =
            self.accepted.values().map(|accepted| accepted.event.clone()).collect();
        events.sort_by(|a, b| a.position().cmp(&b.position()));
        events
    }

    pub fn world(&self, as_of: Timestamp) -> World {
        decide_all(&self.events(), &Policy::default(), as_of)
    }
}

fn judge(sent: &Sent, now: Timestamp, max_clock_skew: Span) -> Result<Accepted, RejectionCode> {
    let routed_to = sent.routing_key.split('.').next().and_then(Stream::from_name);
    let Some(stream) = routed_to else { return Err(RejectionCode::Unroutable) };
    let message = Message {
        body: &sent.body,
        content_type: Some(super::CONTENT_TYPE),
        attributes: &[],
        stream,
    };
    intake(&message, now, max_clock_skew).map_err(|rejection| rejection.code)
}
