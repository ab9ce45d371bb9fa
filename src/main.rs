use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use otodoke::config::{LogFormat, Settings};
use otodoke::operator::{CommandLine, exit_code};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    if let Err(error) = log(command_line.settings()) {
        eprintln!("otodoke: {error}");
        return ExitCode::from(2);
    }
    match command_line.execute().await {
        Ok(code) => code,
        // Who reads our output has seen enough: `otodoke tail | head -1`.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("otodoke: {error:#}");
            exit_code(&error)
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// To standard error. What libraries log may quote messages, and so personal data: silenced.
fn log(settings: &Settings) -> anyhow::Result<()> {
    let filters = format!("{},lapin=off,sqlx=warn", settings.log);
    let filter = EnvFilter::try_new(&filters).map_err(|error| {
        anyhow::anyhow!("the log filter `{}` is not understood: {error}", settings.log)
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match settings.log_format {
        LogFormat::Text => subscriber.with_target(false).init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}
