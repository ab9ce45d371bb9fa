use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use otodoke::certificates;
use otodoke::config::{LogFormat, Settings};
use otodoke::operator::{CommandLine, KeptLog, exit_code};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

/// A message is many small pieces of memory, taken and given back by several threads: a tenth
/// and more of the time went into that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let command_line = match CommandLine::parse().with_files() {
        Ok(command_line) => command_line,
        Err(error) => {
            eprintln!("otodoke: {error}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = log(command_line.settings(), command_line.keeps_log()) {
        eprintln!("otodoke: {error}");
        return ExitCode::from(2);
    }
    match command_line.execute().await {
        Ok(code) => code,
        // Who reads our output has seen enough: `otodoke tail | head -1`.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("otodoke: {error:#}");
            if let Some(advice) = certificates::advice(error.as_ref()) {
                eprintln!("otodoke: {advice}");
            }
            exit_code(&error)
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// What libraries log may quote messages, and so personal data: silenced.
const LIBRARIES: &str = "lapin=off,sqlx=warn";
/// Those that write down what goes over the wire, passwords too: no filter lets them through.
const SILENT: [&str; 4] = ["lapin", "amq_protocol", "tcp_stream", "sqlx"];

fn is_heard(log: &Metadata<'_>) -> bool {
    let library = log.target().split("::").next().unwrap_or_default();
    !SILENT.contains(&library) || *log.level() <= Level::WARN
}

/// To standard error. Where the log is kept as well, only warnings are shown: the command's
/// own output tells the rest.
fn log(settings: &Settings, keeps: bool) -> anyhow::Result<()> {
    let chosen = EnvFilter::try_new(format!("{},{LIBRARIES}", settings.log)).map_err(|error| {
        anyhow::anyhow!("the log filter `{}` is not understood: {error}", settings.log)
    })?;
    let filter = if keeps { EnvFilter::new(format!("warn,{LIBRARIES}")) } else { chosen };
    let shown =
        fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let shown = match settings.log_format {
        LogFormat::Text => shown.with_target(false).boxed(),
        LogFormat::Json => shown.json().boxed(),
    };
    let kept = keeps.then(|| {
        let everything = EnvFilter::new(format!("info,otodoke=debug,{LIBRARIES}"));
        fmt::layer().with_writer(|| KeptLog).with_ansi(false).with_filter(everything)
    });
    tracing_subscriber::registry()
        .with(shown.with_filter(filter).with_filter(filter_fn(is_heard)))
        .with(kept)
        .init();
    Ok(())
}
