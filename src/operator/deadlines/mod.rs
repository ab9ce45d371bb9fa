//! `otodoke deadlines`: what time alone will bring.

mod list;
mod simulate;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use sqlx::PgConnection;

use super::archived::unknown;
use super::order::{called, named};
use crate::config::Settings;
use crate::contract::Rule;
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
    let called = called(name);
    for case in &called {
        if let Some(next_at) = cases::next_at(conn, case).await? {
            return Ok(next_at.map(|next_at| Ahead { case: case.clone(), next_at }));
        }
    }
    Err(unknown(conn, &called, &named(name)).await?)
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
