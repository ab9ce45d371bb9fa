//! `otodoke rebuild`: the read model anew from the history.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use super::archived::unknown;
use super::database::connect;
use super::order::order_id;
use super::output::{progress, say, table};
use crate::config::Settings;
use crate::contract::Identifier;
use crate::pipeline::apply::{Change, ChangeKind, Door, Outcome};
use crate::processor::{door, pool};
use crate::rules::CaseId;
use crate::store::{cases, orders};

/// Recompute the read model from the history
///
/// Decides every order and thread anew, by the settings that each was opened with, and
/// rewrites its rows. Normally nothing differs. After a change of the rules it reports what
/// would newly be derived or withdrawn; that is recorded, and sent by the relay of a running
/// processor, only with --publish. Processors may go on meanwhile, and an interrupted rebuild
/// can be begun again. Exits with 1 where a case can't be decided.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke rebuild                          what would differ?
  otodoke rebuild --order 250-1234567-1234567 --publish")]
pub struct RebuildArguments {
    /// Only this order; may be given several times
    #[arg(long = "order", value_name = "ORDER_ID", value_parser = order_id)]
    orders: Vec<Identifier>,
    /// Record and send what is newly derived or withdrawn
    #[arg(long)]
    publish: bool,
    /// One JSON object for each difference, and one with the totals
    #[arg(long)]
    json: bool,
}

/// Cases in one transaction: their rows are locked for as long as it takes.
const PAGE: usize = 100;

pub async fn rebuild(arguments: RebuildArguments, settings: &Settings) -> Result<ExitCode> {
    let mut connection = connect(settings).await?;
    let wanted = Wanted::of(&arguments.orders, &mut connection).await?;
    let pool = pool(settings)?;
    let run = Rebuild {
        door: door(settings, &pool).await.context("the database isn't set up")?,
        pool,
        progress: progress(Some(wanted.count), "{bar:40} {pos}/{len} cases {eta} left"),
        publish: arguments.publish,
        json: arguments.json,
        totals: Totals::default(),
    };
    let totals = run.all(wanted).await?;
    totals.report(&arguments)?;
    Ok(if totals.parked == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is to be decided: named cases, or all.
struct Wanted {
    cases: Option<Vec<CaseId>>,
    count: u64,
}

impl Wanted {
    async fn of(named: &[Identifier], conn: &mut PgConnection) -> Result<Wanted> {
        if named.is_empty() {
            let count = cases::count(conn).await?;
            return Ok(Wanted { cases: None, count: count.unsigned_abs() });
        }
        for order in named {
            if !orders::is_known(conn, order).await? {
                let case = CaseId::Order(order.clone());
                return Err(unknown(conn, &[case], &format!("an order {order}")).await?);
            }
        }
        let cases: Vec<CaseId> = named.iter().cloned().map(CaseId::Order).collect();
        Ok(Wanted { count: cases.len() as u64, cases: Some(cases) })
    }
}

struct Rebuild {
    door: Door,
    pool: PgPool,
    progress: ProgressBar,
    publish: bool,
    json: bool,
    totals: Totals,
}

impl Rebuild {
    async fn all(mut self, wanted: Wanted) -> Result<Totals> {
        match wanted.cases {
            Some(named) => {
                for page in named.chunks(PAGE) {
                    self.page(page.to_vec()).await?;
                }
            }
            None => self.every_case().await?,
        }
        self.progress.finish_and_clear();
        Ok(self.totals)
    }

    async fn every_case(&mut self) -> Result<()> {
        let mut last = None;
        loop {
            let mut connection = self.pool.acquire().await?;
            let page = cases::page(&mut connection, last.as_ref(), PAGE as i64).await?;
            drop(connection);
            let Some(end) = page.last().cloned() else { return Ok(()) };
            self.page(page).await?;
            last = Some(end);
        }
    }

    async fn page(&mut self, page: Vec<CaseId>) -> Result<()> {
        let size = page.len() as u64;
        let outcome = self.door.rebuild(page, self.publish).await?;
        for change in &outcome.changes {
            let line = if self.json { object(change).to_string() } else { line(change) };
            self.progress.suspend(|| say(&line))?;
        }
        for case in &outcome.parked {
            self.progress.suspend(|| eprintln!("{case} can't be decided: see `otodoke status`"));
        }
        self.totals.add(size, &outcome);
        self.progress.inc(size);
        Ok(())
    }
}

/// What came of it.
#[derive(Debug, Default)]
struct Totals {
    cases: u64,
    parked: u64,
    /// By type: how many are newly derived, how many withdrawn.
    by_type: BTreeMap<String, [u64; 2]>,
}

impl Totals {
    fn add(&mut self, size: u64, outcome: &Outcome) {
        self.cases += size;
        self.parked += outcome.parked.len() as u64;
        for change in &outcome.changes {
            let counts = self.by_type.entry(change.event_type.clone()).or_default();
            counts[usize::from(change.kind == ChangeKind::Withdrawn)] += 1;
        }
    }

    fn report(&self, arguments: &RebuildArguments) -> Result<()> {
        let sum = |index: usize| self.by_type.values().map(|counts| counts[index]).sum::<u64>();
        let (derived, withdrawn) = (sum(0), sum(1));
        if arguments.json {
            return Ok(say(&json!({
                "cases": self.cases, "parked": self.parked, "published": arguments.publish,
                "derived": derived, "withdrawn": withdrawn,
            })
            .to_string())?);
        }
        if !self.by_type.is_empty() {
            say(&self.table())?;
        }
        let cases = self.cases;
        let done = match arguments.publish {
            true => "are recorded, and go out with the relay of a running processor",
            false => "would follow: record and send them with --publish",
        };
        say(&match derived + withdrawn {
            0 => format!("{cases} cases decided anew: nothing differs"),
            _ => format!(
                "{cases} cases decided anew: {derived} derived, {withdrawn} withdrawn {done}"
            ),
        })?;
        Ok(())
    }

    fn table(&self) -> String {
        let mut rows = table(["type", "derived", "withdrawn"]);
        for (event_type, [derived, withdrawn]) in &self.by_type {
            rows.add_row([event_type, &derived.to_string(), &withdrawn.to_string()]);
        }
        format!("\n{}\n", rows.trim_fmt())
    }
}

fn kind(change: &Change) -> &'static str {
    match change.kind {
        ChangeKind::Derived => "derived",
        ChangeKind::Withdrawn => "withdrawn",
    }
}

fn line(change: &Change) -> String {
    let (kind, time, case) = (kind(change), change.time, change.case.subject());
    format!("{kind:9}  {time}  {:28} {case:24} {}", change.event_type, change.event_id)
}

fn object(change: &Change) -> Value {
    json!({
        "change": kind(change),
        "case": change.case.subject(),
        "type": change.event_type,
        "time": change.time,
        "id": change.event_id,
    })
}
