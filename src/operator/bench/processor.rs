//! The program as a process of its own, so that what it costs can be told apart.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::config::Settings;

/// How long it may take to start, and to drain.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running processor. Dropping it kills it.
pub struct Processor {
    child: Child,
    address: std::net::SocketAddr,
}

impl Processor {
    /// Starts it with the settings of the stage; what differs from the defaults was asked for.
    pub fn start(settings: &Settings) -> Result<Processor> {
        let program = std::env::current_exe().context("this program can't be found")?;
        let mut command = Command::new(program);
        command.arg("run").stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
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
        let child = command.spawn().context("the processor can't be started")?;
        Ok(Processor { child, address: settings.services.http_addr })
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

    pub async fn stop(mut self) -> Result<()> {
        crate::sandbox::send_signal("TERM", self.id())?;
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        match ended.context("the processor doesn't drain")?? {
            status if status.success() => Ok(()),
            status => bail!("the processor ended with {status}"),
        }
    }
}
