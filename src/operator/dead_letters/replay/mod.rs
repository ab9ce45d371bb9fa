//! `otodoke dead-letters replay`: refused messages through the door again, as they came or
//! repaired.

mod mend;
mod rehearse;
mod report;
mod submit;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::filters::Filters;
use super::jobs::follow;
use crate::config::Settings;
use crate::contract::repair;
use crate::desk::replays::select;
use crate::operator::database::connect;
use crate::operator::output::{progress, say};
use crate::store::dead_letters;

/// Bring refused messages through the door again, as they came or repaired
///
/// Without --yes nothing is changed: each letter goes through the door in a transaction that
/// is rolled back, and you see what would come of it. With --yes the letters become a job: the
/// first ones go one by one, then ever faster; it stops by itself when too many are refused
/// again, and a running processor finishes it even if this command is killed. Where none runs
/// this command does the work. A letter counts as replayed when its event is in the history.
///
/// A letter goes to the stream that its type belongs to. A repair is a JSON Patch for the event
/// in structured form (a binary one is written so first); the letter keeps the bytes that came.
/// Where a repair leaves any of the letters invalid nothing at all is sent. Without one, those
/// that are as wrong as before are left out and named. Exits with 1 where a letter would be, or
/// was, refused again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke dead-letters replay --code time-in-future                 what would come of it?
  otodoke dead-letters replay --code time-in-future --yes
  otodoke dead-letters replay --code schema-violation --type order-placed \\
      --set '/data/currency=\"JPY\"'                                  the same repair for all
  otodoke dead-letters replay --code schema-violation --patch fix.json --yes --rate 50
  otodoke dead-letters replay --id 0197f3a2-1c3e-7d40-9b1a-2f5f6f7a8b9c --edit --yes")]
pub struct ReplayArguments {
    #[command(flatten)]
    filters: Filters,
    /// Do it; without this it is only tried and rolled back
    #[arg(long)]
    yes: bool,
    /// The most in a second; by default as fast as they go
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    rate: Option<i32>,
    /// How many go one by one at first; the job stops when one of these is refused again
    #[arg(long, value_name = "COUNT", default_value_t = 1,
          value_parser = clap::value_parser!(i32).range(0..))]
    canary: i32,
    /// The job stops when more than so many were refused again
    #[arg(long, value_name = "COUNT", default_value_t = 10,
          value_parser = clap::value_parser!(i32).range(0..))]
    max_failures: i32,
    /// Repair each letter by the JSON Patch (RFC 6902) in this file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["assignments", "edit"])]
    patch: Option<PathBuf>,
    /// Repair each letter: put this JSON at this pointer; may be given several times
    #[arg(long = "set", value_name = "POINTER=JSON", value_parser = repair::assignment,
          conflicts_with = "edit")]
    assignments: Vec<(String, Value)>,
    /// Repair one letter in your editor ($VISUAL or $EDITOR); its personal data is shown there
    #[arg(long)]
    edit: bool,
    /// Leave out the letters that a repair doesn't make valid, and replay the others
    #[arg(long)]
    skip_invalid: bool,
    /// Submit the job and don't wait for its end
    #[arg(long, requires = "yes")]
    detach: bool,
    /// Show personal data in what would differ; recorded
    #[arg(long)]
    reveal: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub async fn replay(arguments: ReplayArguments, settings: &Settings) -> Result<ExitCode> {
    let mut connection = connect(settings).await?;
    let filter = arguments.filters.filter(settings);
    let repair = mend::repair(&mut connection, &arguments, &filter).await?;
    let ids = dead_letters::ids(&mut connection, &filter).await?;
    let bar = progress(Some(ids.len() as u64), "{bar:40} {pos}/{len} judged {eta} left");
    let skew = settings.pipeline.max_clock_skew;
    let selection = select(&mut connection, &ids, repair.as_ref(), skew, || bar.inc(1)).await?;
    bar.finish_and_clear();
    if selection.is_empty() {
        match arguments.filters.names_one() {
            true => bail!("there is no such dead letter"),
            false => eprintln!("no dead letter fits"),
        }
        if arguments.json {
            say(&json!({ "letters": 0 }).to_string())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.yes {
        return rehearse::rehearse(&mut connection, &arguments, selection, repair, settings).await;
    }
    let refused = selection.refused.len();
    let is_done = selection.valid.is_empty() && refused == 0;
    let Some(job) = submit::submit(&mut connection, &arguments, selection, repair).await? else {
        return Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    };
    if arguments.detach {
        return Ok(ExitCode::SUCCESS);
    }
    let ended = follow::follow(&mut connection, job, arguments.json, settings).await?;
    Ok(if refused == 0 { ended } else { ExitCode::FAILURE })
}
