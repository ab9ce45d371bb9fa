//! Bringing archived cases back by hand.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::PruneArguments;
use crate::config::Settings;
use crate::desk::cases::{called, named};
use crate::desk::who::who;
use crate::operator::archived::unknown;
use crate::operator::output::say;
use crate::processor::{door, pool};
use crate::rules::CaseId;
use crate::store::{CaseSet, audit, cases, partitions, pruning};

pub async fn restore(arguments: &PruneArguments, settings: &Settings) -> Result<ExitCode> {
    let pool = pool(settings)?;
    let door = door(settings, &pool).await.context("the database isn't set up")?;
    let mut transaction = pool.begin().await?;
    let mut wanted = CaseSet::new();
    for name in &arguments.restore {
        wanted.extend(archived(&mut transaction, name).await?);
    }
    let (back, problems) = door.bring_back(&mut transaction, &wanted).await?;
    if let Some((case, problem)) = problems.first_key_value() {
        bail!("{case} can't be brought back, so nothing was: {problem}");
    }
    for (case, file) in &back {
        let detail = json!({ "file": file });
        audit::record(&mut transaction, &who(), "restore", Some(&case.subject()), &detail).await?;
    }
    transaction.commit().await?;
    // Their months may have no table any more; until one is made they stand in the default one.
    if let Err(error) = partitions::prepare(&mut *pool.acquire().await?).await {
        tracing::debug!(%error, "the tables of their months are made later");
    }
    if arguments.json {
        let told = back.iter().map(|(case, file)| json!({ "case": case.subject(), "file": file }));
        say(&json!({ "restored": told.collect::<Vec<Value>>() }).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    for (case, file) in &back {
        say(&format!("{case} restored from {file}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The archived case of this name; `None` where it is no longer archived.
async fn archived(conn: &mut PgConnection, name: &str) -> Result<Option<CaseId>> {
    let called = called(name);
    let pruned = pruning::among(conn, &called).await?;
    if let Some(case) = called.iter().find(|case| pruned.contains_key(case)) {
        return Ok(Some(case.clone()));
    }
    for case in &called {
        if cases::next_at(conn, case).await?.is_some() {
            eprintln!("{case} is not archived");
            return Ok(None);
        }
    }
    Err(unknown(conn, &called, &named(name)).await?)
}
