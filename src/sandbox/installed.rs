//! Where the servers' programs are on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use super::SandboxError;

/// A program of somebody else's, and how to come by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    /// As errors call it.
    pub name: &'static str,
    /// Debian's package.
    pub package: &'static str,
    /// The setting that makes it unnecessary.
    pub variable: &'static str,
}

pub(super) const POSTGRES: Product =
    Product { name: "PostgreSQL", package: "postgresql", variable: "DATABASE_URL" };
pub(super) const RABBITMQ: Product =
    Product { name: "RabbitMQ", package: "rabbitmq-server", variable: "AMQP_URL" };
pub(super) const EPMD: Product =
    Product { name: "epmd", package: "erlang-base", variable: "AMQP_URL" };

impl Product {
    pub fn not_installed(self) -> SandboxError {
        let Product { name: program, package, variable } = self;
        SandboxError::NotInstalled { program, package, variable }
    }
}

/// The folder with `postgres` and `initdb`: Debian's of the highest version, else
/// whatever the PATH leads to.
pub(super) fn postgres_programs() -> Result<PathBuf, SandboxError> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .map(|(version, folder)| (version, folder.join("bin")))
        .filter(|(_, programs)| programs.join("postgres").exists())
        .max();
    let found = debian.map(|(_, programs)| programs).or_else(|| folder_on_path("postgres"));
    found.ok_or_else(|| POSTGRES.not_installed())
}

/// The folder of RabbitMQ's real scripts. Those that Debian puts on the PATH switch the
/// user and refuse everyone else, so they come last.
pub(super) fn rabbitmq_scripts() -> Result<PathBuf, SandboxError> {
    let known = ["/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin"];
    let found =
        known.iter().find_map(|folder| real_folder(&Path::new(folder).join("rabbitmq-server")));
    found.or_else(|| folder_on_path("rabbitmq-server")).ok_or_else(|| RABBITMQ.not_installed())
}

fn folder_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find_map(|folder| real_folder(&folder.join(program)))
}

/// The folder that a file really is in, past any links; `None` where there is no file.
fn real_folder(file: &Path) -> Option<PathBuf> {
    file.canonicalize().ok()?.parent().map(Path::to_owned)
}
