//! Whether a run was survived: everything that was confirmed as published, held against what
//! stands in the database and what the subscriber was told.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::process::Command;
use std::time::Duration;

use futures_util::FutureExt;
use otodoke::contract::Event;
use sqlx::PgPool;

use crate::support::marketplace::Arrived;
use crate::support::model::assert_equals_model;
use crate::support::record::assert_lawful;
use crate::support::wait_until;
use crate::world::World;

/// How long what is published may take to be in the subscriber's queue.
const DELIVERY: Duration = Duration::from_secs(20);

/// What was published in a run, all of it confirmed.
pub struct Published {
    pub events: Vec<Event>,
    /// Bodies that are no JSON, each another one.
    pub broken: usize,
    /// Whether what isn't in the model came in beside: then only the laws are checked that
    /// hold for any history.
    pub beyond_the_model: bool,
    /// The subscriber's binding was gone for a while.
    pub untold: bool,
}

/// How many are lost, and what else is wrong.
pub async fn judge(world: &mut World, published: &Published) -> (usize, Vec<String>) {
    let lost = lost(&world.pool, &published.events).await;
    let mut wrong = Vec::new();
    match published.beyond_the_model {
        false => wrong.extend(caught(assert_equals_model(&world.pool, &published.events)).await),
        true => wrong.extend(rebuild(&world.database_url)),
    }
    if !published.untold {
        wrong.extend(caught(assert_told(world)).await);
    }
    wrong.extend(caught(assert_letters(world, published.broken)).await);
    wrong.extend(caught(assert_queues_empty(world)).await);
    wrong.extend(verify(&world.database_url));
    (lost, wrong)
}

/// What a check panics with.
pub async fn caught(check: impl Future<Output = ()>) -> Option<String> {
    let panic = AssertUnwindSafe(check).catch_unwind().await.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Some(text.unwrap_or_else(|| "a check panics".to_owned()))
}

async fn lost(pool: &PgPool, events: &[Event]) -> usize {
    let query = "SELECT source, event_id FROM history
                 UNION SELECT event_source, event_id FROM dead_letters
                 WHERE event_source IS NOT NULL AND event_id IS NOT NULL";
    let rows: Vec<(String, String)> =
        sqlx::query_as(query).fetch_all(pool).await.expect("the history can be read");
    let kept: BTreeSet<(&str, &str)> = rows.iter().map(|(s, i)| (s.as_str(), i.as_str())).collect();
    let keys = events.iter().map(|event| (event.key.source.as_str(), event.key.id.as_str()));
    keys.collect::<BTreeSet<_>>().difference(&kept).count()
}

/// The subscriber was told what stands, in order, and of every dead letter once or more.
async fn assert_told(world: &mut World) {
    let World { subscriber, pool, .. } = world;
    let all: Vec<String> = sqlx::query_scalar(
        "SELECT event_id::text FROM derived_events WHERE NOT suppressed
         UNION ALL SELECT 'letter ' || id FROM dead_letters",
    )
    .fetch_all(&*pool)
    .await
    .expect("the derived events can be read");
    let mut missing = BTreeSet::new();
    let all_told = async || {
        let told: BTreeSet<String> = subscriber.arrived().await.iter().map(name).collect();
        missing = all.iter().filter(|id| !told.contains(*id)).cloned().collect();
        missing.is_empty()
    };
    if caught(wait_until(DELIVERY, "everything is told", all_told)).await.is_some() {
        panic!("{} of {} derived events never came: {missing:?}", missing.len(), all.len());
    }
    assert_lawful(pool, subscriber.arrived().await).await;
}

/// Nothing is a dead letter but what deserves it.
async fn assert_letters(world: &World, broken: usize) {
    let letters: Vec<(String, i64)> =
        sqlx::query_as("SELECT code, count(*) FROM dead_letters GROUP BY 1 ORDER BY 1")
            .fetch_all(&world.pool)
            .await
            .expect("the dead letters can be read");
    let others = letters.iter().filter(|(code, _)| !["not-json", "unroutable"].contains(&&**code));
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&(String, i64)>::new(), "refused for nothing");
    let not_json = letters.iter().find(|(code, _)| code == "not-json").map_or(0, |(_, n)| *n);
    assert_eq!(not_json, broken as i64, "letters of what is no JSON");
}

/// What tells a message from its repetition.
fn name(message: &Arrived) -> String {
    match message.event_type.as_str() {
        "event-dead-lettered" => {
            let letter = message.event["data"]["dead_letter_id"].as_str().unwrap_or_default();
            format!("letter {letter}")
        }
        _ => message.message_id.clone(),
    }
}

async fn assert_queues_empty(world: &World) {
    let empty = async || world.market.backlog().await == 0;
    wait_until(DELIVERY, "the queues are empty", empty).await;
}

/// `otodoke verify` says that everything adds up.
fn verify(database_url: &str) -> Option<String> {
    let (is_well, text) = command(database_url, &["verify"]);
    (!is_well).then(|| format!("otodoke verify: {text}"))
}

/// A rebuild from the history derives and withdraws nothing.
fn rebuild(database_url: &str) -> Option<String> {
    let (is_well, text) = command(database_url, &["rebuild", "--json"]);
    let nothing = is_well && text.contains(r#""derived":0"#) && text.contains(r#""withdrawn":0"#);
    (!nothing).then(|| format!("otodoke rebuild: {text}"))
}

/// Runs a command of the program, and returns whether it did well, and what it said.
pub fn command(database_url: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_otodoke"));
    command.args(arguments).env("DATABASE_URL", database_url).env("OTODOKE_LOG", "error");
    let output = command.output().expect("the program starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}
