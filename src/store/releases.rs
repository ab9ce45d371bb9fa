//! The stretches in which orders could be shipped together (S5).

use std::collections::{BTreeSet, HashSet};

use sqlx::{FromRow, PgConnection};

use super::groups::{self, Group};
use super::{Result, SqlTime, digest, identifier, sql_time, sql_times, texts};
use crate::contract::{Identifier, Timestamp};
use crate::rules::Release;

#[derive(FromRow)]
pub(super) struct Row {
    order_id: String,
    seller_id: String,
    buyer_id: String,
    address_key: String,
    released_at: SqlTime,
    ready_from: SqlTime,
    ready_until: Option<SqlTime>,
}

pub(super) fn read(row: Row) -> Result<Release> {
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

/// What is to be different of the recorded releases.
#[derive(Debug, Default)]
pub struct Changes<'a> {
    /// When they end, and nothing else of them.
    pub ended: Vec<&'a Release>,
    /// Orders of which all are deleted.
    pub outdated: Vec<&'a Identifier>,
    /// To be added.
    pub new: Vec<&'a Release>,
}

/// Changes releases and tries the locks of groups, in one statement: what is read after it is
/// there for whoever gets a lock after us. Returns the groups that another transaction has.
pub async fn change(
    conn: &mut PgConnection,
    changes: &Changes<'_>,
    groups: &BTreeSet<Group>,
) -> Result<HashSet<Group>> {
    let Changes { ended, outdated, new } = changes;
    if !outdated.is_empty() {
        // First: new ones may take the places of old ones.
        sqlx::query("DELETE FROM releases WHERE order_id = ANY ($1)")
            .bind(texts(outdated.iter().copied()))
            .execute(&mut *conn)
            .await?;
    }
    if ended.is_empty() && new.is_empty() {
        return groups::try_lock(conn, groups).await;
    }
    let busy: Vec<i64> = sqlx::query_scalar(
        "WITH ended AS (
             UPDATE releases SET ready_until = changed.ready_until
             FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[])
                 AS changed (order_id, ready_from, ready_until)
             WHERE releases.order_id = changed.order_id
               AND releases.ready_from = changed.ready_from),
         new AS (
             INSERT INTO releases (order_id, seller_id, buyer_id, address, address_key,
                                   released_at, ready_from, ready_until)
             SELECT * FROM unnest($4::text[], $5::text[], $6::text[], $7::bytea[], $8::text[],
                                  $9::timestamptz[], $10::timestamptz[], $11::timestamptz[]))
         SELECT g FROM unnest($12::bigint[]) AS g WHERE NOT pg_try_advisory_xact_lock(g)",
    )
    .bind(texts(ended.iter().map(|release| &release.order_id)))
    .bind(sql_times(ended.iter().map(|release| release.from)))
    .bind(ends(ended))
    .bind(texts(new.iter().map(|release| &release.order_id)))
    .bind(texts(new.iter().map(|release| &release.seller_id)))
    .bind(texts(new.iter().map(|release| &release.buyer_id)))
    .bind(addresses(new.iter().copied()))
    .bind(new.iter().map(|release| release.address.as_str()).collect::<Vec<_>>())
    .bind(sql_times(new.iter().map(|release| release.released_at)))
    .bind(sql_times(new.iter().map(|release| release.from)))
    .bind(ends(new))
    .bind(groups::numbers(groups))
    .fetch_all(conn)
    .await?;
    Ok(groups::from_numbers(busy))
}

fn ends(releases: &[&Release]) -> Vec<Option<SqlTime>> {
    releases.iter().map(|release| release.until.map(sql_time)).collect()
}

pub(super) fn addresses<'a>(releases: impl IntoIterator<Item = &'a Release>) -> Vec<Vec<u8>> {
    releases.into_iter().map(|release| digest([release.address.as_bytes()]).to_vec()).collect()
}

/// A stretch of time in which what a group's later releases see has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedStretch {
    pub release: Release,
    pub from: Timestamp,
    /// Not included; `None`: for good.
    pub until: Option<Timestamp>,
}
