//! Reading orders back: what `order show` and `order find` are made from.

use serde_json::Value;
use sqlx::PgConnection;

use super::{Result, SqlTime, sql_time};
use crate::contract::{Identifier, Timestamp};

/// The orders that a page looks at: by address, by name, or simply the last placed. Those that
/// an index names are few, and found before they are sorted; else the index of the last placed
/// gives them in order. $1 to $5 are bound to address, name, place and how many.
macro_rules! examined {
    ($tail:literal) => {
        concat!(
            "WITH named AS MATERIALIZED (
                 SELECT order_id FROM read_model.orders
                 WHERE $1::text IS NOT NULL AND md5(lower(relay_email)) = md5($1)
                   AND lower(relay_email) = $1
                 UNION SELECT order_id FROM read_model.orders
                 WHERE $2::text IS NOT NULL AND buyer_id = $2
                 UNION (SELECT order_id FROM read_model.orders
                        WHERE $2::text IS NOT NULL AND order_id >= $2
                          AND order_id < $2 || chr(1114111) ORDER BY order_id LIMIT $5)),
             looked AS MATERIALIZED (
                 (SELECT order_id, seller_id, buyer_id, status, payment_status, currency,
                         items_total, shipping_total, placed_at, ship_by
                  FROM read_model.orders
                  WHERE $1::text IS NULL AND $2::text IS NULL
                    AND ($3::timestamptz IS NULL OR (placed_at, order_id) < ($3, $4))
                  ORDER BY placed_at DESC, order_id DESC LIMIT $5)
                 UNION ALL
                 (SELECT order_id, seller_id, buyer_id, status, payment_status, currency,
                         items_total, shipping_total, placed_at, ship_by
                  FROM named JOIN read_model.orders USING (order_id)
                  WHERE $3::timestamptz IS NULL OR (placed_at, order_id) < ($3, $4)
                  ORDER BY placed_at DESC, order_id DESC LIMIT $5)) ",
            $tail
        )
    };
}

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

/// Which orders a page is of.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// A number, its beginning, or a buyer's id.
    pub named: Option<String>,
    /// The buyer's address; the case of letters is ignored.
    pub email: Option<String>,
    pub status: Option<String>,
}

/// A place among the orders: when one was placed, and which one it is.
pub type Place = (Timestamp, String);

/// The most orders that are looked at for a page: a status that hardly any has would else read
/// them all.
pub const EXAMINED_MAX: i64 = 20_000;

/// A page of orders, the last placed first, each row as an object; and from where to look on
/// where there is more to be looked at.
pub async fn page(
    conn: &mut PgConnection,
    wanted: &Wanted,
    before: Option<&Place>,
    limit: i64,
) -> Result<(Vec<Value>, Option<Place>)> {
    // One more than asked for tells whether there are more.
    let rows: Vec<(Value, SqlTime, String)> = sqlx::query_as(examined!(
        "SELECT row_to_json(looked), placed_at, order_id FROM looked
         WHERE $6::text IS NULL OR status = $6
         ORDER BY placed_at DESC, order_id DESC LIMIT $7"
    ))
    .persistent(false)
    .bind(wanted.email.as_ref().map(|email| email.to_lowercase()))
    .bind(&wanted.named)
    .bind(before.map(|(time, _)| sql_time(*time)))
    .bind(before.map(|(_, order)| order))
    .bind(EXAMINED_MAX)
    .bind(&wanted.status)
    .bind(limit + 1)
    .fetch_all(&mut *conn)
    .await?;
    let asked = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > asked;
    let next = match rows.get(asked.wrapping_sub(1)) {
        Some((_, time, order)) if more => Some((Timestamp::from_chrono(*time), order.clone())),
        _ if wanted.status.is_some() => examined_up_to(conn, wanted, before).await?,
        _ => None,
    };
    Ok((rows.into_iter().take(asked).map(|(row, _, _)| row).collect(), next))
}

/// The last order that was looked at, where that was not the last of all.
async fn examined_up_to(
    conn: &mut PgConnection,
    wanted: &Wanted,
    before: Option<&Place>,
) -> Result<Option<Place>> {
    let last: Option<(SqlTime, String, i64)> = sqlx::query_as(examined!(
        "SELECT placed_at, order_id, (SELECT count(*) FROM looked) FROM looked
         ORDER BY placed_at, order_id LIMIT 1"
    ))
    .persistent(false)
    .bind(wanted.email.as_ref().map(|email| email.to_lowercase()))
    .bind(&wanted.named)
    .bind(before.map(|(time, _)| sql_time(*time)))
    .bind(before.map(|(_, order)| order))
    .bind(EXAMINED_MAX)
    .fetch_optional(conn)
    .await?;
    let last = last.filter(|(_, _, count)| *count >= EXAMINED_MAX);
    Ok(last.map(|(time, order, _)| (Timestamp::from_chrono(time), order)))
}

/// What the messages of an order say, by message.
pub async fn message_bodies(
    conn: &mut PgConnection,
    order: &Identifier,
) -> Result<Vec<(String, String)>> {
    sqlx::query_as(
        "SELECT message_id, body FROM read_model.messages
         WHERE order_id = $1 AND body IS NOT NULL ORDER BY sent_at, message_id",
    )
    .bind(order.as_str())
    .fetch_all(conn)
    .await
}
