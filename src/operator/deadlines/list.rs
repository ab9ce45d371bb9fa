//! `otodoke deadlines list`: what will fire when.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{rule, tell_undecided};
use crate::config::Settings;
use crate::contract::Rule;
use crate::desk::cases::{called, named};
use crate::desk::deadlines::{Deadline, Search};
use crate::desk::period::{self, Limit};
use crate::operator::archived::unknown;
use crate::operator::database::connect;
use crate::operator::order::case_name;
use crate::operator::output::{say, table};

/// List what will fire when, if nothing else arrives
///
/// The deadlines of all cases, the next first: which rule, until when, and what follows then
/// (it is derived a little later: see the setting settle). One that is `due` has passed and is
/// not derived yet: it settles, or processors hold it or don't run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke deadlines list
  otodoke deadlines list --rule S3 --before 2026-03-02     what must be shipped by then?
  otodoke deadlines list --order 250-1234567-1234567 --json")]
pub struct ListArguments {
    /// Only of this order, or of thread:THREAD_ID
    #[arg(long, value_name = "ORDER_ID", value_parser = case_name)]
    order: Option<String>,
    /// Only by this rule: S3, M3, …
    #[arg(long, value_name = "RULE", value_parser = rule)]
    rule: Option<Rule>,
    /// Only what falls before this day begins (in the setting time-zone), or before this moment
    #[arg(long, value_name = "TIME", value_parser = period::limit)]
    before: Option<Limit>,
    /// The most to list
    #[arg(long, value_name = "COUNT", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// A JSON array
    #[arg(long)]
    json: bool,
}

pub async fn list(arguments: ListArguments, settings: &Settings) -> Result<ExitCode> {
    let mut connection = connect(settings).await?;
    let before = arguments.before.map(|limit| limit.beginning(settings));
    let mut search = Search::new(arguments.rule, before, arguments.limit as usize);
    match &arguments.order {
        Some(name) => {
            if !search.of_one(&mut connection, name).await? {
                return Err(unknown(&mut connection, &called(name), &named(name)).await?);
            }
        }
        None => search.of_all(&mut connection).await.context("the deadlines can't be read")?,
    }
    if arguments.json {
        let objects: Vec<Value> = search.nearest().map(object).collect();
        say(&serde_json::to_string_pretty(&objects)?)?;
    } else if !search.is_empty() {
        say(&rows(search.nearest()))?;
    }
    hint(&search);
    Ok(ExitCode::SUCCESS)
}

fn hint(search: &Search) {
    tell_undecided(search.undecided);
    if search.cut {
        eprintln!(
            "only the {} cases that are due first were looked at: narrow with --before or \
             --order",
            search.examined
        );
    } else if search.has_more() {
        eprintln!("there are more than {}: ask for them with --limit", search.most);
    } else if search.is_empty() {
        eprintln!("nothing is waited for");
    }
}

fn rows<'a>(deadlines: impl Iterator<Item = &'a Deadline>) -> String {
    let mut rows = table(["until", "", "case", "rule", "", "what follows then", "about"]);
    for deadline in deadlines {
        rows.add_row([
            deadline.until.to_string(),
            if deadline.due { "due" } else { "" }.to_owned(),
            deadline.case.subject(),
            deadline.rule.id().to_owned(),
            deadline.rule.title().to_owned(),
            deadline.then.to_owned(),
            deadline.about.clone().unwrap_or_default(),
        ]);
    }
    rows.trim_fmt()
}

fn object(deadline: &Deadline) -> Value {
    json!({
        "until": deadline.until,
        "due": deadline.due,
        "case": deadline.case.subject(),
        "rule": deadline.rule.id(),
        "title": deadline.rule.title(),
        "then": deadline.then,
        "about": deadline.about,
    })
}
