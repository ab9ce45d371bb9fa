//! Histories to try properties on: how many, from which seeds, and what a
//! failure shows.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use otodoke::contract::{Event, Identifier, Input, Rule, Span, Timestamp};
use otodoke::rules::Policy;
use otodoke::rules::world::{World, decide_all};

use crate::generate::{Dice, Generator, to_cloudevent};

/// A history with the policy it is judged under.
#[derive(Clone)]
pub struct History {
    pub seed: u64,
    pub events: Vec<Event>,
    pub policy: Policy,
    /// So late that every deadline has passed.
    pub as_of: Timestamp,
    /// Moments at which something happens or has just happened.
    moments: Vec<Timestamp>,
}

/// A derived event, by its case: what the law of derived events compares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    pub time: Timestamp,
    pub rule: Rule,
    case: String,
    kind: &'static str,
    thread: Option<String>,
    key: String,
    data: String,
}

pub fn facts(world: &World) -> BTreeSet<Fact> {
    let of_case = |(case, decision): (&otodoke::rules::CaseId, &otodoke::rules::Decision)| {
        let case = case.key();
        let fact = move |derived: &otodoke::contract::Derived| Fact {
            time: derived.time,
            rule: derived.rule,
            thread: derived.data()["thread_id"].as_str().map(str::to_owned),
            case: case.clone(),
            kind: derived.derived_type().name(),
            key: derived.key.clone(),
            data: derived.data().to_string(),
        };
        decision.derived.iter().map(fact).collect::<Vec<_>>()
    };
    world.cases.iter().flat_map(of_case).collect()
}

impl Fact {
    pub fn is_of_any(&self, threads: &BTreeSet<&Identifier>) -> bool {
        self.thread.as_ref().is_some_and(|own| threads.iter().any(|thread| thread.as_str() == own))
    }
}

impl History {
    pub fn of_seed(seed: u64) -> History {
        let mut dice = Dice::new(seed ^ 0xA5A5);
        let count = 4 + dice.below(60);
        let policy = match dice.below(4) {
            0 => Policy {
                settle: Span::ZERO,
                guarantee_after: Span::days(2),
                unmatched_after: Span::hours(1),
                ..Policy::default()
            },
            1 => Policy { change_window: Span::hours(2), ..Policy::default() },
            _ => Policy::default(),
        };
        let events = Generator::new(seed).events(count);
        let moments = moments(&events, &mut dice);
        let as_of = "2027-01-01T00:00:00Z".parse().expect("a moment");
        History { seed, events, policy, as_of, moments }
    }

    pub fn world(&self) -> World {
        decide_all(&self.events, &self.policy, self.as_of)
    }

    /// Dice of the history's own, another for each `purpose`.
    pub fn dice(&self, purpose: u64) -> Dice {
        Dice::new(self.seed.wrapping_add(purpose << 48))
    }

    /// The earliest moment that an event says anything about: the order that stands may be
    /// placed before its event is dated.
    pub fn happened(&self, event: &Event) -> Timestamp {
        let Input::OrderPlaced(placed) = &event.input else { return event.time };
        let earlier = self.events.iter().any(|other| match &other.input {
            Input::OrderPlaced(first) => {
                first.order_id == placed.order_id && other.position() < event.position()
            }
            _ => false,
        });
        if earlier { event.time } else { placed.placed_at.unwrap_or(event.time).min(event.time) }
    }

    /// The threads that name an order which was placed later, or never.
    pub fn threads_of_orders_placed_after(&self, moment: Timestamp) -> BTreeSet<&Identifier> {
        let placed: BTreeSet<&Identifier> = self
            .events
            .iter()
            .filter(|event| self.happened(event) <= moment)
            .filter_map(|event| match &event.input {
                Input::OrderPlaced(placed) => Some(&placed.order_id),
                _ => None,
            })
            .collect();
        let naming = self.events.iter().filter_map(|event| match &event.input {
            Input::MessageSent(message) => Some((&message.thread_id, message.order_id.as_ref()?)),
            _ => None,
        });
        naming.filter(|(_, order)| !placed.contains(order)).map(|(thread, _)| thread).collect()
    }

    /// Those of them that name another seller's or buyer's order.
    pub fn threads_of_others_orders_placed_after(
        &self,
        moment: Timestamp,
    ) -> BTreeSet<&Identifier> {
        let mut threads = self.threads_of_orders_placed_after(moment);
        let placed = || {
            self.events.iter().filter_map(|event| match &event.input {
                Input::OrderPlaced(placed) => Some(placed),
                _ => None,
            })
        };
        threads.retain(|thread| {
            self.events.iter().any(|event| match &event.input {
                Input::MessageSent(message) if message.thread_id == **thread => {
                    placed().any(|order| {
                        let buyer = message.buyer_id.as_ref();
                        message.order_id.as_ref() == Some(&order.order_id)
                            && (message.seller_id != order.seller_id
                                || buyer.is_some_and(|buyer| *buyer != order.buyer_id)
                                || message.relay_email != order.relay_email)
                    })
                }
                _ => false,
            })
        });
        threads
    }

    pub fn last(&self) -> Timestamp {
        let placed = self.events.iter().filter_map(|event| match &event.input {
            Input::OrderPlaced(placed) => placed.placed_at,
            _ => None,
        });
        let last = self.events.iter().map(|event| event.time).chain(placed).max();
        last.unwrap_or(Timestamp::MIN)
    }

    /// Some of the moments at which something happens, in order; the same ones while a failure is shrunk.
    pub fn moments(&self, count: usize) -> Vec<Timestamp> {
        let mut moments = self.moments[..count].to_vec();
        moments.sort();
        moments
    }
}

fn moments(events: &[Event], dice: &mut Dice) -> Vec<Timestamp> {
    let spans = [Span::ZERO, Span::ZERO, Span::seconds(59), Span::days(2), Span::days(14)];
    (0..8).map(|_| events[dice.below(events.len())].time + *dice.pick(&spans)).collect()
}

/// Tries a property on every history; panics with the smallest that fails.
#[track_caller]
pub fn for_every_history(property: impl Fn(&History) -> Result<(), String> + Sync) {
    let (first, count) = seeds(std::panic::Location::caller().line());
    println!("{count} histories, OTODOKE_SEED={first} and on");
    let next = std::sync::atomic::AtomicU64::new(first);
    let failed = std::sync::Mutex::new(None);
    let workers = if count > 10_000 {
        std::thread::available_parallelism().map_or(1, usize::from)
    } else {
        1
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let mut found = failed.lock().expect("no worker panics");
                    if seed >= first + count || found.is_some() {
                        break;
                    }
                    drop(found);
                    let history = History::of_seed(seed);
                    if outcome(&property, &history).is_err() {
                        found = failed.lock().expect("no worker panics");
                        found.get_or_insert(history);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no worker panics");
    if let Some(history) = failed {
        report(&property, history);
    }
}

/// Of each property in the long mode: a million and more of all together.
const IN_FULL: u64 = 90_000;

/// Where to begin and how many to try. In the long mode each property, which stands in a line
/// of its own, has histories of its own.
fn seeds(line: u32) -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let full = std::env::var("OTODOKE_TEST_FULL").is_ok_and(|value| value == "1");
    let first = if full { u64::from(line) * 1_000_000 } else { 1 };
    let count = number("OTODOKE_HISTORIES").unwrap_or(if full { IN_FULL } else { 600 });
    (number("OTODOKE_SEED").unwrap_or(first), count)
}

/// A panic of the rules fails the property like any other fault.
fn outcome(
    property: &impl Fn(&History) -> Result<(), String>,
    history: &History,
) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| property(history))).unwrap_or_else(|_| Err("panics".into()))
}

fn report(property: &impl Fn(&History) -> Result<(), String>, history: History) -> ! {
    let seed = history.seed;
    let smallest = shrink(property, history);
    let fault = outcome(property, &smallest).expect_err("a shrunk history still fails");
    let mut events: Vec<&Event> = smallest.events.iter().collect();
    events.sort_by_key(|event| event.position());
    let lines: Vec<String> =
        events.into_iter().map(|event| to_cloudevent(event).to_string()).collect();
    panic!(
        "OTODOKE_SEED={seed} fails (policy {:?}):\n{}\n\n{fault}",
        smallest.policy,
        lines.join("\n")
    );
}

/// Leaves out events one by one as long as it still fails.
fn shrink(property: &impl Fn(&History) -> Result<(), String>, mut history: History) -> History {
    loop {
        let smaller =
            (0..history.events.len()).filter(|_| history.events.len() > 1).find_map(|index| {
                let mut smaller = history.clone();
                smaller.events.remove(index);
                outcome(property, &smaller).is_err().then_some(smaller)
            });
        match smaller {
            Some(smaller) => history = smaller,
            None => return history,
        }
    }
}
