//! The repair that a command line asks for.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::ReplayArguments;
use crate::contract::Repair;
use crate::desk::redact::{self, Personal};
use crate::desk::who::who;
use crate::operator::Usage;
use crate::pipeline::replay::{Letter, document};
use crate::store::audit;
use crate::store::dead_letters::{self, DeadLetter, Filter};

/// The repair, where there is to be one.
pub async fn repair(
    conn: &mut PgConnection,
    arguments: &ReplayArguments,
    filter: &Filter,
) -> Result<Option<Repair>> {
    if let Some(path) = &arguments.patch {
        return Ok(Some(from_file(path)?));
    }
    if !arguments.assignments.is_empty() {
        return Ok(Some(Repair::from_assignments(&arguments.assignments)?));
    }
    if arguments.edit {
        let letter = the_one(conn, filter).await?;
        audit::record(
            conn,
            &who(),
            "reveal",
            Some(&letter.summary.id.to_string()),
            &json!({ "command": "replay --edit" }),
        )
        .await?;
        return edited(letter).map(Some);
    }
    Ok(None)
}

fn from_file(path: &Path) -> Result<Repair> {
    let text = match path.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(path),
    };
    let text = text.with_context(|| format!("{} can't be read", path.display()))?;
    let patch: Value = serde_json::from_str(&text)
        .map_err(|error| Usage(format!("{} is no JSON: {error}", path.display())))?;
    Repair::from_json(patch).map_err(|error| Usage(format!("{}: {error}", path.display())).into())
}

async fn the_one(conn: &mut PgConnection, filter: &Filter) -> Result<DeadLetter> {
    let mut found = dead_letters::page(conn, filter, None, 2).await?;
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => bail!("no dead letter fits"),
        _ => Err(Usage("--edit is for one letter: name it with --id".to_owned()).into()),
    }
}

/// What the editor made of a letter, as a repair.
fn edited(letter: DeadLetter) -> Result<Repair> {
    // Points and payment codes are shown nowhere; left as they are, they are no change.
    let before = document(&Letter::from(letter.clone()));
    let before = before.map(|document| redact::value(document, Personal::Shown));
    let text = match &before {
        Some(document) => serde_json::to_string_pretty(document)?,
        None => redact::text(&String::from_utf8_lossy(&letter.body)),
    };
    // Only this user may read it, and it is gone after.
    let mut file = tempfile::Builder::new().prefix("otodoke-").suffix(".json").tempfile()?;
    writeln!(file, "{text}")?;
    open_editor(file.path())?;
    let after = std::fs::read_to_string(file.path())?;
    let after: Value = serde_json::from_str(&after).context("what you saved is no JSON")?;
    let repair = match &before {
        Some(before) => Repair::between(before, &after),
        None => Some(Repair::replacement(after)),
    };
    repair.context("you changed nothing, so there is nothing to do")
}

fn open_editor(path: &Path) -> Result<()> {
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|editor| !editor.trim().is_empty()))
        .unwrap_or_else(|| "vi".to_owned());
    // As the shell would start it: an editor may have arguments.
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(path)
        .status()
        .with_context(|| format!("{editor} can't be started"))?;
    if !status.success() {
        bail!("{editor} ended with an error, so nothing was done");
    }
    Ok(())
}
