//! The difference between what is true of a case and what was recorded of it: pure.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use uuid::Uuid;

use super::Settings;
use crate::contract::{Derived, DerivedType, EventRef, Label, Published, Sequence, Withdrawal};
use crate::rules::CaseId;
use crate::store::derived_events::{NewDerived, Recorded};
use crate::store::history::Trace;
use crate::store::outbox::NewMessage;
use crate::store::{Digest, digest};

/// What our event ids are made in: `uuidgen --sha1 --namespace @url --name urn:otodoke`.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f0b_5b3e_6a0d_5c51_9a5e_6f74_6f64_6f6b);

/// What has to change so that the records say what is true.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// What no longer holds, each with what stands in its place.
    pub withdrawn: Vec<(Recorded, Option<Uuid>)>,
    pub new: Vec<NewDerived>,
    /// In the order of their sequence: withdrawals first, then what is new, by time.
    pub messages: Vec<NewMessage>,
    pub last_sequence: i64,
}

/// A case, as the difference needs it.
pub(super) struct Subject<'a> {
    pub case: &'a CaseId,
    pub last_sequence: i64,
    pub settings: &'a Settings,
    pub traces: &'a HashMap<EventRef, Trace>,
}

/// Compares the set of what is derived with all that was ever recorded of the case.
pub(super) fn difference(
    subject: &Subject<'_>,
    derived: Vec<Derived>,
    recorded: &[Recorded],
) -> Difference {
    let mut records = Records::new(recorded);
    let mut difference =
        Difference { last_sequence: subject.last_sequence, ..Difference::default() };
    let mut new = Vec::new();
    for derived in derived {
        let content = content(&derived);
        match records.standing_as(&derived, &content) {
            Standing::Same => {}
            Standing::Other(old) => {
                let replacement = subject.record(derived, content, records.times(old) + 1);
                difference.withdrawn.push((old.clone(), Some(replacement.event_id)));
                new.push(replacement);
            }
            Standing::Missing { withdrawn } => {
                new.push(subject.record(derived, content, withdrawn + 1));
            }
        }
    }
    difference.withdrawn.extend(records.standing.into_values().map(|old| (old.clone(), None)));
    new.sort_by_key(|new| new.derived.time);
    subject.number(&mut difference, new);
    difference
}

/// What was recorded of a case, by type and key.
struct Records<'a> {
    standing: BTreeMap<(DerivedType, String), &'a Recorded>,
    withdrawn: HashMap<(DerivedType, String), i32>,
}

enum Standing<'a> {
    Same,
    Other(&'a Recorded),
    Missing { withdrawn: i32 },
}

impl<'a> Records<'a> {
    fn new(recorded: &'a [Recorded]) -> Self {
        let mut records = Records { standing: BTreeMap::new(), withdrawn: HashMap::new() };
        for row in recorded {
            let name = (row.event_type, row.key.clone());
            if row.withdrawn {
                *records.withdrawn.entry(name).or_default() += 1;
            } else {
                records.standing.insert(name, row);
            }
        }
        records
    }

    /// Takes what stands under the event's name.
    fn standing_as(&mut self, derived: &Derived, content: &Digest) -> Standing<'a> {
        let name = (derived.derived_type(), derived.key.clone());
        match self.standing.remove(&name) {
            Some(old) if old.content == *content => Standing::Same,
            Some(old) => Standing::Other(old),
            None => {
                Standing::Missing { withdrawn: self.withdrawn.get(&name).copied().unwrap_or(0) }
            }
        }
    }

    /// How often the name was withdrawn, the withdrawal of `old` included.
    fn times(&self, old: &Recorded) -> i32 {
        let name = (old.event_type, old.key.clone());
        self.withdrawn.get(&name).copied().unwrap_or(0) + 1
    }
}

impl Subject<'_> {
    fn record(&self, derived: Derived, content: Digest, n: i32) -> NewDerived {
        let name = [derived.derived_type().name(), &derived.key];
        let trace = derived.cause.as_ref().and_then(|cause| self.traces.get(cause));
        NewDerived {
            event_id: self.event_id(name, n),
            case: self.case.clone(),
            n,
            sequence: 0,
            data: derived.data().to_string(),
            content,
            suppressed: self.settings.publish_from.is_some_and(|from| derived.time < from),
            trace: trace.cloned().unwrap_or_default(),
            derived,
        }
    }

    fn event_id(&self, name: [&str; 2], n: i32) -> Uuid {
        event_id(&self.settings.source, self.case, name, n)
    }

    /// Numbers what is withdrawn and what is new, and writes the messages. What was never sent
    /// is never withdrawn in public; it takes its number all the same.
    fn number(&self, difference: &mut Difference, mut new: Vec<NewDerived>) {
        let unsent: Vec<Uuid> =
            new.iter().filter(|new| new.suppressed).map(|new| new.event_id).collect();
        for (old, replaced_by) in &difference.withdrawn {
            difference.last_sequence += 1;
            if !old.suppressed {
                let replaced_by = replaced_by.filter(|id| !unsent.contains(id));
                let message = self.withdrawal(old, replaced_by, difference.last_sequence);
                difference.messages.push(message);
            }
        }
        for new in &mut new {
            difference.last_sequence += 1;
            new.sequence = difference.last_sequence;
            if !new.suppressed {
                difference.messages.push(self.announcement(new));
            }
        }
        difference.new = new;
    }

    fn label(&self, id: Uuid, sequence: i64, trace: &Trace) -> Label<'_> {
        Label {
            id,
            source: &self.settings.source,
            subject: self.case.subject(),
            sequence: Sequence(sequence),
            traceparent: trace.parent.clone(),
            tracestate: trace.state.clone(),
        }
    }

    fn announcement(&self, new: &NewDerived) -> NewMessage {
        let label = self.label(new.event_id, new.sequence, &new.trace);
        let published = Published::derived(&new.derived, label);
        NewMessage { case_key: self.case.key(), derived: true, published }
    }

    fn withdrawal(&self, old: &Recorded, replaced_by: Option<Uuid>, sequence: i64) -> NewMessage {
        let withdrawal = Withdrawal {
            withdraws: old.event_id,
            withdrawn_type: old.event_type,
            replaced_by,
            time: old.time,
            order_id: old.order_id.as_ref(),
            seller_id: &old.seller_id,
            rule: old.rule,
        };
        let id = self.event_id(["derived-withdrawn", &old.event_id.to_string()], 1);
        let published =
            Published::withdrawn(&withdrawal, self.label(id, sequence, &Trace::default()));
        NewMessage { case_key: self.case.key(), derived: false, published }
    }
}

/// The id of a derived event by its type and key: the same however often the inputs are seen,
/// replayed or rebuilt.
pub fn event_id(source: &str, case: &CaseId, [event_type, key]: [&str; 2], n: i32) -> Uuid {
    let name = json!([source, case.key(), event_type, key, n]);
    Uuid::new_v5(&NAMESPACE, name.to_string().as_bytes())
}

/// What makes two events of one name the same: their time and data. The cause is no part of it.
fn content(derived: &Derived) -> Digest {
    digest([&derived.time.micros().to_be_bytes()[..], derived.data().to_string().as_bytes()])
}
