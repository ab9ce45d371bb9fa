//! `otodoke deadlines simulate`: what would be derived by then, if nothing else arrived.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::tell_undecided;
use crate::config::Settings;
use crate::contract::{Span, Timestamp};
use crate::desk::cases::{called, named};
use crate::desk::deadlines::{PAGE, one};
use crate::desk::period::{self, Limit};
use crate::operator::Usage;
use crate::operator::archived::unknown;
use crate::operator::database::connect;
use crate::operator::order::case_name;
use crate::operator::output::{progress, say, table};
use crate::pipeline::apply::{self, ChangeKind, Foreseen};
use crate::processor::door_settings;
use crate::rules::CaseId;
use crate::store::cases::{self, Ahead};
use crate::store::{self, SNAPSHOT};

/// Tell what would be derived by a moment if nothing else arrived
///
/// Decides every case that time alone changes until then, as it would then be decided, and
/// compares that with what is recorded. Nothing is locked, written or sent, and processors may
/// go on. The ids are those that the events will have. `withdrawn` is what is recorded and
/// would not be derived again: normally nothing, since time withdraws nothing. Exits with 1
/// where a case can't be decided.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke deadlines simulate --as-of 2026-12-24            a date: at its end
  otodoke deadlines simulate --as-of 2026-12-24 --order 250-1234567-1234567
  otodoke deadlines simulate --as-of 2026-12-24 --json | jq 'select(.rule == \"M3\")'")]
pub struct SimulateArguments {
    /// A moment to come; a date: its end, in the setting time-zone. By default 30 days from now
    #[arg(long, value_name = "TIME", value_parser = period::limit)]
    as_of: Option<Limit>,
    /// Only this order, or thread:THREAD_ID
    #[arg(long, value_name = "ORDER_ID", value_parser = case_name)]
    order: Option<String>,
    /// One JSON object for each event, and one with the totals
    #[arg(long)]
    json: bool,
}

/// How far ahead it is looked where nothing is said.
const AHEAD: Span = Span::days(30);

pub async fn simulate(arguments: SimulateArguments, settings: &Settings) -> Result<ExitCode> {
    let mut connection = connect(settings).await?;
    let clock = store::clock(&mut connection).await?;
    let as_of = arguments.as_of.map_or(clock + AHEAD, |limit| limit.end(settings));
    if as_of < clock {
        let told = format!("{as_of} is past: `order explain --as-of` tells of what was");
        return Err(Usage(told).into());
    }
    let mut simulation = Simulation {
        as_of,
        settings: door_settings(settings),
        progress: ProgressBar::hidden(),
        json: arguments.json,
        totals: Totals::default(),
    };
    match &arguments.order {
        Some(name) => simulation.of_one(&mut connection, name).await?,
        None => simulation.of_all(&mut connection).await?,
    }
    simulation.progress.finish_and_clear();
    let totals = simulation.totals;
    totals.report(as_of, arguments.json)?;
    tell_undecided(totals.undecided);
    Ok(if totals.undecided == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Simulation {
    as_of: Timestamp,
    settings: apply::Settings,
    progress: ProgressBar,
    json: bool,
    totals: Totals,
}

impl Simulation {
    async fn of_one(&mut self, conn: &mut PgConnection, name: &str) -> Result<()> {
        let mut snapshot = conn.begin_with(SNAPSHOT).await?;
        match one(&mut snapshot, name).await? {
            Some(Some(ahead)) => self.look(&mut snapshot, &ahead.case).await,
            Some(None) => Ok(()),
            None => Err(unknown(&mut snapshot, &called(name), &named(name)).await?),
        }
    }

    /// A snapshot for each page: a look at all cases may take long, and a snapshot keeps the
    /// database from cleaning up.
    async fn of_all(&mut self, conn: &mut PgConnection) -> Result<()> {
        let count = cases::count_ahead(conn, self.as_of).await?.unsigned_abs();
        self.progress = progress(Some(count), "{bar:40} {pos}/{len} cases {eta} left");
        let mut last: Option<Ahead> = None;
        loop {
            let mut snapshot = conn.begin_with(SNAPSHOT).await?;
            let page = cases::ahead(&mut snapshot, last.as_ref(), Some(self.as_of), PAGE).await?;
            for ahead in &page {
                self.look(&mut snapshot, &ahead.case).await?;
            }
            snapshot.commit().await?;
            match page.last() {
                Some(end) => last = Some(end.clone()),
                None => return Ok(()),
            }
        }
    }

    async fn look(&mut self, conn: &mut PgConnection, case: &CaseId) -> Result<()> {
        let foreseen = apply::foresee(conn, case, self.as_of, &self.settings).await?;
        self.totals.cases += 1;
        self.progress.inc(1);
        match foreseen {
            None => {}
            Some(Err(_)) => self.totals.undecided += 1,
            Some(Ok(events)) => {
                for event in events {
                    self.totals.add(&event);
                    let object = || object(case, &event).to_string();
                    let told = if self.json { object() } else { line(case, &event) };
                    self.progress.suspend(|| say(&told))?;
                }
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Totals {
    cases: u64,
    undecided: u64,
    /// By type: how many would be derived, how many withdrawn.
    by_type: BTreeMap<&'static str, [u64; 2]>,
}

impl Totals {
    fn add(&mut self, event: &Foreseen) {
        let counts = self.by_type.entry(event.event_type.name()).or_default();
        counts[usize::from(event.kind == ChangeKind::Withdrawn)] += 1;
    }

    fn report(&self, as_of: Timestamp, as_json: bool) -> Result<()> {
        let sum = |index: usize| self.by_type.values().map(|counts| counts[index]).sum::<u64>();
        let (derived, withdrawn) = (sum(0), sum(1));
        if as_json {
            let types = self.by_type.iter().map(|(name, [derived, withdrawn])| {
                ((*name).to_owned(), json!({ "derived": derived, "withdrawn": withdrawn }))
            });
            let object = json!({
                "as_of": as_of, "cases": self.cases, "undecided": self.undecided,
                "derived": derived, "withdrawn": withdrawn,
                "by_type": types.collect::<serde_json::Map<_, _>>(),
            });
            return Ok(say(&object.to_string())?);
        }
        if !self.by_type.is_empty() {
            let mut rows = table(["type", "derived", "withdrawn"]);
            for (name, [derived, withdrawn]) in &self.by_type {
                rows.add_row([*name, &derived.to_string(), &withdrawn.to_string()]);
            }
            say(&format!("\n{}\n", rows.trim_fmt()))?;
        }
        Ok(say(&format!(
            "if nothing else arrives, by {as_of} {derived} events are derived and {withdrawn} \
             withdrawn; cases looked at: {}",
            self.cases
        ))?)
    }
}

fn kind(event: &Foreseen) -> &'static str {
    match event.kind {
        ChangeKind::Derived => "derived",
        ChangeKind::Withdrawn => "withdrawn",
    }
}

fn line(case: &CaseId, event: &Foreseen) -> String {
    let (kind, time, rule) = (kind(event), event.time, event.rule.id());
    let (name, case, key) = (event.event_type.name(), case.subject(), &event.key);
    let sent = if event.suppressed { " (recorded only)" } else { "" };
    format!("{kind:9}  {time}  {name:28} {case:24} {rule:3} {key}{sent}").trim_end().to_owned()
}

fn object(case: &CaseId, event: &Foreseen) -> Value {
    json!({
        "change": kind(event),
        "case": case.subject(),
        "type": event.event_type.name(),
        "rule": event.rule.id(),
        "title": event.rule.title(),
        "time": event.time,
        "about": Some(&event.key).filter(|key| !key.is_empty()),
        "id": event.event_id,
        "sent": !event.suppressed,
    })
}
