//! Reading orders back: what `order show` and `order find` are made from.

use serde_json::Value;
use sqlx::PgConnection;

use super::Result;
use crate::contract::Identifier;

/// How an order is looked for.
#[derive(Clone, Debug)]
pub enum Search<'a> {
    /// The case of letters is ignored.
    Email(&'a str),
    Buyer(&'a Identifier),
    Number(&'a Identifier),
}

/// The orders that fit, the last placed first, each row as an object.
pub async fn find(conn: &mut PgConnection, search: Search<'_>, limit: i64) -> Result<Vec<Value>> {
    let (email, buyer, number) = match search {
        Search::Email(email) => (Some(email.to_lowercase()), None, None),
        Search::Buyer(buyer) => (None, Some(buyer.as_str()), None),
        Search::Number(number) => (None, None, Some(number.as_str())),
    };
    sqlx::query_scalar(
        "SELECT row_to_json(found) FROM (
         SELECT order_id, seller_id, buyer_id, status, payment_status, currency, items_total,
                shipping_total, placed_at
         FROM read_model.orders
         WHERE ($1::text IS NULL OR (md5(lower(relay_email)) = md5($1) AND lower(relay_email) = $1))
           AND ($2::text IS NULL OR buyer_id = $2) AND ($3::text IS NULL OR order_id = $3)
         ORDER BY placed_at DESC, order_id LIMIT $4) found",
    )
    .persistent(false)
    .bind(email)
    .bind(buyer)
    .bind(number)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Whether an event of an order was ever accepted.
pub async fn is_known(conn: &mut PgConnection, order: &Identifier) -> Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM history WHERE case_key = 'o/' || $1)")
        .bind(order.as_str())
        .fetch_one(conn)
        .await
}

/// An order with its lines, packages, threads, messages (without their bodies), refunds,
/// guarantees and derived events, each row as an object; `None` where nothing is known of it.
pub async fn show(conn: &mut PgConnection, order: &Identifier) -> Result<Option<Value>> {
    let shown: Value = sqlx::query_scalar(
        "SELECT json_build_object(
            'order', (SELECT row_to_json(o) FROM read_model.orders o WHERE order_id = $1),
            'lines', (SELECT coalesce(json_agg(l ORDER BY line_id), '[]')
                      FROM read_model.order_lines l WHERE order_id = $1),
            'packages', (SELECT coalesce(json_agg(p ORDER BY dispatched_at, package_id), '[]')
                         FROM read_model.packages p WHERE order_id = $1),
            'threads', (SELECT coalesce(json_agg(t ORDER BY opened_at, thread_id), '[]')
                        FROM read_model.threads t WHERE order_id = $1),
            'messages', (SELECT coalesce(json_agg(m ORDER BY sent_at, message_id), '[]')
                         FROM (SELECT message_id, thread_id, sent_from, channel, topic, automatic,
                                      sent_at
                               FROM read_model.messages WHERE order_id = $1) m),
            'refunds', (SELECT coalesce(json_agg(r ORDER BY required_at, refund_key), '[]')
                        FROM read_model.refunds r WHERE order_id = $1),
            'guarantees', (SELECT coalesce(json_agg(g ORDER BY since, key), '[]')
                           FROM read_model.guarantees g WHERE order_id = $1),
            'derived_events', (SELECT coalesce(json_agg(d ORDER BY sequence), '[]')
                               FROM read_model.derived_events d WHERE order_id = $1),
            'events', (SELECT count(*) FROM history WHERE case_key = 'o/' || $1))",
    )
    .bind(order.as_str())
    .fetch_one(conn)
    .await?;
    Ok(Some(shown).filter(|shown| shown["events"] != 0))
}
