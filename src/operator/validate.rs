//! `otodoke validate`: what is wrong with events, before anybody publishes them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::ndjson::{self, Lines};
use super::output::say;
use crate::config::Settings;
use crate::contract::Rejection;

/// Say by line what is wrong with events, and where; publish nothing
///
/// Reads newline-delimited CloudEvents and judges each as the queue would: the same
/// checks, codes and JSON Pointers as a dead letter would have. Exits with 1 where a line
/// is wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  otodoke validate events.ndjson")]
pub struct ValidateArguments {
    /// Newline-delimited CloudEvents; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One JSON object for each wrong line, and one with the totals
    #[arg(long)]
    json: bool,
}

pub async fn validate(arguments: ValidateArguments, settings: &Settings) -> Result<ExitCode> {
    let (mut valid, mut invalid) = (0u64, 0u64);
    for path in &arguments.files {
        let mut lines = Lines::open(path).await?;
        while let Some(line) = lines.next().await? {
            match ndjson::judge(&line.bytes, settings.pipeline.max_clock_skew) {
                Ok(_) => valid += 1,
                Err(rejection) => {
                    invalid += 1;
                    say(&describe(
                        &path.display().to_string(),
                        line.number,
                        &rejection,
                        arguments.json,
                    ))?;
                }
            }
        }
    }
    let totals = if arguments.json {
        json!({ "valid": valid, "invalid": invalid }).to_string()
    } else {
        format!("{valid} valid, {invalid} invalid")
    };
    say(&totals)?;
    Ok(if invalid == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A wrong line, for a person or a program.
pub fn describe(path: &str, number: u64, rejection: &Rejection, as_json: bool) -> String {
    if !as_json {
        return format!("{path}:{number}: {rejection}");
    }
    json!({
        "file": path,
        "line": number,
        "code": rejection.code.name(),
        "pointer": rejection.pointer,
        "detail": rejection.detail,
    })
    .to_string()
}
