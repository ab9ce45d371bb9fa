//! What was found, for people and for programs.

use comfy_table::Table;
use serde::Serialize;
use serde_json::Value;

use super::columns::Kind;
use super::compare::Difference;
use super::findings::Findings;
use super::read::Malformed;
use crate::contract::Timestamp;
use crate::operator::output::table;

/// Everything that is told, by its names in JSON.
#[derive(Debug, Serialize)]
pub struct Told {
    pub kind: Kind,
    pub encoding: &'static str,
    /// Whose orders were looked up in the report; null: nobody's, for want of a span.
    pub seller_id: Option<String>,
    /// Placed from then on.
    pub from: Option<Timestamp>,
    /// Placed before then.
    pub until: Option<Timestamp>,
    pub rows: u64,
    pub orders: usize,
    /// Orders of the report that were placed outside of --from and --to.
    pub left_out: usize,
    #[serde(flatten)]
    pub findings: Findings,
    pub malformed_rows: Vec<Malformed>,
}

impl Told {
    pub fn for_people(&self) -> String {
        let mut parts = Vec::new();
        if let Some(rows) = self.differing() {
            parts.push(rows.trim_fmt());
        }
        if let Some(rows) = self.pending() {
            parts.push(rows.trim_fmt());
        }
        let mut end: Vec<String> = self.findings.unknown_statuses.iter().map(unknown).collect();
        end.push(self.summary());
        parts.push(end.join("\n"));
        parts.join("\n\n")
    }

    fn differing(&self) -> Option<Table> {
        let mut rows = table(["order", "what differs", "the report says", "we say"]);
        for order in &self.findings.missing_here {
            let status = order.status.as_deref().unwrap_or("it is there");
            rows.add_row([order.order_id.as_str(), "missing here", status, NOTHING]);
        }
        for order in &self.findings.missing_in_report {
            rows.add_row([&order.order_id, "missing in the report", NOTHING, &order.status]);
        }
        for difference in &self.findings.differences {
            let (report, ours) = (said(&difference.report), said(&difference.ours));
            rows.add_row([difference.order_id.clone(), what(difference), report, ours]);
        }
        (!rows.is_empty()).then_some(rows)
    }

    fn pending(&self) -> Option<Table> {
        let mut rows = table(["pending", "placed", "the report says", "we say"]);
        for order in &self.findings.pending {
            let placed = order.placed_at.map(|moment| moment.to_string());
            let word = |word: &Option<String>| word.as_deref().unwrap_or(NOTHING).to_owned();
            let placed = placed.unwrap_or_default();
            rows.add_row([order.order_id.clone(), placed, word(&order.report), word(&order.ours)]);
        }
        (!rows.is_empty()).then_some(rows)
    }

    fn summary(&self) -> String {
        let left_out = match self.left_out {
            0 => String::new(),
            count => format!(" (and {count} placed outside of --from and --to)"),
        };
        let looked_up = match &self.seller_id {
            Some(seller) => format!("of {seller}, {}", self.span()),
            None => {
                "none looked for, since the report has no purchase-date or its seller isn't known"
                    .to_owned()
            }
        };
        format!(
            "{}: orders {}{left_out}, missing here {}, missing in the report {} ({looked_up}), \
             differences {}, pending {}, rows that can't be read {}",
            self.kind.name(),
            self.orders,
            self.findings.missing_here.len(),
            self.findings.missing_in_report.len(),
            self.findings.differences.len(),
            self.findings.pending.len(),
            self.malformed_rows.len(),
        )
    }

    /// In whole seconds.
    fn span(&self) -> String {
        let whole = |moment: Timestamp| {
            Timestamp::from_micros(moment.micros().div_euclid(1_000_000) * 1_000_000)
        };
        match (self.from.map(whole), self.until.map(whole)) {
            (Some(from), Some(until)) => format!("placed from {from} to {until}"),
            (Some(from), None) => format!("placed since {from}"),
            (None, Some(until)) => format!("placed up to {until}"),
            (None, None) => "placed at any time".to_owned(),
        }
    }
}

const NOTHING: &str = "–";

fn unknown((status, orders): (&String, &u64)) -> String {
    format!("nobody here knows the order-status {status} of {orders} orders: it wasn't compared")
}

fn what(difference: &Difference) -> String {
    let what = difference.what.replace('_', " ");
    match (&difference.sku, &difference.line_id) {
        (Some(sku), Some(line)) => format!("{what} of {sku} ({line})"),
        (Some(sku), None) => format!("{what} of {sku}"),
        (None, _) => what,
    }
}

fn said(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
