//! `otodoke verify`: the ledger. Everything that was received is in the history or an archive, a
//! duplicate of it, or a dead letter; everything that was derived is published, on its way, or was only
//! to be recorded.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::database::connect;
use super::output::{say, table};
use crate::config::Settings;
use crate::contract::Timestamp;
use crate::desk::ledger::{Difference, Found, Kept};
use crate::desk::period::{self, Limit};
use crate::store::balance;

/// Check the ledger: received = history + archived + duplicates + dead letters
///
/// Compares what was counted at the door, before anything was looked at, with what the tables
/// hold: by stream what was received with what became of it, what was accepted with the
/// history and with what `prune` has archived, dead letters with their attempts, derived events with what was published and what
/// waits in the outbox. All of it as at one moment, so processors may go on meanwhile. Exits
/// with 1 where something doesn't add up, and says what.
///
/// With --since only what was received and derived since then is counted, which takes
/// milliseconds: made to be run every minute. Dead letters are compared as a whole in any
/// case, and so is the outbox. What is archived doesn't say when it came in, so TIME has to be
/// later than that.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke verify
  otodoke verify --since 2026-03-01
  otodoke verify --since \"$(date -Is -d '-10 minutes')\" --json   every minute, by a timer")]
pub struct VerifyArguments {
    /// Only what came in since this day began (in the setting time-zone), or since this moment
    #[arg(long, value_name = "TIME", value_parser = period::limit)]
    since: Option<Limit>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub async fn verify(arguments: VerifyArguments, settings: &Settings) -> Result<ExitCode> {
    let since = arguments.since.map(|limit| limit.beginning(settings));
    let mut connection = connect(settings).await?;
    if let Some(since) = since {
        ask_later_than_archived(&mut connection, since).await?;
    }
    let found = Found::read(&mut connection, since)
        .await
        .context("the database can't say (is it set up? `otodoke migrate` does that)")?;
    let differences = found.differences();
    match arguments.json {
        true => say(&serde_json::to_string_pretty(&for_programs(&found, &differences))?)?,
        false => say(&for_people(&found, &differences))?,
    }
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask_later_than_archived(conn: &mut PgConnection, since: Timestamp) -> Result<()> {
    let until = balance::archived_until(conn)
        .await
        .context("the database can't say (is it set up? `otodoke migrate` does that)")?;
    if let Some(until) = until.filter(|until| since <= *until) {
        bail!(
            "some of what came in up to {until} is archived, and an archive isn't counted by time: \
             give a --since after that, or none to count all"
        );
    }
    Ok(())
}

fn for_people(found: &Found, differences: &[Difference]) -> String {
    let mut text = match found.since {
        Some(since) => format!("the ledger from {since} to {}\n\n", found.at),
        None => format!("the ledger as at {}\n\n", found.at),
    };
    text.push_str(&rows(found));
    let (audit, derived) = (&found.audit, &found.audit.derived);
    text.push_str(&format!(
        "\n\nevents in the history {}, archived {}, with a key {}\n\
         messages refused {}, attempts of dead letters {}\n\
         derived events {}: published {}, waiting {}, recorded only {}\n\n",
        audit.in_history,
        found.archived(),
        audit.keys,
        audit.dead,
        audit.dead_letter_attempts,
        derived.recorded,
        derived.published,
        derived.waiting,
        derived.suppressed
    ));
    if differences.is_empty() {
        return text + "everything adds up";
    }
    text.push_str("this doesn't add up:\n");
    for difference in differences {
        text.push_str(&format!("- {}\n", difference.sentence));
        text.extend(difference.ids.iter().map(|id| format!("    {id}\n")));
    }
    text.trim_end().to_owned()
}

fn rows(found: &Found) -> String {
    let header =
        ["stream", "received", "accepted", "duplicates", "dead", "in the history", "archived"];
    let mut rows = table(header);
    for (stream, Kept { count, history, archived }) in found.streams() {
        let numbers =
            [count.received, count.accepted, count.duplicates, count.dead, history, archived];
        rows.add_row(std::iter::once(stream).chain(numbers.map(|number| number.to_string())));
    }
    rows.trim_fmt()
}

fn for_programs(found: &Found, differences: &[Difference]) -> Value {
    let stream = |(stream, Kept { count, history, archived }): (String, Kept)| {
        json!({
            "stream": stream, "received": count.received, "accepted": count.accepted,
            "duplicates": count.duplicates, "dead": count.dead, "history": history,
            "archived": archived,
        })
    };
    let (audit, derived) = (&found.audit, &found.audit.derived);
    json!({
        "adds_up": differences.is_empty(),
        "at": found.at,
        "since": found.since,
        "streams": found.streams().into_iter().map(stream).collect::<Vec<_>>(),
        "history": audit.in_history,
        "archived": found.archived(),
        "event_keys": audit.keys,
        "dead": audit.dead,
        "dead_letter_attempts": audit.dead_letter_attempts,
        "derived": {
            "recorded": derived.recorded, "published": derived.published,
            "waiting": derived.waiting, "recorded_only": derived.suppressed,
        },
        "differences": differences,
    })
}
