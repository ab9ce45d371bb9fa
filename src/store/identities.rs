//! Who placed which order with whom.

use std::collections::BTreeMap;

use sqlx::{FromRow, PgConnection};

use super::{Result, SqlTime, Together, identifier, sql_time, sql_times, texts};
use crate::contract::{Identifier, Timestamp};
use crate::rules::{Identity, Lookup};

#[derive(FromRow)]
struct Row {
    order_id: String,
    seller_id: String,
    buyer_id: String,
    relay_email: Option<String>,
    placed_at: SqlTime,
}

fn read(row: Row) -> Result<Identity> {
    Ok(Identity {
        order_id: identifier(row.order_id)?,
        seller_id: identifier(row.seller_id)?,
        buyer_id: identifier(row.buyer_id)?,
        relay_email: row.relay_email,
        placed_at: Timestamp::from_chrono(row.placed_at),
    })
}

/// The identities of orders, as far as they were placed.
pub async fn of_orders<'a>(
    conn: &mut PgConnection,
    orders: impl IntoIterator<Item = &'a Identifier>,
) -> Result<BTreeMap<Identifier, Identity>> {
    let orders = texts(orders);
    if orders.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<Row> = sqlx::query_as("SELECT * FROM identities WHERE order_id = ANY ($1)")
        .bind(orders)
        .fetch_all(conn)
        .await?;
    rows.into_iter()
        .map(|row| read(row).map(|identity| (identity.order_id.clone(), identity)))
        .collect()
}

/// The orders that lookups may find, each once: those of the seller and the buyer (or the
/// address, where no buyer is given) placed up to the moment of asking.
pub async fn candidates(conn: &mut PgConnection, lookups: &[Lookup]) -> Result<Vec<Identity>> {
    if lookups.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = sqlx::query_as(
        "WITH asked AS MATERIALIZED (
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
                 AS l (seller_id, buyer_id, relay_email, asked_at))
         SELECT i.* FROM asked l JOIN identities i
             ON i.seller_id = l.seller_id AND i.buyer_id = l.buyer_id
             AND i.placed_at <= l.asked_at
         WHERE l.buyer_id IS NOT NULL
           AND (l.relay_email IS NULL OR i.relay_email = l.relay_email)
         UNION
         SELECT i.* FROM asked l JOIN identities i
             ON i.seller_id = l.seller_id AND md5(i.relay_email) = md5(l.relay_email)
             AND i.relay_email = l.relay_email AND i.placed_at <= l.asked_at
         WHERE l.buyer_id IS NULL AND l.relay_email IS NOT NULL",
    )
    .bind(texts(lookups.iter().map(|lookup| &lookup.seller_id)))
    .bind(
        lookups
            .iter()
            .map(|lookup| lookup.buyer_id.as_ref().map(Identifier::as_str))
            .collect::<Vec<_>>(),
    )
    .bind(lookups.iter().map(|lookup| lookup.relay_email.as_deref()).collect::<Vec<_>>())
    .bind(sql_times(lookups.iter().map(|lookup| lookup.asked_at)))
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(read).collect()
}

/// Records identities, new and changed.
pub fn record(writes: &mut Together, identities: &[&Identity]) {
    writes
        .add(
            "identified",
            "INSERT INTO identities (order_id, seller_id, buyer_id, relay_email, placed_at)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
         ON CONFLICT (order_id) DO UPDATE SET seller_id = excluded.seller_id,
             buyer_id = excluded.buyer_id, relay_email = excluded.relay_email,
             placed_at = excluded.placed_at",
        )
        .bind(texts(identities.iter().map(|identity| &identity.order_id)))
        .bind(texts(identities.iter().map(|identity| &identity.seller_id)))
        .bind(texts(identities.iter().map(|identity| &identity.buyer_id)))
        .bind(identities.iter().map(|identity| identity.relay_email.as_deref()).collect::<Vec<_>>())
        .bind(identities.iter().map(|identity| sql_time(identity.placed_at)).collect::<Vec<_>>());
}
