//! Histories for live tests: of the past, so that every deadline in them has passed.

use std::collections::BTreeSet;

use otodoke::contract::{Event, EventRef, InputType, Span, Timestamp};
use serde_json::Value;

use super::generate::Generator;

/// Long enough ago for all that a generated history (40 days) and the longest deadline need.
const AGO: Span = Span::days(100);

pub fn now() -> Timestamp {
    Timestamp::from_chrono(chrono::Utc::now())
}

/// A plausible history of a whole marketplace, in the order in which it arrives.
pub fn history(seed: u64, count: usize) -> Vec<Event> {
    let start = Timestamp::from_micros(now().micros() - AGO.micros());
    Generator::new(seed).starting_at(start).events(count)
}

/// `normally`, or `in_full` where `OTODOKE_TEST_FULL=1` asks for the long tests.
pub fn size(normally: usize, in_full: usize) -> usize {
    let full = std::env::var("OTODOKE_TEST_FULL").is_ok_and(|value| value == "1");
    if full { in_full } else { normally }
}

/// How many events there are without their repetitions.
pub fn distinct(events: &[Event]) -> usize {
    events.iter().map(|event| &event.key).collect::<BTreeSet<&EventRef>>().len()
}

/// One event, as the input systems of these tests send it.
pub fn event(id: &str, kind: InputType, time: Timestamp, data: &Value) -> Event {
    let input = kind.read(data).unwrap_or_else(|fault| panic!("{id}: {fault}"));
    Event { time, key: EventRef { source: "/test".to_owned(), id: id.to_owned() }, input }
}

pub fn before(moment: Timestamp, span: Span) -> Timestamp {
    Timestamp::from_micros(moment.micros() - span.micros())
}
