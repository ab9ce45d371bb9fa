//! `otodoke order explain`: the history of a case, the rules that fired, and what it waits for.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::order_id;
use super::story;
use crate::config::Settings;
use crate::contract::Identifier;
use crate::desk::cases::{THREAD, called, explained, named};
use crate::desk::period::{self, Limit};
use crate::operator::archived::unknown;
use crate::operator::database::connect;
use crate::operator::output::say;

/// Explain an order: its history, the rules that fired, and what it waits for
///
/// Decides the order anew from its history, by the settings that it was opened with, and
/// publishes nothing. An event is marked `late` that was accepted after one dated later: what
/// such an event changes was first derived without it. Waits say until when, and what would
/// follow then if nothing else arrived (it is derived a little later: see the setting settle).
/// `thread:` and an id explain what an inquiry thread does that belongs to no order.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke order explain 250-1234567-1234567
  otodoke order explain 250-1234567-1234567 --as-of 2026-12-24   what would follow by then?
  otodoke order explain thread:TH-77 --json")]
pub struct ExplainArguments {
    /// The order's number, or thread:THREAD_ID
    #[arg(value_name = "ORDER_ID", value_parser = case_name)]
    case: String,
    /// As it would be judged then (a date: at its end); later events are left out
    #[arg(long, value_name = "TIME", value_parser = period::limit)]
    as_of: Option<Limit>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// An order's id, or `thread:` and a thread's, for clap.
pub fn case_name(text: &str) -> Result<String, String> {
    let id = text.strip_prefix(THREAD).filter(|id| Identifier::new(*id).is_some()).unwrap_or(text);
    order_id(id).map(|_| text.trim().to_owned())
}

pub async fn explain(arguments: ExplainArguments, settings: &Settings) -> Result<ExitCode> {
    let as_of = arguments.as_of.map(|limit| limit.end(settings));
    let mut connection = connect(settings).await?;
    let Some(explanation) = explained(&mut connection, &arguments.case, as_of).await? else {
        let cases = called(&arguments.case);
        return Err(unknown(&mut connection, &cases, &named(&arguments.case)).await?);
    };
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&story::for_programs(&explanation))?,
        false => story::for_people(&explanation),
    };
    say(text.trim_end())?;
    match explanation.decision {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(problem) => bail!("{} can't be decided: {problem}", explanation.case),
    }
}
