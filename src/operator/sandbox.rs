//! `otodoke sandbox`: private servers for as long as a command, or a person, needs them.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::sandbox::{Options, Sandbox, SandboxError, send_signal};

/// How long a command may take to end after it was told to.
const COMMAND_END: Duration = Duration::from_secs(10);
/// As a shell puts it: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// Start private PostgreSQL and RabbitMQ servers
///
/// They live in a temporary folder, listen on free ports of 127.0.0.1 only, and touch
/// no server that is already here. Without a COMMAND the addresses are printed as
/// `export DATABASE_URL=… AMQP_URL=…` and the servers run until Ctrl-C or SIGTERM. With
/// one, it is run with these variables set, the servers are stopped after it, and its
/// exit code is the result. Their data is removed in any case.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otodoke sandbox -- otodoke demo --once
  otodoke sandbox --management -- cargo test")]
pub struct SandboxArguments {
    /// Start RabbitMQ's management API too, at OTODOKE_SANDBOX_MANAGEMENT_URL
    #[arg(long)]
    pub management: bool,

    /// Run this with the servers' addresses in its environment, then stop them
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Why the command `sandbox` failed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxCommandError {
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("can't listen for signals: {0}")]
    Signals(io::Error),
    #[error("can't run {}: {source}", .program.display())]
    Command { program: OsString, source: io::Error },
    #[error("can't write the servers' addresses to standard output: {0}")]
    Output(io::Error),
}

/// Runs the whole command. Success is the exit code of the COMMAND, or 0 for servers that
/// were held until somebody ended them.
pub async fn sandbox(arguments: SandboxArguments) -> Result<ExitCode, SandboxCommandError> {
    let mut interrupts = Interrupts::listen().map_err(SandboxCommandError::Signals)?;
    let Some(sandbox) = start(&arguments, &mut interrupts).await? else {
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let outcome = match arguments.command.split_first() {
        Some((program, arguments)) => run(&sandbox, program, arguments, &mut interrupts).await,
        None => hold(&sandbox, &mut interrupts).await,
    };
    // Also after a failure; that one is then the more telling.
    let stopped = sandbox.stop().await;
    let code = outcome?;
    stopped?;
    Ok(code)
}

/// `None` where somebody ended the start.
async fn start(
    arguments: &SandboxArguments,
    interrupts: &mut Interrupts,
) -> Result<Option<Sandbox>, SandboxCommandError> {
    let begun = Instant::now();
    let options = Options { management: arguments.management, ..Options::default() };
    let sandbox = tokio::select! {
        sandbox = Sandbox::start(options) => sandbox?,
        _ = interrupts.next() => return Ok(None),
    };
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("Private PostgreSQL and RabbitMQ are ready after {seconds:.1} s.");
    Ok(Some(sandbox))
}

async fn hold(
    sandbox: &Sandbox,
    interrupts: &mut Interrupts,
) -> Result<ExitCode, SandboxCommandError> {
    print_addresses(sandbox).map_err(SandboxCommandError::Output)?;
    eprintln!("They run until Ctrl-C; their data is removed then.");
    interrupts.next().await;
    Ok(ExitCode::SUCCESS)
}

fn print_addresses(sandbox: &Sandbox) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let variables: Vec<_> =
        variables(sandbox).map(|(name, value)| format!("{name}={value}")).collect();
    writeln!(out, "export {}", variables.join(" "))?;
    out.flush()
}

/// The values need no quoting: the sandbox makes them of letters, digits and `:/@.%`.
fn variables(sandbox: &Sandbox) -> impl Iterator<Item = (&'static str, &str)> {
    let always = [("DATABASE_URL", sandbox.database_url()), ("AMQP_URL", sandbox.amqp_url())];
    let management = sandbox.management_url().map(|url| ("OTODOKE_SANDBOX_MANAGEMENT_URL", url));
    always.into_iter().chain(management)
}

async fn run(
    sandbox: &Sandbox,
    program: &OsString,
    arguments: &[OsString],
    interrupts: &mut Interrupts,
) -> Result<ExitCode, SandboxCommandError> {
    let failed = |source| SandboxCommandError::Command { program: program.clone(), source };
    let mut command = Command::new(program);
    command.args(arguments).envs(variables(sandbox)).kill_on_drop(true);
    // The addresses of other servers.
    command.env_remove("DATABASE_URL_FILE").env_remove("AMQP_URL_FILE");
    let mut child = command.spawn().map_err(failed)?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.map_err(failed)?,
            interrupt = interrupts.next() => match interrupt {
                // The terminal has sent it to the command as well: its answer counts.
                Interrupt::Keyboard => {}
                Interrupt::Termination => end(&mut child).await?,
            },
        }
    };
    Ok(ExitCode::from(exit_code(status)))
}

/// Passes a termination on to the command, and insists after a while.
async fn end(child: &mut Child) -> Result<(), SandboxCommandError> {
    if let Some(process) = child.id() {
        send_signal("TERM", process)?;
    }
    if tokio::time::timeout(COMMAND_END, child.wait()).await.is_err() {
        // Fails only for a command that has ended in this moment.
        let _ = child.start_kill();
    }
    Ok(())
}

/// A command's exit code; 128 and the signal's number where a signal ended it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// What asks this program to end.
#[derive(Clone, Copy, Debug)]
enum Interrupt {
    /// Ctrl-C, which a terminal sends to every program of the job.
    Keyboard,
    Termination,
}

struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interrupts {
    fn listen() -> io::Result<Interrupts> {
        Ok(Interrupts {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Interrupt {
        tokio::select! {
            _ = self.interrupt.recv() => Interrupt::Keyboard,
            _ = self.terminate.recv() => Interrupt::Termination,
            _ = self.hang_up.recv() => Interrupt::Termination,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_the_commands_and_tells_of_a_signal() {
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
    }
}
