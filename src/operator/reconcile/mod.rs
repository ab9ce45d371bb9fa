//! `otodoke reconcile`: a downloaded order report against the read model (rule O1).

mod columns;
mod compare;
mod decode;
mod findings;
mod lines;
mod pages;
mod read;
mod row;
mod tell;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use sqlx::Connection;
use tokio::io::AsyncReadExt;

pub use self::decode::Encodings;
use self::findings::Findings;
use self::pages::Span;
use self::read::{Malformed, Report, Reported};
use self::tell::Told;
use super::Usage;
use super::database::connect;
use super::output::say;
use crate::config::Settings;
use crate::contract::{Identifier, Timestamp};
use crate::desk::period::{self, Limit};
use crate::store::SNAPSHOT;
use crate::store::report::Range;

/// Hold a downloaded order report against the read model
///
/// Says which orders each side lacks, and where both have an order but differ: in its status,
/// who ships it, its currency, or its lines (SKU, quantity, what is to ship, prices, which are
/// for the whole row). Pending orders are listed as such.
///
/// The report is Amazon's All orders, Order report or Unshipped orders, or what `otodoke
/// report orders` wrote: tab-separated text, known by the names of its columns. An order
/// report holds no pending orders and none that the marketplace ships, and one of unshipped
/// orders none that has been shipped, so those are not missed there. What is empty in the
/// report isn't compared; a quantity may be with or without what was cancelled.
///
/// Orders that the report lacks are looked for in the time from its first purchase-date to its
/// last, among the orders of its seller. --from and --to set another time; orders of the report
/// that were placed outside of it are left out, and counted.
///
/// Lines of an order are matched by order-item-id
/// where both know it, else by SKU, the lines of one SKU added up. A row that can't be read
/// is told on standard error with its line, and the others are compared.
///
/// Exits with 0 where nothing is missing or differs, with 1 where something does or a row
/// can't be read. No personal data is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke reconcile all-orders.txt
  otodoke reconcile unshipped.txt --seller A1B2C3 --from 2026-03-01
  otodoke report orders --seller A1B2C3 | otodoke reconcile -
  otodoke reconcile march.tsv --from 2026-03-01 --to 2026-03-31 --json | jq .missing_here
  otodoke reconcile march.tsv --json | jq '.differences[] | select(.what == \"status\")'

In JSON: one object with the arrays missing_here, missing_in_report, differences (what: seller_id,
status, fulfilled_by, currency, line, sku, quantity, quantity_to_ship, item_price, item_tax,
shipping_price), pending, unknown_statuses and malformed_rows.")]
pub struct ReconcileArguments {
    /// The report; - is standard input
    #[arg(value_name = "REPORT.tsv")]
    report: PathBuf,
    /// Whose report it is; needed where its orders aren't known, or of several sellers
    #[arg(long, value_name = "SELLER")]
    seller: Option<String>,
    /// Instead of the report's first purchase-date: placed on this day (in the setting
    /// time-zone) or after this moment
    #[arg(long, value_name = "DATE", value_parser = period::limit)]
    from: Option<Limit>,
    /// Instead of the report's last purchase-date: placed up to the end of this day, or before
    /// this moment
    #[arg(long, value_name = "DATE", value_parser = period::limit)]
    to: Option<Limit>,
    /// What the report's bytes are
    #[arg(long, value_name = "ENCODING", value_enum, default_value = "auto")]
    encoding: Encodings,
    /// One JSON object; prices are texts
    #[arg(long)]
    json: bool,
}

/// The most malformed rows that a person is told of one by one.
const TOLD_MAX: usize = 100;

pub async fn reconcile(arguments: ReconcileArguments, settings: &Settings) -> Result<ExitCode> {
    // A setting that is missing is told before a large file is read.
    settings.services.database_url()?;
    let limits = limits(&arguments, settings)?;
    let bytes = bytes(&arguments.report).await?;
    let decoded = decode::decode(&bytes, arguments.encoding)?;
    let report = read::read(&decoded.text, decoded.lossy)?;
    tell_malformed(&arguments.report, &report.malformed);
    let told = compare(&arguments, limits, &report, decoded.encoding, settings).await?;
    match arguments.json {
        true => say(&serde_json::to_string_pretty(&told)?)?,
        false => say(&told.for_people())?,
    }
    let is_nothing = told.findings.are_none() && told.malformed_rows.is_empty();
    Ok(if is_nothing { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads a report's bytes as `reconcile` does: how many orders it names, and how many rows can't
/// be read. `None` where it is no report. For the fuzz targets.
pub fn look(bytes: &[u8], encoding: Encodings) -> Option<(usize, usize)> {
    let decoded = decode::decode(bytes, encoding).ok()?;
    let report = read::read(&decoded.text, decoded.lossy).ok()?;
    Some((report.orders.len(), report.malformed.len()))
}

fn limits(arguments: &ReconcileArguments, settings: &Settings) -> Result<Span, Usage> {
    let from = arguments.from.map(|limit| limit.beginning(settings));
    let until = arguments.to.map(|limit| limit.end(settings));
    match (from, until) {
        (Some(from), Some(until)) if from >= until => {
            Err(Usage(format!("nothing lies between --from ({from}) and --to ({until})")))
        }
        _ => Ok(Span { from, until }),
    }
}

async fn bytes(path: &Path) -> Result<Vec<u8>> {
    if path.to_str() != Some("-") {
        let read = tokio::fs::read(path).await;
        return read.with_context(|| format!("can't read {}", path.display()));
    }
    let mut bytes = Vec::new();
    tokio::io::stdin().read_to_end(&mut bytes).await.context("can't read standard input")?;
    Ok(bytes)
}

fn tell_malformed(path: &Path, rows: &[Malformed]) {
    for row in rows.iter().take(TOLD_MAX) {
        eprintln!("{}:{}: {}", path.display(), row.line, row.reason);
    }
    if let Some(more) = rows.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
        eprintln!("and {more} more rows that can't be read: --json lists them all");
    }
}

async fn compare(
    arguments: &ReconcileArguments,
    limits: Span,
    report: &Report,
    encoding: &'static str,
    settings: &Settings,
) -> Result<Told> {
    let compared: Vec<(&Identifier, &Reported)> = report
        .orders
        .iter()
        .filter(|(_, order)| order.placed_at.is_none_or(|moment| limits.holds(moment)))
        .collect();
    let span = span(limits, report);
    let mut connection = connect(settings).await?;
    let mut snapshot = connection.begin_with(SNAPSHOT).await?;
    let told = arguments.seller.as_deref();
    let mut findings = pages::of_report(&mut snapshot, report, &compared, told).await?;
    let seller = match span.is_given() {
        true => known(pages::seller(told, &findings), &findings)?,
        false => None,
    };
    if let Some(seller) = &seller {
        let range = Range { seller, from: span.from, until: span.until };
        pages::of_seller(&mut snapshot, report, &range, &mut findings).await?;
    }
    Ok(Told {
        kind: report.kind,
        encoding,
        seller_id: seller,
        from: span.from,
        until: span.until,
        rows: report.rows,
        orders: compared.len(),
        left_out: report.orders.len() - compared.len(),
        findings,
        malformed_rows: report.malformed.clone(),
    })
}

/// The seller, or word that it isn't known: what the report itself shows is told all the same.
/// Where that is nothing, nothing was found out.
fn known(seller: Result<String, Usage>, findings: &Findings) -> Result<Option<String>, Usage> {
    match seller {
        Ok(seller) => Ok(Some(seller)),
        Err(why) if findings.are_none() => Err(why),
        Err(why) => {
            eprintln!("what the report lacks was not looked for: {why}");
            Ok(None)
        }
    }
}

/// What the report covers: from its first order to its last, unless something else was told.
/// A report without orders covers nothing.
fn span(limits: Span, report: &Report) -> Span {
    let placed = || report.orders.values().filter_map(|order| order.placed_at);
    let end = |last: Timestamp| Timestamp::from_micros(last.micros().saturating_add(1));
    Span { from: limits.from.or(placed().min()), until: limits.until.or(placed().max().map(end)) }
}
