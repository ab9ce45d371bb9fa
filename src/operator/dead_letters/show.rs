//! `otodoke dead-letters show`: one refused message, with its fault marked.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use uuid::Uuid;

use super::list::object;
use super::since::{self, Since};
use crate::config::Settings;
use crate::desk::excerpt;
use crate::desk::letters::{Body, body, fault};
use crate::desk::redact::{self, Personal};
use crate::desk::who::who;
use crate::operator::database::connect;
use crate::operator::output::{say, table};
use crate::store::audit;
use crate::store::dead_letters::{self, DeadLetter};

/// Show a refused message: its fields, headers and body, the fault marked
///
/// Personal data (names, phone, address, e-mail, what messages say, and all that no schema
/// knows) is hidden unless --reveal; points and payment codes always are. A body that isn't
/// JSON is hidden as a whole; who saw what --reveal shows is recorded. Tells how the broker came
/// to give a message up, and what was done with it since. Exits with 1 for an unknown id.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke dead-letters show 0197f3a2-1c3e-7d40-9b1a-2f5f6f7a8b9c
  otodoke dead-letters show 0197f3a2-1c3e-7d40-9b1a-2f5f6f7a8b9c --json | jq .body")]
pub struct ShowArguments {
    /// Its id, as `dead-letters list` and the alerts name it
    #[arg(value_name = "ID")]
    id: Uuid,
    /// Show personal data too
    #[arg(long)]
    reveal: bool,
    /// One JSON object; body is the event where it is JSON, else its text
    #[arg(long)]
    json: bool,
}

pub async fn show(arguments: ShowArguments, settings: &Settings) -> Result<ExitCode> {
    let mut connection = connect(settings).await?;
    let Some(letter) = dead_letters::show(&mut connection, arguments.id).await? else {
        bail!("there is no dead letter {}", arguments.id);
    };
    let personal = if arguments.reveal { Personal::Shown } else { Personal::Hidden };
    if arguments.reveal {
        let (id, detail) = (arguments.id.to_string(), json!({ "command": "show" }));
        audit::record(&mut connection, &who(), "reveal", Some(&id), &detail).await?;
    }
    let since = Since::read(&mut connection, &letter).await?;
    let text = if arguments.json {
        let mut shown = for_programs(&letter, personal);
        shown["since"] = since.for_programs(&letter, personal);
        serde_json::to_string_pretty(&shown)?
    } else {
        let deaths = since::deaths(&letter.headers).unwrap_or_default();
        let since = since.for_people(&letter, personal);
        format!("{}{deaths}{since}", for_people(&letter, personal).trim_end())
    };
    say(text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn for_people(letter: &DeadLetter, personal: Personal) -> String {
    let mut fields = table(["", ""]);
    let summary = object(&letter.summary);
    for (name, value) in summary.as_object().into_iter().flatten() {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        fields.add_row([name.replace('_', " "), text]);
    }
    let fields: Vec<String> = fields.trim_fmt().lines().skip(1).map(str::to_owned).collect();
    let headers = excerpt::lines(&redact::headers(&letter.headers, personal), None).join("\n");
    let size = letter.body.len();
    let body = body_text(letter, personal);
    format!("{}\n\nheaders\n{headers}\n\nbody ({size} bytes)\n{body}", fields.join("\n"))
}

fn body_text(letter: &DeadLetter, personal: Personal) -> String {
    match body(letter, personal) {
        Body::Json(value) => excerpt::lines(&value, fault(letter)).join("\n"),
        Body::Text(text) => text,
        Body::Hidden => "(not JSON, so hidden as a whole: --reveal shows it)".to_owned(),
    }
}

pub fn for_programs(letter: &DeadLetter, personal: Personal) -> Value {
    let mut shown = object(&letter.summary);
    shown["content_type"] = json!(letter.content_type);
    shown["headers"] = redact::headers(&letter.headers, personal);
    shown["body_bytes"] = json!(letter.body.len());
    shown["body"] = match body(letter, personal) {
        Body::Json(value) => value,
        Body::Text(text) => text.into(),
        Body::Hidden => Value::Null,
    };
    shown
}
