//! The users that the servers run under.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::SandboxError;

/// Where to look for a user's ids. Private servers run on plain machines and in
/// containers, whose service accounts are local.
const PASSWD: &str = "/etc/passwd";

/// The ids of a user that root drops to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub uid: u32,
    pub gid: u32,
}

impl Account {
    /// The user for a server that works in `folder`: `None` keeps the current one,
    /// which owns the folder. Root becomes `name`, or `nobody` where that is missing.
    pub fn for_server(name: &'static str, folder: &Path) -> Result<Option<Account>, SandboxError> {
        let owner = folder.metadata().map_err(SandboxError::file("read", folder))?.uid();
        if owner != 0 {
            return Ok(None);
        }
        let passwd =
            fs::read_to_string(PASSWD).map_err(SandboxError::file("read", Path::new(PASSWD)))?;
        let account = find(&passwd, name).or_else(|| find(&passwd, "nobody"));
        check_reachable(folder)?;
        account.map(Some).ok_or(SandboxError::NoAccount { name })
    }
}

/// Makes a folder that only `account` (or the current user) may look into.
pub(super) fn create_private_folder(
    path: &Path,
    account: Option<Account>,
) -> Result<(), SandboxError> {
    fs::create_dir(path).map_err(SandboxError::file("create", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .map_err(SandboxError::file("protect", path))?;
    give(path, account)
}

/// Writes a file that only `account` (or the current user) may read.
pub(super) fn write_private_file(
    path: &Path,
    text: &str,
    account: Option<Account>,
) -> Result<(), SandboxError> {
    fs::write(path, text).map_err(SandboxError::file("write", path))?;
    // Erlang refuses a cookie that its owner may write to or others may read.
    fs::set_permissions(path, fs::Permissions::from_mode(0o400))
        .map_err(SandboxError::file("protect", path))?;
    give(path, account)
}

/// Has a command run as `account` (or the current user).
pub(super) fn run_as(command: &mut Command, account: Option<Account>) {
    if let Some(Account { uid, gid }) = account {
        command.uid(uid).gid(gid);
    }
}

fn give(path: &Path, account: Option<Account>) -> Result<(), SandboxError> {
    match account {
        Some(Account { uid, gid }) => {
            chown(path, Some(uid), Some(gid)).map_err(SandboxError::file("give away", path))
        }
        None => Ok(()),
    }
}

fn check_reachable(folder: &Path) -> Result<(), SandboxError> {
    for ancestor in folder.ancestors() {
        let metadata = ancestor.metadata().map_err(SandboxError::file("read", ancestor))?;
        if metadata.permissions().mode() & 0o001 == 0 {
            return Err(SandboxError::Unreachable { folder: ancestor.to_owned() });
        }
    }
    Ok(())
}

fn find(passwd: &str, name: &str) -> Option<Account> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(Account { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "root:x:0:0:root:/root:/bin/bash\n\
        postgresql:x:7:7::/:/bin/sh\n\
        postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        assert_eq!(find(SAMPLE, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(find(SAMPLE, "rabbitmq"), None);
    }
}
