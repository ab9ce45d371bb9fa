//! The rule book as scenarios: tests/scenarios/<RULE>-<slug>.json, run against
//! the rules as one function of a set of events. How to write one:
//! tests/scenarios/README.md.

#[path = "support/compare.rs"]
mod compare;
#[path = "support/scenario.rs"]
mod scenario;
#[path = "support/shorthand.rs"]
mod shorthand;

use std::collections::{BTreeMap, BTreeSet};

use otodoke::contract::{DerivedType, Event, Identifier, InputType, Rule};
use otodoke::rules::world::decide_all;
use otodoke::rules::{CaseId, Policy};
use scenario::{Moment, Scenario, load_all};
use serde_json::{Value, json};
use shorthand::Expander;

/// What no decision can show: V2 is intake's, V3 the logs', O1 the reports'.
const SHOWN_ELSEWHERE: [Rule; 3] = [Rule::V2, Rule::V3, Rule::O1];

#[test]
fn every_scenario_holds_in_whatever_order_its_events_come() {
    let scenarios = load_all();
    let failures: Vec<String> = scenarios.iter().filter_map(failure).collect();
    assert!(
        failures.is_empty(),
        "{} of {} scenarios fail:\n\n{}",
        failures.len(),
        scenarios.len(),
        failures.join("\n\n")
    );
}

/// What is wrong with a scenario, under its name.
fn failure(scenario: &Scenario) -> Option<String> {
    let problems = std::panic::catch_unwind(|| problems(scenario)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        vec![format!("panics: {}", text.unwrap_or_default())]
    });
    let heading = format!("{}: {}", scenario.file, scenario.name);
    (!problems.is_empty()).then(|| format!("{heading}\n{}", problems.join("\n")))
}

fn problems(scenario: &Scenario) -> Vec<String> {
    match (scenario.policy(), scenario.moments()) {
        (Ok(policy), Ok(moments)) => {
            let mut problems = Vec::new();
            let mut before = Vec::new();
            for (index, moment) in moments.iter().enumerate() {
                let world = decide_all(&moment.events, &policy, moment.as_of);
                let step =
                    if moments.len() > 1 { format!("step {}, ", index + 1) } else { "".into() };
                let found = compare::differences(&moment.expect, &world.cases, &before);
                problems.extend(found.into_iter().map(|text| format!("{step}{text}")));
                for (way, events) in other_ways(moment) {
                    if decide_all(&events, &policy, moment.as_of).cases != world.cases {
                        problems.push(format!("{step}another result with the events {way}"));
                    }
                }
                before = compare::flat(&world.cases);
            }
            problems
        }
        (policy, moments) => [policy.err(), moments.err()].into_iter().flatten().collect(),
    }
}

/// The same set of events, as the queues might bring it.
fn other_ways(moment: &Moment) -> Vec<(&'static str, Vec<Event>)> {
    let events = &moment.events;
    let reversed: Vec<Event> = events.iter().rev().cloned().collect();
    let doubled: Vec<Event> =
        events.iter().flat_map(|event| [event.clone(), event.clone()]).collect();
    let mut shuffled = doubled.clone();
    let mut state = events.len() as u64;
    for last in (1..shuffled.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        shuffled.swap(last, (state >> 33) as usize % (last + 1));
    }
    vec![("reversed", reversed), ("doubled", doubled), ("doubled and shuffled", shuffled)]
}

#[test]
fn every_rule_has_a_scenario() {
    let mut numbers: BTreeMap<Rule, usize> = Rule::ALL.iter().map(|rule| (*rule, 0)).collect();
    for scenario in load_all() {
        *numbers.entry(scenario.rule()).or_default() += 1;
    }
    for (rule, number) in &numbers {
        println!("{:3} {number:4}  {}", rule.id(), rule.title());
    }
    println!("    {:4}  in all", numbers.values().sum::<usize>());
    numbers.retain(|rule, number| *number == 0 && !SHOWN_ELSEWHERE.contains(rule));
    assert!(numbers.is_empty(), "no scenario for {:?}", numbers.keys());
}

#[test]
fn every_event_type_has_a_scenario() {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    numbers.extend(InputType::ALL.iter().map(|kind| (kind.name(), 0)));
    numbers.extend(DerivedType::ALL.iter().map(|kind| (kind.name(), 0)));
    for scenario in load_all() {
        for name in types_of(&scenario) {
            *numbers.get_mut(name).unwrap_or_else(|| panic!("{}: {name}", scenario.file)) += 1;
        }
    }
    for (name, number) in &numbers {
        println!("{number:4}  {name}");
    }
    numbers.retain(|_, number| *number == 0);
    assert!(numbers.is_empty(), "no scenario for {:?}", numbers.keys());
}

#[test]
fn a_derived_event_follows_from_the_rules_that_its_type_names_and_from_each_of_them() {
    let mut seen: BTreeMap<DerivedType, BTreeSet<Rule>> = BTreeMap::new();
    for scenario in load_all() {
        let policy = scenario.policy().unwrap();
        for moment in scenario.moments().unwrap() {
            let world = decide_all(&moment.events, &policy, moment.as_of);
            for derived in world.cases.values().flat_map(|decision| &decision.derived) {
                seen.entry(derived.derived_type()).or_default().insert(derived.rule);
            }
        }
    }
    for kind in DerivedType::ALL.iter().filter(|kind| **kind != DerivedType::DerivedWithdrawn) {
        let named: BTreeSet<Rule> = kind.rules().iter().copied().collect();
        assert_eq!(seen.get(kind), Some(&named), "{}", kind.name());
    }
}

/// The types of the events that come in and of those that are expected.
fn types_of(scenario: &Scenario) -> BTreeSet<&'static str> {
    let mut types = BTreeSet::new();
    for moment in scenario.moments().unwrap_or_default() {
        types.extend(moment.events.iter().map(|event| event.input.input_type().name()));
    }
    for expect in scenario.expectations().flat_map(|expect| expect.cases.values().chain([expect])) {
        let lists = [&expect.derived, &expect.published];
        let rows = lists.into_iter().flatten().flatten().chain(&expect.stands);
        let names = rows.filter_map(|row| row.get("type")?.as_str());
        types.extend(names.filter_map(DerivedType::from_name).map(DerivedType::name));
        if expect.withdrawn.as_ref().is_some_and(|rows| !rows.is_empty()) {
            types.insert(DerivedType::DerivedWithdrawn.name());
        }
    }
    types
}

/// S5: too long a list to write down.
#[test]
fn of_more_than_a_hundred_orders_the_last_hundred_are_listed() {
    let placed = |number: usize| {
        let short = json!({
            "type": "order-placed", "order_id": format!("O{number:03}"), "id": format!("e{number:03}"),
            "time": format!("day 1 {:02}:{:02}", 9 + number / 60, number % 60),
            "ship_to": { "postal_code": "1", "region": "T", "address_lines": [], "country": "JP" },
        });
        Expander::default().event(short.as_object().expect("an object")).expect("a valid event")
    };
    let listed = |orders: usize| {
        let events: Vec<Event> = (1..=orders).map(placed).collect();
        let as_of = events.last().expect("an order").time;
        let last = CaseId::Order(Identifier::new(format!("O{orders:03}")).expect("an id"));
        let world = decide_all(&events, &Policy::default(), as_of);
        let found = world.cases[&last].derived.iter().find(|derived| derived.rule == Rule::S5);
        found.expect("an offer").data()
    };
    let ids = |range: std::ops::RangeInclusive<usize>| -> Value {
        range.map(|number| format!("O{number:03}")).collect::<Vec<_>>().into()
    };
    assert_eq!(listed(100)["order_ids"], ids(1..=100));
    assert_ne!(listed(100)["truncated"], json!(true));
    assert_eq!(listed(101)["order_ids"], ids(2..=101));
    assert_eq!(listed(101)["truncated"], json!(true));
}
