//! What a prune found, and what it did.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;

use super::PruneArguments;
use crate::contract::{Span, Timestamp};
use crate::operator::output::{say, table};
use crate::store::CaseSet;
use crate::store::partitions::Month;
use crate::store::pruning::Open;

/// What came of going through the old cases.
pub struct Found {
    before: Timestamp,
    orders: usize,
    threads: usize,
    events: i64,
    /// How many cases stay, by the first reason of their group.
    stay: BTreeMap<Open, usize>,
    pub files: Vec<String>,
    pub dropped: Vec<Month>,
}

impl Found {
    pub fn new(before: Timestamp) -> Found {
        Found {
            before,
            orders: 0,
            threads: 0,
            events: 0,
            stay: BTreeMap::new(),
            files: Vec::new(),
            dropped: Vec::new(),
        }
    }

    pub fn goes(&mut self, cases: &CaseSet, events: i64) {
        let orders = cases.iter().filter(|case| case.order_id().is_some()).count();
        self.orders += orders;
        self.threads += cases.len() - orders;
        self.events += events;
    }

    pub fn stays(&mut self, reason: Open, cases: usize) {
        *self.stay.entry(reason).or_default() += cases;
    }

    pub fn tell(&self, arguments: &PruneArguments, older_than: Span) -> Result<()> {
        if arguments.json {
            let stay: BTreeMap<&str, usize> =
                self.stay.iter().map(|(reason, count)| (name(*reason), *count)).collect();
            let dropped: Vec<String> = self.dropped.iter().map(Month::to_string).collect();
            return Ok(say(&json!({
                "archived": arguments.yes, "older_than": older_than, "before": self.before,
                "orders": self.orders, "threads": self.threads, "events": self.events,
                "stay": stay, "files": self.files, "dropped_months": dropped,
            })
            .to_string())?);
        }
        say(&self.text(arguments.yes))?;
        if !arguments.yes && self.orders + self.threads > 0 {
            eprintln!("nothing was changed; to do it add --yes");
        }
        Ok(())
    }

    fn text(&self, is_done: bool) -> String {
        let would_be = if is_done { "were" } else { "would be" };
        let mut text = format!(
            "{} orders and {} threads with {} events, in which nothing happened since {}, {would_be} \
             archived",
            self.orders, self.threads, self.events, self.before
        );
        if !self.files.is_empty() {
            text.push_str(&format!("\n\nfiles:\n  {}", self.files.join("\n  ")));
        }
        if !self.dropped.is_empty() {
            let months: Vec<String> = self.dropped.iter().map(Month::to_string).collect();
            text.push_str(&format!("\n\nmonths without events, dropped: {}", months.join(", ")));
        }
        if !self.stay.is_empty() {
            let mut rows = table(["cases that stay", "since"]);
            for (reason, count) in &self.stay {
                rows.add_row([count.to_string(), sentence(*reason).to_owned()]);
            }
            text.push_str(&format!("\n\n{}", rows.trim_fmt()));
        }
        text
    }
}

fn name(reason: Open) -> &'static str {
    match reason {
        Open::Recent => "recent",
        Open::Deadline => "deadline",
        Open::Parked => "parked",
        Open::Refund => "refund",
        Open::Unpublished => "unpublished",
        Open::WokenUp => "woken-up",
        Open::DeadLetter => "dead-letter",
        Open::Busy => "busy",
    }
}

fn sentence(reason: Open) -> &'static str {
    match reason {
        Open::Recent => "something happened in them, or in what goes with them, later",
        Open::Deadline => "a deadline is to come",
        Open::Parked => "they can't be decided: see `otodoke status`",
        Open::Refund => "a refund is required and not issued",
        Open::Unpublished => "something is still to be published",
        Open::WokenUp => "they are to be decided again",
        Open::DeadLetter => "an open dead letter names them",
        Open::Busy => "somebody works on them just now: the next prune looks again",
    }
}
