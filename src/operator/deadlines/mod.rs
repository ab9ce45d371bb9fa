//! `otodoke deadlines`: what time alone will bring.

mod list;
mod simulate;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::config::Settings;
use crate::contract::Rule;

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
