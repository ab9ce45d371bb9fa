//! Which columns a report has, and what kind of report that makes it.

use csv::StringRecord;
use serde::Serialize;

/// The order reports that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Every order, whoever ships it, whatever its status.
    AllOrders,
    /// Orders that the seller ships, once they are paid.
    OrderReport,
    /// Of these, the ones of which something is still to be shipped.
    UnshippedOrders,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::AllOrders => "All orders",
            Kind::OrderReport => "Order report",
            Kind::UnshippedOrders => "Unshipped orders",
        }
    }
}

/// Where in a row a column stands, and what it is called.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub at: usize,
    pub name: &'static str,
}

/// The columns that are read. All others are passed over.
#[derive(Clone, Debug)]
pub struct Columns {
    pub kind: Kind,
    /// How many a row has.
    pub count: usize,
    pub order_id: Column,
    pub purchase_date: Column,
    pub sku: Column,
    pub quantity: Column,
    /// In all-orders reports, and only there.
    pub status: Option<Column>,
    pub channel: Option<Column>,
    pub line_id: Option<Column>,
    pub currency: Option<Column>,
    pub item_price: Option<Column>,
    pub item_tax: Option<Column>,
    pub shipping_price: Option<Column>,
    pub to_ship: Option<Column>,
}

/// The first line doesn't name what is needed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("the report is empty: its first line should name its columns")]
    Empty,
    #[error(
        "the report's first line holds no tab: it should name the columns of an order report as \
         tab-separated text (.txt or .tsv, not .csv)"
    )]
    NoTabs,
    #[error(
        "the report lacks {}: download one of these reports, and leave its first line as it is",
        .0.join("; it lacks ")
    )]
    Missing(Vec<&'static str>),
}

const ORDER_ID: &str = "the column amazon-order-id (in All orders) or order-id (in Order report \
                        and Unshipped orders)";
const STATUS: &str = "the column order-status (in All orders)";
const PURCHASE_DATE: &str =
    "the column purchase-date (in All orders, Order report and Unshipped orders)";
const SKU: &str = "the column sku (in All orders, Order report and Unshipped orders)";
const QUANTITY: &str = "the column quantity (in All orders) or quantity-purchased (in Order \
                        report and Unshipped orders)";

impl Columns {
    pub fn of(header: &StringRecord) -> Result<Columns, Unusable> {
        if header.len() == 1 {
            return Err(Unusable::NoTabs);
        }
        let names: Vec<String> = header.iter().map(name).collect();
        let one = |name: &'static str| {
            names.iter().position(|other| other == name).map(|at| Column { at, name })
        };
        let [order_id, purchase_date, sku, quantity] = needed(one)?;
        let (status, to_ship) = (one("order-status"), one("quantity-to-ship"));
        let kind = match (status, to_ship.or(one("days-past-promise"))) {
            (Some(_), _) => Kind::AllOrders,
            (None, Some(_)) => Kind::UnshippedOrders,
            (None, None) => Kind::OrderReport,
        };
        Ok(Columns {
            kind,
            count: names.len(),
            order_id,
            purchase_date,
            sku,
            quantity,
            status,
            channel: one("fulfillment-channel"),
            line_id: one("order-item-id"),
            currency: one("currency"),
            item_price: one("item-price"),
            item_tax: one("item-tax"),
            shipping_price: one("shipping-price"),
            to_ship,
        })
    }
}

/// What no report can do without: number, purchase date, SKU and quantity.
fn needed(one: impl Fn(&'static str) -> Option<Column>) -> Result<[Column; 4], Unusable> {
    let all_orders = one("amazon-order-id");
    // Only the all-orders report calls the number so, and there the status is the point.
    let lacks_status = all_orders.is_some() && one("order-status").is_none();
    let columns = [
        (all_orders.or(one("order-id")), ORDER_ID),
        (one("purchase-date"), PURCHASE_DATE),
        (one("sku"), SKU),
        (one("quantity").or(one("quantity-purchased")), QUANTITY),
    ];
    let lacking = columns.iter().filter(|(column, _)| column.is_none()).map(|(_, told)| *told);
    let lacking: Vec<&str> = lacks_status.then_some(STATUS).into_iter().chain(lacking).collect();
    match columns.map(|(column, _)| column) {
        [Some(order_id), Some(date), Some(sku), Some(quantity)] if !lacks_status => {
            Ok([order_id, date, sku, quantity])
        }
        _ => Err(Unusable::Missing(lacking)),
    }
}

/// Reports of some years and countries write `item price`, or capital letters.
fn name(written: &str) -> String {
    written.trim().to_ascii_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(header: &str) -> Result<Columns, Unusable> {
        Columns::of(&header.split('\t').collect())
    }

    #[test]
    fn the_kind_is_known_by_the_columns() {
        for (header, kind) in [
            ("amazon-order-id\tpurchase-date\torder-status\tsku\tquantity", Kind::AllOrders),
            ("Order-Id\tPurchase-Date\tOrder Status\tSKU\tQuantity", Kind::AllOrders),
            ("order-id\tpurchase-date\tsku\tquantity-purchased", Kind::OrderReport),
            (
                "order-id\tpurchase-date\tsku\tquantity-purchased\tquantity-to-ship",
                Kind::UnshippedOrders,
            ),
        ] {
            assert_eq!(columns(header).unwrap().kind, kind, "{header}");
        }
    }

    #[test]
    fn a_missing_column_is_named_with_the_reports_that_have_it() {
        let told = |header| columns(header).unwrap_err().to_string();
        let one = told("amazon-order-id\tpurchase-date\torder-status\tsku");
        assert!(one.contains("quantity (in All orders) or quantity-purchased (in Order"), "{one}");
        assert!(!one.contains("sku"), "{one}");
        let two = told("amazon-order-id\tsku\tquantity");
        assert!(two.contains("order-status (in All orders)") && two.contains("purchase-date"));
        assert!(told("buyer-name\tsku").contains("amazon-order-id"));
        assert!(told("order-id,sku,quantity").contains("no tab"));
    }
}
