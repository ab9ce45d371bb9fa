//! The commands of the command line, one file a family.
//!
//! A command prints to standard output what was asked for, and to standard error what a
//! person should know beside it. It knows no SQL and no AMQP of its own.

mod archived;
pub mod bench;
mod database;
mod dead_letters;
mod deadlines;
mod demo;
mod derived;
mod forget;
pub mod model;
mod ndjson;
mod order;
pub mod output;
mod prune;
mod publish;
mod rebuild;
pub mod reconcile;
mod report;
mod run;
pub mod sandbox;
mod schema;
mod settings;
mod setup;
pub mod stage;
mod status;
mod tail;
mod token;
mod validate;
mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

pub use demo::KeptLog;

use crate::config::{Missing, Settings, WrongFile};

/// Process a marketplace's order events
///
/// Takes order, payment, shipment and message events from RabbitMQ, keeps a read model in
/// PostgreSQL, and publishes what follows from the marketplace's rules, such as
/// refund-required and guarantee-eligible.
#[derive(Parser, Debug)]
#[command(
    name = "otodoke",
    version,
    max_term_width = 100,
    after_help = "Start here:
  otodoke demo --once                    see the main job, on private services
  otodoke sandbox -- otodoke run         a processor on private services
  otodoke validate events.ndjson         what the queues would say to your events

Exit codes: 0 done, 1 failed, 2 wrong usage."
)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::RunArguments),
    Demo(demo::DemoArguments),
    Bench(bench::BenchArguments),
    Sandbox(sandbox::SandboxArguments),
    Migrate(setup::MigrateArguments),
    Topology(setup::TopologyArguments),
    Publish(publish::PublishArguments),
    Validate(validate::ValidateArguments),
    Tail(tail::TailArguments),
    #[command(subcommand)]
    Order(order::OrderCommand),
    #[command(subcommand)]
    Report(report::ReportCommand),
    Reconcile(reconcile::ReconcileArguments),
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    #[command(subcommand)]
    Deadlines(deadlines::DeadlinesCommand),
    #[command(subcommand)]
    Derived(derived::DerivedCommand),
    Verify(verify::VerifyArguments),
    Rebuild(rebuild::RebuildArguments),
    Prune(prune::PruneArguments),
    Forget(forget::ForgetArguments),
    Status(status::StatusArguments),
    Token(token::TokenArguments),
    Schema(schema::SchemaArguments),
    Config(settings::ConfigArguments),
    Completions(settings::CompletionsArguments),
    Manual(settings::ManualArguments),
}

impl CommandLine {
    /// With the addresses that stand in files.
    pub fn with_files(mut self) -> Result<CommandLine, WrongFile> {
        self.settings.services.read_files()?;
        Ok(self)
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the log is kept beside what is shown of it: the demonstration searches its own.
    pub fn keeps_log(&self) -> bool {
        matches!(self.command, Command::Demo(_))
    }

    /// Does what was asked. An error is not yet printed.
    pub async fn execute(self) -> Result<ExitCode> {
        let settings = &self.settings;
        match self.command {
            Command::Run(arguments) => run::run(arguments, settings).await,
            Command::Demo(arguments) => demo::demo(arguments, settings).await,
            Command::Bench(arguments) => bench::bench(arguments, settings).await,
            Command::Sandbox(arguments) => Ok(sandbox::sandbox(arguments).await?),
            Command::Migrate(arguments) => setup::migrate(arguments, settings).await,
            Command::Topology(arguments) => setup::topology(arguments, settings).await,
            Command::Publish(arguments) => publish::publish(arguments, settings).await,
            Command::Validate(arguments) => validate::validate(arguments, settings).await,
            Command::Tail(arguments) => tail::tail(arguments, settings).await,
            Command::Order(command) => order::order(command, settings).await,
            Command::Report(command) => report::report(command, settings).await,
            Command::Reconcile(arguments) => reconcile::reconcile(arguments, settings).await,
            Command::DeadLetters(command) => dead_letters::dead_letters(command, settings).await,
            Command::Deadlines(command) => deadlines::deadlines(command, settings).await,
            Command::Derived(command) => derived::derived(command, settings).await,
            Command::Verify(arguments) => verify::verify(arguments, settings).await,
            Command::Rebuild(arguments) => rebuild::rebuild(arguments, settings).await,
            Command::Prune(arguments) => prune::prune(arguments, settings).await,
            Command::Forget(arguments) => forget::forget(arguments, settings).await,
            Command::Status(arguments) => status::status(arguments, settings).await,
            Command::Schema(arguments) => schema::schema(&arguments, settings),
            Command::Token(arguments) => token::token(&arguments),
            Command::Config(arguments) => settings::config(&arguments, settings),
            Command::Completions(arguments) => {
                Ok(settings::completions(&arguments, Self::command()))
            }
            Command::Manual(arguments) => settings::manual(&arguments, Self::command()),
        }
    }
}

/// 2 where the command line or the settings are at fault, else 1.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    match error.is::<Missing>() || error.is::<Usage>() {
        true => ExitCode::from(2),
        false => ExitCode::FAILURE,
    }
}

/// What was asked for can't be meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
