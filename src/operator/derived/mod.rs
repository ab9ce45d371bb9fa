//! `otodoke derived`: what goes out is held back for a while, or sent once more.

mod again;
pub mod pauses;
mod republish;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::config::Settings;

/// Look after what goes out: republish, pause, resume, pauses
#[derive(Subcommand, Debug)]
pub enum DerivedCommand {
    Republish(republish::RepublishArguments),
    Pause(pauses::PauseArguments),
    Resume(pauses::ResumeArguments),
    Pauses(pauses::PausesArguments),
}

pub async fn derived(command: DerivedCommand, settings: &Settings) -> Result<ExitCode> {
    match command {
        DerivedCommand::Republish(arguments) => republish::republish(arguments, settings).await,
        DerivedCommand::Pause(arguments) => pauses::pause(arguments, settings).await,
        DerivedCommand::Resume(arguments) => pauses::resume(arguments, settings).await,
        DerivedCommand::Pauses(arguments) => pauses::pauses(arguments, settings).await,
    }
}
