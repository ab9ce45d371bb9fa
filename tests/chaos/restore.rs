//! A database that is restored from a backup: what came after the backup is gone from it, and
//! acknowledged on the broker. Upstream systems publish it once more.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::judge::command;
use crate::run::RECOVERY;
use crate::support::history::{distinct, history};
use crate::support::marketplace::Arrived;
use crate::support::model::{assert_equals_model, settled};
use crate::support::wait_until;
use crate::world::{Stage, USER, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_restored_from_a_backup() {
    let mut stage = Stage::set().await;
    let mut world = World::open(&mut stage, 1).await;
    let events = history(11, 300);
    let (before, after) = events.split_at(150);
    world.start().await;
    world.wait_ready().await;
    world.market.publish_events(before).await;
    settled(&world.pool, RECOVERY, distinct(before)).await;
    // The client's own parameters are nothing to PostgreSQL's tools.
    let database_url = world.database_url.split('?').next().expect("a URL").to_owned();
    let backup = stage.sandbox.folder().join("backup");
    run(Command::new("pg_dump")
        .arg("--format=custom")
        .arg("--file")
        .arg(&backup)
        .arg(&database_url));
    world.market.publish_events(after).await;
    settled(&world.pool, RECOVERY, distinct(&events)).await;

    // The disk is gone, and yesterday's backup is what there is.
    assert!(world.nodes[0].processor.as_mut().expect("it runs").stop().await.success());
    world.nodes[0].processor = None;
    let World { database, .. } = &world;
    stage.tell(&format!("DROP DATABASE {database} WITH (FORCE)")).await;
    stage.tell(&format!("CREATE DATABASE {database} OWNER {USER}")).await;
    run(Command::new("pg_restore").arg("--dbname").arg(&database_url).arg(&backup));
    world.start().await;
    world.wait_ready().await;
    settled(&world.pool, RECOVERY, distinct(before)).await;

    // Too much is no harm: what is known already is a duplicate.
    world.market.publish_events(&events[100..]).await;
    settled(&world.pool, RECOVERY, distinct(&events)).await;
    assert_equals_model(&world.pool, &events).await;
    let (is_well, text) = command(&world.database_url, &["verify"]);
    assert!(is_well, "{text}");
    let empty = async || world.market.backlog().await == 0;
    wait_until(RECOVERY, "the queues are empty", empty).await;
    assert_one_content(world.subscriber.arrived().await);
    drop(world);
    stage.clear().await;
}

/// What was told before and is told again says the same, but for its place in the order.
fn assert_one_content(told: &[Arrived]) {
    let mut contents: BTreeMap<&str, &Value> = BTreeMap::new();
    for message in told.iter().filter(|message| message.event_type != "event-dead-lettered") {
        let content = &message.event["data"];
        let first = contents.entry(&message.message_id).or_insert(content);
        assert_eq!(*first, content, "{}", message.message_id);
    }
    assert!(contents.len() < told.len(), "something is told again");
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
