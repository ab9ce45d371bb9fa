//! What happened to a case and what came of it, told to anyone: ids and words, never what a
//! person wrote or who it is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::orders::Recorded;
use crate::contract::Timestamp;
use crate::pipeline::apply::{Explanation, Told};
use crate::rules::{Decision, Firing, Wait};

/// What an entry of a timeline tells of. In this order at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An event that came in.
    Event,
    /// A rule that applied.
    Rule,
    /// An event that was derived.
    Derived,
    /// A derived event that was found to hold no longer.
    Withdrawn,
}

/// An entry of a timeline.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Entry {
    pub time: Timestamp,
    pub kind: Kind,
    /// The event's type, or the rule's id.
    pub name: String,
    /// What it is about, or what came of it: ids and words.
    pub about: BTreeMap<String, Value>,
    /// What came of a rule.
    pub outcome: Option<String>,
    /// Source and id of the input event; of a rule, the one that made it apply.
    pub source: Option<String>,
    pub id: Option<String>,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// It was accepted after one that is dated later.
    pub late: bool,
    pub published_at: Option<Timestamp>,
    pub withdrawn_at: Option<Timestamp>,
}

/// Something that a case waits for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Waiting {
    pub until: Timestamp,
    /// It has passed, and settles.
    pub due: bool,
    pub rule: String,
    /// The event that is derived then.
    pub then: String,
    pub about: Option<String>,
}

impl Entry {
    fn new(time: Timestamp, kind: Kind, name: &str) -> Entry {
        Entry {
            time,
            kind,
            name: name.to_owned(),
            about: BTreeMap::new(),
            outcome: None,
            source: None,
            id: None,
            accepted_at: None,
            late: false,
            published_at: None,
            withdrawn_at: None,
        }
    }
}

/// All of it in order of time. What was recorded tells of publishing and withdrawals; where
/// nothing says, the decision tells what stands.
pub fn timeline(explanation: &Explanation, recorded: Option<&[Recorded]>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = explanation.history.iter().map(event).collect();
    if let Ok(decision) = &explanation.decision {
        entries.extend(decision.firings.iter().map(firing));
        if recorded.is_none() {
            entries.extend(standing(decision));
        }
    }
    entries.extend(recorded.into_iter().flatten().flat_map(derived));
    entries.sort_by_key(|entry| (entry.time, entry.kind));
    entries
}

fn event(told: &Told) -> Entry {
    let name = told.event.input.input_type().name();
    let mut entry = Entry::new(told.event.time, Kind::Event, name);
    entry.about = about(told).map(|(name, value)| (name.to_owned(), value)).collect();
    entry.source = Some(told.event.key.source.clone());
    entry.id = Some(told.event.key.id.clone());
    entry.accepted_at = Some(told.received_at);
    entry.late = told.is_late;
    entry
}

fn firing(firing: &Firing) -> Entry {
    let mut entry = Entry::new(firing.time, Kind::Rule, firing.rule.id());
    entry.outcome = Some(firing.outcome.clone());
    entry.source = firing.event.as_ref().map(|event| event.source.clone());
    entry.id = firing.event.as_ref().map(|event| event.id.clone());
    entry
}

fn standing(decision: &Decision) -> impl Iterator<Item = Entry> + '_ {
    decision.derived.iter().map(|derived| {
        let name = derived.derived_type().name();
        let mut entry = Entry::new(derived.time, Kind::Derived, name);
        entry.about = beside_ids(&derived.data());
        entry
    })
}

fn derived(recorded: &Recorded) -> Vec<Entry> {
    let mut entry = Entry::new(recorded.time, Kind::Derived, &recorded.event_type);
    entry.about = beside_ids(&recorded.data);
    entry.id = Some(recorded.event_id.to_string());
    entry.published_at = recorded.published_at;
    entry.withdrawn_at = recorded.withdrawn_at;
    let withdrawn = recorded.withdrawn_at.map(|at| {
        let mut entry = Entry::new(at, Kind::Withdrawn, &recorded.event_type);
        entry.id = Some(recorded.event_id.to_string());
        entry
    });
    std::iter::once(entry).chain(withdrawn).collect()
}

/// What a derived event says beside its order and seller.
fn beside_ids(data: &Value) -> BTreeMap<String, Value> {
    let members = data.as_object().into_iter().flatten();
    members
        .filter(|(name, value)| {
            !matches!(name.as_str(), "order_id" | "seller_id" | "rule") && !value.is_null()
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What the case waits for, in order of time.
pub fn waits(explanation: &Explanation) -> Vec<Waiting> {
    let waiting = |wait: &Wait| Waiting {
        until: wait.until,
        due: wait.until <= explanation.as_of,
        rule: wait.rule.id().to_owned(),
        then: wait.then.to_owned(),
        about: wait.about.clone(),
    };
    explanation.decision.iter().flat_map(|decision| &decision.waits).map(waiting).collect()
}

/// The members of an event's data that say what it is about: ids and words, never what a
/// person wrote or who it is.
const ABOUT: [&str; 14] = [
    "attempt_id",
    "package_id",
    "refund_id",
    "settles",
    "message_id",
    "thread_id",
    "claim_id",
    "from",
    "actor",
    "status",
    "topic",
    "action",
    "granted",
    "amount",
];

/// What an event is about.
pub fn about(told: &Told) -> impl Iterator<Item = (&'static str, Value)> {
    let facts = told.event.input.facts();
    ABOUT.into_iter().filter_map(move |name| Some((name, facts.get(name)?.clone())))
}
