//! The orders that were decided last, as they were left: an order that gets several events
//! within a short time is read from the database once.
//!
//! Nothing here is ever believed by itself. Each change of a case raises its row's version, and
//! what is remembered is used only by a transaction that holds the row's lock and finds the
//! version that it was remembered under.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::contract::{EventRef, Identifier};
use crate::rules::{Identity, Member, Release};
use crate::store::derived_events::Recorded;
use crate::store::history::Trace;

/// How many events of orders are remembered at most: some 1 KB each.
const EVENTS_MAX: usize = 20_000;

/// An order as a transaction left it; the default is one of which nothing is recorded.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub version: i64,
    /// Its history, in order.
    pub members: Vec<Member>,
    /// Of those of its events that have one.
    pub traces: Vec<(EventRef, Trace)>,
    pub facts: Facts,
}

/// What is recorded of an order beside its history.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub identity: Option<Identity>,
    pub releases: BTreeSet<Release>,
    /// All that was ever derived.
    pub derived: Vec<Recorded>,
}

/// What was decided last; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    orders: HashMap<Identifier, (u64, Known)>,
    /// In the order of their numbers; what was taken or put again since has another number.
    queue: VecDeque<(u64, Identifier)>,
    number: u64,
    events: usize,
}

impl Recent {
    /// Takes out what is known of an order, if that is as it is now.
    pub fn take(&self, order: &Identifier, version: i64) -> Option<Known> {
        let known = self.lock().remove(order)?;
        (known.version == version).then_some(known)
    }

    /// Remembers an order as a transaction left it that has committed.
    pub fn put(&self, order: Identifier, known: Known) {
        let mut inner = self.lock();
        // One that outgrew what is remembered of all is read anew.
        if known.members.len() > EVENTS_MAX / 4 {
            inner.remove(&order);
            return;
        }
        // A later transaction may have been faster to tell.
        if inner.orders.get(&order).is_some_and(|(_, other)| other.version > known.version) {
            return;
        }
        inner.remove(&order);
        inner.number += 1;
        inner.events += known.members.len();
        let number = inner.number;
        inner.queue.push_back((number, order.clone()));
        inner.orders.insert(order, (number, known));
        inner.shrink();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What is in it is right whatever happened: the version decides.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remove(&mut self, order: &Identifier) -> Option<Known> {
        let (_, known) = self.orders.remove(order)?;
        self.events -= known.members.len();
        Some(known)
    }

    /// Forgets those that were decided longest ago.
    fn shrink(&mut self) {
        while self.events > EVENTS_MAX || self.queue.len() > 2 * self.orders.len() + 64 {
            let Some((number, order)) = self.queue.pop_front() else { return };
            if self.orders.get(&order).is_none_or(|(current, _)| *current != number) {
                continue;
            }
            if self.events > EVENTS_MAX {
                self.remove(&order);
            } else {
                self.queue.push_front((number, order));
                let orders = &self.orders;
                self.queue.retain(|(n, o)| orders.get(o).is_some_and(|(current, _)| current == n));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Event, Input, OrderCancelled, Timestamp};

    fn id(text: &str) -> Identifier {
        Identifier::new(text).unwrap()
    }

    fn known(version: i64, events: usize) -> Known {
        let input = || {
            let data = serde_json::json!({ "order_id": "O1", "actor": "seller" });
            Input::OrderCancelled(serde_json::from_value::<OrderCancelled>(data).unwrap())
        };
        let event = |number: usize| Event {
            time: Timestamp::from_micros(0),
            key: EventRef { source: "/s".into(), id: number.to_string() },
            input: input(),
        };
        let members = (0..events).map(|number| Member::named(event(number))).collect();
        Known { version, members, traces: Vec::new(), facts: Facts::default() }
    }

    #[test]
    fn what_has_changed_since_is_not_believed() {
        let recent = Recent::default();
        recent.put(id("O1"), known(3, 1));
        assert!(recent.take(&id("O1"), 4).is_none());
        assert!(recent.take(&id("O1"), 3).is_none(), "and forgotten");
        recent.put(id("O1"), known(5, 1));
        recent.put(id("O1"), known(4, 1));
        assert!(recent.take(&id("O1"), 5).is_some(), "the later one stays");
        assert!(recent.take(&id("O2"), 1).is_none());
    }

    #[test]
    fn it_holds_no_more_than_it_may() {
        let recent = Recent::default();
        for number in 0..10 {
            recent.put(id(&format!("O{number}")), known(1, EVENTS_MAX / 4));
        }
        let kept = (0..10).filter(|n| recent.take(&id(&format!("O{n}")), 1).is_some());
        assert_eq!(kept.collect::<Vec<_>>(), [6, 7, 8, 9]);
        recent.put(id("large"), known(1, EVENTS_MAX / 4 + 1));
        assert!(recent.take(&id("large"), 1).is_none());
        for round in 0..10_000 {
            recent.put(id("O1"), known(round, 1));
        }
        assert!(recent.lock().queue.len() <= 128);
    }
}
