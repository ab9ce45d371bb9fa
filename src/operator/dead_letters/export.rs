//! `otodoke dead-letters export`: refused messages for another program.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::filters::Filters;
use super::show::for_programs;
use crate::config::Settings;
use crate::desk::redact::Personal;
use crate::desk::who::who;
use crate::operator::database::connect;
use crate::operator::output::{progress, say};
use crate::store::{audit, dead_letters};

/// Write refused messages as newline-delimited JSON
///
/// One object for each letter, in the order in which they came: the fields of the read model,
/// headers and body. Personal data is hidden as `show` hides it, unless --reveal, which is
/// recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke dead-letters export --code schema-violation > refused.ndjson
  otodoke dead-letters export --status all --since 2026-03-01 | jq -r .event_source | sort | uniq -c")]
pub struct ExportArguments {
    #[command(flatten)]
    filters: Filters,
    /// Personal data too
    #[arg(long)]
    reveal: bool,
    /// Always newline-delimited JSON; taken so that every command that lists takes it
    #[arg(long, hide = true)]
    json: bool,
}

/// Letters in memory at a time: what was refused for its size may be as large as the broker lets
/// it be.
const PAGE: i64 = 25;

pub async fn export(arguments: ExportArguments, settings: &Settings) -> Result<ExitCode> {
    let filter = arguments.filters.filter(settings);
    let mut connection = connect(settings).await?;
    let personal = if arguments.reveal { Personal::Shown } else { Personal::Hidden };
    if arguments.reveal {
        let detail = json!({ "command": "export", "filter": arguments.filters.describe() });
        audit::record(&mut connection, &who(), "reveal", None, &detail).await?;
    }
    let bar = progress(None, "{spinner} {pos} letters");
    let mut last = None;
    loop {
        let page = dead_letters::page(&mut connection, &filter, last, PAGE).await?;
        let Some(end) = page.last().map(|letter| letter.summary.id) else { break };
        for letter in &page {
            bar.suspend(|| say(&for_programs(letter, personal).to_string()))?;
        }
        bar.inc(page.len() as u64);
        last = Some(end);
    }
    bar.finish_and_clear();
    Ok(ExitCode::SUCCESS)
}
