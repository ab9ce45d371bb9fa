//! The lines of one order, as a report and as we have them.
//!
//! They are matched by order-item-id where both know it. What is left is matched by SKU, all
//! lines of one SKU added up: all-orders reports have no line ids, and may split a line.

use std::collections::BTreeMap;

use serde_json::Value;

use super::compare::Ours;
use super::read::Reported;
use super::row::ReportedLine;
use super::words;
use crate::contract::Identifier;
use crate::desk::amount::Amount;
use crate::operator::report;
use crate::store::reconcile as store;

/// Something of a line that the report and we say differently.
#[derive(Debug)]
pub struct Line {
    pub what: &'static str,
    pub line_id: Option<String>,
    pub sku: String,
    pub report: Value,
    pub ours: Value,
}

/// What can be compared beside SKUs and quantities.
#[derive(Clone, Copy, Debug)]
pub struct With {
    pub prices: bool,
    pub to_ship: bool,
}

/// What of a line may leave now.
pub fn to_ship(status: &str, line: &store::Line) -> i64 {
    let done = line.quantity_shipped + line.quantity_unshippable + line.quantity_cancelled;
    report::to_ship(status, line.quantity, done)
}

/// Everything that differs, what is known by its line id first.
pub fn compare(reported: &Reported, ours: &Ours, with: With) -> Vec<Line> {
    let Ours { order, lines } = ours;
    let mut found = Vec::new();
    let mut rest: BTreeMap<String, (Option<Theirs>, Option<Own>)> = BTreeMap::new();
    let mut named: BTreeMap<&str, &ReportedLine> = BTreeMap::new();
    for line in &reported.lines {
        let id = line.line_id.as_ref().map(Identifier::as_str);
        match id.filter(|id| lines.iter().any(|own| own.line_id == *id)) {
            Some(id) => _ = named.insert(id, line),
            None => {
                let (theirs, _) = rest.entry(words::sku(&line.sku)).or_default();
                *theirs = Some(sum(theirs.take(), Theirs::of(line), Theirs::and));
            }
        }
    }
    for line in lines {
        let (own, sku) = (Own::of(line, &order.status), words::sku(&line.sku));
        let Some(theirs) = named.get(line.line_id.as_str()) else {
            let (_, owns) = rest.entry(sku).or_default();
            *owns = Some(sum(owns.take(), own, Own::and));
            continue;
        };
        let line_id = Some(line.line_id.as_str());
        let pair = Pair { line_id, sku: &sku, currency: &order.currency, with };
        pair.compare_skus(&words::sku(&theirs.sku), &mut found);
        pair.compare(&Theirs::of(theirs), &own, &mut found);
    }
    for (sku, (theirs, own)) in &rest {
        let pair = Pair { line_id: None, sku, currency: &order.currency, with };
        match (theirs, own) {
            (Some(theirs), Some(own)) => pair.compare(theirs, own, &mut found),
            _ => pair.compare_alone(theirs.as_ref(), own.as_ref(), &mut found),
        }
    }
    found
}

fn sum<T>(sum: Option<T>, more: T, and: fn(T, T) -> T) -> T {
    match sum {
        Some(sum) => and(sum, more),
        None => more,
    }
}

/// Both, or nothing where one isn't said.
fn both<T: std::ops::Add<Output = T>>(one: Option<T>, other: Option<T>) -> Option<T> {
    Some(one? + other?)
}

/// What the report says of the lines of one SKU.
struct Theirs {
    quantity: i64,
    item_price: Option<Amount>,
    item_tax: Option<Amount>,
    shipping_price: Option<Amount>,
    to_ship: Option<i64>,
}

impl Theirs {
    fn of(line: &ReportedLine) -> Theirs {
        Theirs {
            quantity: line.quantity,
            item_price: line.item_price,
            item_tax: line.item_tax,
            shipping_price: line.shipping_price,
            to_ship: line.to_ship,
        }
    }

    fn and(self, more: Theirs) -> Theirs {
        Theirs {
            quantity: self.quantity + more.quantity,
            item_price: both(self.item_price, more.item_price),
            item_tax: both(self.item_tax, more.item_tax),
            shipping_price: both(self.shipping_price, more.shipping_price),
            to_ship: both(self.to_ship, more.to_ship),
        }
    }
}

/// What we say of the lines of one SKU; amounts in minor units.
struct Own {
    ordered: i64,
    /// Without what was cancelled.
    remaining: i64,
    price: i128,
    remaining_price: i128,
    /// Only informs, so not every order has it.
    tax: Option<i128>,
    shipping: i128,
    to_ship: i64,
}

impl Own {
    fn of(line: &store::Line, status: &str) -> Own {
        let remaining = match status {
            "cancelled" => 0,
            _ => (line.quantity - line.quantity_cancelled).max(0),
        };
        let price = |pieces: i64| i128::from(line.unit_price) * i128::from(pieces);
        Own {
            ordered: line.quantity,
            remaining,
            price: price(line.quantity),
            remaining_price: price(remaining),
            tax: line.tax.map(i128::from),
            shipping: line.shipping_fee.map_or(0, i128::from),
            to_ship: to_ship(status, line),
        }
    }

    fn and(self, more: Own) -> Own {
        Own {
            ordered: self.ordered + more.ordered,
            remaining: self.remaining + more.remaining,
            price: self.price + more.price,
            remaining_price: self.remaining_price + more.remaining_price,
            tax: both(self.tax, more.tax),
            shipping: self.shipping + more.shipping,
            to_ship: self.to_ship + more.to_ship,
        }
    }
}

/// A line that both have, or what is left of one SKU.
struct Pair<'a> {
    line_id: Option<&'a str>,
    sku: &'a str,
    currency: &'a str,
    with: With,
}

impl Pair<'_> {
    fn differs(&self, what: &'static str, report: Value, ours: Value) -> Line {
        let line_id = self.line_id.map(str::to_owned);
        Line { what, line_id, sku: self.sku.to_owned(), report, ours }
    }

    fn compare_skus(&self, theirs: &str, found: &mut Vec<Line>) {
        if theirs != self.sku {
            found.push(self.differs("sku", theirs.into(), self.sku.into()));
        }
    }

    /// Where one side doesn't have the line at all. One that was cancelled or changed to
    /// nothing may be left out.
    fn compare_alone(&self, theirs: Option<&Theirs>, own: Option<&Own>, found: &mut Vec<Line>) {
        let report = theirs.map(|theirs| theirs.quantity).filter(|quantity| *quantity > 0);
        let ours = own.map(|own| own.ordered.min(own.remaining)).filter(|left| *left > 0);
        if report.is_some() || ours.is_some() {
            let ours = ours.and(own).map(|own| own.ordered);
            found.push(self.differs("line", report.into(), ours.into()));
        }
    }

    fn compare(&self, theirs: &Theirs, own: &Own, found: &mut Vec<Line>) {
        // The marketplace's own reports leave out what was cancelled, ours keep it.
        let is_reduced = theirs.quantity == own.remaining && theirs.quantity != own.ordered;
        if !is_reduced && theirs.quantity != own.ordered {
            found.push(self.differs("quantity", theirs.quantity.into(), own.ordered.into()));
        }
        if let Some(to_ship) = theirs.to_ship
            && self.with.to_ship
            && to_ship != own.to_ship
        {
            found.push(self.differs("quantity_to_ship", to_ship.into(), own.to_ship.into()));
        }
        if !self.with.prices {
            return;
        }
        let price = if is_reduced { own.remaining_price } else { own.price };
        self.amount("item_price", theirs.item_price, Some(price), found);
        // Nobody knows which part of these went with the pieces that were cancelled.
        if !is_reduced {
            self.amount("item_tax", theirs.item_tax, own.tax, found);
            self.amount("shipping_price", theirs.shipping_price, Some(own.shipping), found);
        }
    }

    fn amount(
        &self,
        what: &'static str,
        theirs: Option<Amount>,
        own: Option<i128>,
        found: &mut Vec<Line>,
    ) {
        let (Some(theirs), Some(own)) = (theirs, own) else { return };
        let own = Amount::of_minor(own, self.currency);
        if theirs != own {
            let text = |amount: Amount| amount.text(self.currency).into();
            found.push(self.differs(what, text(theirs), text(own)));
        }
    }
}

#[cfg(test)]
mod tests;
