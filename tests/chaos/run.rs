//! One run: a workload is published at a pace, faults strike while it is, and in the end
//! everything is held against the rules.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use otodoke::broker::Outgoing;
use otodoke::contract::{Event, InputType, Stream};
use serde_json::json;
use sqlx::PgPool;

use crate::faults::Fault;
use crate::judge::{Published, caught, command, judge};
use crate::publisher::Publishing;
use crate::report::{Outcome, Report};
use crate::support::generate::Dice;
use crate::support::history::{distinct, event, history, now, size};
use crate::support::model::settled;
use crate::support::wait_until;
use crate::world::{Stage, World};

/// Within this time after the last fault everything is done. What is slowest is noticing a
/// connection that is dead without a word.
pub const RECOVERY: Duration = Duration::from_secs(90);
/// One message in so many is no JSON.
const BROKEN: usize = 60;
/// How many processors share the work.
const PROCESSORS: usize = 2;

/// Runs with one fault, one for each seed, on servers that they share.
pub async fn survive(stage: &mut Stage, fault: Fault, seeds: impl IntoIterator<Item = u64>) {
    survive_all(stage, &fault.name(), &|_| vec![fault], seeds).await;
}

/// The same with faults that depend on the seed, one after the other.
pub async fn survive_all(
    stage: &mut Stage,
    name: &str,
    faults: &dyn Fn(&mut Dice) -> Vec<Fault>,
    seeds: impl IntoIterator<Item = u64>,
) {
    let mut report = Report::of(name);
    for seed in seeds {
        let mut dice = Dice::new(seed);
        let faults = faults(&mut dice);
        let outcome = run(stage, name, &faults, seed, &mut dice).await;
        let is_right = outcome.is_right();
        report.add(outcome);
        if !is_right {
            break;
        }
    }
    report.assert_right();
}

/// Whether every fault is to be tried: in the long mode, and where seeds are given.
pub fn is_long() -> bool {
    std::env::var("OTODOKE_CHAOS_SEEDS").is_ok() || size(0, 1) == 1
}

/// The seeds of `OTODOKE_CHAOS_SEEDS=1-200` (or `7`), else the first few.
pub fn seeds(normally: u64, in_full: u64) -> impl Iterator<Item = u64> {
    let number = |text: &str| text.trim().parse::<u64>().expect("OTODOKE_CHAOS_SEEDS is as 1-200");
    let (first, last) = match std::env::var("OTODOKE_CHAOS_SEEDS") {
        Ok(text) => match text.split_once('-') {
            Some((first, last)) => (number(first), number(last)),
            None => (number(&text), number(&text)),
        },
        Err(_) => (1, size(normally as usize, in_full as usize) as u64),
    };
    first..=last
}

async fn run(
    stage: &mut Stage,
    name: &str,
    faults: &[Fault],
    seed: u64,
    dice: &mut Dice,
) -> Outcome {
    let mut world = World::open(stage, PROCESSORS).await;
    let mut events = history(seed, size(300, 1_000));
    if faults.contains(&Fault::WrongClocks) {
        events.extend(just_now());
    }
    let (messages, broken) = messages(&mut world, &events);
    let published = Published {
        events,
        broken,
        beyond_the_model: faults.iter().any(|fault| fault.is_beyond_the_model()),
        untold: faults.iter().any(|fault| fault.leaves_somebody_untold()),
    };
    let fault = name.to_owned();
    let mut outcome =
        Outcome { fault, seed, recovery: None, lost: 0, felt: false, wrong: Vec::new() };
    let done = strike_and_settle(stage, &mut world, faults, dice, &published, messages);
    let mut recovery = None;
    let problem = caught(async { recovery = Some(done.await) }).await;
    outcome.recovery = recovery;
    outcome.wrong.extend(problem);
    outcome.felt = world.has_complaints();
    let (lost, wrong) = judge(&mut world, &published).await;
    outcome.lost = lost;
    outcome.wrong.extend(wrong);
    for node in &mut world.nodes {
        if let Some(processor) = &mut node.processor
            && outcome.wrong.is_empty()
            && !processor.stop().await.success()
        {
            outcome.wrong.push(format!("SIGTERM didn't end it well: {}", processor.log()));
        }
    }
    if !outcome.is_right() {
        eprintln!("{}", world.logs());
    }
    outcome
}

/// How long it took, from the end of the last fault, until nothing was left to be done.
async fn strike_and_settle(
    stage: &mut Stage,
    world: &mut World,
    faults: &[Fault],
    dice: &mut Dice,
    published: &Published,
    messages: Vec<Outgoing>,
) -> Duration {
    let (count, all) = (messages.len(), distinct(&published.events));
    let amqp_url = stage.sandbox.amqp_url().to_owned();
    world.publishing = Some(Publishing::start(amqp_url, messages));
    let mut over = Instant::now();
    for (number, fault) in faults.iter().enumerate() {
        // Spread over the workload, each somewhere in its part of it.
        let part = count * 8 / 10 / faults.len();
        let begin = part * number + dice.below(part.max(1));
        let reached = async || world.confirmed() >= begin;
        wait_until(RECOVERY, "so much is published", reached).await;
        if number == 0 {
            fault.prepare(world, dice).await;
            over = Instant::now();
            world.start().await;
            world.wait_ready().await;
            let stored = async || stored(&world.pool).await > 0;
            wait_until(RECOVERY, "it gets on", stored).await;
        }
        if fault.strike(stage, world, dice).await {
            over = Instant::now();
        }
    }
    world.publishing.take().expect("it is published").finish().await;
    replay_unroutable(world, all).await;
    settled(&world.pool, RECOVERY, all).await;
    over.elapsed()
}

/// What was published while its queue was deleted is a dead letter, and is to come back.
async fn replay_unroutable(world: &World, all: usize) {
    let letters = async || -> i64 {
        let count = "SELECT count(*) FROM dead_letters WHERE code = 'unroutable'";
        sqlx::query_scalar(count).fetch_one(&world.pool).await.unwrap_or(0)
    };
    let arrived = async || stored(&world.pool).await + letters().await >= all as i64;
    wait_until(RECOVERY, "every event is stored, or a dead letter", arrived).await;
    if letters().await > 0 {
        let replay = ["dead-letters", "replay", "--code", "unroutable", "--yes"];
        let (is_well, text) = command(&world.database_url, &replay);
        assert!(is_well, "the dead letters don't come back: {text}");
    }
}

/// Orders of this moment: by a clock that is hours behind they are of the future.
fn just_now() -> Vec<Event> {
    let time = now();
    let order = |number: usize| {
        let data = json!({
            "order_id": format!("now-{number}"), "seller_id": "S9", "buyer_id": "B9",
            "sold_by": "seller", "fulfilled_by": "seller", "currency": "JPY",
            "lines": [{"line_id": "1", "sku": "A", "quantity": 1, "unit_price": 500}],
        });
        event(&format!("now-{number}"), InputType::OrderPlaced, time, &data)
    };
    (0..5).map(order).collect()
}

/// Events stored so far; none before the first migration.
pub async fn stored(pool: &PgPool) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM event_keys");
    count.fetch_one(pool).await.unwrap_or(0)
}

/// The events as messages, and between them some that are no JSON. How many of these.
pub fn messages(world: &mut World, events: &[Event]) -> (Vec<Outgoing>, usize) {
    let (mut messages, mut broken, mut seen) = (Vec::new(), 0, BTreeSet::new());
    for (number, event) in events.iter().enumerate() {
        if number % BROKEN == BROKEN / 2 {
            let body = format!("broken {number}");
            messages.push(world.market.structured(Stream::Orders, "order-placed", body));
            broken += 1;
            world.distinct.push(seen.len() as i64);
        }
        messages.push(world.market.event(event));
        seen.insert(&event.key);
        world.distinct.push(seen.len() as i64);
    }
    (messages, broken)
}
