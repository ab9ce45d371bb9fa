//! `otodoke rebuild`: the read model anew from the history.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context, Result};
use futures_util::{Stream, TryStreamExt};
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
use crate::pipeline::failure;
use crate::processor::{door, pool};
use crate::rules::CaseId;
use crate::store::{cases, orders};

/// Recompute the read model from the history
///
/// Decides every order and thread anew, by the settings that each was opened with, and
/// rewrites its rows. Normally nothing differs. After a change of the rules it reports what
/// would newly be derived or withdrawn; that is recorded, and sent by the relay of a running
/// processor, only with --publish. Processors may go on meanwhile, and an interrupted rebuild
/// can be begun again. Rows are replaced case by case, so what is there can be read all the
/// time. Exits with 1 where a case can't be decided.
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
    /// Transactions at a time, 1 to 32: about twice the processors of the machine
    #[arg(long, value_name = "COUNT", default_value_t = 4,
          value_parser = clap::value_parser!(u8).range(1..=32))]
    jobs: u8,
    /// One JSON object for each difference, and one with the totals
    #[arg(long)]
    json: bool,
}

/// Cases in one transaction: their rows are locked for as long as it takes.
const PAGE: usize = 100;
/// How often in a row transactions may be in one another's way.
const ATTEMPTS: usize = 10;

pub async fn rebuild(arguments: RebuildArguments, settings: &Settings) -> Result<ExitCode> {
    let mut connection = connect(settings).await?;
    let wanted = Wanted::of(&arguments.orders, &mut connection).await?;
    let mut own = settings.clone();
    // One for each transaction, and one that reads what is next.
    own.pipeline.database_connections = arguments.jobs + 1;
    let pool = pool(&own)?;
    let door = door(settings, &pool).await.context("the database isn't set up")?;
    let mut run = Rebuild {
        progress: progress(Some(wanted.count), "{bar:40} {pos}/{len} cases {eta} left"),
        json: arguments.json,
        totals: Totals::default(),
    };
    let decided = pages(wanted, pool)
        .map_ok(|page| decide(&door, page, arguments.publish))
        .try_buffer_unordered(usize::from(arguments.jobs));
    let mut decided = pin!(decided);
    while let Some((size, outcome)) = decided.try_next().await? {
        run.tell(size, &outcome)?;
    }
    run.progress.finish_and_clear();
    let totals = run.totals;
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

/// The cases, some at a time; no more of them are held than are being decided.
fn pages(wanted: Wanted, pool: PgPool) -> impl Stream<Item = Result<Vec<CaseId>>> {
    let named = wanted.cases.map(|cases| cases.chunks(PAGE).map(<[CaseId]>::to_vec).collect());
    let named: Option<VecDeque<Vec<CaseId>>> = named;
    futures_util::stream::try_unfold((named, None), move |(mut named, last)| {
        let pool = pool.clone();
        async move {
            let page = match &mut named {
                Some(named) => named.pop_front().unwrap_or_default(),
                None => {
                    cases::page(&mut *pool.acquire().await?, last.as_ref(), PAGE as i64).await?
                }
            };
            let last = page.last().cloned();
            Ok(last.is_some().then_some((page, (named, last))))
        }
    })
}

/// Decides a page. Transactions that are in one another's way, or in a processor's, are tried
/// again.
async fn decide(door: &Door, page: Vec<CaseId>, publish: bool) -> Result<(u64, Outcome)> {
    let size = page.len() as u64;
    for _ in 1..ATTEMPTS {
        match door.rebuild(page.clone(), publish).await {
            Ok(outcome) => return Ok((size, outcome)),
            Err(error) if failure::is_conflict(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok((size, door.rebuild(page, publish).await?))
}

struct Rebuild {
    progress: ProgressBar,
    json: bool,
    totals: Totals,
}

impl Rebuild {
    fn tell(&mut self, size: u64, outcome: &Outcome) -> Result<()> {
        for change in &outcome.changes {
            let line = if self.json { object(change).to_string() } else { line(change) };
            self.progress.suspend(|| say(&line))?;
        }
        for case in &outcome.parked {
            self.progress.suspend(|| eprintln!("{case} can't be decided: see `otodoke status`"));
        }
        self.totals.add(size, outcome);
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
