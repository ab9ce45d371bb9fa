//! A process of the sandbox: started as a group of its own, recorded for the
//! keeper, ended by signals, collected when it ends.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::SandboxError;
use super::account::{Account, run_as};
use super::home::Home;
use super::installed::Product;

/// How often a condition is looked at that nobody announces.
const POLL: Duration = Duration::from_millis(20);
/// How long a process may take to end after the signal that ends it at once.
const ABRUPT_END: Duration = Duration::from_secs(6);
/// How much of a log goes into an error.
const LOG_LINES: usize = 25;

/// What a process is, apart from its command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Profile {
    pub product: Product,
    /// Ends it at once, leaving its data to recovery and no process behind.
    pub abrupt_signal: &'static str,
    pub account: Option<Account>,
}

/// A running process. Dropping it ends it at once.
#[derive(Debug)]
pub(super) struct Process {
    profile: Profile,
    child: Child,
    log: PathBuf,
    record: PathBuf,
}

impl Process {
    /// Starts a command in `folder`, with its output added to `log` there. The
    /// command's environment is only what it brings along.
    pub fn spawn(
        home: &Home,
        profile: Profile,
        folder: &Path,
        log: &str,
        mut command: Command,
    ) -> Result<Process, SandboxError> {
        let log = folder.join(log);
        let output = File::options().create(true).append(true).open(&log);
        let output = output.map_err(SandboxError::file("write", &log))?;
        let errors = output.try_clone().map_err(SandboxError::file("write", &log))?;
        command.current_dir(folder).process_group(0);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        run_as(&mut command, profile.account);
        let child = command.spawn().map_err(|source| profile.spawn_error(source))?;
        let record = home.process_record(child.id());
        let process = Process { profile, child, log, record };
        fs::write(&process.record, profile.abrupt_signal)
            .map_err(SandboxError::file("write", &process.record))?;
        Ok(process)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended; if so, whether well.
    pub fn ended(&mut self) -> Result<Option<bool>, SandboxError> {
        let status = self.child.try_wait().map_err(|source| self.profile.spawn_error(source))?;
        if status.is_some() {
            self.forget();
        }
        Ok(status.map(|status| status.success()))
    }

    /// Waits for it to end; `None` where it didn't in time.
    pub async fn wait(&mut self, time: Duration) -> Result<Option<bool>, SandboxError> {
        let deadline = Instant::now() + time;
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() > deadline {
                return Ok(ended);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until `answers` holds. The process must not end meanwhile.
    pub async fn wait_until(
        &mut self,
        time: Duration,
        answers: impl AsyncFn() -> bool,
    ) -> Result<(), SandboxError> {
        let deadline = Instant::now() + time;
        while !answers().await {
            if self.ended()?.is_some() {
                return Err(self.ended_early());
            }
            if Instant::now() > deadline {
                return Err(self.silent(time));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Asks it to end with `signal`, and ends it at once if it takes longer than `time`.
    pub async fn stop(&mut self, signal: &'static str, time: Duration) -> Result<(), SandboxError> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        // To the process alone: Erlang's helpers in its group must outlive a graceful end.
        send_signal(signal, self.child.id())?;
        match self.wait(time).await? {
            Some(_) => Ok(()),
            None => self.kill().await,
        }
    }

    /// Ends it at once.
    pub async fn kill(&mut self) -> Result<(), SandboxError> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        signal_group(self.profile.abrupt_signal, self.child.id())?;
        if self.wait(ABRUPT_END).await?.is_none() {
            signal_group("KILL", self.child.id())?;
            self.wait(ABRUPT_END).await?;
        }
        Ok(())
    }

    /// The error for an end that nobody asked for.
    pub fn ended_early(&self) -> SandboxError {
        let program = self.profile.product.name;
        let log = last_lines(&self.log);
        let port_taken = ["eaddrinuse", "ddress already in use", "in use by another"];
        match port_taken.iter().any(|words| log.contains(words)) {
            true => SandboxError::PortTaken { program },
            false => SandboxError::Ended { program, log },
        }
    }

    fn silent(&self, time: Duration) -> SandboxError {
        let log = last_lines(&self.log);
        SandboxError::Silent { program: self.profile.product.name, seconds: time.as_secs(), log }
    }

    /// Its number may be another's from now on.
    fn forget(&self) {
        // Absent where it was forgotten before, or where the folder is gone.
        let _ = fs::remove_file(&self.record);
    }
}

impl Drop for Process {
    /// The same as `kill`, without a runtime to wait in. Nobody is left to hear of an
    /// error; what it leaves, the keeper takes.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return self.forget();
        }
        let _ = signal_group(self.profile.abrupt_signal, self.child.id());
        let deadline = Instant::now() + ABRUPT_END;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.forget();
    }
}

impl Profile {
    fn spawn_error(&self, source: std::io::Error) -> SandboxError {
        match source.kind() {
            std::io::ErrorKind::NotFound => self.product.not_installed(),
            _ => SandboxError::Spawn { program: self.product.name, source },
        }
    }
}

fn signal_group(signal: &'static str, group: u32) -> Result<(), SandboxError> {
    signal_target(signal, group, format!("-{group}"))
}

/// Sends a signal, named without `SIG`, to a process of this program.
pub(crate) fn send_signal(signal: &'static str, process: u32) -> Result<(), SandboxError> {
    signal_target(signal, process, process.to_string())
}

/// The shell's own `kill`, since the standard library has none but SIGKILL.
fn signal_target(signal: &'static str, process: u32, target: String) -> Result<(), SandboxError> {
    let kill = r#"kill -s "$1" -- "$2""#;
    let output = Command::new("/bin/sh").args(["-c", kill, "sh", signal, &target]).output();
    let detail = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(SandboxError::Signal { signal, process, detail })
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
