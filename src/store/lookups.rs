//! What threads asked: the orders that their messages name, and those that they may mean.

use std::collections::BTreeSet;

use sqlx::{FromRow, PgConnection};

use super::{CaseSet, Result, SqlTime, case_id, case_keys, sql_time};
use crate::contract::{Identifier, Timestamp};
use crate::rules::{CaseId, Lookup};

/// What a thread's placing depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    Named(Identifier),
    Lookup {
        seller_id: Identifier,
        buyer_id: Option<Identifier>,
        /// In lower case.
        relay_email: Option<String>,
        asked_at: Timestamp,
    },
}

impl From<&Lookup> for Asked {
    fn from(lookup: &Lookup) -> Asked {
        Asked::Lookup {
            seller_id: lookup.seller_id.clone(),
            buyer_id: lookup.buyer_id.clone(),
            relay_email: lookup.relay_email.clone(),
            asked_at: lookup.asked_at,
        }
    }
}

#[derive(FromRow)]
struct Row {
    case_key: String,
    order_id: Option<String>,
    seller_id: Option<String>,
    buyer_id: Option<String>,
    relay_email: Option<String>,
    asked_at: Option<SqlTime>,
}

fn read(row: Row) -> Result<(CaseId, Asked)> {
    let id = |text: Option<String>| text.map(super::identifier).transpose();
    let asked = match (id(row.order_id)?, id(row.seller_id)?, row.asked_at) {
        (Some(order), None, _) => Asked::Named(order),
        (None, Some(seller_id), Some(asked_at)) => Asked::Lookup {
            seller_id,
            buyer_id: id(row.buyer_id)?,
            relay_email: row.relay_email,
            asked_at: Timestamp::from_chrono(asked_at),
        },
        _ => return Err(super::corrupt("a lookup either names an order or looks for some")),
    };
    Ok((case_id(&row.case_key)?, asked))
}

/// What threads asked before.
pub async fn of_cases(
    conn: &mut PgConnection,
    threads: &CaseSet,
) -> Result<BTreeSet<(CaseId, Asked)>> {
    let rows: Vec<Row> = sqlx::query_as("SELECT * FROM lookups WHERE case_key = ANY ($1)")
        .bind(case_keys(threads))
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(read).collect()
}

/// Records what wasn't asked before. Nothing is ever taken back: messages stay.
pub async fn record(conn: &mut PgConnection, asked: &[&(CaseId, Asked)]) -> Result<()> {
    let lookup = |row: &(CaseId, Asked)| match &row.1 {
        Asked::Named(_) => None,
        Asked::Lookup { seller_id, buyer_id, relay_email, asked_at } => {
            Some((seller_id.clone(), buyer_id.clone(), relay_email.clone(), *asked_at))
        }
    };
    let lookups: Vec<_> = asked.iter().map(|row| lookup(row)).collect();
    let named = asked.iter().map(|row| match &row.1 {
        Asked::Named(order) => Some(order.as_str()),
        Asked::Lookup { .. } => None,
    });
    let column = |of: &dyn Fn(&Parts) -> Option<String>| -> Vec<Option<String>> {
        lookups.iter().map(|lookup| lookup.as_ref().and_then(of)).collect()
    };
    sqlx::query(
        "INSERT INTO lookups (case_key, order_id, seller_id, buyer_id, relay_email, asked_at)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                              $6::timestamptz[])",
    )
    .bind(case_keys(asked.iter().map(|row| &row.0)))
    .bind(named.collect::<Vec<_>>())
    .bind(column(&|parts| Some(parts.0.to_string())))
    .bind(column(&|parts| parts.1.as_ref().map(Identifier::to_string)))
    .bind(column(&|parts| parts.2.clone()))
    .bind(
        lookups
            .iter()
            .map(|lookup| lookup.as_ref().map(|parts| sql_time(parts.3)))
            .collect::<Vec<_>>(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

type Parts = (Identifier, Option<Identifier>, Option<String>, Timestamp);
