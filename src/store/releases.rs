//! The stretches in which orders could be shipped together (S5).

use std::collections::BTreeSet;

use sqlx::{FromRow, PgConnection};

use super::{Result, SqlTime, digest, identifier, sql_time, sql_times, texts};
use crate::contract::{Identifier, Timestamp};
use crate::rules::Release;

/// A release is judged beside at most this many others: the rule names 100, and must know
/// whether there are more.
const NEIGHBOURS_MAX: i64 = 101;

#[derive(FromRow)]
struct Row {
    order_id: String,
    seller_id: String,
    buyer_id: String,
    address_key: String,
    released_at: SqlTime,
    ready_from: SqlTime,
    ready_until: Option<SqlTime>,
}

fn read(row: Row) -> Result<Release> {
    Ok(Release {
        order_id: identifier(row.order_id)?,
        released_at: Timestamp::from_chrono(row.released_at),
        from: Timestamp::from_chrono(row.ready_from),
        until: row.ready_until.map(Timestamp::from_chrono),
        address: row.address_key,
        seller_id: identifier(row.seller_id)?,
        buyer_id: identifier(row.buyer_id)?,
    })
}

/// The releases recorded of orders.
pub async fn of_orders(
    conn: &mut PgConnection,
    orders: &BTreeSet<Identifier>,
) -> Result<BTreeSet<Release>> {
    let rows: Vec<Row> = sqlx::query_as("SELECT * FROM releases WHERE order_id = ANY ($1)")
        .bind(texts(orders))
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(read).collect()
}

/// Changes when releases end, and nothing else of them.
pub async fn end(conn: &mut PgConnection, releases: &[&Release]) -> Result<()> {
    sqlx::query(
        "UPDATE releases SET ready_until = changed.ready_until
         FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[])
             AS changed (order_id, ready_from, ready_until)
         WHERE releases.order_id = changed.order_id AND releases.ready_from = changed.ready_from",
    )
    .bind(texts(releases.iter().map(|release| &release.order_id)))
    .bind(sql_times(releases.iter().map(|release| release.from)))
    .bind(releases.iter().map(|release| release.until.map(sql_time)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes the releases of `orders`.
pub async fn delete(conn: &mut PgConnection, orders: &[&Identifier]) -> Result<()> {
    sqlx::query("DELETE FROM releases WHERE order_id = ANY ($1)")
        .bind(texts(orders.iter().copied()))
        .execute(conn)
        .await?;
    Ok(())
}

/// Adds releases.
pub async fn insert(conn: &mut PgConnection, releases: &[&Release]) -> Result<()> {
    sqlx::query(
        "INSERT INTO releases (order_id, seller_id, buyer_id, address, address_key, released_at,
                               ready_from, ready_until)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[],
                              $6::timestamptz[], $7::timestamptz[], $8::timestamptz[])",
    )
    .bind(texts(releases.iter().map(|release| &release.order_id)))
    .bind(texts(releases.iter().map(|release| &release.seller_id)))
    .bind(texts(releases.iter().map(|release| &release.buyer_id)))
    .bind(addresses(releases.iter().copied()))
    .bind(releases.iter().map(|release| release.address.as_str()).collect::<Vec<_>>())
    .bind(sql_times(releases.iter().map(|release| release.released_at)))
    .bind(sql_times(releases.iter().map(|release| release.from)))
    .bind(releases.iter().map(|release| release.until.map(sql_time)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

fn addresses<'a>(releases: impl IntoIterator<Item = &'a Release>) -> Vec<Vec<u8>> {
    releases.into_iter().map(|release| digest([release.address.as_bytes()]).to_vec()).collect()
}

/// For each release, those of other orders that were ready at its moment, the last released
/// first, with the order that they are beside.
///
/// A group of thousands of orders costs what its open ones cost; the limit holds by release.
pub async fn beside(
    conn: &mut PgConnection,
    releases: &[&Release],
) -> Result<Vec<(Identifier, Release)>> {
    #[derive(FromRow)]
    struct Beside {
        beside: String,
        #[sqlx(flatten)]
        row: Row,
    }
    let rows: Vec<Beside> = sqlx::query_as(
        "SELECT own.order_id AS beside, r.*
         FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[])
             AS own (order_id, seller_id, buyer_id, address, released_at)
         CROSS JOIN LATERAL (
             SELECT other.* FROM releases other
             WHERE other.seller_id = own.seller_id AND other.buyer_id = own.buyer_id
               AND other.address = own.address AND other.order_id <> own.order_id
               AND other.released_at <= own.released_at AND other.ready_from <= own.released_at
               AND (other.ready_until IS NULL OR other.ready_until > own.released_at)
             ORDER BY other.released_at DESC, other.order_id DESC LIMIT $6) r",
    )
    .bind(texts(releases.iter().map(|release| &release.order_id)))
    .bind(texts(releases.iter().map(|release| &release.seller_id)))
    .bind(texts(releases.iter().map(|release| &release.buyer_id)))
    .bind(addresses(releases.iter().copied()))
    .bind(sql_times(releases.iter().map(|release| release.released_at)))
    .bind(NEIGHBOURS_MAX)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| Ok((identifier(row.beside)?, read(row.row)?))).collect()
}

/// A stretch of time in which what a group's later releases see has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedStretch {
    pub release: Release,
    pub from: Timestamp,
    /// Not included; `None`: for good.
    pub until: Option<Timestamp>,
}

/// The orders released within stretches that changed, at the same seller, buyer and address.
pub async fn released_within(
    conn: &mut PgConnection,
    stretches: &[ChangedStretch],
) -> Result<BTreeSet<Identifier>> {
    let releases = || stretches.iter().map(|stretch| &stretch.release);
    let orders: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT r.order_id
         FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[],
                     $6::timestamptz[])
             AS s (order_id, seller_id, buyer_id, address, from_at, until_at)
         JOIN releases r ON r.seller_id = s.seller_id AND r.buyer_id = s.buyer_id
             AND r.address = s.address AND r.released_at >= s.from_at
         WHERE r.order_id <> s.order_id AND (s.until_at IS NULL OR r.released_at < s.until_at)",
    )
    .bind(texts(releases().map(|release| &release.order_id)))
    .bind(texts(releases().map(|release| &release.seller_id)))
    .bind(texts(releases().map(|release| &release.buyer_id)))
    .bind(addresses(releases()))
    .bind(sql_times(stretches.iter().map(|stretch| stretch.from)))
    .bind(stretches.iter().map(|stretch| stretch.until.map(sql_time)).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    orders.into_iter().map(identifier).collect()
}
