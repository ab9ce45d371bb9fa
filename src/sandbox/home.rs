//! The folder of a sandbox, and the keeper that clears it away.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::SandboxError;

const KEEPER: &str = include_str!("keeper.sh");

/// A temporary folder with a keeper process, which ends whatever is recorded in it
/// and removes it as soon as the pipe that this value holds is closed: by dropping
/// it, or by the death of this program, even by SIGKILL.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    /// Its standard input is the pipe.
    keeper: Child,
}

impl Home {
    pub fn create() -> Result<Home, SandboxError> {
        let base = std::env::temp_dir();
        // The servers' users must be able to pass through, not to look around.
        let folder = tempfile::Builder::new()
            .prefix("otodoke-sandbox-")
            .permissions(fs::Permissions::from_mode(0o711))
            .tempdir_in(&base)
            .map_err(SandboxError::file("create a folder in", &base))?;
        let processes = folder.path().join("processes");
        fs::create_dir(&processes).map_err(SandboxError::file("create", &processes))?;
        let keeper = spawn_keeper(folder.path())?;
        Ok(Home { path: folder.keep(), keeper })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the keeper looks for the process groups that it has to end.
    pub fn process_record(&self, group: u32) -> PathBuf {
        self.path.join("processes").join(group.to_string())
    }

    /// Has the keeper clear away, and says whether it could.
    pub fn remove(mut self) -> Result<(), SandboxError> {
        self.release();
        match self.path.exists() {
            true => Err(SandboxError::Leftover { folder: self.path.clone() }),
            false => Ok(()),
        }
    }

    fn release(&mut self) {
        drop(self.keeper.stdin.take());
        // An error here means that the keeper is gone already.
        let _ = self.keeper.wait();
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.release();
    }
}

/// In a process group of its own, so that Ctrl-C and a kill of the whole job miss it.
fn spawn_keeper(folder: &Path) -> Result<Child, SandboxError> {
    Command::new("/bin/sh")
        .args(["-c", KEEPER, "otodoke-sandbox-keeper"])
        .arg(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|source| SandboxError::Spawn { program: "the sandbox's keeper (/bin/sh)", source })
}
