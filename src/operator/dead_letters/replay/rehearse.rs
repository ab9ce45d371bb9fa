//! A dry run: every letter through the door, in transactions that are rolled back.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;
use sqlx::PgConnection;

use super::ReplayArguments;
use super::report::Report;
use crate::config::Settings;
use crate::contract::Repair;
use crate::desk::replays::{Selection, batches, rehearse_batch};
use crate::desk::who::who;
use crate::operator::output::progress;
use crate::processor::{door, pool};
use crate::store::audit;

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
    let skew = settings.pipeline.max_clock_skew;
    let mut report = Report::new(&selection, arguments.json, arguments.reveal);
    for batch in batches(selection.valid) {
        let tried = rehearse_batch(conn, &door, &batch, repair.as_ref(), skew).await?;
        bar.inc(batch.len() as u64);
        report.add(&batch, tried);
    }
    bar.finish_and_clear();
    report.tell(arguments, repair.as_ref())?;
    Ok(if report.all_pass() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
