//! `otodoke order show`: all that the read model says of an order.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use super::order_id;
use crate::config::Settings;
use crate::contract::{Identifier, Timestamp};
use crate::desk::amount::major;
use crate::operator::archived::unknown;
use crate::operator::database::connect;
use crate::operator::output::{say, table};
use crate::rules::CaseId;
use crate::store::orders;

/// Show an order with its lines, packages, threads, messages, refunds and derived events
///
/// Of messages everything but what they say. The buyer's name, phone and address are there
/// only while the order is the seller's to ship. Amounts are in the currency's major unit,
/// with --json in its minor unit, as in the read model. Exits with 1 for an unknown order.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke order show 250-1234567-1234567
  otodoke order show 250-1234567-1234567 --json | jq .refunds")]
pub struct ShowArguments {
    /// The order's number
    #[arg(value_name = "ORDER_ID", value_parser = order_id)]
    order: Identifier,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub async fn show(arguments: ShowArguments, settings: &Settings) -> Result<ExitCode> {
    let order = &arguments.order;
    let mut connection = connect(settings).await?;
    let Some(shown) = orders::show(&mut connection, order).await? else {
        let case = CaseId::Order(order.clone());
        return Err(unknown(&mut connection, &[case], &format!("an order {order}")).await?);
    };
    if arguments.json {
        say(&serde_json::to_string_pretty(&shown)?)?;
    } else {
        say(for_people(order, &shown).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn for_people(order: &Identifier, shown: &Value) -> String {
    let currency = shown["order"]["currency"].as_str();
    let mut text = match &shown["order"] {
        Value::Null => format!(
            "order {order}: not placed yet; {} of its events wait for that\n",
            shown["events"]
        ),
        row => format!("order {order}\n{}\n", fields(row)),
    };
    for section in SECTIONS {
        text.push_str(&section.text(&shown[section.name], currency));
    }
    text
}

/// The columns of the order's own row, one below the other.
fn fields(row: &Value) -> String {
    let currency = row["currency"].as_str();
    let mut rows = table(["", ""]);
    for (name, value) in row.as_object().into_iter().flatten() {
        if name != "order_id" && !value.is_null() {
            rows.add_row([format!("  {}", name.replace('_', " ")), cell(name, value, currency)]);
        }
    }
    let lines: Vec<String> = rows.trim_fmt().lines().skip(1).map(str::to_owned).collect();
    lines.join("\n") + "\n"
}

struct Section {
    name: &'static str,
    columns: &'static [&'static str],
}

const SECTIONS: [Section; 7] = [
    Section {
        name: "lines",
        columns: &[
            "line_id",
            "sku",
            "title",
            "quantity",
            "quantity_shipped",
            "quantity_unshippable",
            "quantity_cancelled",
            "unit_price",
            "tax",
            "shipping_fee",
        ],
    },
    Section {
        name: "packages",
        columns: &[
            "package_id",
            "status",
            "carrier",
            "tracking_number",
            "insured",
            "dispatched_at",
            "delivered_at",
            "returned_at",
            "return_reason",
            "lines",
        ],
    },
    Section {
        name: "threads",
        columns: &[
            "thread_id",
            "topic",
            "awaiting",
            "awaiting_since",
            "reply_by",
            "opened_at",
            "message_count",
        ],
    },
    Section {
        name: "messages",
        columns: &["sent_at", "message_id", "thread_id", "sent_from", "channel", "topic"],
    },
    Section {
        name: "refunds",
        columns: &[
            "refund_key",
            "status",
            "reason",
            "amount",
            "item_amount",
            "shipping_amount",
            "required_at",
            "issued_at",
            "withdrawn_at",
        ],
    },
    Section { name: "guarantees", columns: &["key", "status", "basis", "since", "eligible_at"] },
    Section {
        name: "derived_events",
        columns: &["sequence", "time", "type", "published_at", "withdrawn_at", "data"],
    },
];

impl Section {
    /// A table under its name; nothing where there are no rows. Columns that no row fills
    /// are left out.
    fn text(&self, rows: &Value, currency: Option<&str>) -> String {
        let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
        if rows.is_empty() {
            return String::new();
        }
        let is_filled = |column: &&&str| rows.iter().any(|row| !row[**column].is_null());
        let columns: Vec<&str> = self.columns.iter().filter(is_filled).copied().collect();
        let mut shown = table([]);
        shown.set_header(columns.iter().map(|column| column.replace('_', " ")));
        for row in rows {
            shown.add_row(columns.iter().map(|column| cell(column, &row[*column], currency)));
        }
        format!("\n{}\n{}\n", self.name.replace('_', " "), shown.trim_fmt())
    }
}

/// A value as a person reads it.
fn cell(column: &str, value: &Value, currency: Option<&str>) -> String {
    match (column, value) {
        (_, Value::Null) => String::new(),
        ("lines", Value::Array(pieces)) => {
            pieces.iter().map(pieces_of).collect::<Vec<_>>().join(", ")
        }
        ("data", Value::Object(data)) => brief(data),
        ("ship_to", Value::Object(address)) => address_of(address),
        (name, Value::Number(amount)) if is_amount(name) => {
            major(amount.as_i64().unwrap_or(0), currency.unwrap_or(""))
        }
        (name, Value::String(text)) if is_time(name) => {
            text.parse::<Timestamp>().map_or_else(|_| text.clone(), |moment| moment.to_string())
        }
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

fn is_amount(column: &str) -> bool {
    let ends = ["_total", "amount", "_price", "_fee"];
    column == "tax" || ends.iter().any(|end| column.ends_with(end))
}

fn is_time(column: &str) -> bool {
    let ends = ["_at", "_by", "since", "time"];
    ends.iter().any(|end| column.ends_with(end))
}

fn pieces_of(pieces: &Value) -> String {
    format!("{} x{}", pieces["line_id"].as_str().unwrap_or("?"), pieces["quantity"])
}

/// What an event says beside its order and seller.
fn brief(data: &serde_json::Map<String, Value>) -> String {
    let said = data
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "order_id" | "seller_id"))
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        });
    said.collect::<Vec<_>>().join(" ")
}

fn address_of(address: &serde_json::Map<String, Value>) -> String {
    let parts = ["recipient", "postal_code", "region", "city", "address_lines", "country"];
    let texts = parts.iter().filter_map(|part| address.get(*part)).flat_map(|part| match part {
        Value::String(text) => vec![text.clone()],
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    });
    texts.collect::<Vec<_>>().join(", ")
}
