//! Looking at the read model's rows, to show what a change would change.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgConnection;

use crate::contract::Identifier;
use crate::rules::CaseId;
use crate::store::{CaseSet, Result, case_keys};

/// A row of the read model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowName {
    pub table: String,
    /// What it is of: an order, and where that isn't enough a line, package, ….
    pub key: String,
}

/// The rows of cases, without what only counts changes.
pub async fn rows_of(conn: &mut PgConnection, cases: &CaseSet) -> Result<BTreeMap<RowName, Value>> {
    let orders: Vec<&str> =
        cases.iter().filter_map(CaseId::order_id).map(Identifier::as_str).collect();
    let rows: Vec<(String, String, Value)> = sqlx::query_as(
        "SELECT 'orders', order_id, to_jsonb(r) - '{version,updated_at}'::text[]
         FROM read_model.orders r WHERE order_id = ANY ($1)
         UNION ALL SELECT 'order_lines', order_id || ' ' || line_id, to_jsonb(r)
         FROM read_model.order_lines r WHERE order_id = ANY ($1)
         UNION ALL SELECT 'packages', order_id || ' ' || package_id, to_jsonb(r)
         FROM read_model.packages r WHERE order_id = ANY ($1)
         UNION ALL SELECT 'refunds', refund_key, to_jsonb(r)
         FROM read_model.refunds r WHERE order_id = ANY ($1)
         UNION ALL SELECT 'guarantees', order_id || ' ' || key, to_jsonb(r) - 'key'
         FROM read_model.guarantees r WHERE order_id = ANY ($1)
         UNION ALL SELECT 'threads', thread_id, to_jsonb(r) - 'case_key'
         FROM threads r WHERE case_key = ANY ($2)",
    )
    .bind(orders)
    .bind(case_keys(cases))
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(table, key, row)| (RowName { table, key }, row)).collect())
}
