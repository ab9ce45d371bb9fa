//! The one transaction in which a buyer is forgotten.

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use super::ForgetArguments;
use super::archives::Archives;
use super::find::{Found, find};
use super::letters::Letters;
use super::report::Report;
use crate::desk::who::who;
use crate::rules::personal::{Pseudonyms, Trail};
use crate::store::groups::{self, Group};
use crate::store::{CaseSet, audit, forgetting};

/// Counts, and with --yes does it.
pub async fn act(
    conn: &mut PgConnection,
    arguments: &ForgetArguments,
    archives: &Archives,
    bar: &ProgressBar,
) -> Result<Report> {
    let pseudonyms = pseudonyms(conn, arguments).await?;
    let mut transaction = conn.begin().await?;
    let mut trail = Trail::of(arguments.buyer.clone());
    forgetting::orders(&mut transaction, &mut trail).await?;
    bar.set_message("looking into the archives");
    let archived = archives.find(&mut trail, &pseudonyms).await?;
    bar.set_message("looking through the history");
    if arguments.yes {
        forgetting::lock_archives(&mut transaction, &archived.files).await?;
    }
    let found = match arguments.yes {
        true => find_locked(&mut transaction, &mut trail, &pseudonyms).await?,
        false => find(&mut transaction, &mut trail, &pseudonyms).await?,
    };
    bar.set_message("looking through the dead letters");
    let letters = Letters::find(&mut transaction, &trail).await?;
    let report = Report::new(&trail, &found, &letters, &archived, archives);
    if !arguments.yes {
        return Ok(report);
    }
    bar.set_message("writing");
    write(&mut transaction, &trail, &found, &pseudonyms).await?;
    letters.empty(&mut transaction).await?;
    archives.write(&archived, &trail, &pseudonyms).await?;
    record(&mut transaction, arguments, &report).await?;
    transaction.commit().await.context(
        "the database didn't confirm that the buyer is forgotten: run the same command again",
    )?;
    Ok(report)
}

/// What an interrupted one began with, so that equal stays equal in what it had written already.
/// To count any will do.
async fn pseudonyms(conn: &mut PgConnection, arguments: &ForgetArguments) -> Result<Pseudonyms> {
    Ok(Pseudonyms::new(match arguments.yes {
        true => forgetting::begin(conn, &arguments.buyer).await?,
        false => Vec::new(),
    }))
}

/// Finds what there is with the locks of all cases in hand, and of the groups in which orders
/// look at each other: what comes meanwhile is decided before all of it, or after.
async fn find_locked(
    conn: &mut PgConnection,
    trail: &mut Trail,
    pseudonyms: &Pseudonyms,
) -> Result<Found> {
    let mut locked = CaseSet::new();
    loop {
        let found = find(conn, trail, pseudonyms).await?;
        if found.cases.is_subset(&locked) {
            return Ok(found);
        }
        forgetting::lock(conn, &found.cases).await?;
        let (sellers, emails) = (&found.sellers, &trail.emails);
        let groups = sellers.iter().flat_map(|seller| {
            let emails = emails.iter().map(move |email| Group::of_email(seller, email));
            emails.chain([Group::of_buyer(seller, &trail.buyer)])
        });
        groups::lock(conn, &groups.collect()).await?;
        locked.extend(found.cases);
    }
}

async fn write(
    conn: &mut PgConnection,
    trail: &Trail,
    found: &Found,
    pseudonyms: &Pseudonyms,
) -> Result<()> {
    forgetting::rewrite(conn, &found.events).await?;
    forgetting::show(conn, &found.shown).await?;
    forgetting::rename_emails(conn, &found.emails).await?;
    forgetting::rename_addresses(conn, &trail.orders, |key| pseudonyms.address_key(key)).await?;
    forgetting::outdate(conn, &found.cases).await?;
    Ok(())
}

async fn record(
    conn: &mut PgConnection,
    arguments: &ForgetArguments,
    report: &Report,
) -> Result<()> {
    let mut detail = report.counts();
    detail["reason"] = json!(arguments.reason);
    detail["without_archives"] = json!(arguments.without_archives);
    let buyer = &arguments.buyer;
    audit::record(conn, &who(), "forget", Some(buyer.as_str()), &detail).await?;
    forgetting::end(conn, buyer).await?;
    Ok(())
}
