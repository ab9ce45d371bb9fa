//! What stands around orders: those that could be shipped with them, and who has read of them
//! what is different now.

use std::collections::BTreeSet;

use sqlx::{FromRow, PgConnection, Row};

use super::releases::{self, ChangedStretch, addresses};
use super::{Result, case_id, identifier, sql_time, sql_times, texts};
use crate::contract::Identifier;
use crate::rules::{CaseId, Identity, Release};

/// A release is judged beside at most this many others: the rule names 100, and must know
/// whether there are more.
const NEIGHBOURS_MAX: i64 = 101;

/// What was looked for.
#[derive(Debug, Default)]
pub struct Around {
    /// The orders that releases are beside, each with a release of another order that was ready
    /// at its moment, the last released first.
    pub beside: Vec<(Identifier, Release)>,
    /// The orders released within stretches that changed, at the same seller, buyer and address.
    pub released: BTreeSet<Identifier>,
    /// The threads whose placing depends on orders with identities, each with the order.
    pub asking: BTreeSet<(CaseId, Identifier)>,
}

/// Looks for the releases beside `own`, the orders released within `stretches`, and the threads
/// that ask for `identities`, in one statement.
///
/// A group of thousands of orders costs what its open ones cost; the limit holds by release.
pub async fn look(
    conn: &mut PgConnection,
    own: &[&Release],
    stretches: &[ChangedStretch],
    identities: &[&Identity],
) -> Result<Around> {
    if own.is_empty() && stretches.is_empty() && identities.is_empty() {
        return Ok(Around::default());
    }
    let changed = || stretches.iter().map(|stretch| &stretch.release);
    let rows = sqlx::query(LOOK)
        .bind(texts(own.iter().map(|release| &release.order_id)))
        .bind(texts(own.iter().map(|release| &release.seller_id)))
        .bind(texts(own.iter().map(|release| &release.buyer_id)))
        .bind(addresses(own.iter().copied()))
        .bind(sql_times(own.iter().map(|release| release.released_at)))
        .bind(NEIGHBOURS_MAX)
        .bind(texts(changed().map(|release| &release.order_id)))
        .bind(texts(changed().map(|release| &release.seller_id)))
        .bind(texts(changed().map(|release| &release.buyer_id)))
        .bind(addresses(changed()))
        .bind(sql_times(stretches.iter().map(|stretch| stretch.from)))
        .bind(stretches.iter().map(|stretch| stretch.until.map(sql_time)).collect::<Vec<_>>())
        .bind(texts(identities.iter().map(|identity| &identity.order_id)))
        .bind(texts(identities.iter().map(|identity| &identity.seller_id)))
        .bind(texts(identities.iter().map(|identity| &identity.buyer_id)))
        .bind(identities.iter().map(|identity| identity.relay_email.as_deref()).collect::<Vec<_>>())
        .bind(identities.iter().map(|identity| sql_time(identity.placed_at)).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
    let mut around = Around::default();
    for row in rows {
        let text = |column: &str| row.try_get::<Option<String>, _>(column);
        if let Some(order) = text("beside")? {
            let release = releases::read(releases::Row::from_row(&row)?)?;
            around.beside.push((identifier(order)?, release));
        }
        if let Some(order) = text("released")? {
            around.released.insert(identifier(order)?);
        }
        if let (Some(case), Some(order)) = (text("asking")?, text("asked")?) {
            around.asking.insert((case_id(&case)?, identifier(order)?));
        }
    }
    Ok(around)
}

const LOOK: &str = "
    WITH identified AS MATERIALIZED (
        SELECT * FROM unnest($13::text[], $14::text[], $15::text[], $16::text[], $17::timestamptz[])
            AS i (order_id, seller_id, buyer_id, relay_email, placed_at)),
    asking AS (
        SELECT l.case_key, i.order_id FROM identified i JOIN lookups l ON l.order_id = i.order_id
        UNION
        SELECT l.case_key, i.order_id FROM identified i JOIN lookups l
            ON l.seller_id = i.seller_id AND l.buyer_id = i.buyer_id
            AND l.asked_at >= i.placed_at
        WHERE l.buyer_id IS NOT NULL
          AND (l.relay_email IS NULL OR l.relay_email = i.relay_email)
        UNION
        SELECT l.case_key, i.order_id FROM identified i JOIN lookups l
            ON l.seller_id = i.seller_id AND md5(l.relay_email) = md5(i.relay_email)
            AND l.relay_email = i.relay_email AND l.asked_at >= i.placed_at
        WHERE l.buyer_id IS NULL AND l.relay_email IS NOT NULL),
    released AS (
        SELECT DISTINCT r.order_id
        FROM unnest($7::text[], $8::text[], $9::text[], $10::bytea[], $11::timestamptz[],
                    $12::timestamptz[])
            AS s (order_id, seller_id, buyer_id, address, from_at, until_at)
        JOIN releases r ON r.seller_id = s.seller_id AND r.buyer_id = s.buyer_id
            AND r.address = s.address AND r.released_at >= s.from_at
        WHERE r.order_id <> s.order_id AND (s.until_at IS NULL OR r.released_at < s.until_at))
    SELECT own.order_id AS beside, NULL AS released, NULL AS asking, NULL AS asked, r.*
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[])
        AS own (order_id, seller_id, buyer_id, address, released_at)
    CROSS JOIN LATERAL (
        SELECT order_id, seller_id, buyer_id, address_key, released_at, ready_from, ready_until
        FROM releases other
        WHERE other.seller_id = own.seller_id AND other.buyer_id = own.buyer_id
          AND other.address = own.address AND other.order_id <> own.order_id
          AND other.released_at <= own.released_at AND other.ready_from <= own.released_at
          AND (other.ready_until IS NULL OR other.ready_until > own.released_at)
        ORDER BY other.released_at DESC, other.order_id DESC LIMIT $6) r
    UNION ALL
    SELECT NULL, order_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM released
    UNION ALL
    SELECT NULL, NULL, case_key, order_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM asking";
