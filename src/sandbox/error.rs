//! What can go wrong with private servers. Each says what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a sandbox could not be started, changed or stopped.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(
        "{program} is not on this machine: install it (on Debian `apt-get install \
         --no-install-recommends {package}`), or set {variable} to a server that runs elsewhere"
    )]
    NotInstalled { program: &'static str, package: &'static str, variable: &'static str },

    #[error(
        "as root the servers run under users of their own, which can't enter {}: \
         set TMPDIR to a folder that every user may enter, such as /tmp", .folder.display()
    )]
    Unreachable { folder: PathBuf },

    #[error(
        "as root PostgreSQL and RabbitMQ need another user to run under, and /etc/passwd has neither {name} nor nobody: create one of them"
    )]
    NoAccount { name: &'static str },

    #[error("can't {action} {}: {source}", .path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },

    #[error("can't find free ports on 127.0.0.1: {0}")]
    Ports(io::Error),

    #[error("can't start {program}: {source}")]
    Spawn { program: &'static str, source: io::Error },

    #[error("can't send {signal} to the process {process}: {detail}")]
    Signal { signal: &'static str, process: u32, detail: String },

    #[error("another program took the port of {program} while it started: try again")]
    PortTaken { program: &'static str },

    #[error("{program} ended while it was needed; its last words:\n{log}")]
    Ended { program: &'static str, log: String },

    #[error(
        "{program} did not answer within {seconds} s: is the machine overloaded? Its last words:\n{log}"
    )]
    Silent { program: &'static str, seconds: u64, log: String },

    #[error("{} could not be removed: remove it by hand", .folder.display())]
    Leftover { folder: PathBuf },
}

impl SandboxError {
    /// For `map_err` after an action on a file.
    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| SandboxError::File { action, path: path.to_owned(), source }
    }
}
