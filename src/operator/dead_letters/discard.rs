//! `otodoke dead-letters discard`: letters that nobody will replay.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use super::filters::Filters;
use crate::config::Settings;
use crate::desk::letters;
use crate::desk::who::who;
use crate::operator::Usage;
use crate::operator::database::connect;
use crate::operator::output::say;
use crate::store::dead_letters::{self, Discarded};

/// Mark refused messages as discarded: nobody will replay them
///
/// Needs a reason, which is recorded with who gave it. The letters keep all that came; they
/// are listed with --status discarded, and can still be replayed by it. Letters that wait in a
/// replay job are left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke dead-letters discard --id 0197f3a2-1c3e-7d40-9b1a-2f5f6f7a8b9c --reason \"a test\"
  otodoke dead-letters discard --code unknown-type --until 2026-02-28 --reason \"the old shop\"")]
pub struct DiscardArguments {
    #[command(flatten)]
    filters: Filters,
    /// Why nobody needs them
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// All open letters: needed where no filter is given
    #[arg(long)]
    all: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a reason is needed: whoever looks next wants to know".to_owned()),
        reason => Ok(reason.to_owned()),
    }
}

pub async fn discard(arguments: DiscardArguments, settings: &Settings) -> Result<ExitCode> {
    if !arguments.filters.is_narrow() && !arguments.all {
        let advice = "this would discard every open letter: narrow it by a filter, or add --all";
        return Err(Usage(advice.to_owned()).into());
    }
    let mut connection = connect(settings).await?;
    let filter = arguments.filters.filter(settings);
    let ids = dead_letters::ids(&mut connection, &filter).await?;
    if ids.is_empty() && arguments.filters.names_one() {
        bail!("there is no such dead letter");
    }
    let (reason, filter) = (&arguments.reason, arguments.filters.describe());
    let discarded = letters::discard(&mut connection, &ids, reason, &filter, &who()).await?;
    let Discarded { ids, claimed, ended } = discarded;
    let count = ids.len();
    if arguments.json {
        let told = json!({ "discarded": count, "in_replay_jobs": claimed, "not_open": ended });
        say(&told.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("{count} discarded"))?;
    if claimed > 0 {
        eprintln!(
            "{claimed} wait in a replay job and were left alone: see `otodoke dead-letters jobs list`"
        );
    }
    Ok(ExitCode::SUCCESS)
}
