//! Going through the old cases: those that are over are written to the archive, and only then
//! taken out.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::groups::{Together, groups};
use super::letters::Named;
use super::report::Found;
use crate::contract::archive::{Group, Row, RowKind};
use crate::contract::{Span, Timestamp};
use crate::desk::who::who;
use crate::pipeline::archive::Archive;
use crate::rules::CaseId;
use crate::store::pruning::{self, Open, Size};
use crate::store::{self, CaseSet, audit};

/// Cases looked at in one go.
const PAGE: i64 = 500;
/// The most cases of a file, and of the transaction that takes them out; a larger group goes alone.
const CASES: usize = 500;
/// The same of their rows in bytes, as they are stored.
const BYTES: i64 = 32 * 1024 * 1024;

/// Where to.
pub struct Destination {
    pub archive: Archive,
    pub older_than: Span,
}

/// One go through the old cases.
pub struct Prune<'a> {
    conn: &'a mut PgConnection,
    before: Timestamp,
    into: Option<Destination>,
    named: Named,
    /// Cases that were looked at with others before their turn came, and stay.
    seen: HashSet<CaseId>,
    found: Found,
    /// Over, and not yet archived.
    waiting: Vec<CaseSet>,
    size: Size,
}

impl<'a> Prune<'a> {
    /// Without `into` it is only counted.
    pub fn new(
        conn: &'a mut PgConnection,
        before: Timestamp,
        into: Option<Destination>,
    ) -> Prune<'a> {
        Prune {
            conn,
            before,
            into,
            named: Named::default(),
            seen: HashSet::new(),
            found: Found::new(before),
            waiting: Vec::new(),
            size: Size::default(),
        }
    }

    pub async fn all(mut self, bar: &ProgressBar) -> Result<Found> {
        self.named = Named::read(self.conn).await?;
        let mut last = None;
        loop {
            let page = pruning::old(self.conn, self.before, last.as_ref(), PAGE).await?;
            let Some(end) = page.last().cloned() else { break };
            bar.inc(page.len() as u64);
            self.page(page).await?;
            last = Some(end);
        }
        self.flush().await?;
        Ok(self.found)
    }

    async fn page(&mut self, page: Vec<CaseId>) -> Result<()> {
        let mut page = page;
        page.retain(|case| !self.seen.remove(case));
        let groups = groups(self.conn, &page).await?;
        let all: CaseSet = groups.iter().flat_map(|group| group.cases.iter().cloned()).collect();
        let open = self.open(&all).await?;
        let sizes = pruning::sizes(self.conn, &all).await?;
        let on_page: HashSet<&CaseId> = page.iter().collect();
        for group in groups {
            self.seen.extend(group.cases.iter().filter(|case| !on_page.contains(case)).cloned());
            match why_open(&group, &open) {
                Some(reason) => self.found.stays(reason, group.cases.len()),
                None => self.over(group.cases, &sizes).await?,
            }
        }
        Ok(())
    }

    async fn open(&mut self, cases: &CaseSet) -> Result<BTreeMap<CaseId, Open>> {
        let mut open = BTreeMap::new();
        for (case, reason) in pruning::open(self.conn, cases, self.before).await? {
            open.entry(case).or_insert(reason);
        }
        for case in cases.iter().filter(|case| self.named.has(case)) {
            open.entry(case.clone()).or_insert(Open::DeadLetter);
        }
        Ok(open)
    }

    async fn over(&mut self, cases: CaseSet, sizes: &BTreeMap<CaseId, Size>) -> Result<()> {
        let size: Size = cases.iter().filter_map(|case| sizes.get(case)).copied().sum();
        if self.into.is_none() {
            self.found.goes(&cases, size.events);
            return Ok(());
        }
        let count: usize = self.waiting.iter().map(CaseSet::len).sum();
        if count + cases.len() > CASES || self.size.bytes + size.bytes > BYTES {
            self.flush().await?;
        }
        self.size = [self.size, size].into_iter().sum();
        self.waiting.push(cases);
        Ok(())
    }

    /// Archives what waits: written first, and taken out in one transaction when the file is
    /// safe. The cases are locked from before they are read, so what is written is what goes.
    async fn flush(&mut self) -> Result<()> {
        let groups = std::mem::take(&mut self.waiting);
        self.size = Size::default();
        let Some(Destination { archive, older_than }) =
            self.into.as_ref().filter(|_| !groups.is_empty())
        else {
            return Ok(());
        };
        let mut transaction = self.conn.begin().await?;
        let locked = lock(&mut transaction, groups, self.before, &mut self.found).await?;
        let cases: CaseSet = locked.iter().flatten().cloned().collect();
        if cases.is_empty() {
            return Ok(());
        }
        let rows = pruning::rows(&mut transaction, &cases).await?;
        let events = rows.iter().filter(|row| row.kind == RowKind::Event).count();
        let now = store::clock(&mut transaction).await?;
        let file = file_name(now);
        write(archive, &file, now, by_group(&locked, rows)).await?;
        pruning::remove(&mut transaction, &cases, &file, now).await?;
        let detail = json!({
            "older_than": older_than, "cases": cases.len(), "events": events,
            "folder": archive.folder(),
        });
        audit::record(&mut transaction, &who(), "prune", Some(&file), &detail).await?;
        transaction.commit().await.context(
            "the file is written, but the database didn't confirm that the cases went: those that \
             are still there are archived again by the next prune",
        )?;
        self.found.goes(&cases, events as i64);
        self.found.files.push(file);
        Ok(())
    }
}

fn why_open(group: &Together, open: &BTreeMap<CaseId, Open>) -> Option<Open> {
    let reason = group.cases.iter().filter_map(|case| open.get(case)).min().copied();
    reason.or(group.cut.then_some(Open::Busy))
}

/// Locks the groups, and leaves out those that somebody works on, or that are other groups by
/// now, or open.
async fn lock(
    conn: &mut PgConnection,
    mut groups: Vec<CaseSet>,
    before: Timestamp,
    found: &mut Found,
) -> Result<Vec<CaseSet>> {
    let wanted: CaseSet = groups.iter().flatten().cloned().collect();
    let locked = pruning::lock(conn, &wanted).await?;
    let links = pruning::links(conn, &locked).await?;
    let open = pruning::open(conn, &locked, before).await?;
    let open: BTreeSet<&CaseId> = open.iter().map(|(case, _)| case).collect();
    groups.retain(|group| {
        let is_ours = group.iter().all(|case| locked.contains(case) && !open.contains(case));
        let is_whole = !links.iter().any(|(a, b)| group.contains(a) != group.contains(b));
        if !(is_ours && is_whole) {
            found.stays(Open::Busy, group.len());
        }
        is_ours && is_whole
    });
    Ok(groups)
}

/// Sorts by time, and is nobody else's: databases may share a folder.
fn file_name(now: Timestamp) -> String {
    let digits: String = now.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    let at: String = digits.chars().take("20260302T101500".len()).collect();
    format!("{at}Z-{}.ndjson", Uuid::now_v7().simple())
}

fn by_group(groups: &[CaseSet], rows: Vec<Row>) -> Vec<Group> {
    let mut by_case: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows {
        by_case.entry(row.case.clone()).or_default().push(row);
    }
    let group = |cases: &CaseSet| {
        let cases: Vec<String> = cases.iter().map(CaseId::key).collect();
        let rows = cases.iter().flat_map(|case| by_case.remove(case).unwrap_or_default()).collect();
        Group { cases, rows }
    };
    groups.iter().map(group).collect()
}

async fn write(archive: &Archive, file: &str, now: Timestamp, groups: Vec<Group>) -> Result<()> {
    let (archive, file) = (archive.clone(), file.to_owned());
    let writing = tokio::task::spawn_blocking(move || archive.write(&file, now, &groups));
    writing.await?.context("nothing of it was deleted; what was archived before stays so")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_sort_by_the_time_that_they_were_written_at() {
        let name = |text: &str| file_name(text.parse().unwrap());
        let (a, b) = (name("2026-03-02T10:15:00.5Z"), name("2026-03-02T10:15:01Z"));
        assert!(a.starts_with("20260302T101500Z-") && a.ends_with(".ndjson"), "{a}");
        assert!(a < b, "{a} {b}");
    }
}
