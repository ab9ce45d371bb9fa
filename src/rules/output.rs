//! What the fold has found so far: derived events, rules that applied, and the
//! deadlines still ahead in the fold.

use std::collections::{BTreeSet, HashSet};

use super::{Decision, Firing, Policy, Wait};
use crate::contract::{Derivation, Derived, DerivedType, Event, Identifier, Rule, Timestamp};

/// Collects what is derived. Nothing is taken back: every event is judged at its
/// own time, and the fold passes each time once.
#[derive(Default)]
pub(super) struct Output {
    found: Vec<Found>,
    keys: HashSet<(DerivedType, String)>,
    pub firings: Vec<Firing>,
}

struct Found {
    derived: Derived,
    /// It rests on something missing, so late arrivals get the settling time.
    rests_on_absence: bool,
}

/// Who a derived event is about.
#[derive(Clone)]
pub(super) struct Subject {
    pub order_id: Option<Identifier>,
    pub seller_id: Identifier,
}

/// What names a derived event, when it became true and why.
pub(super) struct Basis<'a> {
    pub rule: Rule,
    pub time: Timestamp,
    pub key: String,
    pub cause: Option<&'a Event>,
    pub rests_on_absence: bool,
}

impl Output {
    /// Records a derived event; the first of a (type, key) is the one that counts.
    pub fn derive(&mut self, subject: &Subject, basis: Basis, derivation: impl Into<Derivation>) {
        let derivation = derivation.into();
        if !self.keys.insert((derivation.derived_type(), basis.key.clone())) {
            return;
        }
        self.found.push(Found {
            derived: Derived {
                rule: basis.rule,
                time: basis.time,
                order_id: subject.order_id.clone(),
                seller_id: subject.seller_id.clone(),
                key: basis.key,
                cause: basis.cause.map(|event| event.key.clone()),
                derivation,
            },
            rests_on_absence: basis.rests_on_absence,
        });
    }

    /// Whether a (type, key) has been derived already.
    pub fn has(&self, derived_type: DerivedType, key: &str) -> bool {
        self.keys.contains(&(derived_type, key.to_owned()))
    }

    /// Records that a rule applied without deriving anything.
    pub fn note(&mut self, rule: Rule, time: Timestamp, event: &Event, outcome: impl Into<String>) {
        self.firings.push(Firing {
            rule,
            time,
            event: Some(event.key.clone()),
            outcome: outcome.into(),
        });
    }

    /// Sorts what was found into what holds by `as_of` and what is still waited for.
    pub fn finish(mut self, policy: &Policy, as_of: Timestamp) -> Decision {
        self.found.sort_by(|a, b| sort_key(&a.derived).cmp(&sort_key(&b.derived)));
        let settled =
            |found: &Found| !found.rests_on_absence || found.derived.time + policy.settle <= as_of;
        let (standing, waiting): (Vec<Found>, Vec<Found>) =
            self.found.into_iter().partition(settled);
        let mut decision = Decision {
            next_at: waiting.iter().map(|found| found.derived.time + policy.settle).min(),
            waits: waiting.iter().map(|found| wait_for(&found.derived)).collect(),
            derived: standing.into_iter().map(|found| found.derived).collect(),
            firings: self.firings,
            ..Decision::default()
        };
        decision.firings.extend(decision.derived.iter().map(firing_of));
        decision.firings.sort_by(|a, b| {
            (a.time, a.rule, &a.event, &a.outcome).cmp(&(b.time, b.rule, &b.event, &b.outcome))
        });
        decision
    }
}

fn sort_key(derived: &Derived) -> (Timestamp, Rule, DerivedType, &str) {
    (derived.time, derived.rule, derived.derived_type(), &derived.key)
}

fn firing_of(derived: &Derived) -> Firing {
    Firing {
        rule: derived.rule,
        time: derived.time,
        event: derived.cause.clone(),
        outcome: derived.derived_type().name().to_owned(),
    }
}

fn wait_for(derived: &Derived) -> Wait {
    Wait {
        rule: derived.rule,
        until: derived.time,
        then: derived.derived_type().name(),
        about: Some(derived.key.clone()).filter(|key| !key.is_empty()),
    }
}

/// A moment at which time alone may make a rule apply, judged when the fold gets there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    /// P3.
    PaymentDue,
    /// S3: the release that it belongs to.
    ShipBy { released_at: Timestamp },
    /// M2: the contact, by its number.
    Reply { contact: usize },
    /// M3: likewise.
    Guarantee { contact: usize },
    /// M5: the seller's message that wants an answer, by its number.
    BuyerReply { request: usize },
}

/// The deadlines ahead, by time.
#[derive(Default)]
pub(super) struct Deadlines(BTreeSet<(Timestamp, Deadline)>);

impl Deadlines {
    pub fn set(&mut self, at: Timestamp, deadline: Deadline) {
        self.0.insert((at, deadline));
    }

    /// The next one before `limit`; all of them where there is no limit.
    pub fn next_before(&mut self, limit: Option<Timestamp>) -> Option<(Timestamp, Deadline)> {
        let first = self.0.first()?.0;
        if limit.is_some_and(|limit| first >= limit) {
            return None;
        }
        self.0.pop_first()
    }
}
