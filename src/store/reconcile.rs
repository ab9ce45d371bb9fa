//! What an order report is held against: orders with their lines, a page at a time.
//!
//! No column that says who somebody is stands in here.

use sqlx::{FromRow, PgConnection};

use super::report::Range;
use super::{Result, SqlTime, sql_time};
use crate::contract::Timestamp;

/// An order, as far as a report says it too.
#[derive(Clone, Debug, FromRow)]
pub struct Order {
    pub order_id: String,
    pub seller_id: String,
    pub status: String,
    pub fulfilled_by: String,
    pub currency: String,
    pub placed_at: SqlTime,
}

/// A line of an order, as far as a report says it too.
#[derive(Clone, Debug, FromRow)]
pub struct Line {
    pub order_id: String,
    pub line_id: String,
    pub sku: String,
    pub quantity: i64,
    pub unit_price: i64,
    pub tax: Option<i64>,
    pub shipping_fee: Option<i64>,
    pub quantity_shipped: i64,
    pub quantity_unshippable: i64,
    pub quantity_cancelled: i64,
}

/// Where an order stands among those of its seller.
#[derive(Clone, Debug, FromRow)]
pub struct Place {
    pub placed_at: SqlTime,
    pub order_id: String,
}

impl Place {
    /// Before every order that was placed within the range.
    pub fn before(range: &Range<'_>) -> Place {
        let placed_at = sql_time(range.from.unwrap_or(Timestamp::MIN));
        Place { placed_at, order_id: String::new() }
    }
}

/// Those of the orders that are known.
pub async fn orders(conn: &mut PgConnection, ids: &[&str]) -> Result<Vec<Order>> {
    sqlx::query_as(
        "SELECT order_id, seller_id, status, fulfilled_by, currency, placed_at
         FROM read_model.orders WHERE order_id = ANY ($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// Their lines, by order and line id.
pub async fn lines(conn: &mut PgConnection, ids: &[&str]) -> Result<Vec<Line>> {
    sqlx::query_as(
        "SELECT order_id, line_id, sku, quantity, unit_price, tax, shipping_fee,
                quantity_shipped, quantity_unshippable, quantity_cancelled
         FROM read_model.order_lines WHERE order_id = ANY ($1) ORDER BY order_id, line_id",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// The seller's orders of the range that come after this place, in the order in which they
/// were placed.
pub async fn placed_after(
    conn: &mut PgConnection,
    range: &Range<'_>,
    after: &Place,
    limit: i64,
) -> Result<Vec<Place>> {
    sqlx::query_as(
        "SELECT placed_at, order_id FROM read_model.orders
         WHERE seller_id = $1 AND (placed_at, order_id) > ($2, $3) AND placed_at < $4
         ORDER BY placed_at, order_id LIMIT $5",
    )
    .bind(range.seller)
    .bind(after.placed_at)
    .bind(&after.order_id)
    .bind(sql_time(range.until.unwrap_or(Timestamp::MAX)))
    .bind(limit)
    .fetch_all(conn)
    .await
}
