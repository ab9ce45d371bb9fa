use std::process::ExitCode;

use clap::Parser;
use otodoke::operator::sandbox::{SandboxArguments, sandbox};

#[derive(Parser)]
#[command(name = "otodoke", version, about)]
enum Command {
    Sandbox(SandboxArguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Sandbox(arguments) = Command::parse();
    sandbox(arguments).await.unwrap_or_else(|error| {
        eprintln!("otodoke: {error}");
        ExitCode::FAILURE
    })
}
