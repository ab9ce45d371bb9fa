//! A plausible month of a marketplace, made from a seed while it is taken: pure. The same seed
//! gives the same messages, apart from their times, which all lie in the past.
//!
//! What waits for its turn are steps of some dozen bytes; bodies are only written when they are
//! taken, so that a million events need no memory of their size.

mod dice;
mod story;
mod telling;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use dice::Dice;
use story::{Order, Step, story};

use crate::contract::{Span, Timestamp};
use crate::operator::model::Sent;

/// How far back the first order is placed: so far that every deadline has passed.
const AGO: Span = Span::days(80);
/// Over how many days orders are placed.
const DAYS: i64 = 30;
/// What an order comes to on average, all told.
const EVENTS_OF_AN_ORDER: usize = 6;
/// How far out of order an event arrives, at most.
const DISPLACED: usize = 200;

/// Makes messages, in the order in which they arrive: 3 % out of order, 1 % in the place of
/// another as a repetition, 0.1 % wrong.
pub struct Workload {
    told: Told,
    dice: Dice,
    /// The last ones, which may still change places.
    window: VecDeque<Sent>,
    taken: usize,
}

impl Workload {
    /// `count` messages, which look back on the time before `now`.
    pub fn new(seed: u64, now: Timestamp, count: usize) -> Workload {
        let start = Timestamp::from_micros(now.micros() - AGO.micros());
        let told = Told::new(seed, start, count);
        let dice = Dice::new(!seed);
        Workload { told, dice, window: VecDeque::with_capacity(DISPLACED + 1), taken: 0 }
    }

    /// Takes the next one into the window.
    fn take(&mut self) -> bool {
        let Some(sent) = self.told.next() else { return false };
        self.window.push_back(sent);
        self.disturb();
        self.taken += 1;
        true
    }

    fn disturb(&mut self) {
        let Some(last) = self.window.len().checked_sub(1).filter(|last| *last > 0) else { return };
        let before = last - 1 - self.dice.below(last.min(DISPLACED));
        if self.dice.permille(30) {
            self.window.swap(last, before);
        } else if self.dice.permille(10) {
            self.window[last] = self.window[before].clone();
        } else if self.dice.permille(1) {
            self.window[last].body = wrong(&self.window[last], self.dice.below(3), self.taken);
        }
    }
}

impl Iterator for Workload {
    type Item = Sent;

    fn next(&mut self) -> Option<Sent> {
        while self.window.len() <= DISPLACED && self.take() {}
        self.window.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.told.left + self.window.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Workload {}

/// Broken off, of a type that there isn't, or of an order that is no text; each unlike any other.
fn wrong(sent: &Sent, way: usize, number: usize) -> Vec<u8> {
    let broken_off = format!("{{\"specversion\": \"1.0\"{number}");
    let Ok(mut event) = serde_json::from_slice::<serde_json::Value>(&sent.body) else {
        return broken_off.into_bytes();
    };
    match way {
        0 => return broken_off.into_bytes(),
        1 => event["type"] = format!("unheard-of-{number}").into(),
        _ => event["data"]["order_id"] = number.into(),
    }
    event.to_string().into_bytes()
}

/// What happened, in the order in which it did.
struct Told {
    seed: u64,
    start: Timestamp,
    /// So many orders are placed in a month.
    orders: usize,
    placed: usize,
    /// How many steps the orders have that are placed so far.
    planned: usize,
    left: usize,
    count: usize,
    waiting: BinaryHeap<Reverse<Waiting>>,
}

/// A step that is still to be told.
struct Waiting {
    at: Timestamp,
    place: usize,
    step: Step,
    order: Arc<Order>,
}

impl Told {
    fn new(seed: u64, start: Timestamp, count: usize) -> Told {
        let orders = count.div_ceil(EVENTS_OF_AN_ORDER).max(1);
        let waiting = BinaryHeap::new();
        Told { seed, start, orders, placed: 0, planned: 0, left: count, count, waiting }
    }

    fn placed_at(&self, number: usize) -> Timestamp {
        let spread = DAYS * 86_400 * 1_000_000 / self.orders as i64;
        Timestamp::from_micros(self.start.micros() + spread * number as i64)
    }

    fn next(&mut self) -> Option<Sent> {
        self.left = self.left.checked_sub(1)?;
        while self.planned < self.count && self.nothing_before(self.placed_at(self.placed)) {
            self.place();
        }
        let Reverse(Waiting { at, place, step, order }) = self.waiting.pop()?;
        Some(telling::message(&order, place, step, at))
    }

    fn nothing_before(&self, moment: Timestamp) -> bool {
        self.waiting.peek().is_none_or(|Reverse(first)| first.at >= moment)
    }

    fn place(&mut self) {
        let number = self.placed;
        let mut dice = Dice::new(self.seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        // Of other seeds are other orders: they may follow one another on one database.
        let tag = 100 + self.seed % 900;
        let order = Arc::new(Order {
            number,
            tag,
            seed: dice.number(),
            id: format!("{tag}-{:07}-{number:07}", dice.below(10_000_000)),
            seller: dice.below(200),
            buyer: dice.below(self.orders * 2 / 3 + 1),
            lines: 1 + dice.below(3),
            fulfilled: dice.permille(50),
        });
        let steps = story(&order, self.placed_at(number));
        self.placed += 1;
        self.planned += steps.len();
        for (place, (at, step)) in steps.into_iter().enumerate() {
            self.waiting.push(Reverse(Waiting { at, place, step, order: order.clone() }));
        }
    }
}

impl Waiting {
    fn rank(&self) -> (Timestamp, usize, usize) {
        (self.at, self.order.number, self.place)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Waiting) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Waiting) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Waiting) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::InputType;
    use crate::operator::model::Model;
    use std::collections::BTreeMap;

    fn sent(seed: u64, count: usize) -> Vec<Sent> {
        Workload::new(seed, "2026-11-01T00:00:00Z".parse().unwrap(), count).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_messages() {
        let bodies = |seed| sent(seed, 500).into_iter().map(|sent| sent.body).collect::<Vec<_>>();
        assert_eq!(bodies(7), bodies(7));
        assert_ne!(bodies(7), bodies(8));
    }

    #[test]
    fn there_are_as_many_as_were_asked_for() {
        for count in [0, 1, 7, 199, 200, 201, 1_000] {
            assert_eq!(sent(1, count).len(), count);
        }
    }

    #[test]
    fn it_is_as_good_and_as_bad_as_is_said() {
        let sent = sent(1, 20_000);
        let mut model = Model::default();
        let now = "2026-11-01T00:00:00Z".parse().unwrap();
        sent.iter().for_each(|sent| model.take(sent, now, Span::minutes(10)));
        let wrong: i64 = model.dead.values().sum();
        assert!((5..60).contains(&wrong), "{:?}", model.dead);
        let codes = model.dead.keys().collect::<Vec<_>>();
        assert_eq!(codes, ["not-json", "schema-violation", "unknown-type"]);
        assert!((100..400).contains(&model.duplicates), "{}", model.duplicates);
        assert!(model.to_strip > 50, "{}", model.to_strip);
        let bytes: usize = sent.iter().map(|sent| sent.body.len()).sum();
        assert!((950..1_100).contains(&(bytes / sent.len())), "{} bytes each", bytes / sent.len());
    }

    #[test]
    fn every_type_comes_and_the_common_ones_dominate() {
        let mut types: BTreeMap<String, usize> = BTreeMap::new();
        for sent in sent(1, 20_000) {
            *types.entry(sent.event_type).or_default() += 1;
        }
        assert_eq!(types.len(), InputType::ALL.len(), "{types:?}");
        let common =
            types["shipment-updated"] + types["order-placed"] + types["shipment-dispatched"];
        assert!(common > 14_000, "{types:?}");
    }
}
