//! `otodoke order`: what is known of an order, how to find it, and why it is as it is.

mod explain;
mod find;
mod show;
mod story;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::config::Settings;
use crate::contract::Identifier;

pub use explain::case_name;

/// Look at an order: show, find, explain
#[derive(Subcommand, Debug)]
pub enum OrderCommand {
    Show(show::ShowArguments),
    Find(find::FindArguments),
    Explain(explain::ExplainArguments),
}

pub async fn order(command: OrderCommand, settings: &Settings) -> Result<ExitCode> {
    match command {
        OrderCommand::Show(arguments) => show::show(arguments, settings).await,
        OrderCommand::Find(arguments) => find::find(arguments, settings).await,
        OrderCommand::Explain(arguments) => explain::explain(arguments, settings).await,
    }
}

/// An order's id, for clap.
pub fn order_id(text: &str) -> Result<Identifier, String> {
    Identifier::new(text.trim())
        .ok_or_else(|| format!("`{text}` is no id: 1 to 64 letters, digits, `.`, `_`, `:` and `-`"))
}
