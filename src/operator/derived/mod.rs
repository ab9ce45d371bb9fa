//! `otodoke derived`: what goes out is held back for a while.

pub mod pauses;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::config::Settings;

/// Look after what goes out: pause, resume, pauses
#[derive(Subcommand, Debug)]
pub enum DerivedCommand {
    Pause(pauses::PauseArguments),
    Resume(pauses::ResumeArguments),
    Pauses(pauses::PausesArguments),
}

pub async fn derived(command: DerivedCommand, settings: &Settings) -> Result<ExitCode> {
    match command {
        DerivedCommand::Pause(arguments) => pauses::pause(arguments, settings).await,
        DerivedCommand::Resume(arguments) => pauses::resume(arguments, settings).await,
        DerivedCommand::Pauses(arguments) => pauses::pauses(arguments, settings).await,
    }
}
