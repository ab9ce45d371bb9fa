//! `otodoke report orders`: the order report, with the column names of the marketplace's own.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use futures_util::{StreamExt, pin_mut};
use serde_json::{Map, Value};

use super::database::connect;
use crate::config::Settings;
use crate::contract::Timestamp;
use crate::desk::amount::major;
use crate::desk::period::{self, Limit};
use crate::store::report::{self, Range, Row};

/// Write reports: orders
#[derive(Subcommand, Debug)]
pub enum ReportCommand {
    Orders(OrdersArguments),
}

/// Write a seller's order report as tab-separated text, a row for each order line
///
/// Columns are named as in Amazon's order reports where one exists, the all-orders report
/// first. Pending orders are listed as Pending, without the buyer's data. Times are in UTC.
/// Prices are for the whole row, tax included, in the currency's major unit with all its
/// decimals (ISO 4217): 1980 for yen, 19.80 for euro. quantity is as ordered and changed;
/// quantity-to-ship is what may leave now: 0 while an order is pending. Tabs and line breaks
/// in values become spaces.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke report orders --seller A1B2C3 --from 2026-03-01 --to 2026-03-31 > march.tsv
  otodoke report orders --seller A1B2C3 --json | jq 'select(.\"order-status\" == \"Unshipped\")'")]
pub struct OrdersArguments {
    /// Whose orders
    #[arg(long, value_name = "SELLER")]
    seller: String,
    /// Placed on this day (in the setting time-zone) or after this moment
    #[arg(long, value_name = "DATE", value_parser = period::limit)]
    from: Option<Limit>,
    /// Placed up to the end of this day, or before this moment
    #[arg(long, value_name = "DATE", value_parser = period::limit)]
    to: Option<Limit>,
    /// One JSON object a line, with the same names; prices are texts
    #[arg(long)]
    json: bool,
}

pub async fn report(command: ReportCommand, settings: &Settings) -> Result<ExitCode> {
    match command {
        ReportCommand::Orders(arguments) => orders(arguments, settings).await,
    }
}

async fn orders(arguments: OrdersArguments, settings: &Settings) -> Result<ExitCode> {
    let range = Range {
        seller: &arguments.seller,
        from: arguments.from.map(|limit| limit.beginning(settings)),
        until: arguments.to.map(|limit| limit.end(settings)),
    };
    let mut connection = connect(settings).await?;
    let rows = report::rows(&mut connection, &range);
    pin_mut!(rows);
    let mut out = BufWriter::new(io::stdout());
    if !arguments.json {
        writeln!(out, "{}", COLUMNS.map(|(name, _)| name).join("\t"))?;
    }
    while let Some(row) = rows.next().await {
        let row = row?;
        writeln!(out, "{}", if arguments.json { object(&row) } else { line(&row) })?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

type Column = (&'static str, fn(&Row) -> Value);

const COLUMNS: [Column; 29] = [
    ("amazon-order-id", |row| row.order_id.as_str().into()),
    ("purchase-date", |row| time(Some(row.placed_at))),
    ("last-updated-date", |row| time(Some(row.updated_at))),
    ("order-status", |row| status(&row.status).into()),
    ("fulfillment-channel", |row| channel(&row.fulfilled_by).into()),
    ("product-name", |row| row.title.as_deref().into()),
    ("sku", |row| row.sku.as_str().into()),
    ("quantity", |row| row.quantity.into()),
    ("currency", |row| row.currency.as_str().into()),
    ("item-price", |row| amount(row, Some(row.quantity.saturating_mul(row.unit_price)))),
    ("item-tax", |row| amount(row, row.tax)),
    ("shipping-price", |row| amount(row, row.shipping_fee)),
    ("ship-city", |row| address(row, "city")),
    ("ship-state", |row| address(row, "region")),
    ("ship-postal-code", |row| address(row, "postal_code")),
    ("ship-country", |row| address(row, "country")),
    ("order-item-id", |row| row.line_id.as_str().into()),
    ("payments-date", |row| time(row.authorized_at)),
    ("promise-date", |row| time(row.ship_by)),
    ("quantity-shipped", |row| row.quantity_shipped.into()),
    ("quantity-to-ship", |row| {
        let done = row.quantity_shipped + row.quantity_unshippable + row.quantity_cancelled;
        to_ship(&row.status, row.quantity, done).into()
    }),
    ("buyer-email", |row| row.relay_email.as_deref().into()),
    ("buyer-name", |row| row.buyer_name.as_deref().into()),
    ("buyer-phone-number", |row| row.phone.as_deref().into()),
    ("recipient-name", |row| address(row, "recipient")),
    ("ship-address-1", |row| address_line(row, 0)),
    ("ship-address-2", |row| address_line(row, 1)),
    ("ship-address-3", |row| address_line(row, 2)),
    ("quantity-cancelled", |row| row.quantity_cancelled.into()),
];

fn line(row: &Row) -> String {
    COLUMNS.map(|(_, value)| field(&value(row))).join("\t")
}

fn object(row: &Row) -> String {
    let members: Map<String, Value> =
        COLUMNS.iter().map(|(name, value)| ((*name).to_owned(), value(row))).collect();
    Value::Object(members).to_string()
}

/// Nothing in a value may end its field or its row.
fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace(char::is_control, " "),
        other => other.to_string(),
    }
}

fn time(moment: Option<chrono::DateTime<chrono::Utc>>) -> Value {
    moment.map(|moment| Timestamp::from_chrono(moment).to_string()).into()
}

fn amount(row: &Row, minor: Option<i64>) -> Value {
    minor.map(|minor| major(minor, &row.currency)).into()
}

fn status(status: &str) -> &str {
    match status {
        "pending" => "Pending",
        "unshipped" => "Unshipped",
        "partially-shipped" => "PartiallyShipped",
        "shipped" => "Shipped",
        "cancelled" => "Cancelled",
        other => other,
    }
}

fn channel(fulfilled_by: &str) -> &'static str {
    if fulfilled_by == "seller" { "Merchant" } else { "Amazon" }
}

/// What of a line may leave now; `done`: its pieces that left, or won't.
pub fn to_ship(status: &str, quantity: i64, done: i64) -> i64 {
    match status {
        "pending" | "cancelled" => 0,
        _ => (quantity - done).max(0),
    }
}

fn address(row: &Row, part: &str) -> Value {
    row.ship_to.as_ref().and_then(|address| address.get(part)).cloned().unwrap_or_default()
}

/// The last of the three columns takes all lines that are left.
fn address_line(row: &Row, index: usize) -> Value {
    const LAST: usize = 2;
    let lines = address(row, "address_lines");
    let lines: Vec<&str> =
        lines.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match lines.get(index..) {
        Some([]) | None => Value::Null,
        Some(rest) if index == LAST => rest.join(" ").into(),
        Some([first, ..]) => (*first).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_can_end_neither_its_field_nor_its_row() {
        assert_eq!(field(&json!("Tea\tset\r\nfor two")), "Tea set  for two");
        assert_eq!(field(&json!(null)), "");
        assert_eq!(field(&json!(7)), "7");
    }
}
