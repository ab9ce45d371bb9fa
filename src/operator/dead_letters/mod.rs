//! `otodoke dead-letters`: what was refused, and why.

mod excerpt;
mod list;
mod redact;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::config::Settings;

/// Look at refused messages: list, show
#[derive(Subcommand, Debug)]
pub enum DeadLettersCommand {
    List(list::ListArguments),
    Show(show::ShowArguments),
}

pub async fn dead_letters(command: DeadLettersCommand, settings: &Settings) -> Result<ExitCode> {
    match command {
        DeadLettersCommand::List(arguments) => list::list(arguments, settings).await,
        DeadLettersCommand::Show(arguments) => show::show(arguments, settings).await,
    }
}
