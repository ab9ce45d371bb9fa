//! `otodoke prune`: cases that are over go from the database into an archive, and back.

mod archive;
mod groups;
mod letters;
mod report;
mod restore;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use sqlx::PgConnection;

use self::archive::{Destination, Prune};
use super::Usage;
use super::database::connect;
use super::order::case_name;
use super::output::progress;
use crate::config::Settings;
use crate::contract::{Span, Timestamp};
use crate::pipeline::archive::Archive;
use crate::store::{self, partitions, pruning};

/// Archive orders and threads that are over, or bring them back
///
/// An order is over when its last event was dated and accepted longer ago than --older-than,
/// and nothing of it is open: no deadline, no refund that is required and not issued, nothing
/// to be published, no dead letter that names it, and its decision doesn't fail. An order goes
/// together with the threads that have messages in it or name it, or not at all.
///
/// Without --yes nothing is changed: it is counted what would go, and why the rest stays. With
/// --yes cases are written to a file of the folder --to, all that is needed to restore them as
/// they were; only when the file is safe on the disk they are deleted, with their read model
/// and derived events. Interrupted at any moment, a case is in the database or in a file.
///
/// What comes for an archived case becomes a dead letter (case-pruned), and its replay brings
/// the case back: give processors the folder in OTODOKE_ARCHIVE. A repetition of an archived
/// event is still a duplicate. One such command runs at a time; processors may go on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke prune --older-than 400d                        what would go?
  otodoke prune --older-than 400d --to /srv/otodoke --yes
  otodoke prune --restore 250-1234567-1234567            back from the folder OTODOKE_ARCHIVE")]
pub struct PruneArguments {
    /// What nothing happened in for so long: a duration such as 400d
    #[arg(long, value_name = "AGE", required_unless_present = "restore")]
    older_than: Option<Span>,
    /// The folder for the archive, which must be there; by default that of OTODOKE_ARCHIVE
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Do it; without this it is only counted
    #[arg(long)]
    yes: bool,
    /// Bring these back: an order's number, or thread:THREAD_ID
    #[arg(long, value_name = "ORDER_ID", value_parser = case_name, num_args = 1..,
          conflicts_with_all = ["older_than", "to", "yes"])]
    restore: Vec<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub async fn prune(arguments: PruneArguments, settings: &Settings) -> Result<ExitCode> {
    let Some(older_than) = arguments.older_than else {
        return restore::restore(&arguments, settings).await;
    };
    let into = match arguments.yes {
        true => Some(folder(&arguments, settings)?),
        false => None,
    };
    let mut connection = connect(settings).await?;
    lease(&mut connection).await?;
    let before = beginning(&mut connection, older_than).await?;
    let count = pruning::count_old(&mut connection, before).await?;
    let bar = progress(Some(count.unsigned_abs()), "{bar:40} {pos}/{len} cases {eta} left");
    let into = into.map(|archive| Destination { archive, older_than });
    let mut found = Prune::new(&mut connection, before, into).all(&bar).await?;
    bar.finish_and_clear();
    if arguments.yes {
        found.dropped = drop_empty(&mut connection).await?;
    }
    found.tell(&arguments, older_than)?;
    Ok(ExitCode::SUCCESS)
}

/// Where nothing may have happened since.
async fn beginning(conn: &mut PgConnection, older_than: Span) -> Result<Timestamp> {
    let now = store::clock(conn).await.context("the database can't say what time it is")?;
    Ok(now - older_than)
}

async fn lease(conn: &mut PgConnection) -> Result<()> {
    match pruning::try_lease(conn).await {
        Ok(true) => Ok(()),
        Ok(false) => bail!("another `otodoke prune` is at work: wait until it has ended"),
        Err(error) => Err(error).context("the database can't say whether another prune runs"),
    }
}

/// The folder to write to. It is not made here: a path that is misspelled, or a disk that isn't
/// mounted, would go unnoticed.
fn folder(arguments: &PruneArguments, settings: &Settings) -> Result<Archive> {
    let folder = arguments.to.as_ref().or(settings.pipeline.archive.as_ref());
    let Some(folder) = folder else {
        let advice = "name the folder for the archive with --to, or in OTODOKE_ARCHIVE";
        return Err(Usage(advice.to_owned()).into());
    };
    if !folder.is_dir() {
        bail!(
            "{} is no folder: make it first (and see that its disk is mounted)",
            folder.display()
        );
    }
    if settings.pipeline.archive.as_ref().is_none_or(|known| known != folder) {
        eprintln!(
            "processors bring archived cases back from the folder in OTODOKE_ARCHIVE: set it to {}",
            folder.display()
        );
    }
    Ok(Archive::at(folder))
}

/// Old months whose table is empty now. Where the history is too busy for it the next prune
/// does it.
async fn drop_empty(conn: &mut PgConnection) -> Result<Vec<partitions::Month>> {
    match partitions::drop_empty(conn).await {
        Err(sqlx::Error::Database(refusal)) => {
            eprintln!("the empty tables of old months stay until the next prune: {refusal}");
            Ok(Vec::new())
        }
        dropped => Ok(dropped?),
    }
}
