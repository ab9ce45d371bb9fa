//! The rows of an order report, put together to orders.

use std::collections::BTreeMap;

use csv::{ReaderBuilder, StringRecord, Terminator};
use serde::Serialize;

use super::columns::{Columns, Kind, Unusable};
use super::row::{ReportedLine, Row};
use super::words;
use crate::contract::{Identifier, Timestamp};

const NO_ORDER: &str = "the order's number is none: 1 to 64 letters, digits, `.`, `_`, `:` and `-`";

/// What a report says.
#[derive(Debug)]
pub struct Report {
    pub kind: Kind,
    /// Rows that could be read.
    pub rows: u64,
    pub orders: BTreeMap<Identifier, Reported>,
    pub malformed: Vec<Malformed>,
}

/// A row that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Malformed {
    /// From 1, which is the header's.
    pub line: u64,
    /// Nothing where the columns have slipped.
    pub order_id: Option<Identifier>,
    pub reason: String,
}

/// An order, as far as the report says.
#[derive(Clone, Debug, Default)]
pub struct Reported {
    /// The line of its first row.
    pub line: u64,
    /// In the report's word.
    pub status: Option<String>,
    pub placed_at: Option<Timestamp>,
    pub currency: Option<String>,
    pub fulfilled_by: Option<&'static str>,
    pub lines: Vec<ReportedLine>,
    /// A row of it can't be read, so its lines aren't all here.
    pub is_partial: bool,
    /// Only rows with too many or too few columns name it: what stands where its number
    /// should may be anything, a person's name too.
    pub is_doubtful: bool,
}

/// `lossy`: bytes that meant nothing were replaced by U+FFFD.
pub fn read(text: &str, lossy: bool) -> Result<Report, Unusable> {
    // Reports don't quote: a product's name may hold any quote. With each line break ending
    // exactly one row, what is told of a line is what an editor shows there.
    let mut reader = ReaderBuilder::new()
        .delimiter(b'\t')
        .quoting(false)
        .flexible(true)
        .has_headers(false)
        .terminator(Terminator::Any(b'\n'))
        .from_reader(text.as_bytes());
    let mut row = StringRecord::new();
    let mut next = |row: &mut StringRecord| {
        reader.read_record(row).expect("text in memory can be read, and rows may have any length")
    };
    if !next(&mut row) {
        return Err(Unusable::Empty);
    }
    let columns = Columns::of(&row)?;
    let mut report =
        Report { kind: columns.kind, rows: 0, orders: BTreeMap::new(), malformed: Vec::new() };
    while next(&mut row) {
        report.take(&Row { columns: &columns, row: &row, lossy, line: line_of(&row, text) });
    }
    Ok(report)
}

/// The reader passes over empty lines before a row, and counts the row from there.
fn line_of(row: &StringRecord, text: &str) -> u64 {
    row.position().map_or(0, |at| {
        let before = text.get(at.byte() as usize..).unwrap_or("");
        at.line() + before.bytes().take_while(|byte| *byte == b'\n').count() as u64
    })
}

impl Report {
    /// Whether the report names this order, be it in a row that can't be read.
    pub fn holds(&self, order_id: &str) -> bool {
        Identifier::new(order_id).is_some_and(|id| self.orders.contains_key(&id))
    }

    fn take(&mut self, row: &Row<'_>) {
        if row.is_empty() || row.is_continuation() {
            return;
        }
        let width = row.check_width();
        let order_id = row.order_id();
        let taken = match &order_id {
            Some(id) => self.order(id, row.line).add(row, &width),
            None => width.clone().and(Err(NO_ORDER.to_owned())),
        };
        match taken {
            Ok(()) => self.rows += 1,
            Err(reason) => {
                let order_id = order_id.filter(|_| width.is_ok());
                self.malformed.push(Malformed { line: row.line, order_id, reason });
            }
        }
    }

    fn order(&mut self, id: &Identifier, line: u64) -> &mut Reported {
        let new = || Reported { line, is_doubtful: true, ..Reported::default() };
        self.orders.entry(id.clone()).or_insert_with(new)
    }
}

impl Reported {
    fn add(&mut self, row: &Row<'_>, width: &Result<(), String>) -> Result<(), String> {
        self.is_doubtful &= width.is_err();
        let added = width.clone().and_then(|()| self.merge(row));
        self.is_partial |= added.is_err();
        added
    }

    /// What the row says of the order counts even where its line can't be read.
    fn merge(&mut self, row: &Row<'_>) -> Result<(), String> {
        let columns = row.columns;
        let placed_at = words::moment(row.field(columns.purchase_date)?)
            .ok_or("purchase-date is no time with an offset, such as 2026-01-31T09:00:00+09:00")?;
        self.placed_at = self.placed_at.or(Some(placed_at));
        let status = row.status()?;
        self.agree("order-status", &self.status, status)?;
        self.status = self.status.take().or(status.map(str::to_owned));
        let currency = row.currency()?;
        self.agree("currency", &self.currency, currency)?;
        self.currency = self.currency.take().or(currency.map(str::to_owned));
        let channel = row.optional(columns.channel)?.and_then(words::fulfilled_by);
        self.fulfilled_by = self.fulfilled_by.or(channel);
        let line = row.line()?;
        if line.line_id.is_some() && self.lines.iter().any(|other| other.line_id == line.line_id) {
            return Err("order-item-id stands in this order a second time".to_owned());
        }
        self.lines.push(line);
        Ok(())
    }

    fn agree(&self, name: &str, said: &Option<String>, new: Option<&str>) -> Result<(), String> {
        match (said, new) {
            (Some(said), Some(new)) if said != new => {
                Err(format!("{name} isn't what the order's first row says, in line {}", self.line))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
