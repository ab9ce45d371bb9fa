//! Which derived events are counted as following from an input event, and when that one was
//! published.
//!
//! A derived event names the input that made it true, but isn't always derived because that
//! input arrived: time may have made it true later, or an event that was published behind its
//! cause. So it is counted where
//!
//! - it is dated as its cause is: what a deadline makes true is dated later;
//! - nothing of the same buyer that is dated at or before the cause was first published after it:
//!   then all that the derived event can rest on was there when its cause came, orders that the
//!   same buyer might combine with it or ask about included.
//!
//! Which input events may count is thus known before anything is published; no delay that is
//! measured has a say in it. Withdrawals aren't counted, and of the same type and subject from
//! one cause only the first is.

use std::collections::HashMap;
use std::time::Instant;

use serde::Deserialize;

use crate::contract::{InputType, Timestamp};
use crate::operator::model::Sent;

/// What is known of an input event.
struct Cause {
    time: Timestamp,
    /// All before it in the world was published before it.
    complete: bool,
    published: Option<Instant>,
    /// Type and subject of what has followed from it.
    followed: Vec<(String, String)>,
}

/// The input events of a load.
pub struct Causes {
    causes: HashMap<String, Cause>,
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    time: Timestamp,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    order_id: Option<String>,
    buyer_id: Option<String>,
}

/// A derived event as it was heard.
#[derive(Debug, Deserialize)]
pub struct Heard {
    #[serde(rename = "type")]
    pub event_type: String,
    pub subject: String,
    pub time: Timestamp,
    pub causationid: Option<String>,
}

impl Causes {
    /// Looks through all that will be published, in that order. The first tenth doesn't count.
    pub fn of(messages: impl Iterator<Item = Sent>) -> Causes {
        let mut envelopes: Vec<Envelope> = Vec::new();
        let mut number = 0;
        for sent in messages {
            number += 1;
            // What is wrong has no effect.
            let envelope = serde_json::from_slice::<Envelope>(&sent.body).ok();
            envelopes.extend(envelope.filter(|e| InputType::from_name(&e.event_type).is_some()));
        }
        let mut causes = by_id(&envelopes);
        for envelope in envelopes.iter().take(number / 10) {
            if let Some(cause) = causes.get_mut(&envelope.id) {
                cause.complete = false;
            }
        }
        Causes { causes }
    }

    /// An input event is about to be published; only the first time counts.
    pub fn published(&mut self, id: &str, at: Instant) {
        if let Some(cause) = self.causes.get_mut(id) {
            cause.published.get_or_insert(at);
        }
    }

    /// How long a derived event took, if it is counted.
    pub fn delay(&mut self, heard: &Heard, at: Instant) -> Option<f64> {
        let (_, id) = heard.causationid.as_ref()?.split_once(' ')?;
        let cause = self.causes.get_mut(id)?;
        let what = (heard.event_type.clone(), heard.subject.clone());
        let counts = cause.complete
            && heard.time == cause.time
            && heard.event_type != "derived-withdrawn"
            && !cause.followed.contains(&what);
        if !counts {
            return None;
        }
        cause.followed.push(what);
        Some(at.saturating_duration_since(cause.published?).as_secs_f64() * 1e3)
    }
}

/// Goes backwards, and remembers for each buyer how early in the world the earliest of what was
/// published later is dated.
fn by_id(envelopes: &[Envelope]) -> HashMap<String, Cause> {
    let mut buyers: HashMap<&str, &str> = HashMap::new();
    for Data { order_id, buyer_id } in envelopes.iter().map(|envelope| &envelope.data) {
        if let (Some(order), Some(buyer)) = (order_id, buyer_id) {
            buyers.insert(order, buyer);
        }
    }
    // Only where each was published first.
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (index, envelope) in envelopes.iter().enumerate() {
        first.entry(&envelope.id).or_insert(index);
    }
    let mut earliest: HashMap<&str, Timestamp> = HashMap::new();
    let mut causes = HashMap::new();
    for (index, envelope) in envelopes.iter().enumerate().rev() {
        if first[envelope.id.as_str()] != index {
            continue;
        }
        let (order, buyer) = (envelope.data.order_id.as_deref(), envelope.data.buyer_id.as_deref());
        let whose = buyer.or_else(|| buyers.get(order?).copied()).or(order).unwrap_or_default();
        let later = earliest.entry(whose).or_insert(Timestamp::MAX);
        let complete = envelope.time < *later;
        *later = envelope.time.min(*later);
        let cause = Cause { time: envelope.time, complete, published: None, followed: Vec::new() };
        causes.insert(envelope.id.clone(), cause);
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Stream;
    use serde_json::json;
    use std::time::Duration;

    fn sent(id: &str, time: &str, data: serde_json::Value) -> Sent {
        let event = json!({ "id": id, "type": "payment-authorized", "time": time, "data": data });
        Sent {
            stream: Stream::Payments,
            routing_key: String::new(),
            event_id: id.to_owned(),
            event_type: String::new(),
            body: event.to_string().into_bytes(),
        }
    }

    fn heard(cause: &str, time: &str) -> Heard {
        Heard {
            event_type: "refund-required".to_owned(),
            subject: "O".to_owned(),
            time: time.parse().unwrap(),
            causationid: Some(format!("/shop {cause}")),
        }
    }

    const EARLY: &str = "2026-03-01T00:00:00Z";
    const LATE: &str = "2026-03-02T00:00:00Z";

    #[test]
    fn what_follows_at_once_is_counted_once() {
        let order = json!({ "order_id": "O" });
        let mut causes = Causes::of([sent("a", EARLY, order)].into_iter());
        let at = Instant::now();
        assert_eq!(causes.delay(&heard("a", EARLY), at), None, "it wasn't published");
        causes.published("a", at);
        causes.published("a", at + Duration::from_secs(9));
        let later = at + Duration::from_millis(7);
        assert_eq!(causes.delay(&heard("b", EARLY), later), None, "nobody knows b");
        assert_eq!(causes.delay(&heard("a", LATE), later), None, "a deadline made it true");
    }

    #[test]
    fn the_delay_is_that_since_the_first_publication() {
        let mut causes = Causes::of([sent("a", EARLY, json!({ "order_id": "O" }))].into_iter());
        let at = Instant::now();
        causes.published("a", at);
        causes.published("a", at + Duration::from_secs(9));
        let later = at + Duration::from_millis(7);
        assert_eq!(causes.delay(&heard("a", EARLY), later), Some(7.0));
        assert_eq!(causes.delay(&heard("a", EARLY), later), None, "it was counted");
    }

    #[test]
    fn a_cause_that_something_earlier_follows_is_not_counted() {
        let placed = json!({ "order_id": "O", "buyer_id": "B" });
        let (other, paid) = (json!({ "buyer_id": "B" }), json!({ "order_id": "O" }));
        for late in [placed.clone(), other.clone()] {
            let messages = [sent("p", EARLY, placed.clone()), sent("a", LATE, paid.clone())];
            let mut causes = Causes::of(messages.into_iter().chain([sent("b", EARLY, late)]));
            let at = Instant::now();
            causes.published("a", at);
            assert_eq!(causes.delay(&heard("a", LATE), at), None);
        }
        let messages = [sent("a", EARLY, paid), sent("b", LATE, other)];
        let mut causes = Causes::of(messages.into_iter());
        let at = Instant::now();
        causes.published("a", at);
        assert_eq!(causes.delay(&heard("a", EARLY), at), Some(0.0));
    }
}
