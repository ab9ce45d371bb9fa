//! A processor that freezes and never comes back: its connections stand, and with them what it has
//! leased and locked, unless somebody takes that away.

use std::time::{Duration, Instant};

use crate::judge::{Published, judge};
use crate::publisher::Publishing;
use crate::report::{Outcome, Report};
use crate::run::{is_long, messages, stored};
use crate::support::history::{distinct, history};
use crate::support::model::settled;
use crate::support::wait_until;
use crate::world::{Stage, World};

/// A lease, and a transaction, of somebody who isn't heard of end after a minute.
const TAKEN_OVER: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn another_takes_over_from_one_that_froze() {
    if !is_long() {
        return;
    }
    let mut stage = Stage::set().await;
    let mut world = World::open(&mut stage, 2).await;
    let events = history(1, 300);
    let (messages, broken) = messages(&mut world, &events);
    let all = distinct(&events);
    let publishing = Publishing::start(stage.sandbox.amqp_url().to_owned(), messages);
    // The first to come has all leases.
    let launch = world.nodes[0].launch.clone();
    world.nodes[0].processor = Some(launch.start());
    let begun = async || stored(&world.pool).await > 0;
    wait_until(TAKEN_OVER, "it gets on", begun).await;
    world.start().await;
    world.wait_ready().await;
    world.signal(0, "STOP");
    let frozen = Instant::now();
    publishing.finish().await;
    settled(&world.pool, TAKEN_OVER, all).await;
    let recovery = Some(frozen.elapsed());
    world.signal(0, "CONT");

    let published = Published { events, broken, beyond_the_model: false, untold: false };
    let (lost, wrong) = judge(&mut world, &published).await;
    let fault = "Freeze, for good".to_owned();
    let mut report = Report::of(&fault);
    report.add(Outcome { fault, seed: 1, recovery, lost, felt: true, wrong });
    report.assert_right();
    drop(world);
    stage.clear().await;
}
