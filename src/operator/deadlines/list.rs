//! `otodoke deadlines list`: what will fire when.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::{PAGE, one, rule, tell_undecided};
use crate::config::Settings;
use crate::contract::{Rule, Span, Timestamp};
use crate::operator::database::connect;
use crate::operator::order::case_name;
use crate::operator::output::{say, table};
use crate::operator::period::{self, Limit};
use crate::pipeline::apply;
use crate::rules::CaseId;
use crate::store::cases::{self, Ahead};
use crate::store::{self, SNAPSHOT, policies};

/// List what will fire when, if nothing else arrives
///
/// The deadlines of all cases, the next first: which rule, until when, and what follows then
/// (it is derived a little later: see the setting settle). One that is `due` has passed and is
/// not derived yet: it settles, or processors hold it or don't run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke deadlines list
  otodoke deadlines list --rule S3 --before 2026-03-02     what must be shipped by then?
  otodoke deadlines list --order 250-1234567-1234567 --json")]
pub struct ListArguments {
    /// Only of this order, or of thread:THREAD_ID
    #[arg(long, value_name = "ORDER_ID", value_parser = case_name)]
    order: Option<String>,
    /// Only by this rule: S3, M3, …
    #[arg(long, value_name = "RULE", value_parser = rule)]
    rule: Option<Rule>,
    /// Only what falls before this day begins (in the setting time-zone), or before this moment
    #[arg(long, value_name = "TIME", value_parser = period::limit)]
    before: Option<Limit>,
    /// The most to list
    #[arg(long, value_name = "COUNT", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// A JSON array
    #[arg(long)]
    json: bool,
}

/// The most cases that are looked at beyond those that the list is made of: a filter that
/// hardly anything fits would else decide them all.
const CASES_MAX: u64 = 5_000;

pub async fn list(arguments: ListArguments, settings: &Settings) -> Result<ExitCode> {
    let mut connection = connect(settings).await?;
    let mut search = Search {
        rule: arguments.rule,
        before: arguments.before.map(|limit| limit.beginning(settings)),
        most: arguments.limit as usize,
        ..Search::default()
    };
    match &arguments.order {
        Some(name) => search.of_one(&mut connection, name).await?,
        None => search.of_all(&mut connection).await.context("the deadlines can't be read")?,
    }
    if arguments.json {
        let objects: Vec<Value> = search.nearest().map(object).collect();
        say(&serde_json::to_string_pretty(&objects)?)?;
    } else if !search.found.is_empty() {
        say(&rows(search.nearest()))?;
    }
    search.hint();
    Ok(ExitCode::SUCCESS)
}

/// Something that time alone will bring.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deadline {
    until: Timestamp,
    case: CaseId,
    rule: Rule,
    then: &'static str,
    about: Option<String>,
    due: bool,
}

/// The nearest deadlines found so far, never many more than are listed.
#[derive(Debug, Default)]
struct Search {
    rule: Option<Rule>,
    before: Option<Timestamp>,
    most: usize,
    found: BTreeSet<Deadline>,
    more: bool,
    examined: u64,
    undecided: u64,
    /// It gave up before it was certain of what it lists.
    cut: bool,
}

impl Search {
    async fn of_one(&mut self, conn: &mut PgConnection, name: &str) -> Result<()> {
        let mut snapshot = conn.begin_with(SNAPSHOT).await?;
        let clock = store::clock(&mut snapshot).await?;
        if let Some(ahead) = one(&mut snapshot, name).await? {
            self.examine(&mut snapshot, &ahead, clock).await?;
        }
        Ok(())
    }

    /// Goes through the cases in the order in which time changes them, as far as one of them
    /// may still have a deadline that belongs into the list.
    async fn of_all(&mut self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut snapshot = conn.begin_with(SNAPSHOT).await?;
        let clock = store::clock(&mut snapshot).await?;
        let settle = policies::longest_settle(&mut snapshot).await?;
        let until = self.before.map(|before| before + settle);
        let mut last: Option<Ahead> = None;
        loop {
            let page = cases::ahead(&mut snapshot, last.as_ref(), until, PAGE).await?;
            for ahead in &page {
                if self.is_done(ahead, settle) {
                    return Ok(());
                }
                self.examine(&mut snapshot, ahead, clock).await?;
            }
            match page.last() {
                Some(end) => last = Some(end.clone()),
                None => return Ok(()),
            }
        }
    }

    /// Whether nothing of this case, nor of those after it, can be among the nearest.
    fn is_done(&mut self, ahead: &Ahead, settle: Span) -> bool {
        let last = self.found.iter().nth(self.most.saturating_sub(1));
        if last.is_some_and(|last| last.until < ahead.next_at - settle) {
            self.more = true;
            return true;
        }
        self.cut = self.examined >= CASES_MAX + self.most as u64;
        self.cut
    }

    async fn examine(
        &mut self,
        conn: &mut PgConnection,
        ahead: &Ahead,
        clock: Timestamp,
    ) -> Result<(), sqlx::Error> {
        self.examined += 1;
        let waits = match apply::waits(conn, ahead, clock).await? {
            None => return Ok(()),
            Some(Err(_)) => {
                self.undecided += 1;
                return Ok(());
            }
            Some(Ok(waits)) => waits,
        };
        for wait in waits {
            let (until, case) = (wait.until, ahead.case.clone());
            if self.rule.is_some_and(|rule| rule != wait.rule)
                || self.before.is_some_and(|before| until >= before)
            {
                continue;
            }
            let (rule, then, about) = (wait.rule, wait.then, wait.about);
            self.found.insert(Deadline { until, case, rule, then, about, due: until <= clock });
            // One more than is listed tells whether there are more.
            if self.found.len() > self.most + 1 {
                self.found.pop_last();
            }
        }
        Ok(())
    }

    fn nearest(&self) -> impl Iterator<Item = &Deadline> {
        self.found.iter().take(self.most)
    }

    fn hint(&self) {
        tell_undecided(self.undecided);
        if self.cut {
            eprintln!(
                "only the {} cases that are due first were looked at: narrow with --before or \
                 --order",
                self.examined
            );
        } else if self.more || self.found.len() > self.most {
            eprintln!("there are more than {}: ask for them with --limit", self.most);
        } else if self.found.is_empty() {
            eprintln!("nothing is waited for");
        }
    }
}

fn rows<'a>(deadlines: impl Iterator<Item = &'a Deadline>) -> String {
    let mut rows = table(["until", "", "case", "rule", "", "what follows then", "about"]);
    for deadline in deadlines {
        rows.add_row([
            deadline.until.to_string(),
            if deadline.due { "due" } else { "" }.to_owned(),
            deadline.case.subject(),
            deadline.rule.id().to_owned(),
            deadline.rule.title().to_owned(),
            deadline.then.to_owned(),
            deadline.about.clone().unwrap_or_default(),
        ]);
    }
    rows.trim_fmt()
}

fn object(deadline: &Deadline) -> Value {
    json!({
        "until": deadline.until,
        "due": deadline.due,
        "case": deadline.case.subject(),
        "rule": deadline.rule.id(),
        "title": deadline.rule.title(),
        "then": deadline.then,
        "about": deadline.about,
    })
}
