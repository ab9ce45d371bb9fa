//! `otodoke dead-letters list`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::Settings;
use crate::contract::{Identifier, RejectionCode, Stream, Timestamp};
use crate::operator::database::connect;
use crate::operator::order::order_id;
use crate::operator::output::{say, table};
use crate::operator::period::{self, Limit};
use crate::store::dead_letters::{self, Filter, Summary};

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

/// Which dead letters are meant.
#[derive(Debug, clap::Args)]
pub struct Filters {
    /// Refused for this: not-json, schema-violation, …
    #[arg(long, value_name = "CODE", value_parser = code)]
    code: Option<RejectionCode>,
    /// Of this event type, as far as it could be read
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// From this queue: orders, payments, shipments, messages
    #[arg(long, value_name = "STREAM", value_parser = stream)]
    stream: Option<Stream>,
    /// With this order's number anywhere in the message
    #[arg(long, value_name = "ORDER_ID", value_parser = order_id)]
    order: Option<Identifier>,
    /// Last seen on this day (in the setting time-zone) or after this moment
    #[arg(long, value_name = "DATE", value_parser = period::limit)]
    since: Option<Limit>,
    /// Last seen up to the end of this day, or this moment
    #[arg(long, value_name = "DATE", value_parser = period::limit)]
    until: Option<Limit>,
    /// With this text in the reason or in the message's bytes
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// The one with this id, whatever its status
    #[arg(long, value_name = "ID")]
    id: Option<Uuid>,
    /// open, replayed, discarded or all; open unless --id is given
    #[arg(long, value_name = "STATUS", value_enum)]
    status: Option<Status>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Open,
    Replayed,
    Discarded,
    All,
}

fn code(name: &str) -> Result<RejectionCode, String> {
    RejectionCode::from_name(name).ok_or_else(|| {
        let all: Vec<&str> = RejectionCode::ALL.iter().map(|code| code.name()).collect();
        format!("`{name}` is no code; there are {}", all.join(", "))
    })
}

fn stream(name: &str) -> Result<Stream, String> {
    Stream::from_name(name).ok_or_else(|| {
        format!("`{name}` is no stream; there are orders, payments, shipments and messages")
    })
}

impl Filters {
    pub fn filter(&self, settings: &Settings) -> Filter {
        Filter {
            id: self.id,
            code: self.code.map(|code| code.name().to_owned()),
            event_type: self.event_type.clone(),
            stream: self.stream.map(|stream| stream.name().to_owned()),
            status: self.status().map(str::to_owned),
            order: self.order.as_ref().map(ToString::to_string),
            since: self.since.map(|limit| limit.beginning(settings)),
            until: self.until.map(|limit| limit.end(settings)),
            text: self.text.clone(),
        }
    }

    fn status(&self) -> Option<&'static str> {
        match self.status {
            None if self.id.is_some() => None,
            None | Some(Status::Open) => Some("open"),
            Some(Status::Replayed) => Some("replayed"),
            Some(Status::Discarded) => Some("discarded"),
            Some(Status::All) => None,
        }
    }
}

/// A place in the list: when a dead letter was last seen, and which one it is.
type Place = (Timestamp, Uuid);

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
