//! `otodoke deadlines`: what time alone will bring.

mod list;
mod simulate;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Subcommand;
use sqlx::PgConnection;

use super::order::{THREAD, named};
use crate::config::Settings;
use crate::contract::{Identifier, Rule};
use crate::rules::CaseId;
use crate::store::cases::{self, Ahead};

/// Look ahead: list, simulate
#[derive(Subcommand, Debug)]
pub enum DeadlinesCommand {
    List(list::ListArguments),
    Simulate(simulate::SimulateArguments),
}

pub async fn deadlines(command: DeadlinesCommand, settings: &Settings) -> Result<ExitCode> {
    match command {
        DeadlinesCommand::List(arguments) => list::list(arguments, settings).await,
        DeadlinesCommand::Simulate(arguments) => simulate::simulate(arguments, settings).await,
    }
}

/// Cases looked at in one snapshot.
const PAGE: i64 = 100;

/// One case by its name, as it stands ahead; `None` where time alone doesn't change it.
async fn one(conn: &mut PgConnection, name: &str) -> Result<Option<Ahead>> {
    // An order's id may itself begin with `thread:`, so orders are looked among first.
    let order = Identifier::new(name).map(CaseId::Order);
    let thread = name.strip_prefix(THREAD).and_then(Identifier::new).map(CaseId::Thread);
    for case in order.into_iter().chain(thread) {
        if let Some(next_at) = cases::next_at(conn, &case).await? {
            return Ok(next_at.map(|next_at| Ahead { case, next_at }));
        }
    }
    bail!("nothing is known of {}", named(name))
}

/// A rule's id, for clap.
fn rule(text: &str) -> Result<Rule, String> {
    Rule::from_id(&text.to_uppercase()).ok_or_else(|| {
        let all: Vec<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        format!("`{text}` is no rule; there are {}", all.join(", "))
    })
}

/// What is told of cases that can't be decided.
fn tell_undecided(count: u64) {
    if count > 0 {
        eprintln!("cases that can't be decided, and are left out: {count}; see `otodoke status`");
    }
}
