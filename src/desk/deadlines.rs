//! What will fire when, if nothing else arrives.

use std::collections::BTreeSet;

use sqlx::{Connection, PgConnection};

use super::cases::called;
use crate::contract::{Rule, Span, Timestamp};
use crate::pipeline::apply;
use crate::rules::CaseId;
use crate::store::cases::{self, Ahead};
use crate::store::{self, Result, SNAPSHOT, policies};

/// Cases looked at in one snapshot.
pub const PAGE: i64 = 100;

/// The most cases that are looked at beyond those that the list is made of: a filter that
/// hardly anything fits would else decide them all.
const CASES_MAX: u64 = 5_000;

/// Something that time alone will bring.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    pub until: Timestamp,
    pub case: CaseId,
    pub rule: Rule,
    pub then: &'static str,
    pub about: Option<String>,
    /// It has passed, and is not derived yet.
    pub due: bool,
}

/// The nearest deadlines found so far, never many more than are listed.
#[derive(Debug, Default)]
pub struct Search {
    pub rule: Option<Rule>,
    pub before: Option<Timestamp>,
    pub most: usize,
    found: BTreeSet<Deadline>,
    more: bool,
    pub examined: u64,
    /// Cases that can't be decided.
    pub undecided: u64,
    /// It gave up before it was certain of what it lists.
    pub cut: bool,
}

impl Search {
    pub fn new(rule: Option<Rule>, before: Option<Timestamp>, most: usize) -> Search {
        Search { rule, before, most, ..Search::default() }
    }

    /// Of one case only; whether there is one that is called so.
    pub async fn of_one(&mut self, conn: &mut PgConnection, name: &str) -> Result<bool> {
        let mut snapshot = conn.begin_with(SNAPSHOT).await?;
        let clock = store::clock(&mut snapshot).await?;
        let Some(ahead) = one(&mut snapshot, name).await? else { return Ok(false) };
        if let Some(ahead) = ahead {
            self.examine(&mut snapshot, &ahead, clock).await?;
        }
        Ok(true)
    }

    /// Goes through the cases in the order in which time changes them, as far as one of them
    /// may still have a deadline that belongs into the list.
    pub async fn of_all(&mut self, conn: &mut PgConnection) -> Result<()> {
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
    ) -> Result<()> {
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

    /// The deadlines, the next first.
    pub fn nearest(&self) -> impl Iterator<Item = &Deadline> {
        self.found.iter().take(self.most)
    }

    /// Whether there are more than were asked for.
    pub fn has_more(&self) -> bool {
        self.more || self.found.len() > self.most
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

/// One case by its name, as it stands ahead. The outer `None`: there is no such case; the inner
/// one: time alone doesn't change it.
pub async fn one(conn: &mut PgConnection, name: &str) -> Result<Option<Option<Ahead>>> {
    for case in called(name) {
        if let Some(next_at) = cases::next_at(conn, &case).await? {
            return Ok(Some(next_at.map(|next_at| Ahead { case, next_at })));
        }
    }
    Ok(None)
}
