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
mod faults;
mod judge;
mod proxy;
mod publisher;
mod report;
mod run;
mod world;

use faults::{Fault, Trouble};
use otodoke::fail_points::FailPoint;
use otodoke::sandbox::Server;
use run::{seeds, survive};
use world::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_breaks() {
    let mut stage = Stage::set().await;
    survive(&mut stage, Fault::Nothing, seeds(1, 3)).await;
    stage.sandbox.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_dies_at_each_fail_point() {
    let mut stage = Stage::set().await;
    for point in FailPoint::ALL.into_iter().filter(|point| *point != FailPoint::Replayed) {
        survive(&mut stage, Fault::DieAt(point), seeds(1, 10)).await;
    }
    stage.sandbox.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_is_killed_or_frozen() {
    let mut stage = Stage::set().await;
    survive(&mut stage, Fault::Kill, seeds(1, 20)).await;
    survive(&mut stage, Fault::Freeze, seeds(1, 20)).await;
    stage.sandbox.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_crashes() {
    let mut stage = Stage::set().await;
    survive(&mut stage, Fault::BrokerKilled, seeds(1, 20)).await;
    survive(&mut stage, Fault::DatabaseKilled, seeds(1, 20)).await;
    stage.sandbox.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_to_a_server_is_in_trouble() {
    let mut stage = Stage::set().await;
    for server in [Server::RabbitMq, Server::Postgres] {
        for trouble in Trouble::ALL {
            survive(&mut stage, Fault::AllWays(server, trouble), seeds(1, 10)).await;
        }
    }
    stage.sandbox.stop().await.expect("it stops");
}
