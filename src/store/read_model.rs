//! The read model's tables: what decisions say, written where it differs.
//!
//! Rows go to the database as JSON objects whose members are the columns, so that a state
//! of `rules` is its own row. What a case's tables were given last is remembered as digests, and
//! not given again. A row of a decided case that its decision doesn't name any
//! more is deleted, except refunds: money once asked for stays on record.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, FixedOffset};
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::{CaseSet, Result, case_keys, digest, sql_time};
use crate::contract::{Identifier, Timestamp};
use crate::rules::{CaseId, Decision, OrderState, PackageState, RefundState};

/// The rows of decided cases that may differ from what is stored.
#[derive(Debug, Default)]
pub struct Rows {
    threads: Table,
    orders: Table,
    order_lines: Table,
    packages: Table,
    guarantees: Table,
    refunds: Table,
}

/// The rows of one table.
#[derive(Debug, Default)]
struct Table {
    /// The cases, or orders, whose rows these are: what else they have is to go.
    of: Vec<String>,
    rows: Vec<Value>,
}

/// What was last written of a case: a digest for each table, so that what did not change is
/// not written again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written(Vec<u8>);

/// Of a digest; two contents share one once in 2^64.
const DIGEST_BYTES: usize = 8;

impl Written {
    /// As it is stored with the case.
    pub fn from_bytes(bytes: Option<Vec<u8>>) -> Written {
        Written(bytes.unwrap_or_default())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Compares a case's rows, table by table, with what was written.
struct Comparison<'a> {
    before: &'a [u8],
    now: Vec<u8>,
    of: String,
}

impl Comparison<'_> {
    /// Takes the rows where they differ.
    fn take(&mut self, table: &mut Table, rows: Vec<Value>) {
        let at = self.now.len();
        let text = serde_json::to_vec(&rows).unwrap_or_default();
        self.now.extend_from_slice(&digest([text.as_slice()])[..DIGEST_BYTES]);
        if self.before.get(at..at + DIGEST_BYTES) != Some(&self.now[at..]) {
            table.of.push(self.of.clone());
            table.rows.extend(rows);
        }
    }
}

impl Rows {
    /// Adds what a decision says of its case, as far as that isn't what was written before.
    pub fn add(&mut self, case: &CaseId, decision: &Decision, before: &Written) -> Written {
        let mut compared = Comparison { before: &before.0, now: Vec::new(), of: case.key() };
        let threads = decision.threads.iter();
        let threads = threads.map(|thread| row(thread, [("case_key", case.key().into())]));
        compared.take(&mut self.threads, threads.collect());
        if let Some(order) = case.order_id() {
            compared.of = order.to_string();
            self.add_order(&mut compared, decision);
        }
        Written(compared.now)
    }

    fn add_order(&mut self, compared: &mut Comparison<'_>, decision: &Decision) {
        let of = Value::from(compared.of.as_str());
        let order_id = || ("order_id", of.clone());
        let order = decision.order.iter();
        compared.take(&mut self.orders, order.clone().map(order_row).collect());
        let lines = order.flat_map(|order| &order.lines).map(|line| row(line, [order_id()]));
        compared.take(&mut self.order_lines, lines.collect());
        let packages = decision.packages.iter().map(|package| package_row(package, order_id()));
        compared.take(&mut self.packages, packages.collect());
        let guarantees = decision.guarantees.iter();
        let guarantees = guarantees.map(|guarantee| row(guarantee, [order_id()]));
        compared.take(&mut self.guarantees, guarantees.collect());
        let refunds = decision.refunds.iter().map(|refund| refund_row(refund, order_id()));
        compared.take(&mut self.refunds, refunds.collect());
    }

    /// Writes the rows, at most seven statements, none that has nothing to write or delete.
    pub async fn write(&mut self, conn: &mut PgConnection, now: Timestamp) -> Result<()> {
        for order in &mut self.orders.rows {
            order["version"] = 1.into();
            order["updated_at"] = now.to_string().into();
            order.as_object_mut().map(write_moments);
        }
        for (statement, table) in [
            (THREADS, &self.threads),
            (ORDERS, &self.orders),
            (ORDER_LINES, &self.order_lines),
            (PACKAGES, &self.packages),
            (GUARANTEES, &self.guarantees),
        ] {
            if !table.of.is_empty() {
                replace(conn, statement, table).await?;
            }
        }
        if self.refunds.of.is_empty() { Ok(()) } else { self.write_refunds(conn, now).await }
    }

    async fn write_refunds(&self, conn: &mut PgConnection, now: Timestamp) -> Result<()> {
        sqlx::query(
            "UPDATE read_model.refunds SET withdrawn_at = $3,
                 status = CASE WHEN issued_at IS NULL THEN 'withdrawn' ELSE 'issued' END
             WHERE order_id = ANY ($1) AND withdrawn_at IS NULL AND refund_key NOT IN (
                 SELECT refund_key FROM jsonb_populate_recordset(NULL::read_model.refunds, $2))",
        )
        .bind(&self.refunds.of)
        .bind(Json(&self.refunds.rows))
        .bind(sql_time(now))
        .execute(&mut *conn)
        .await?;
        if self.refunds.rows.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO read_model.refunds AS old
             SELECT * FROM jsonb_populate_recordset(NULL::read_model.refunds, $1)
             ON CONFLICT (refund_key) DO UPDATE SET (reason, currency, amount, item_amount,
                 shipping_amount, package_id, status, required_at, issued_at, withdrawn_at)
                 = (excluded.reason, excluded.currency, excluded.amount, excluded.item_amount,
                 excluded.shipping_amount, excluded.package_id, excluded.status,
                 excluded.required_at, excluded.issued_at, excluded.withdrawn_at)
             WHERE old IS DISTINCT FROM excluded",
        )
        .bind(Json(&self.refunds.rows))
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// A row of the read model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowName {
    pub table: String,
    /// What it is of: an order, and where that isn't enough a line, package, ….
    pub key: String,
}

/// The rows of cases, without what only counts changes.
pub async fn rows_of(conn: &mut PgConnection, cases: &CaseSet) -> Result<BTreeMap<RowName, Value>> {
    let orders: Vec<&str> =
        cases.iter().filter_map(CaseId::order_id).map(Identifier::as_str).collect();
    let rows: Vec<(String, String, Value)> = sqlx::query_as(
        "SELECT 'orders', order_id, to_jsonb(r) - '{version,updated_at}'::text[]
         FROM read_model.orders r WHERE order_id = ANY ($1)
         UNION ALL SELECT 'order_lines', order_id || ' ' || line_id, to_jsonb(r)
         FROM read_model.order_lines r WHERE order_id = ANY ($1)
         UNION ALL SELECT 'packages', order_id || ' ' || package_id, to_jsonb(r)
         FROM read_model.packages r WHERE order_id = ANY ($1)
         UNION ALL SELECT 'refunds', refund_key, to_jsonb(r)
         FROM read_model.refunds r WHERE order_id = ANY ($1)
         UNION ALL SELECT 'guarantees', order_id || ' ' || key, to_jsonb(r) - 'key'
         FROM read_model.guarantees r WHERE order_id = ANY ($1)
         UNION ALL SELECT 'threads', thread_id, to_jsonb(r) - 'case_key'
         FROM threads r WHERE case_key = ANY ($2)",
    )
    .bind(orders)
    .bind(case_keys(cases))
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(table, key, row)| (RowName { table, key }, row)).collect())
}

async fn replace(conn: &mut PgConnection, statement: &'static str, table: &Table) -> Result<()> {
    sqlx::query(statement).bind(&table.of).bind(Json(&table.rows)).execute(conn).await?;
    Ok(())
}

/// `version` and `updated_at` rise only where another column changes.
const ORDERS: &str = "
    WITH new AS MATERIALIZED (
        SELECT * FROM jsonb_populate_recordset(NULL::read_model.orders, $2::jsonb)),
    gone AS (
        DELETE FROM read_model.orders WHERE order_id = ANY ($1)
            AND order_id NOT IN (SELECT order_id FROM new))
    INSERT INTO read_model.orders AS old SELECT * FROM new
    ON CONFLICT (order_id) DO UPDATE SET (seller_id, buyer_id, status, sold_by, fulfilled_by,
        payment_status, payment_method, currency, items_total, tax_total, shipping_total,
        placed_at, authorized_at, ship_by, cancelled_at, buyer_name, relay_email, phone, ship_to,
        updated_at, version)
        = (excluded.seller_id, excluded.buyer_id, excluded.status, excluded.sold_by,
        excluded.fulfilled_by, excluded.payment_status, excluded.payment_method,
        excluded.currency, excluded.items_total, excluded.tax_total, excluded.shipping_total,
        excluded.placed_at, excluded.authorized_at, excluded.ship_by, excluded.cancelled_at,
        excluded.buyer_name, excluded.relay_email, excluded.phone, excluded.ship_to,
        excluded.updated_at, old.version + 1)
    WHERE (old.seller_id, old.buyer_id, old.status, old.sold_by, old.fulfilled_by,
        old.payment_status, old.payment_method, old.currency, old.items_total, old.tax_total,
        old.shipping_total, old.placed_at, old.authorized_at, old.ship_by, old.cancelled_at,
        old.buyer_name, old.relay_email, old.phone, old.ship_to)
        IS DISTINCT FROM (excluded.seller_id, excluded.buyer_id, excluded.status,
        excluded.sold_by, excluded.fulfilled_by, excluded.payment_status,
        excluded.payment_method, excluded.currency, excluded.items_total, excluded.tax_total,
        excluded.shipping_total, excluded.placed_at, excluded.authorized_at, excluded.ship_by,
        excluded.cancelled_at, excluded.buyer_name, excluded.relay_email, excluded.phone,
        excluded.ship_to)";

const ORDER_LINES: &str = "
    WITH new AS MATERIALIZED (
        SELECT * FROM jsonb_populate_recordset(NULL::read_model.order_lines, $2::jsonb)),
    gone AS (
        DELETE FROM read_model.order_lines WHERE order_id = ANY ($1)
            AND (order_id, line_id) NOT IN (SELECT order_id, line_id FROM new))
    INSERT INTO read_model.order_lines AS old SELECT * FROM new
    ON CONFLICT (order_id, line_id) DO UPDATE SET (sku, title, quantity, unit_price, tax,
        shipping_fee, quantity_shipped, quantity_unshippable, quantity_cancelled)
        = (excluded.sku, excluded.title, excluded.quantity, excluded.unit_price, excluded.tax,
        excluded.shipping_fee, excluded.quantity_shipped, excluded.quantity_unshippable,
        excluded.quantity_cancelled)
    WHERE old IS DISTINCT FROM excluded";

const PACKAGES: &str = "
    WITH new AS MATERIALIZED (
        SELECT * FROM jsonb_populate_recordset(NULL::read_model.packages, $2::jsonb)),
    gone AS (
        DELETE FROM read_model.packages WHERE order_id = ANY ($1)
            AND (order_id, package_id) NOT IN (SELECT order_id, package_id FROM new))
    INSERT INTO read_model.packages AS old SELECT * FROM new
    ON CONFLICT (order_id, package_id) DO UPDATE SET (carrier, tracking_number, insured, status,
        return_reason, dispatched_at, delivered_at, returned_at, lines)
        = (excluded.carrier, excluded.tracking_number, excluded.insured, excluded.status,
        excluded.return_reason, excluded.dispatched_at, excluded.delivered_at,
        excluded.returned_at, excluded.lines)
    WHERE old IS DISTINCT FROM excluded";

const THREADS: &str = "
    WITH new AS MATERIALIZED (
        SELECT * FROM jsonb_populate_recordset(NULL::public.threads, $2::jsonb)),
    gone AS (
        DELETE FROM threads WHERE case_key = ANY ($1)
            AND (thread_id, case_key) NOT IN (SELECT thread_id, case_key FROM new))
    INSERT INTO threads AS old SELECT * FROM new
    ON CONFLICT (thread_id, case_key) DO UPDATE SET (order_id, seller_id, topic, opened_at,
        last_buyer_message_at, last_seller_reply_at, awaiting, awaiting_since, reply_by)
        = (excluded.order_id, excluded.seller_id, excluded.topic, excluded.opened_at,
        excluded.last_buyer_message_at, excluded.last_seller_reply_at, excluded.awaiting,
        excluded.awaiting_since, excluded.reply_by)
    WHERE old IS DISTINCT FROM excluded";

const GUARANTEES: &str = "
    WITH new AS MATERIALIZED (
        SELECT * FROM jsonb_populate_recordset(NULL::read_model.guarantees, $2::jsonb)),
    gone AS (
        DELETE FROM read_model.guarantees WHERE order_id = ANY ($1)
            AND (order_id, key) NOT IN (SELECT order_id, key FROM new))
    INSERT INTO read_model.guarantees AS old SELECT * FROM new
    ON CONFLICT (order_id, key) DO UPDATE SET (thread_id, basis, since, eligible_at, status)
        = (excluded.thread_id, excluded.basis, excluded.since, excluded.eligible_at,
        excluded.status)
    WHERE old IS DISTINCT FROM excluded";

/// Without what only counts its changes.
fn order_row(order: &OrderState) -> Value {
    // The lines have a table of their own; a member that no column is called is skipped, but
    // a long list would have to be read.
    let mut row = row(order, []);
    row.as_object_mut().map(|members| members.remove("lines"));
    row
}

fn package_row(package: &PackageState, order_id: (&str, Value)) -> Value {
    let mut row = row(package, [order_id]);
    if package.status.is_none() {
        row["status"] = "dispatched".into();
    }
    row
}

fn refund_row(refund: &RefundState, order_id: (&str, Value)) -> Value {
    let status = if refund.issued_at.is_some() { "issued" } else { "required" };
    row(refund, [order_id, ("status", status.into())])
}

/// The columns that hold moments, of all tables together.
const MOMENTS: [&str; 17] = [
    "authorized_at",
    "awaiting_since",
    "cancelled_at",
    "delivered_at",
    "dispatched_at",
    "eligible_at",
    "issued_at",
    "last_buyer_message_at",
    "last_seller_reply_at",
    "opened_at",
    "placed_at",
    "reply_by",
    "required_at",
    "returned_at",
    "ship_by",
    "since",
    "updated_at",
];

/// A state and what its table has beside it, as a row.
fn row<'a>(state: &impl Serialize, beside: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let Ok(Value::Object(mut row)) = serde_json::to_value(state) else {
        unreachable!("a state is a struct of plain values")
    };
    row.extend(beside.into_iter().map(|(name, value)| (name.to_owned(), value)));
    write_moments(&mut row);
    Value::Object(row)
}

/// Rewrites the moments at the ends of the calendar, which PostgreSQL writes otherwise.
fn write_moments(row: &mut Map<String, Value>) {
    for name in MOMENTS {
        let rewritten = row.get(name).and_then(Value::as_str).and_then(historical);
        if let Some(moment) = rewritten {
            row[name] = moment.into();
        }
    }
}

/// A time of the years about 0 or 10000 in PostgreSQL's words: it counts years before Christ
/// without a year 0, and reads neither signs nor offsets of nearly a day.
fn historical(text: &str) -> Option<String> {
    if !["0000-", "9999-", "-", "+"].iter().any(|edge| text.starts_with(edge)) {
        return None;
    }
    let moment = text.parse::<DateTime<FixedOffset>>().ok()?.to_utc();
    let rest = moment.format("%m-%dT%H:%M:%S%.6fZ");
    Some(match moment.year() {
        year @ ..=0 => format!("{:04}-{rest} BC", 1 - year),
        year => format!("{year:04}-{rest}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_calendar_are_written_as_postgresql_reads_them() {
        for (text, written) in [
            ("0000-02-29T00:00:00Z", "0001-02-29T00:00:00.000000Z BC"),
            ("0000-01-01T14:59:00+23:59", "0002-12-31T15:00:00.000000Z BC"),
            ("9999-12-31T23:59:59-23:59", "10000-01-01T23:58:59.000000Z"),
            ("+10000-01-05T23:59:59-23:59", "10000-01-06T23:58:59.000000Z"),
        ] {
            assert_eq!(historical(text).as_deref(), Some(written), "{text}");
        }
        assert_eq!(historical("0001-01-01T00:00:00Z"), None);
    }
}
