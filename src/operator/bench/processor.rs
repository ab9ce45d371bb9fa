//! The program as a process of its own, so that what it costs can be told apart.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::cost::{cpu_seconds, peak_mib};
use crate::config::Settings;

/// How long it may take to start, and to drain.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is run: a program that takes its settings from the environment, serves the HTTP address
/// once it is ready, and drains on SIGTERM.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// A program with its arguments.
    pub fn new<A: Into<OsString>>(
        path: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Program {
        Program { path: path.into(), arguments: arguments.into_iter().map(A::into).collect() }
    }

    /// `otodoke run` of this very program.
    pub fn own() -> Result<Program> {
        let path = std::env::current_exe().context("this program can't be found")?;
        Ok(Program::new(path, ["run"]))
    }

    /// Starts it with the settings of a stage.
    pub fn start(&self, settings: &Settings) -> Result<Processor> {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // Addresses are shown masked, and an empty value is no value.
        for setting in settings.effective() {
            if !setting.value.is_empty() && !setting.value.starts_with('(') {
                command.env(setting.variable, &setting.value);
            }
        }
        command
            .env("DATABASE_URL", settings.services.database_url()?)
            .env("AMQP_URL", settings.services.amqp_url()?)
            .env("OTODOKE_LOG", "warn");
        let child =
            command.spawn().with_context(|| format!("{} can't be started", self.path.display()))?;
        Ok(Processor { child, address: settings.services.http_addr })
    }
}

/// A running processor. Dropping it kills it.
pub struct Processor {
    child: Child,
    address: std::net::SocketAddr,
}

impl Processor {
    /// CPU seconds since its start.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.id())
    }

    /// The most memory that it ever had, in MiB.
    pub fn peak_mib(&self) -> f64 {
        peak_mib(self.id())
    }

    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Until its endpoints answer.
    pub async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the processor ended at its start: {status}");
            }
            if Instant::now() > deadline {
                bail!("the processor doesn't serve {}", self.address);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Whether it still runs.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the processor ended in the middle: {status}"),
        }
    }

    /// Asks it to drain, and waits for that.
    pub async fn stop(mut self) -> Result<()> {
        crate::sandbox::send_signal("TERM", self.id())?;
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        match ended.context("the processor doesn't drain")?? {
            status if status.success() => Ok(()),
            status => bail!("the processor ended with {status}"),
        }
    }
}
