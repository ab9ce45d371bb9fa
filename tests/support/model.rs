//! What the store must hold, said a second time: everything published is decided from
//! memory by `decide_all`, and the whole database is held against it.
//!
//! Both sides become rows of JSON in one form (no nulls, moments written alike), so that a
//! difference can be shown as text. What only one side knows is left out: ids, sequences,
//! when something was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use otodoke::contract::{Event, Identifier, Input, Timestamp};
use otodoke::rules::world::{World, decide_all};
use otodoke::rules::{CaseId, Decision, Policy};
use otodoke::store::{self, ledger, status};
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, PgPool};

use super::wait_until;

/// The most differences that a failure shows.
const SHOWN: usize = 12;

/// Rows by table, each as text.
pub type Picture = BTreeMap<&'static str, BTreeSet<String>>;

/// What stands in a database, as queries whose rows are JSON objects.
const TABLES: [(&str, &str); 7] = [
    (
        "derived_events",
        "SELECT to_jsonb(r) FROM (SELECT case_key, type, key, time, data FROM derived_events
         WHERE withdrawn_at IS NULL) r",
    ),
    ("orders", "SELECT to_jsonb(r) - 'updated_at' - 'version' FROM read_model.orders r"),
    ("order_lines", "SELECT to_jsonb(r) FROM read_model.order_lines r"),
    ("packages", "SELECT to_jsonb(r) FROM read_model.packages r"),
    ("threads", "SELECT to_jsonb(r) FROM read_model.threads r"),
    ("refunds", "SELECT to_jsonb(r) FROM read_model.refunds r WHERE withdrawn_at IS NULL"),
    ("guarantees", "SELECT to_jsonb(r) FROM read_model.guarantees r"),
];

/// Waits until so many events are in the history and nothing is left to be done: no message
/// to be sent, no case to be decided.
pub async fn settled(pool: &PgPool, time: Duration, events: usize) {
    let what = format!("{events} events are stored and nothing is left to do");
    wait_until(time, &what, async || {
        let Ok(mut conn) = pool.acquire().await else { return false };
        // Before the first migration there are no tables.
        let Ok(audit) = ledger::audit(&mut conn).await else { return false };
        assert!(audit.keys <= events as i64, "{} events of {events}", audit.keys);
        if audit.keys < events as i64 {
            return false;
        }
        let figures = status::figures(&mut conn).await.expect("the figures can be read");
        assert_eq!(figures.parked_cases, 0, "a case can't be decided");
        figures.outbox == 0 && figures.wake_ups == 0 && figures.oldest_due.is_none()
    })
    .await;
}

/// Holds everything that stands against the model of the same events.
///
/// # Panics
/// With the rows that differ.
pub async fn assert_equals_model(pool: &PgPool, events: &[Event]) {
    let now = store::clock(&mut pool.acquire().await.expect("a connection")).await;
    let world = decide_all(events, &Policy::default(), now.expect("the database's clock"));
    let (expected, found) = (picture_of(&world, events), picture(pool).await);
    assert!(!expected["derived_events"].is_empty(), "a model of nothing proves nothing");
    assert_same("the model", &expected, "the database", &found);
}

/// # Panics
/// With the rows that only one has.
pub fn assert_same(left_name: &str, left: &Picture, right_name: &str, right: &Picture) {
    let mut report = String::new();
    for (table, rows) in left {
        let other = &right[table];
        for (name, only) in [(left_name, rows - other), (right_name, other - rows)] {
            let count = only.len();
            for row in only.iter().take(SHOWN) {
                report.push_str(&format!("{table}, only in {name} ({count}): {row}\n"));
            }
        }
    }
    assert!(report.is_empty(), "{left_name} and {right_name} differ:\n{report}");
}

/// What stands in the database.
pub async fn picture(pool: &PgPool) -> Picture {
    let mut picture = Picture::new();
    for (table, query) in TABLES {
        let rows: Vec<Value> =
            sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(pool).await.expect("the read model");
        picture.insert(table, rows.into_iter().map(written).collect());
    }
    picture
}

/// How often each value of an expression occurs, for a report.
pub async fn counts(pool: &PgPool, query: &'static str) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as(query).fetch_all(pool).await.expect("the query is right");
    rows.into_iter().collect()
}

fn picture_of(world: &World, events: &[Event]) -> Picture {
    let mut picture: Picture = TABLES.iter().map(|(table, _)| (*table, BTreeSet::new())).collect();
    for (case, decision) in &world.cases {
        for (table, row) in rows(case, decision) {
            let rows = picture.get_mut(table).expect("a table of the read model");
            assert!(rows.insert(written(row)), "the model has a row of {table} twice");
        }
    }
    picture.insert("threads", threads(world, events));
    picture
}

fn rows(case: &CaseId, decision: &Decision) -> Vec<(&'static str, Value)> {
    let mut rows: Vec<(&'static str, Value)> = Vec::new();
    for derived in &decision.derived {
        rows.push((
            "derived_events",
            json!({
                "case_key": case.key(), "type": derived.derived_type().name(),
                "key": derived.key, "time": derived.time, "data": derived.data(),
            }),
        ));
    }
    let Some(order_id) = case.order_id() else { return rows };
    if let Some(order) = &decision.order {
        rows.push(("orders", json!(order)));
        let lines = order.lines.iter();
        rows.extend(lines.map(|line| ("order_lines", of_order(order_id, json!(line)))));
    }
    for package in &decision.packages {
        let mut row = json!(package);
        if row["status"].is_null() {
            row["status"] = "dispatched".into();
        }
        rows.push(("packages", of_order(order_id, row)));
    }
    for refund in &decision.refunds {
        let mut row = json!(refund);
        let issued = refund.issued_at.is_some();
        row["status"] = if issued { "issued" } else { "required" }.into();
        rows.push(("refunds", of_order(order_id, row)));
    }
    let guarantees = decision.guarantees.iter();
    rows.extend(guarantees.map(|row| ("guarantees", of_order(order_id, json!(row)))));
    rows
}

/// One row a thread: an order's word goes before the thread's own.
fn threads(world: &World, events: &[Event]) -> BTreeSet<String> {
    let mut messages: BTreeMap<&Identifier, BTreeSet<&Identifier>> = BTreeMap::new();
    for event in events {
        if let Input::MessageSent(message) = &event.input {
            messages.entry(&message.thread_id).or_default().insert(&message.message_id);
        }
    }
    let mut rows: BTreeMap<&Identifier, (String, Value)> = BTreeMap::new();
    for (case, decision) in &world.cases {
        for thread in &decision.threads {
            let mut row = json!(thread);
            let count = messages.get(&thread.thread_id).map_or(0, BTreeSet::len);
            row["message_count"] = count.into();
            let said = (case.key(), row);
            match rows.get(&thread.thread_id) {
                Some((first, _)) if *first < said.0 => {}
                _ => drop(rows.insert(&thread.thread_id, said)),
            }
        }
    }
    rows.into_values().map(|(_, row)| written(row)).collect()
}

fn of_order(order_id: &Identifier, mut row: Value) -> Value {
    row["order_id"] = json!(order_id);
    row
}

/// One form for both sides.
fn written(row: Value) -> String {
    canonical(row).to_string()
}

fn canonical(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            // Sorted, whatever the map is made of.
            let members: BTreeMap<String, Value> = members
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, canonical(value)))
                .collect();
            Value::Object(Map::from_iter(members))
        }
        Value::Array(elements) => elements.into_iter().map(canonical).collect(),
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(moment) => Value::String(moment.to_string()),
            Err(_) => Value::String(text),
        },
        other => other,
    }
}
