//! One function for each table: deletes what is outdated, and writes the rows.

use serde::Serialize;
use serde_json::Value;
use sqlx::types::Json;

use super::Table;
use crate::contract::{Identifier, Text, Timestamp};
use crate::rules::{GuaranteeState, LineState, OrderState, PackageState, RefundState, ThreadState};
use crate::store::{SqlTime, Together, sql_time};

impl<'a, T> Table<'a, T> {
    fn of(&self) -> Vec<&str> {
        self.rows.iter().map(|(of, _)| of.as_str()).collect()
    }

    fn column<C>(&self, column: impl Fn(&'a T) -> C) -> Vec<C> {
        self.rows.iter().map(|(_, row)| column(row)).collect()
    }

    /// The name of a value that is one of several words.
    fn words<W: Serialize>(&self, column: impl Fn(&'a T) -> W) -> Vec<Option<String>> {
        self.column(|row| match serde_json::to_value(column(row)) {
            Ok(Value::String(word)) => Some(word),
            _ => None,
        })
    }
}

fn id(id: &Option<Identifier>) -> Option<&str> {
    id.as_ref().map(Identifier::as_str)
}

fn text(text: &Option<Text>) -> Option<&str> {
    text.as_ref().map(|text| text.0.as_str())
}

fn time(moment: Option<Timestamp>) -> Option<SqlTime> {
    moment.map(sql_time)
}

/// `version` and `updated_at` rise only where another column changes.
pub(super) fn orders(writes: &mut Together, table: &Table<'_, OrderState>, now: Timestamp) {
    if !table.outdated.is_empty() {
        writes
            .add(
                "orders_outdated",
                "DELETE FROM read_model.orders
             WHERE order_id = ANY ($1) AND order_id <> ALL ($2)",
            )
            .bind(&table.outdated)
            .bind(table.of());
    }
    writes
        .add(
            "orders_written",
            "INSERT INTO read_model.orders AS old (order_id, seller_id, buyer_id, status, sold_by,
             fulfilled_by, payment_status, payment_method, currency, items_total, tax_total,
             shipping_total, placed_at, authorized_at, ship_by, cancelled_at, buyer_name,
             relay_email, phone, ship_to, updated_at, version)
         SELECT *, $21, 1
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
             $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[],
             $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[],
             $17::text[], $18::text[], $19::text[], $20::jsonb[])
         ON CONFLICT (order_id) DO UPDATE SET (seller_id, buyer_id, status, sold_by, fulfilled_by,
             payment_status, payment_method, currency, items_total, tax_total, shipping_total,
             placed_at, authorized_at, ship_by, cancelled_at, buyer_name, relay_email, phone,
             ship_to, updated_at, version)
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
             excluded.ship_to)",
        )
        .bind(table.of())
        .bind(table.column(|order| order.seller_id.as_str()))
        .bind(table.column(|order| order.buyer_id.as_str()))
        .bind(table.words(|order| order.status))
        .bind(table.words(|order| order.sold_by))
        .bind(table.words(|order| order.fulfilled_by))
        .bind(table.words(|order| order.payment_status))
        .bind(table.words(|order| order.payment_method))
        .bind(table.column(|order| order.currency.as_str()))
        .bind(table.column(|order| order.items_total))
        .bind(table.column(|order| order.tax_total))
        .bind(table.column(|order| order.shipping_total))
        .bind(table.column(|order| sql_time(order.placed_at)))
        .bind(table.column(|order| time(order.authorized_at)))
        .bind(table.column(|order| time(order.ship_by)))
        .bind(table.column(|order| time(order.cancelled_at)))
        .bind(table.column(|order| text(&order.buyer_name)))
        .bind(table.column(|order| text(&order.relay_email)))
        .bind(table.column(|order| text(&order.phone)))
        .bind(table.column(|order| order.ship_to.as_ref().map(Json)))
        .bind(sql_time(now));
}

pub(super) fn order_lines(writes: &mut Together, table: &Table<'_, LineState>) {
    let lines = || table.column(|line| line.line_id.as_str());
    if !table.outdated.is_empty() {
        writes
            .add(
                "order_lines_outdated",
                "DELETE FROM read_model.order_lines
             WHERE order_id = ANY ($1)
               AND (order_id, line_id) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))",
            )
            .bind(&table.outdated)
            .bind(table.of())
            .bind(lines());
    }
    writes
        .add(
            "order_lines_written",
            "INSERT INTO read_model.order_lines AS old (order_id, line_id, sku, title, quantity,
             unit_price, tax, shipping_fee, quantity_shipped, quantity_unshippable,
             quantity_cancelled)
         SELECT *
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
             $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
         ON CONFLICT (order_id, line_id) DO UPDATE SET (sku, title, quantity, unit_price, tax,
             shipping_fee, quantity_shipped, quantity_unshippable, quantity_cancelled)
             = (excluded.sku, excluded.title, excluded.quantity, excluded.unit_price, excluded.tax,
             excluded.shipping_fee, excluded.quantity_shipped, excluded.quantity_unshippable,
             excluded.quantity_cancelled)
         WHERE old IS DISTINCT FROM excluded",
        )
        .bind(table.of())
        .bind(lines())
        .bind(table.column(|line| line.sku.0.as_str()))
        .bind(table.column(|line| text(&line.title)))
        .bind(table.column(|line| line.quantity))
        .bind(table.column(|line| line.unit_price))
        .bind(table.column(|line| line.tax))
        .bind(table.column(|line| line.shipping_fee))
        .bind(table.column(|line| line.quantity_shipped))
        .bind(table.column(|line| line.quantity_unshippable))
        .bind(table.column(|line| line.quantity_cancelled));
}

pub(super) fn packages(writes: &mut Together, table: &Table<'_, PackageState>) {
    let packages = || table.column(|package| package.package_id.as_str());
    if !table.outdated.is_empty() {
        writes
            .add(
                "packages_outdated",
                "DELETE FROM read_model.packages
             WHERE order_id = ANY ($1)
               AND (order_id, package_id) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))",
            )
            .bind(&table.outdated)
            .bind(table.of())
            .bind(packages());
    }
    writes.add(
        "packages_written",
        "INSERT INTO read_model.packages AS old (order_id, package_id, carrier, tracking_number,
             insured, status, return_reason, dispatched_at, delivered_at, returned_at, lines)
         SELECT order_id, package_id, carrier, tracking_number, insured,
             coalesce(status, 'dispatched'), return_reason, dispatched_at, delivered_at,
             returned_at, lines
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::text[],
             $7::text[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::jsonb[])
             AS new (order_id, package_id, carrier, tracking_number, insured, status,
                     return_reason, dispatched_at, delivered_at, returned_at, lines)
         ON CONFLICT (order_id, package_id) DO UPDATE SET (carrier, tracking_number, insured,
             status, return_reason, dispatched_at, delivered_at, returned_at, lines)
             = (excluded.carrier, excluded.tracking_number, excluded.insured, excluded.status,
             excluded.return_reason, excluded.dispatched_at, excluded.delivered_at,
             excluded.returned_at, excluded.lines)
         WHERE old IS DISTINCT FROM excluded",
    )
    .bind(table.of())
    .bind(packages())
    .bind(table.column(|package| text(&package.carrier)))
    .bind(table.column(|package| text(&package.tracking_number)))
    .bind(table.column(|package| package.insured))
    .bind(table.words(|package| package.status))
    .bind(table.words(|package| package.return_reason))
    .bind(table.column(|package| sql_time(package.dispatched_at)))
    .bind(table.column(|package| time(package.delivered_at)))
    .bind(table.column(|package| time(package.returned_at)))
    .bind(table.column(|package| Json(&package.lines)));
}

/// Here rows are those of cases: a thread's row is its order's to write, or its own.
pub(super) fn threads(writes: &mut Together, table: &Table<'_, ThreadState>) {
    let threads = || table.column(|thread| thread.thread_id.as_str());
    if !table.outdated.is_empty() {
        writes
            .add(
                "threads_outdated",
                "DELETE FROM threads
             WHERE case_key = ANY ($1)
               AND (case_key, thread_id) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))",
            )
            .bind(&table.outdated)
            .bind(table.of())
            .bind(threads());
    }
    if table.rows.is_empty() {
        return;
    }
    writes.add(
        "threads_written",
        "INSERT INTO threads AS old (case_key, thread_id, order_id, seller_id, topic, opened_at,
             last_buyer_message_at, last_seller_reply_at, awaiting, awaiting_since, reply_by)
         SELECT *
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
             $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::text[],
             $10::timestamptz[], $11::timestamptz[])
         ON CONFLICT (thread_id, case_key) DO UPDATE SET (order_id, seller_id, topic, opened_at,
             last_buyer_message_at, last_seller_reply_at, awaiting, awaiting_since, reply_by)
             = (excluded.order_id, excluded.seller_id, excluded.topic, excluded.opened_at,
             excluded.last_buyer_message_at, excluded.last_seller_reply_at, excluded.awaiting,
             excluded.awaiting_since, excluded.reply_by)
         WHERE old IS DISTINCT FROM excluded",
    )
    .bind(table.of())
    .bind(threads())
    .bind(table.column(|thread| id(&thread.order_id)))
    .bind(table.column(|thread| thread.seller_id.as_str()))
    .bind(table.words(|thread| thread.topic))
    .bind(table.column(|thread| sql_time(thread.opened_at)))
    .bind(table.column(|thread| time(thread.last_buyer_message_at)))
    .bind(table.column(|thread| time(thread.last_seller_reply_at)))
    .bind(table.column(|thread| thread.awaiting.name()))
    .bind(table.column(|thread| time(thread.awaiting_since)))
    .bind(table.column(|thread| time(thread.reply_by)));
}

/// What is required no longer is marked as withdrawn.
pub(super) fn refunds(writes: &mut Together, table: &Table<'_, RefundState>, now: Timestamp) {
    let refunds = || table.column(|refund| refund.refund_key.as_str());
    if !table.outdated.is_empty() {
        writes
            .add(
                "refunds_outdated",
                "UPDATE read_model.refunds SET withdrawn_at = $3,
                 status = CASE WHEN issued_at IS NULL THEN 'withdrawn' ELSE 'issued' END
             WHERE order_id = ANY ($1) AND withdrawn_at IS NULL AND refund_key <> ALL ($2)",
            )
            .bind(&table.outdated)
            .bind(refunds())
            .bind(sql_time(now));
    }
    if table.rows.is_empty() {
        return;
    }
    writes
        .add(
            "refunds_written",
            "INSERT INTO read_model.refunds AS old (order_id, refund_key, reason, currency, amount,
             item_amount, shipping_amount, package_id, required_at, issued_at, status)
         SELECT *, CASE WHEN issued_at IS NULL THEN 'required' ELSE 'issued' END
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
             $7::bigint[], $8::text[], $9::timestamptz[], $10::timestamptz[])
             AS new (order_id, refund_key, reason, currency, amount, item_amount, shipping_amount,
                     package_id, required_at, issued_at)
         ON CONFLICT (refund_key) DO UPDATE SET (reason, currency, amount, item_amount,
             shipping_amount, package_id, status, required_at, issued_at, withdrawn_at)
             = (excluded.reason, excluded.currency, excluded.amount, excluded.item_amount,
             excluded.shipping_amount, excluded.package_id, excluded.status,
             excluded.required_at, excluded.issued_at, excluded.withdrawn_at)
         WHERE old IS DISTINCT FROM excluded",
        )
        .bind(table.of())
        .bind(refunds())
        .bind(table.words(|refund| refund.reason))
        .bind(table.column(|refund| refund.currency.as_str()))
        .bind(table.column(|refund| refund.amount))
        .bind(table.column(|refund| refund.item_amount))
        .bind(table.column(|refund| refund.shipping_amount))
        .bind(table.column(|refund| id(&refund.package_id)))
        .bind(table.column(|refund| sql_time(refund.required_at)))
        .bind(table.column(|refund| time(refund.issued_at)));
}

pub(super) fn guarantees(writes: &mut Together, table: &Table<'_, GuaranteeState>) {
    let keys = || table.column(|guarantee| guarantee.key.as_str());
    if !table.outdated.is_empty() {
        writes
            .add(
                "guarantees_outdated",
                "DELETE FROM read_model.guarantees
             WHERE order_id = ANY ($1)
               AND (order_id, key) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))",
            )
            .bind(&table.outdated)
            .bind(table.of())
            .bind(keys());
    }
    if table.rows.is_empty() {
        return;
    }
    writes
        .add(
            "guarantees_written",
            "INSERT INTO read_model.guarantees AS old (order_id, key, thread_id, basis, since,
             eligible_at, status)
         SELECT *
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[],
             $6::timestamptz[], $7::text[])
         ON CONFLICT (order_id, key) DO UPDATE SET (thread_id, basis, since, eligible_at, status)
             = (excluded.thread_id, excluded.basis, excluded.since, excluded.eligible_at,
             excluded.status)
         WHERE old IS DISTINCT FROM excluded",
        )
        .bind(table.of())
        .bind(keys())
        .bind(table.column(|guarantee| id(&guarantee.thread_id)))
        .bind(table.words(|guarantee| guarantee.basis))
        .bind(table.column(|guarantee| time(guarantee.since)))
        .bind(table.column(|guarantee| time(guarantee.eligible_at)))
        .bind(table.column(|guarantee| guarantee.status.name()));
}
