//! `otodoke dead-letters groups`: the few causes of many dead letters.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::filters::Filters;
use crate::config::Settings;
use crate::contract::Timestamp;
use crate::operator::database::connect;
use crate::operator::output::{say, table};
use crate::store::dead_letters::{self, Group};

/// Group refused messages by what is wrong with them
///
/// Letters with the same code, type, place and reason are one group, whatever place of a list
/// or number differs in them: the largest first, each with one of its letters to look at.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke dead-letters groups                      the causes of all open letters
  otodoke dead-letters groups --since 2026-03-01 --json
then:
  otodoke dead-letters show EXAMPLE
  otodoke dead-letters replay --code CODE --type TYPE --set /data/…=…")]
pub struct GroupsArguments {
    #[command(flatten)]
    filters: Filters,
    /// The most to list
    #[arg(long, value_name = "COUNT", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// A JSON array
    #[arg(long)]
    json: bool,
}

pub async fn groups(arguments: GroupsArguments, settings: &Settings) -> Result<ExitCode> {
    let filter = arguments.filters.filter(settings);
    let mut connection = connect(settings).await?;
    let limit = i64::from(arguments.limit);
    // One more than asked for tells whether there are more.
    let mut groups = dead_letters::groups(&mut connection, &filter, limit + 1).await?;
    let more = groups.len() > arguments.limit as usize;
    groups.truncate(arguments.limit as usize);
    if arguments.json {
        let objects: Vec<Value> = groups.iter().map(object).collect();
        say(&serde_json::to_string_pretty(&objects)?)?;
    } else if groups.is_empty() {
        eprintln!("no dead letter fits");
    } else {
        say(&rows(&groups))?;
        let letters: i64 = groups.iter().map(|group| group.count).sum();
        eprintln!("{letters} letters in {} groups", groups.len());
    }
    if more {
        eprintln!("there are more groups: show them with --limit");
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(groups: &[Group]) -> String {
    let mut rows =
        table(["letters", "code", "type", "place", "why", "first seen", "last seen", "example"]);
    for group in groups {
        rows.add_row([
            group.count.to_string(),
            group.code.clone(),
            group.event_type.clone().unwrap_or_default(),
            group.place.clone().unwrap_or_default(),
            why(group).to_owned(),
            Timestamp::from_chrono(group.first_seen_at).to_string(),
            Timestamp::from_chrono(group.last_seen_at).to_string(),
            group.example.to_string(),
        ]);
    }
    rows.trim_fmt()
}

/// The reason without the place, which stands in a column of its own.
fn why(group: &Group) -> &str {
    group.cause.strip_prefix("…: ").filter(|_| group.place.is_some()).unwrap_or(&group.cause)
}

fn object(group: &Group) -> Value {
    json!({
        "count": group.count,
        "code": group.code,
        "event_type": group.event_type,
        "pointer": group.place,
        "detail": why(group),
        "first_seen_at": Timestamp::from_chrono(group.first_seen_at),
        "last_seen_at": Timestamp::from_chrono(group.last_seen_at),
        "example": group.example,
    })
}
