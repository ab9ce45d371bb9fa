//! `otodoke forget`: a buyer's personal data goes, the books stay.

mod act;
mod archives;
mod find;
mod letters;
mod report;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use sqlx::PgConnection;

use self::archives::Archives;
use self::report::Report;
use super::database::connect;
use super::order::order_id;
use super::output::progress;
use crate::config::Settings;
use crate::contract::Identifier;
use crate::pipeline::failure;
use crate::store::pruning;

/// Erase a buyer's personal data, and keep the books
///
/// Takes out of read model, history, dead letters and archives what says who the buyer is and
/// what was written: name, e-mail address, phone, addresses, messages of both sides, reasons in
/// words, and whatever the contract doesn't name. Order numbers, goods, amounts, times, tracking
/// numbers, derived events and the marketplace's id of the buyer stay, so that everything still
/// adds up and a rebuild decides all as before. Addresses and e-mail addresses get pseudonyms,
/// equal where they were equal before, which nobody can turn back.
///
/// Without --yes it is only counted. With it, all of the database changes in one transaction,
/// under the locks that processors use, which may go on meanwhile; nothing is published.
/// Interrupted at any moment, run it again. What comes later for the same buyer is kept like
/// anything else: run it again then, too. It can't reach what was published before, queues on
/// the broker, backups, and files outside of the archive's folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke forget --buyer A2BUYER                                     what would go?
  otodoke forget --buyer A2BUYER --reason \"asked for it, case 4711\" --yes
  otodoke forget --buyer A2BUYER --archive /srv/otodoke              archived orders, too")]
pub struct ForgetArguments {
    /// The marketplace's id of the buyer
    #[arg(long, value_name = "BUYER", value_parser = order_id)]
    buyer: Identifier,
    /// Why: it is recorded, so name no person in it
    #[arg(long, value_name = "TEXT", value_parser = reason, required_if_eq("yes", "true"))]
    reason: Option<String>,
    /// Do it; without this it is only counted
    #[arg(long)]
    yes: bool,
    /// Leave archives as they are, where they are out of reach: recorded
    #[arg(long)]
    without_archives: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a reason is needed: whoever looks next wants to know".to_owned()),
        reason => Ok(reason.to_owned()),
    }
}

/// How often in a row transactions may be in one another's way.
const ATTEMPTS: usize = 10;

pub async fn forget(arguments: ForgetArguments, settings: &Settings) -> Result<ExitCode> {
    let mut connection = connect(settings).await?;
    // Pruning moves cases from one place to the other.
    if !pruning::try_lease(&mut connection).await? {
        bail!("`otodoke prune` or another `otodoke forget` is at work: wait until it has ended");
    }
    let archives = Archives::of(&mut connection, &arguments, settings).await?;
    let bar = progress(None, "{spinner} {elapsed} {msg}");
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let report = attempt(&mut connection, &arguments, &archives, &bar).await?;
    bar.finish_and_clear();
    report.tell(&arguments)?;
    Ok(ExitCode::SUCCESS)
}

/// Transactions that are in one another's way, or in a processor's, are tried again.
async fn attempt(
    conn: &mut PgConnection,
    arguments: &ForgetArguments,
    archives: &Archives,
    bar: &indicatif::ProgressBar,
) -> Result<Report> {
    for _ in 1..ATTEMPTS {
        match act::act(conn, arguments, archives, bar).await {
            Err(error) if error.downcast_ref().is_some_and(failure::is_conflict) => {}
            outcome => return outcome,
        }
    }
    act::act(conn, arguments, archives, bar).await.context("processors were always faster")
}
