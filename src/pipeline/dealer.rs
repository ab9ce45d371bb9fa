//! Which lane takes a message: messages of one order or thread that are in hand meet in one
//! lane, so that two transactions seldom wait for one another's cases; others go where the
//! least is in hand. Pure.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::apply::Received;
use crate::contract::Input;

/// What a message's transaction will lock, as far as the message says: its order, its thread.
pub(super) type Keys = [Option<u64>; 2];

/// Deals messages to lanes.
#[derive(Debug)]
pub(super) struct Dealer {
    /// How many messages each lane has in hand.
    lanes: Vec<usize>,
    /// Where the messages of a key are in hand, and how many.
    keys: HashMap<u64, (usize, usize)>,
}

impl Dealer {
    pub fn new(lanes: usize) -> Dealer {
        Dealer { lanes: vec![0; lanes.max(1)], keys: HashMap::new() }
    }

    /// The lane that takes a message with these keys.
    pub fn deal(&mut self, keys: Keys) -> usize {
        let known = keys.iter().flatten().find_map(|key| self.keys.get(key));
        let lane = match known {
            Some((lane, _)) => *lane,
            None => (0..self.lanes.len()).min_by_key(|lane| self.lanes[*lane]).unwrap_or(0),
        };
        self.lanes[lane] += 1;
        for key in keys.into_iter().flatten() {
            // A key that is in hand elsewhere stays there: the message before this one decides.
            self.keys.entry(key).or_insert((lane, 0)).1 += 1;
        }
        lane
    }

    /// A message is no longer in hand.
    pub fn done(&mut self, lane: usize, keys: Keys) {
        self.lanes[lane] -= 1;
        for key in keys.into_iter().flatten() {
            if let Some((_, count)) = self.keys.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.keys.remove(&key);
                }
            }
        }
    }

    /// How many messages are in hand.
    pub fn in_hand(&self) -> usize {
        self.lanes.iter().sum()
    }
}

/// The keys of a message.
pub(super) fn keys(received: &Received) -> Keys {
    let Ok(accepted) = &received.judged else { return [None, None] };
    let input = &accepted.event.input;
    let thread = match input {
        Input::MessageSent(message) => Some(&message.thread_id),
        _ => None,
    };
    let order = input.order_id().map(|order| digest("order", order.as_str()));
    [order, thread.map(|thread| digest("thread", thread.as_str()))]
}

fn digest(kind: &str, id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, id).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: Keys = [Some(1), None];
    const THREAD: Keys = [None, Some(2)];
    const BOTH: Keys = [Some(1), Some(2)];

    #[test]
    fn what_belongs_together_meets_in_one_lane_while_it_is_in_hand() {
        let mut dealer = Dealer::new(2);
        let lane = dealer.deal(BOTH);
        assert_eq!(dealer.deal(ORDER), lane);
        assert_eq!(dealer.deal(THREAD), lane);
        let other = dealer.deal([Some(3), None]);
        assert_ne!(other, lane, "the other lane has less in hand");
        assert_eq!(dealer.in_hand(), 4);
        for keys in [BOTH, ORDER, THREAD] {
            dealer.done(lane, keys);
        }
        dealer.done(other, [Some(3), None]);
        assert_eq!(dealer.in_hand(), 0);
        assert!(dealer.keys.is_empty());
    }

    #[test]
    fn what_nobody_has_goes_where_the_least_is_in_hand() {
        let mut dealer = Dealer::new(3);
        let mut lanes: Vec<usize> = (0..3).map(|key| dealer.deal([Some(key), None])).collect();
        lanes.sort();
        assert_eq!(lanes, [0, 1, 2]);
        dealer.done(1, [Some(1), None]);
        assert_eq!(dealer.deal([None, None]), 1);
    }
}
