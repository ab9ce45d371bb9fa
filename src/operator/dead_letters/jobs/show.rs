//! `otodoke dead-letters jobs show`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{follow, object};
use crate::config::Settings;
use crate::operator::output::{say, table};
use crate::store::replays::{self, RefusedAgain};

/// Show a replay job: how far it is, and which of its letters were refused again
#[derive(Debug, clap::Args)]
pub struct ShowArguments {
    /// The job, as `dead-letters jobs list` names it
    #[arg(value_name = "JOB")]
    job: Uuid,
    /// Stay until it ends, with a progress bar, and do the work where no processor runs
    #[arg(long)]
    follow: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// How many refused letters are named.
const NAMED: i64 = 50;

pub async fn show(
    conn: &mut PgConnection,
    arguments: ShowArguments,
    settings: &Settings,
) -> Result<ExitCode> {
    if arguments.follow {
        return follow::follow(conn, arguments.job, arguments.json, settings).await;
    }
    let Some(job) = replays::job(conn, arguments.job).await? else {
        bail!("there is no job {}", arguments.job);
    };
    let refused = replays::refused(conn, job.id, NAMED).await?;
    let mut shown = object(&job);
    if arguments.json {
        shown["refused_letters"] = refused.iter().map(refusal).collect();
        say(&serde_json::to_string_pretty(&shown)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut fields = table(["", ""]);
    for (name, value) in shown.as_object().into_iter().flatten().filter(|(_, v)| !v.is_null()) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        fields.add_row([name.replace('_', " "), text]);
    }
    let text = fields.trim_fmt();
    say(text.trim_start_matches([' ', '\n']))?;
    if !refused.is_empty() {
        say(&format!("\nrefused again\n{}", letters(&refused)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn letters(refused: &[RefusedAgain]) -> String {
    let mut rows = table(["letter", "code", "why"]);
    for letter in refused {
        let why = letter.detail.clone().unwrap_or_default();
        rows.add_row([letter.letter.to_string(), letter.code.clone(), why]);
    }
    rows.trim_fmt()
}

fn refusal(letter: &RefusedAgain) -> Value {
    json!({
        "id": letter.letter, "code": letter.code, "pointer": letter.pointer,
        "detail": letter.detail,
    })
}
