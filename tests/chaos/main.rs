//! Nothing lost, nothing wrong, whatever breaks: processors, servers and the ways between them
//! fail at seeded moments of a generated workload, and in the end everything is held against
//! the rules.
//!
//! `OTODOKE_CHAOS_SEEDS=1-200` sets the seeds of every fault, `OTODOKE_CHAOS_REPORT=FILE` writes
//! a line of JSON for each run; see `scripts/chaos` and `docs/reliability.md`.

#[path = "../support/mod.rs"]
mod support;

mod broker_faults;
mod database_faults;
mod disk;
mod faults;
mod freeze;
mod judge;
mod mixed;
mod proxy;
mod publisher;
mod report;
mod restore;
mod run;
mod setup;
mod world;

use broker_faults::BrokerFault;
use database_faults::DatabaseFault;
use faults::{Fault, Trouble};
use otodoke::fail_points::FailPoint;
use otodoke::sandbox::Server;
use run::{is_long, seeds, survive};
use world::Stage;

/// Each fault on its own, on servers that they share: in the long mode with so many seeds; else
/// those that tell most for their time, once.
async fn survive_each(faults: impl IntoIterator<Item = Fault>, in_full: u64) {
    let mut chosen = faults.into_iter().filter(|fault| is_long() || fault.is_telling()).peekable();
    if chosen.peek().is_none() {
        return;
    }
    let mut stage = Stage::set().await;
    for fault in chosen {
        survive(&mut stage, fault, seeds(1, in_full)).await;
    }
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_breaks() {
    survive_each([Fault::Nothing], 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_dies_at_each_fail_point() {
    // A replay is part of another story.
    let points = FailPoint::ALL.into_iter().filter(|point| *point != FailPoint::Replayed);
    survive_each(points.map(Fault::DieAt), 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_is_killed_or_frozen() {
    survive_each([Fault::Kill, Fault::Freeze], 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_crashes() {
    survive_each([Fault::BrokerKilled, Fault::DatabaseKilled], 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ways_to_the_broker_are_in_trouble() {
    let faults = Trouble::ALL.map(|trouble| Fault::AllWays(Server::RabbitMq, trouble));
    survive_each(faults, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ways_to_the_database_are_in_trouble() {
    let faults = Trouble::ALL.map(|trouble| Fault::AllWays(Server::Postgres, trouble));
    survive_each(faults, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_processors_way_is_in_trouble() {
    let half_open = |server| Fault::Way(server, Trouble::HalfOpen);
    survive_each([Server::RabbitMq, Server::Postgres].map(half_open), 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_turns_against_a_processor() {
    survive_each(BrokerFault::ALL.map(Fault::Broker), 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_turns_against_a_processor() {
    survive_each(DatabaseFault::ALL.map(Fault::Database), 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processors_are_not_set_up_alike() {
    survive_each([Fault::WrongClocks, Fault::ChangedPolicy, Fault::DifferentSettings], 5).await;
}
