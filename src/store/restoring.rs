//! Cases on their way back from an archive: every row as it was.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use super::{CaseSet, Result, case_id, case_keys, corrupt};
use crate::contract::archive::{Group, Row, RowKind};
use crate::rules::CaseId;

/// Restores those cases of groups that are archived still, each group as a whole, and returns
/// them. What is there already is left as it is, so the same again changes nothing.
///
/// Their months may have no table any more: their events wait in the default table until one
/// is made.
pub async fn restore(conn: &mut PgConnection, groups: &[Group]) -> Result<CaseSet> {
    let keys: BTreeSet<&str> =
        groups.iter().flat_map(|group| &group.cases).map(String::as_str).collect();
    let archived: Vec<String> = sqlx::query_scalar(
        "SELECT key FROM pruned_cases WHERE key = ANY ($1) ORDER BY key FOR UPDATE",
    )
    .bind(keys.iter().collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let archived: CaseSet = archived.iter().map(|key| case_id(key)).collect::<Result<_>>()?;
    if archived.is_empty() {
        return Ok(archived);
    }
    let wanted: BTreeSet<String> = archived.iter().map(CaseId::key).collect();
    let rows: Vec<&Row> = groups
        .iter()
        .flat_map(|group| &group.rows)
        .filter(|row| wanted.contains(&row.case))
        .collect();
    restore_cases(conn, &rows).await?;
    for (kind, table, statement) in TABLES {
        let of_table = |row: &&&Row| row.kind == kind && row.table.as_deref() == table;
        let texts: Vec<&str> = rows.iter().filter(of_table).map(|row| row.row.get()).collect();
        if !texts.is_empty() {
            sqlx::query(statement).bind(texts).execute(&mut *conn).await?;
        }
    }
    forget(conn, &archived).await?;
    Ok(archived)
}

/// The policy's id may be another one here than it was.
async fn restore_cases(conn: &mut PgConnection, rows: &[&Row]) -> Result<()> {
    let mut by_policy: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.kind == RowKind::Case) {
        let policy = row.policy.as_ref().ok_or_else(|| corrupt("an archived case has a policy"))?;
        by_policy.entry(policy.get()).or_default().push(row.row.get());
    }
    for (policy, cases) in by_policy {
        sqlx::query("INSERT INTO policies (content) VALUES ($1::jsonb) ON CONFLICT DO NOTHING")
            .bind(policy)
            .execute(&mut *conn)
            .await?;
        sqlx::query(
            "INSERT INTO cases SELECT r.* FROM unnest($1::text[]) AS archived (row)
             CROSS JOIN LATERAL jsonb_populate_record(NULL::cases, row::jsonb || jsonb_build_object(
                 'policy', (SELECT id FROM policies WHERE content = $2::jsonb))) r
             ON CONFLICT DO NOTHING",
        )
        .bind(cases)
        .bind(policy)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// As `json`, which leaves what an event says to the letter.
macro_rules! restoring {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " SELECT r.* FROM unnest($1::text[]) AS archived (row)
             CROSS JOIN LATERAL json_populate_record(NULL::",
            $table,
            ", row::json) r ON CONFLICT DO NOTHING"
        )
    };
}

const TABLES: [(RowKind, Option<&str>, &str); 8] = [
    (RowKind::Event, None, restoring!("history")),
    (RowKind::Derived, None, restoring!("derived_events")),
    (RowKind::ReadModel, Some("orders"), restoring!("read_model.orders")),
    (RowKind::ReadModel, Some("order_lines"), restoring!("read_model.order_lines")),
    (RowKind::ReadModel, Some("packages"), restoring!("read_model.packages")),
    (RowKind::ReadModel, Some("refunds"), restoring!("read_model.refunds")),
    (RowKind::ReadModel, Some("guarantees"), restoring!("read_model.guarantees")),
    (RowKind::ReadModel, Some("threads"), restoring!("threads")),
];

/// They are archived no longer, and are decided again: what they read of others may be
/// otherwise than it was.
async fn forget(conn: &mut PgConnection, cases: &CaseSet) -> Result<()> {
    let keys = case_keys(cases);
    sqlx::query(
        "UPDATE event_keys SET archived = false
         FROM history h WHERE h.case_key = ANY ($1) AND event_keys.key = h.key",
    )
    .bind(&keys)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "INSERT INTO wake_ups (case_key, announce, due_at)
         SELECT key, false, clock_timestamp() FROM unnest($1::text[]) AS restored (key)",
    )
    .bind(&keys)
    .execute(&mut *conn)
    .await?;
    sqlx::query("DELETE FROM pruned_cases WHERE key = ANY ($1)").bind(keys).execute(conn).await?;
    Ok(())
}
