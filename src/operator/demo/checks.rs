//! Whether what stands in the tables is what the rules say of what was published, and
//! whether every rule was at work.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;
use futures_util::TryStreamExt;
use serde_json::Value;

use super::play::Play;
use super::privacy;
use crate::contract::{Event, Rule, Timestamp};
use crate::operator::model;
use crate::rules::world::World;
use crate::store::inspection::{self, Standing};
use crate::store::report::{self, Range};
use crate::store::{cases, history, status};

/// What was found of one rule.
#[derive(Clone, Debug, Default)]
pub struct Exercise {
    /// How often it applied.
    pub times: u64,
    /// One of these, in a few words.
    pub example: String,
    /// Why it doesn't count as exercised.
    pub problem: Option<String>,
}

impl Exercise {
    /// Exercised `times`, unless never, or something was found.
    pub fn of(times: u64, example: String, problem: Option<String>) -> Exercise {
        let never = (times == 0).then(|| "never applied".to_owned());
        Exercise { times, example, problem: problem.or(never) }
    }
}

/// The whole verdict.
#[derive(Debug, Default)]
pub struct Findings {
    pub rules: BTreeMap<Rule, Exercise>,
    /// Derived events that stand, by type.
    pub derived: BTreeMap<String, u64>,
    pub withdrawn: u64,
    pub published: i64,
    pub accepted: u64,
    pub duplicates: i64,
    pub orders: u64,
    /// By code.
    pub dead_letters: BTreeMap<String, i64>,
    /// What differs between the tables and the model. Empty: nothing.
    pub differences: Vec<String>,
}

impl Findings {
    pub fn missing(&self) -> impl Iterator<Item = (&Rule, &str)> {
        self.rules.iter().filter_map(|(rule, found)| Some((rule, found.problem.as_deref()?)))
    }

    pub fn is_well(&self) -> bool {
        self.differences.is_empty() && self.missing().next().is_none()
    }
}

/// Looks at everything; `metrics` is what the processor told of itself.
pub async fn findings(play: &Play, metrics: &str) -> Result<Findings> {
    let as_of = play.clock().await?;
    let world = play.model.world(as_of);
    let conn = &mut *play.pool.acquire().await?;
    let standing = inspection::standing(conn).await?;
    let figures = status::figures(conn).await?;
    let mut differences = model::compare_derived(&world, &standing);
    differences.extend(compare_heard(play, &standing));
    differences.extend(compare_histories(play, conn).await?);
    differences.extend(differing("dead letters", &play.model.dead, &figures.open_dead_letters));
    differences.extend(differing("parked cases", &0, &figures.parked_cases));
    let mut rules = at_work(&world);
    rules.insert(Rule::V1, privacy::hidden_until_needed(play, rules.get(&Rule::V1)));
    rules.insert(Rule::V2, privacy::stripped(play, conn).await?);
    rules.insert(Rule::V3, privacy::ids_only(metrics));
    rules.insert(Rule::O1, reconciled(&world, conn).await?);
    let heard = play.audience.heard();
    let is_withdrawal = |event_type: &str| event_type == "derived-withdrawn";
    Ok(Findings {
        rules,
        derived: counted(standing.iter().map(|event| event.event_type.clone())),
        withdrawn: heard.iter().filter(|event| is_withdrawal(&event.event_type)).count() as u64,
        published: play.model.published,
        accepted: play.model.events().len() as u64,
        duplicates: play.model.duplicates,
        orders: world.cases.values().filter(|decision| decision.order.is_some()).count() as u64,
        dead_letters: figures.open_dead_letters,
        differences,
    })
}

fn counted(names: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    names.fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name).or_default() += 1;
        counts
    })
}

fn differing<T: PartialEq + fmt::Debug>(what: &str, expected: &T, found: &T) -> Option<String> {
    (expected != found).then(|| format!("{what}: {found:?} instead of {expected:?}"))
}

/// Whoever subscribed and took withdrawals off has the same in hand.
fn compare_heard(play: &Play, standing: &[Standing]) -> Option<String> {
    let heard = play.audience.heard();
    let withdrawn: BTreeSet<&str> =
        heard.iter().filter_map(|event| event.data.get("withdraws")?.as_str()).collect();
    let left = heard
        .iter()
        .filter(|event| event.derived_type().is_some() && event.event_type != "derived-withdrawn")
        .map(|event| event.id.to_string())
        .filter(|id| !withdrawn.contains(id.as_str()))
        .collect::<BTreeSet<String>>()
        .len();
    (left != standing.len())
        .then(|| format!("a subscriber has {left} events in hand, {} stand", standing.len()))
}

/// The history holds the events that were published, each once, as the rules read them.
async fn compare_histories(play: &Play, conn: &mut sqlx::PgConnection) -> Result<Vec<String>> {
    let all = cases::page(conn, None, i64::MAX).await?.into_iter().collect();
    let (mut stored, mut differences) = (BTreeMap::new(), Vec::new());
    for entry in history::of_cases_anywhere(conn, &all).await? {
        match entry {
            Ok(entry) => drop(stored.insert(entry.event.key.clone(), entry.event)),
            Err(unreadable) => differences.push(unreadable.problem),
        }
    }
    for event in play.model.events() {
        let (kind, id) = (event.input.input_type().name(), &event.key.id);
        match stored.remove(&event.key) {
            // The body of a message is kept beside what the rules read.
            Some(found) if as_read(&found) == as_read(&event) => {}
            Some(_) => differences.push(format!("{kind} {id} is stored otherwise")),
            None => differences.push(format!("{kind} {id} is not in the history")),
        }
    }
    differences.extend(stored.into_keys().map(|key| format!("{} was never sent", key.id)));
    Ok(differences)
}

fn as_read(event: &Event) -> (Timestamp, Value) {
    (event.time, event.input.facts())
}

/// What the rules say of themselves.
fn at_work(world: &World) -> BTreeMap<Rule, Exercise> {
    let mut rules: BTreeMap<Rule, Exercise> =
        Rule::ALL.iter().map(|rule| (*rule, Exercise::default())).collect();
    for (case, decision) in &world.cases {
        for firing in &decision.firings {
            let exercise = rules.entry(firing.rule).or_default();
            exercise.times += 1;
            if exercise.times == 1 {
                exercise.example = format!("{}, {case}", firing.outcome);
            }
        }
    }
    for exercise in rules.values_mut() {
        *exercise = Exercise::of(exercise.times, std::mem::take(&mut exercise.example), None);
    }
    rules
}

/// O1: the order report of a seller has every order of his that was placed, with the status
/// that the rules give it.
async fn reconciled(world: &World, conn: &mut sqlx::PgConnection) -> Result<Exercise> {
    let seller = super::day::sweets();
    let expected: BTreeMap<String, Value> = world
        .cases
        .values()
        .filter_map(|decision| decision.order.as_ref())
        .filter(|order| order.seller_id == seller)
        .map(|order| (order.order_id.to_string(), serde_json::json!(order.status)))
        .collect();
    let range = Range { seller: seller.as_str(), from: None, until: None };
    let reported: BTreeMap<String, Value> = report::rows(conn, &range)
        .map_ok(|row| (row.order_id, Value::String(row.status)))
        .try_collect()
        .await?;
    let problem = (reported != expected).then(|| "the report differs from the orders".to_owned());
    let example = format!("report of {seller}: {} orders, none missing", reported.len());
    Ok(Exercise::of(reported.len() as u64, example, problem))
}
