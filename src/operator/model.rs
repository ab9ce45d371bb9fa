//! What must come of the messages that were published, by the rules alone: no database
//! and no broker has a part in it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::broker::{Names, Outgoing};
use crate::contract::data::STRIPPED;
use crate::contract::{
    Accepted, Event, EventRef, Message, RejectionCode, STRUCTURED_MEDIA_TYPE, Span, Stream,
    Timestamp, intake,
};
use crate::rules::world::{World, decide_all};
use crate::rules::{CaseId, Policy};
use crate::store::inspection::Standing;

/// A message as an upstream system sends it.
#[derive(Clone)]
pub struct Sent {
    pub stream: Stream,
    pub routing_key: String,
    pub event_id: String,
    pub event_type: String,
    pub body: Vec<u8>,
}

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
        self.to_strip += STRIPPED.map(|name| body.matches(name).count() as u64).iter().sum::<u64>();
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

impl Sent {
    /// For the exchange that upstream systems publish to.
    pub fn outgoing(&self, names: &Names) -> Outgoing {
        Outgoing {
            exchange: names.events(),
            routing_key: self.routing_key.clone(),
            body: self.body.clone().into(),
            message_id: self.event_id.clone(),
            event_type: self.event_type.clone(),
            timestamp: None,
            content_type: STRUCTURED_MEDIA_TYPE.to_owned(),
            headers: Default::default(),
            mandatory: false,
        }
    }
}

fn judge(sent: &Sent, now: Timestamp, max_clock_skew: Span) -> Result<Accepted, RejectionCode> {
    let routed_to = sent.routing_key.split('.').next().and_then(Stream::from_name);
    let Some(stream) = routed_to else { return Err(RejectionCode::Unroutable) };
    let message = Message {
        body: &sent.body,
        content_type: Some(STRUCTURED_MEDIA_TYPE),
        attributes: &[],
        stream,
    };
    intake(&message, now, max_clock_skew).map_err(|rejection| rejection.code)
}

/// What a derived event is told apart by.
type Name = (CaseId, String, String);

/// Type, key, time and data, case by case.
pub fn compare_derived(world: &World, standing: &[Standing]) -> Vec<String> {
    let expected: BTreeMap<Name, (Timestamp, Value)> = world
        .cases
        .iter()
        .flat_map(|(case, decision)| decision.derived.iter().map(move |derived| (case, derived)))
        .map(|(case, derived)| {
            let name =
                (case.clone(), derived.derived_type().name().to_owned(), derived.key.clone());
            (name, (derived.time, derived.data()))
        })
        .collect();
    let found: BTreeMap<Name, (Timestamp, Value)> = standing
        .iter()
        .map(|event| {
            let name = (event.case.clone(), event.event_type.clone(), event.key.clone());
            (name, (event.time, event.data.clone()))
        })
        .collect();
    let names: BTreeSet<&Name> = expected.keys().chain(found.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| {
            let (case, event_type, key) = name;
            let problem = match (expected.get(name), found.get(name)) {
                (Some(expected), Some(found)) if expected == found => return None,
                (Some(_), Some(_)) => "stands with other time or data",
                (Some(_), None) => "is missing",
                _ => "stands, and shouldn't",
            };
            Some(format!("{event_type} of {case} ({key}) {problem}"))
        })
        .collect()
}
