//! A dry run: every letter through the door, in transactions that are rolled back.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::ReplayArguments;
use super::report::Report;
use super::select::{Candidate, Selection};
use crate::config::Settings;
use crate::contract::Repair;
use crate::operator::output::progress;
use crate::operator::who::who;
use crate::pipeline::apply::{Batch, Received};
use crate::pipeline::replay::judge;
use crate::processor::{door, pool};
use crate::store::dead_letters::{self, DeadLetter};
use crate::store::{self, audit, leases};

/// Letters in one transaction. All letters of an order are in one, unless they are more.
const BATCH: usize = 200;

pub async fn rehearse(
    conn: &mut PgConnection,
    arguments: &ReplayArguments,
    selection: Selection,
    repair: Option<Repair>,
    settings: &Settings,
) -> Result<ExitCode> {
    if arguments.reveal {
        let detail = json!({ "command": "replay", "filter": arguments.filters.describe() });
        audit::record(conn, &who(), "reveal", None, &detail).await?;
    }
    let pool = pool(settings)?;
    let door = door(settings, &pool).await.context("the database isn't set up")?;
    let count = selection.valid.len() as u64;
    let bar = progress(Some(count), "{bar:40} {pos}/{len} tried {eta} left");
    let mut report = Report::new(&selection, arguments.json, arguments.reveal);
    for batch in batches(selection.valid) {
        let received = received(conn, &batch, repair.as_ref(), settings).await?;
        let held = leases::anyone_has_backlog(conn).await?;
        let batch_of = Batch { received, held, restores: true, ..Batch::default() };
        let tried = door.rehearse(batch_of).await?;
        bar.inc(batch.len() as u64);
        report.add(&batch, tried);
    }
    bar.finish_and_clear();
    report.tell(arguments, repair.as_ref())?;
    Ok(if report.all_pass() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The letters dealt into batches, those of one order together.
fn batches(candidates: Vec<Candidate>) -> Vec<Vec<Uuid>> {
    let mut orders: BTreeMap<_, Vec<Uuid>> = BTreeMap::new();
    let mut batches: Vec<Vec<Uuid>> = Vec::new();
    for candidate in candidates {
        orders.entry(candidate.order).or_default().push(candidate.letter);
    }
    for letters in orders.into_values() {
        for part in letters.chunks(BATCH) {
            match batches.last_mut().filter(|batch| batch.len() + part.len() <= BATCH) {
                Some(batch) => batch.extend(part),
                None => batches.push(part.to_vec()),
            }
        }
    }
    batches
}

async fn received(
    conn: &mut PgConnection,
    batch: &[Uuid],
    repair: Option<&Repair>,
    settings: &Settings,
) -> Result<Vec<Received>> {
    let now = store::clock(conn).await?;
    let letters = dead_letters::some(conn, batch).await?;
    let mut letters: HashMap<Uuid, DeadLetter> =
        letters.into_iter().map(|letter| (letter.summary.id, letter)).collect();
    let skew = settings.pipeline.max_clock_skew;
    let in_order = batch.iter().filter_map(|id| letters.remove(id));
    Ok(in_order.map(|letter| judge(letter.into(), repair, now, skew)).collect())
}
