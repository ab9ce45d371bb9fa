//! The read model's tables: what decisions say, written where it differs.
//!
//! What a case's tables were given last is remembered as digests (`written.rs`), and not given
//! again. A row of a decided case that its decision doesn't name any more is deleted, except
//! refunds: money once asked for stays on record.

mod look;
mod tables;
mod written;

use super::Together;
use crate::contract::Timestamp;
use crate::rules::{
    CaseId, Decision, GuaranteeState, LineState, OrderState, PackageState, RefundState, ThreadState,
};

pub use look::{RowName, rows_of};
pub use written::Written;

use written::Comparison;

/// The rows of decided cases that may differ from what is stored.
#[derive(Default)]
pub struct Rows<'a> {
    threads: Table<'a, ThreadState>,
    orders: Table<'a, OrderState>,
    order_lines: Table<'a, LineState>,
    packages: Table<'a, PackageState>,
    refunds: Table<'a, RefundState>,
    guarantees: Table<'a, GuaranteeState>,
}

/// The rows of one table.
struct Table<'a, T> {
    /// Each with the order, or case, that it is of.
    rows: Vec<(String, &'a T)>,
    /// The orders, or cases, that may have had other rows before: those are to go.
    outdated: Vec<String>,
}

impl<T> Default for Table<'_, T> {
    fn default() -> Self {
        Table { rows: Vec::new(), outdated: Vec::new() }
    }
}

impl<'a> Rows<'a> {
    /// Adds what a decision says of its case, as far as that isn't what was written before.
    pub fn add(&mut self, case: &CaseId, decision: &'a Decision, before: &Written) -> Written {
        let mut compared = Comparison::new(before);
        let key = case.key();
        compared.take(&mut self.threads, &key, &decision.threads, |row| row.thread_id.as_str());
        if let Some(order) = case.order_id() {
            let id = order.as_str();
            let orders = decision.order.as_slice();
            let lines = orders.iter().flat_map(|order| &order.lines);
            compared.take(&mut self.orders, id, orders, |_| "");
            compared.take(&mut self.order_lines, id, lines, |row| row.line_id.as_str());
            compared.take(&mut self.packages, id, &decision.packages, |p| p.package_id.as_str());
            compared.take(&mut self.refunds, id, &decision.refunds, |row| &row.refund_key);
            compared.take(&mut self.guarantees, id, &decision.guarantees, |row| &row.key);
        }
        compared.now
    }

    /// Writes the rows: a statement for each table that often has some, one for each other that
    /// has some now, and one for each that may have some too many.
    pub fn write(&self, writes: &mut Together, now: Timestamp) {
        tables::threads(writes, &self.threads);
        tables::orders(writes, &self.orders, now);
        tables::order_lines(writes, &self.order_lines);
        tables::packages(writes, &self.packages);
        tables::refunds(writes, &self.refunds, now);
        tables::guarantees(writes, &self.guarantees);
    }
}
