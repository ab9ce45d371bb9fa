//! What a dry run tells.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ReplayArguments;
use crate::contract::{Rejection, Repair};
use crate::desk::redact::{self, Personal};
use crate::desk::replays::Selection;
use crate::operator::output::{say, table};
use crate::pipeline::apply::{Change, ChangeKind, Fate, Rehearsal, RowChange};

/// How much is told one by one to a person; a program is told all.
const DETAILS: usize = 20;

/// What would come of a replay.
pub struct Report {
    accepted: usize,
    duplicates: usize,
    replayed: usize,
    refused: Vec<(Uuid, Rejection)>,
    /// By type: how many would be derived, how many withdrawn.
    derived: BTreeMap<String, [usize; 2]>,
    /// By table: how many rows would be new, changed, gone.
    rows: BTreeMap<String, [usize; 3]>,
    details: usize,
    changes: Vec<Change>,
    row_changes: Vec<RowChange>,
    /// Archived cases that would be brought back, with their file.
    restored: BTreeMap<String, String>,
    personal: Personal,
}

impl Report {
    pub fn new(selection: &Selection, for_programs: bool, reveal: bool) -> Report {
        Report {
            accepted: 0,
            duplicates: 0,
            replayed: selection.replayed,
            refused: selection.refused.clone(),
            derived: BTreeMap::new(),
            rows: BTreeMap::new(),
            details: if for_programs { usize::MAX } else { DETAILS },
            changes: Vec::new(),
            row_changes: Vec::new(),
            restored: BTreeMap::new(),
            personal: if reveal { Personal::Shown } else { Personal::Hidden },
        }
    }

    pub fn add(&mut self, letters: &[Uuid], tried: Rehearsal) {
        for (letter, fate) in letters.iter().zip(tried.fates) {
            match fate {
                Fate::Accepted => self.accepted += 1,
                Fate::Duplicate => self.duplicates += 1,
                Fate::Refused(rejection) => self.refused.push((*letter, rejection)),
            }
        }
        let restored = tried.restored.into_iter();
        self.restored.extend(restored.map(|(case, file)| (case.subject(), file)));
        for change in tried.changes {
            let counts = self.derived.entry(change.event_type.clone()).or_default();
            counts[usize::from(change.kind == ChangeKind::Withdrawn)] += 1;
            if self.changes.len() < self.details {
                self.changes.push(change);
            }
        }
        for row in tried.rows {
            let kind = if row.is_new() {
                0
            } else if row.is_gone() {
                2
            } else {
                1
            };
            self.rows.entry(row.name.table.clone()).or_default()[kind] += 1;
            if self.row_changes.len() < self.details {
                self.row_changes.push(row);
            }
        }
    }

    pub fn all_pass(&self) -> bool {
        self.refused.is_empty()
    }

    pub fn tell(&self, arguments: &ReplayArguments, repair: Option<&Repair>) -> Result<()> {
        if arguments.json {
            return Ok(say(&serde_json::to_string_pretty(&self.object(repair))?)?);
        }
        say(self.text().trim_end())?;
        tell_refused(&self.refused);
        let sent = self.accepted + self.duplicates;
        eprintln!("nothing was changed: this was tried and rolled back");
        if sent > 0 && (self.refused.is_empty() || repair.is_none() || arguments.skip_invalid) {
            eprintln!("to do it add --yes");
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut outcomes = table(["letters", "would be"]);
        for (count, name) in [
            (self.accepted, "accepted"),
            (self.duplicates, "duplicates: their events are in the history already"),
            (self.refused.len(), "refused again"),
            (self.replayed, "left alone: replayed already"),
        ] {
            if count > 0 {
                outcomes.add_row([count.to_string(), name.to_owned()]);
            }
        }
        let mut text = outcomes.trim_fmt();
        for (case, file) in &self.restored {
            text.push_str(&format!("\n\nrestores {case} from {file}"));
        }
        text.push_str(&self.derived_text());
        text.push_str(&self.rows_text());
        text
    }

    fn derived_text(&self) -> String {
        if self.derived.is_empty() {
            return "\n\nno derived event would be published or withdrawn".to_owned();
        }
        let mut counts = table(["derived events", "published", "withdrawn"]);
        for (event_type, [published, withdrawn]) in &self.derived {
            counts.add_row([event_type, &published.to_string(), &withdrawn.to_string()]);
        }
        let mut list = table(["", "time", "type", "case"]);
        for change in &self.changes {
            let (time, case) = (change.time.to_string(), change.case.subject());
            list.add_row([kind(change), &time, &change.event_type, &case]);
        }
        let all: usize = self.derived.values().flatten().sum();
        format!("\n\n{}\n\n{}{}", counts.trim_fmt(), list.trim_fmt(), more(all, self.changes.len()))
    }

    fn rows_text(&self) -> String {
        if self.rows.is_empty() {
            return "\n\nnothing in the read model would differ".to_owned();
        }
        let mut counts = table(["read model", "new", "changed", "gone"]);
        for (name, [new, changed, gone]) in &self.rows {
            counts.add_row([name, &new.to_string(), &changed.to_string(), &gone.to_string()]);
        }
        let mut list = table(["table", "row", "column", "before", "after"]);
        for row in &self.row_changes {
            let name = [&*row.name.table, &row.name.key];
            for (index, cells) in self.cells(row).into_iter().enumerate() {
                let [table, key] = if index == 0 { name } else { ["", ""] };
                let [column, before, after] = &cells;
                list.add_row([table, key, column, before, after]);
            }
        }
        let all: usize = self.rows.values().flatten().sum();
        let more = more(all, self.row_changes.len());
        format!("\n\n{}\n\n{}{more}", counts.trim_fmt(), list.trim_fmt())
    }

    /// Column, before, after; of a row that is new or gone only that.
    fn cells(&self, row: &RowChange) -> Vec<[String; 3]> {
        let whole = if row.is_new() { Some("new") } else { row.is_gone().then_some("gone") };
        if let Some(word) = whole {
            return vec![[format!("({word})"), String::new(), String::new()]];
        }
        let cells = row.columns.iter().map(|(column, before, after)| {
            let [before, after] = [before, after].map(|value| words(&self.shown(column, value)));
            [column.clone(), before, after]
        });
        cells.collect()
    }

    fn shown(&self, column: &str, value: &Option<Value>) -> Value {
        let value = value.clone().unwrap_or_default();
        redact::column(column, value, self.personal)
    }

    fn object(&self, repair: Option<&Repair>) -> Value {
        json!({
            "dry_run": true,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "refused": self.refused.iter().map(refusal).collect::<Vec<_>>(),
            "replayed_already": self.replayed,
            "restores": self.restored,
            "patch": repair.map(|repair| redact::patch(&repair.to_json(), self.personal)),
            "derived": self.changes.iter().map(change_object).collect::<Vec<_>>(),
            "read_model": self.row_changes.iter().map(|row| self.row(row)).collect::<Vec<_>>(),
        })
    }

    fn row(&self, row: &RowChange) -> Value {
        let columns = row.columns.iter().map(|(column, before, after)| {
            let [before, after] = [before, after].map(|value| self.shown(column, value));
            json!({ "column": column, "before": before, "after": after })
        });
        json!({
            "table": row.name.table, "row": row.name.key, "columns": columns.collect::<Vec<_>>(),
        })
    }
}

fn kind(change: &Change) -> &'static str {
    match change.kind {
        ChangeKind::Derived => "publish",
        ChangeKind::Withdrawn => "withdraw",
    }
}

fn change_object(change: &Change) -> Value {
    json!({
        "change": kind(change), "id": change.event_id, "type": change.event_type,
        "time": change.time, "case": change.case.subject(),
    })
}

fn refusal((letter, rejection): &(Uuid, Rejection)) -> Value {
    json!({
        "id": letter, "code": rejection.code, "pointer": rejection.pointer,
        "detail": rejection.detail,
    })
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn more(all: usize, shown: usize) -> String {
    match all - shown.min(all) {
        0 => String::new(),
        more => format!("\nand {more} more: --json tells all"),
    }
}

/// Says on standard error which letters would be refused again, by what is wrong with them.
pub fn tell_refused(refused: &[(Uuid, Rejection)]) {
    let mut kinds: BTreeMap<(&str, &str), (usize, Uuid)> = BTreeMap::new();
    for (letter, rejection) in refused {
        let kind = (rejection.code.name(), rejection.detail.as_str());
        kinds.entry(kind).or_insert((0, *letter)).0 += 1;
    }
    let all = kinds.len();
    for ((code, detail), (count, example)) in kinds.into_iter().take(DETAILS) {
        eprintln!("{count} would be refused again: {code}, {detail} (such as {example})");
    }
    if all > DETAILS {
        eprintln!("and for {} other reasons", all - DETAILS);
    }
}
