//! The rows of the order report, read one after the other.

use futures_util::Stream;
use serde_json::Value;
use sqlx::{FromRow, PgConnection};

use super::{Result, SqlTime, sql_time};
use crate::contract::Timestamp;

/// Which orders are reported: those of a seller, placed from … up to, but not including, ….
#[derive(Clone, Debug)]
pub struct Range<'a> {
    pub seller: &'a str,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// A line with its order.
#[derive(Clone, Debug, FromRow)]
pub struct Row {
    pub order_id: String,
    pub status: String,
    pub fulfilled_by: String,
    pub currency: String,
    pub placed_at: SqlTime,
    pub updated_at: SqlTime,
    pub authorized_at: Option<SqlTime>,
    pub ship_by: Option<SqlTime>,
    pub buyer_name: Option<String>,
    pub relay_email: Option<String>,
    pub phone: Option<String>,
    pub ship_to: Option<Value>,
    pub line_id: String,
    pub sku: String,
    pub title: Option<String>,
    pub quantity: i64,
    pub unit_price: i64,
    pub tax: Option<i64>,
    pub shipping_fee: Option<i64>,
    pub quantity_shipped: i64,
    pub quantity_unshippable: i64,
    pub quantity_cancelled: i64,
}

/// The lines in the order in which their orders were placed. No more than one row is held.
pub fn rows<'c>(
    conn: &'c mut PgConnection,
    range: &'c Range<'c>,
) -> impl Stream<Item = Result<Row>> + 'c {
    sqlx::query_as(
        "SELECT o.order_id, o.status, o.fulfilled_by, o.currency, o.placed_at, o.updated_at,
                o.authorized_at, o.ship_by, o.buyer_name, o.relay_email, o.phone, o.ship_to,
                l.line_id, l.sku, l.title, l.quantity, l.unit_price, l.tax, l.shipping_fee,
                l.quantity_shipped, l.quantity_unshippable, l.quantity_cancelled
         FROM read_model.orders o JOIN read_model.order_lines l USING (order_id)
         WHERE o.seller_id = $1 AND ($2::timestamptz IS NULL OR o.placed_at >= $2)
           AND ($3::timestamptz IS NULL OR o.placed_at < $3)
         ORDER BY o.placed_at, o.order_id, l.line_id",
    )
    .persistent(false)
    .bind(range.seller)
    .bind(range.from.map(sql_time))
    .bind(range.until.map(sql_time))
    .fetch(conn)
}
