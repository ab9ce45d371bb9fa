//! `otodoke dead-letters list`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::filters::Filters;
use crate::config::Settings;
use crate::contract::Timestamp;
use crate::operator::database::connect;
use crate::operator::output::{say, table};
use crate::store::dead_letters::{self, Place, Summary};

/// List refused messages, the latest first
///
/// Those that are open, unless --status or --id says otherwise. The filters narrow together.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke dead-letters list --code schema-violation --since 2026-03-01
  otodoke dead-letters list --stream orders --order 250-1234567-1234567
  otodoke dead-letters list --status all --json")]
pub struct ListArguments {
    #[command(flatten)]
    filters: Filters,
    /// The most to list
    #[arg(long, value_name = "COUNT", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Only those after this place in the list; the page before names it
    #[arg(long, value_name = "PLACE", value_parser = place)]
    after: Option<Place>,
    /// A JSON array
    #[arg(long)]
    json: bool,
}

fn place(text: &str) -> Result<Place, String> {
    let parts = text.split_once('/');
    parts
        .and_then(|(time, id)| Some((time.parse().ok()?, id.parse().ok()?)))
        .ok_or_else(|| format!("`{text}` is no place: a page that isn't the last one names it"))
}

pub async fn list(arguments: ListArguments, settings: &Settings) -> Result<ExitCode> {
    let filter = arguments.filters.filter(settings);
    let limit = arguments.limit as usize;
    let mut connection = connect(settings).await?;
    // One more than asked for tells whether there are more.
    let asked = limit as i64 + 1;
    let mut page = dead_letters::list(&mut connection, &filter, arguments.after, asked).await?;
    let more = page.len() > limit;
    page.truncate(limit);
    if arguments.json {
        let objects: Vec<Value> = page.iter().map(object).collect();
        say(&serde_json::to_string_pretty(&objects)?)?;
    } else if !page.is_empty() {
        say(&rows(&page))?;
    }
    hint(&page, more);
    Ok(ExitCode::SUCCESS)
}

fn hint(page: &[Summary], more: bool) {
    match page.last() {
        None => eprintln!("no dead letter fits"),
        Some(last) if more => {
            let seen = Timestamp::from_chrono(last.last_seen_at);
            eprintln!("for the next page add: --after {seen}/{}", last.id);
        }
        Some(_) => {}
    }
}

fn rows(page: &[Summary]) -> String {
    let mut rows = table(["last seen", "id", "code", "stream", "type", "times", "status", "why"]);
    for letter in page {
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        rows.add_row([
            Timestamp::from_chrono(letter.last_seen_at).to_string(),
            letter.id.to_string(),
            letter.code.clone(),
            optional(&letter.stream),
            optional(&letter.event_type),
            letter.attempts.to_string(),
            letter.status.clone(),
            letter.detail.clone(),
        ]);
    }
    rows.trim_fmt()
}

/// A dead letter without its bytes and headers, by the read model's names.
pub fn object(letter: &Summary) -> Value {
    json!({
        "id": letter.id,
        "stream": letter.stream,
        "routing_key": letter.routing_key,
        "event_source": letter.event_source,
        "event_id": letter.event_id,
        "event_type": letter.event_type,
        "code": letter.code,
        "detail": letter.detail,
        "pointer": letter.pointer,
        "attempts": letter.attempts,
        "first_seen_at": Timestamp::from_chrono(letter.first_seen_at),
        "last_seen_at": Timestamp::from_chrono(letter.last_seen_at),
        "status": letter.status,
    })
}
