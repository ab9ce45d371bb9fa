//! `otodoke dead-letters`: what was refused, why, and back through the door.

mod discard;
mod export;
mod filters;
mod groups;
mod jobs;
mod list;
mod replay;
mod show;
mod since;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::config::Settings;

/// Look at refused messages, repair and replay them
#[derive(Subcommand, Debug)]
#[command(after_help = "Where to begin:
  otodoke dead-letters groups            which few causes there are
  otodoke dead-letters show ID           one of them, the fault marked
  otodoke dead-letters replay …          what would come of a repair, then --yes")]
pub enum DeadLettersCommand {
    List(list::ListArguments),
    Groups(groups::GroupsArguments),
    Show(show::ShowArguments),
    Replay(Box<replay::ReplayArguments>),
    Jobs(jobs::JobsArguments),
    Discard(discard::DiscardArguments),
    Export(export::ExportArguments),
}

pub async fn dead_letters(command: DeadLettersCommand, settings: &Settings) -> Result<ExitCode> {
    match command {
        DeadLettersCommand::List(arguments) => list::list(arguments, settings).await,
        DeadLettersCommand::Groups(arguments) => groups::groups(arguments, settings).await,
        DeadLettersCommand::Show(arguments) => show::show(arguments, settings).await,
        DeadLettersCommand::Replay(arguments) => replay::replay(*arguments, settings).await,
        DeadLettersCommand::Jobs(arguments) => jobs::jobs(arguments, settings).await,
        DeadLettersCommand::Discard(arguments) => discard::discard(arguments, settings).await,
        DeadLettersCommand::Export(arguments) => export::export(arguments, settings).await,
    }
}
