//! What a report says of an order, held against what we say of it.

use serde::Serialize;
use serde_json::Value;

use super::columns::Kind;
use super::lines::{self, Line};
use super::read::Reported;
use super::words;
use crate::store::reconcile as store;

/// An order of ours.
#[derive(Clone, Debug)]
pub struct Ours {
    pub order: store::Order,
    pub lines: Vec<store::Line>,
}

/// Something that the report and we say differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub order_id: String,
    /// seller_id, status, fulfilled_by, currency, line, sku, quantity, quantity_to_ship,
    /// item_price, item_tax or shipping_price.
    pub what: &'static str,
    /// The line's, where the report names it so.
    pub line_id: Option<String>,
    pub sku: Option<String>,
    /// A status in the report's word, an amount as text; null: nothing.
    pub report: Value,
    pub ours: Value,
}

/// Why an order of ours isn't in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It should be.
    Gap,
    /// It is pending, and the report only holds paid orders.
    Pending,
    /// Reports of this kind don't hold such orders.
    AsItShould,
}

/// Everything that differs. `seller`: whose report it is, where that was told.
pub fn compare(
    kind: Kind,
    reported: &Reported,
    ours: &Ours,
    seller: Option<&str>,
) -> Vec<Difference> {
    let (order, status) = (&ours.order, Status::of(kind, reported));
    let mut found = of_order(kind, reported, order, seller);
    if !reported.is_partial {
        let currency = reported.currency.as_deref();
        let with = lines::With {
            prices: currency.is_none_or(|currency| currency == order.currency),
            // What is to be shipped follows from the status.
            to_ship: status.agreed.is_some() && status.agrees(&order.status),
        };
        let lines = lines::compare(reported, ours, with).into_iter();
        found.extend(lines.map(|line| of_line(&order.order_id, line)));
    }
    found
}

fn of_order(
    kind: Kind,
    reported: &Reported,
    order: &store::Order,
    seller: Option<&str>,
) -> Vec<Difference> {
    let status = Status::of(kind, reported);
    // The other reports hold only what the seller ships.
    let fulfilled_by = if kind == Kind::AllOrders { reported.fulfilled_by } else { Some("seller") };
    let said = [
        ("seller_id", seller, &order.seller_id),
        ("status", Some(status.word).filter(|_| !status.agrees(&order.status)), &order.status),
        ("fulfilled_by", fulfilled_by, &order.fulfilled_by),
        ("currency", reported.currency.as_deref(), &order.currency),
    ];
    let differing = said.into_iter().filter(|(_, report, ours)| report.is_some_and(|r| r != *ours));
    let difference = |(what, report, ours): (&'static str, Option<&str>, &String)| Difference {
        order_id: order.order_id.clone(),
        what,
        line_id: None,
        sku: None,
        report: report.into(),
        ours: ours.as_str().into(),
    };
    differing.map(difference).collect()
}

fn of_line(order_id: &str, line: Line) -> Difference {
    Difference {
        order_id: order_id.to_owned(),
        what: line.what,
        line_id: line.line_id,
        sku: Some(line.sku),
        report: line.report,
        ours: line.ours,
    }
}

/// What a report says of an order's status, be it only by naming the order.
struct Status<'a> {
    word: &'a str,
    /// Which of ours agree; `None`: the report doesn't say, or nobody knows the word.
    agreed: Option<&'static [&'static str]>,
}

impl<'a> Status<'a> {
    fn of(kind: Kind, reported: &'a Reported) -> Status<'a> {
        match kind {
            Kind::AllOrders => {
                let word = reported.status.as_deref().unwrap_or("");
                Status { word, agreed: words::statuses(word) }
            }
            // It keeps orders that were cancelled after they were paid.
            Kind::OrderReport => Status {
                word: "paid",
                agreed: Some(&["unshipped", "partially-shipped", "shipped", "cancelled"]),
            },
            Kind::UnshippedOrders => {
                Status { word: "to ship", agreed: Some(&["unshipped", "partially-shipped"]) }
            }
        }
    }

    fn agrees(&self, ours: &str) -> bool {
        self.agreed.is_none_or(|agreed| agreed.contains(&ours))
    }
}

/// What it means that an order of ours isn't in the report, though placed in its time.
pub fn absence(kind: Kind, ours: &Ours) -> Absence {
    let by_seller = ours.order.fulfilled_by == "seller";
    let left =
        || ours.lines.iter().map(|line| lines::to_ship(&ours.order.status, line)).sum::<i64>();
    match (kind, ours.order.status.as_str()) {
        (Kind::AllOrders, _) => Absence::Gap,
        _ if !by_seller => Absence::AsItShould,
        (_, "pending") => Absence::Pending,
        (_, "cancelled") => Absence::AsItShould,
        (Kind::UnshippedOrders, _) if left() == 0 => Absence::AsItShould,
        _ => Absence::Gap,
    }
}

#[cfg(test)]
mod tests;
