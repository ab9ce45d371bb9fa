//! The report and the read model, a page of orders at a time.

use std::collections::HashMap;

use anyhow::{Context, Result};
use sqlx::PgConnection;

use super::compare::Ours;
use super::findings::Findings;
use super::read::{Report, Reported};
use crate::contract::{Identifier, Timestamp};
use crate::operator::Usage;
use crate::operator::output::progress;
use crate::store::reconcile::{self as store, Place};
use crate::store::report::Range;

/// Orders that are asked for at a time.
const PAGE: usize = 5_000;

/// Of which time orders are compared. Without an end there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    pub from: Option<Timestamp>,
    /// Up to, but not including.
    pub until: Option<Timestamp>,
}

impl Span {
    pub fn is_given(&self) -> bool {
        self.from.is_some() || self.until.is_some()
    }

    pub fn holds(&self, moment: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= moment) && self.until.is_none_or(|end| moment < end)
    }
}

/// Compares the orders of the report, each with ours of its number.
pub async fn of_report(
    conn: &mut PgConnection,
    report: &Report,
    compared: &[(&Identifier, &Reported)],
    seller: Option<&str>,
) -> Result<Findings> {
    let bar = progress(Some(compared.len() as u64), "{bar:40} {pos}/{len} orders {eta} left");
    let mut findings = Findings::default();
    for page in compared.chunks(PAGE) {
        let ids: Vec<&str> = page.iter().map(|(id, _)| id.as_str()).collect();
        let known = orders(conn, &ids).await?;
        for (id, reported) in page {
            let ours = known.get(id.as_str());
            findings.add_reported(report.kind, (id, reported), ours, seller);
        }
        bar.inc(page.len() as u64);
    }
    bar.finish_and_clear();
    Ok(findings)
}

/// Finds the seller's orders of the span that the report doesn't hold.
pub async fn of_seller(
    conn: &mut PgConnection,
    report: &Report,
    range: &Range<'_>,
    findings: &mut Findings,
) -> Result<()> {
    let bar = progress(None, "{spinner} {pos} of our orders looked up in the report");
    let mut after = Place::before(range);
    loop {
        let page = store::placed_after(conn, range, &after, PAGE as i64).await?;
        bar.inc(page.len() as u64);
        let absent: Vec<&str> = page
            .iter()
            .map(|place| place.order_id.as_str())
            .filter(|id| !report.holds(id))
            .collect();
        if !absent.is_empty() {
            let known = orders(conn, &absent).await?;
            let ours = absent.iter().filter_map(|id| known.get(*id));
            ours.for_each(|ours| findings.add_absent(report.kind, ours));
        }
        match page.into_iter().last() {
            Some(last) => after = last,
            None => break,
        }
    }
    bar.finish_and_clear();
    Ok(())
}

async fn orders(conn: &mut PgConnection, ids: &[&str]) -> Result<HashMap<String, Ours>> {
    let orders = store::orders(conn, ids).await.context(HOW_TO)?;
    let lines = store::lines(conn, ids).await.context(HOW_TO)?;
    let mut known: HashMap<String, Ours> = orders
        .into_iter()
        .map(|order| (order.order_id.clone(), Ours { order, lines: Vec::new() }))
        .collect();
    for line in lines {
        if let Some(order) = known.get_mut(&line.order_id) {
            order.lines.push(line);
        }
    }
    Ok(known)
}

const HOW_TO: &str = "the database can't say (is it set up? `otodoke migrate` does it)";

/// Whose report it is: as told, or the one seller of all orders that both know.
pub fn seller(told: Option<&str>, findings: &Findings) -> Result<String, Usage> {
    let sellers: Vec<&str> = findings.sellers.iter().map(String::as_str).collect();
    match (told, sellers.as_slice()) {
        (Some(told), _) => Ok(told.to_owned()),
        (None, [one]) => Ok((*one).to_owned()),
        (None, []) => Err(Usage(
            "no order of the report is known here, so nobody can tell whose it is: say it with \
             --seller"
                .to_owned(),
        )),
        (None, [first, second, rest @ ..]) => {
            let others = if rest.is_empty() { "" } else { ", …" };
            Err(Usage(format!(
                "the report's orders are those of several sellers here ({first}, {second}{others}): \
                 say with --seller whose report it is"
            )))
        }
    }
}
