//! The database's disk is full, and has room again.

use std::process::Command;

use crate::database_faults::{DatabaseFault, small_disk};
use crate::faults::Fault;
use crate::run::{seeds, survive};
use crate::world::Stage;

const SIZE: &str = "size=80m,mode=777";

#[tokio::test(flavor = "multi_thread")]
async fn the_databases_disk_is_full() {
    let mut stage = Stage::set().await;
    let disk = small_disk(&stage);
    std::fs::create_dir(&disk).expect("the sandbox's folder is ours");
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", SIZE, "none"]).arg(&disk);
    if !is_well(&mut mount) {
        eprintln!("left out: only root can mount a small disk");
        return stage.clear().await;
    }
    let mounted = Mounted(disk.clone());
    // The server has a folder of its own there, and owns it.
    let folder = disk.join("tablespace");
    let mut install = Command::new("install");
    install.args(["-d", "-o", "postgres", "-m", "700"]).arg(&folder);
    assert!(is_well(&mut install), "the server's user is called postgres");
    stage.tell(&format!("CREATE TABLESPACE small LOCATION '{}'", folder.display())).await;
    stage.tablespace = Some("small");
    survive(&mut stage, Fault::Database(DatabaseFault::DiskFull), seeds(1, 5)).await;
    drop(mounted);
    stage.clear().await;
}

fn is_well(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

/// Taken away lazily, since the server has files open in it.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
