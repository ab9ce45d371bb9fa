//! Which events were ever accepted.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::{FromRow, PgConnection};

use super::pruning::Pruned;
use super::{CaseSet, Digest, Result, SqlTime, case_id, case_keys, corrupt};
use crate::contract::Timestamp;
use crate::rules::CaseId;

/// What came of recording keys.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Those that were not there before.
    pub new: HashSet<Digest>,
    /// Those of the cases that were archived.
    pub archived: BTreeMap<CaseId, Pruned>,
}

/// Records keys with the digests of their contents, sorted by key, and tells which are new; and
/// which of the events' cases were archived, which saves a statement in each batch.
///
/// Waits for another transaction that records the same key until that one has ended.
pub async fn record(
    conn: &mut PgConnection,
    keys: &[(Digest, Digest)],
    cases: &CaseSet,
) -> Result<Recorded> {
    #[derive(FromRow)]
    struct Row {
        new: Option<Vec<u8>>,
        archived: Option<String>,
        file: Option<String>,
        pruned_at: Option<SqlTime>,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "WITH recorded AS (
             INSERT INTO event_keys (key, content)
             SELECT key, content FROM unnest($1::bytea[], $2::bytea[]) AS new (key, content)
             ORDER BY key ON CONFLICT DO NOTHING RETURNING key)
         SELECT key AS new, NULL AS archived, NULL AS file, NULL::timestamptz AS pruned_at
         FROM recorded
         UNION ALL SELECT NULL, key, file, pruned_at FROM pruned_cases WHERE key = ANY ($3)",
    )
    .bind(keys.iter().map(|(key, _)| key.as_slice()).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, content)| content.as_slice()).collect::<Vec<_>>())
    .bind(case_keys(cases))
    .fetch_all(conn)
    .await?;
    let mut recorded = Recorded::default();
    for row in rows {
        if let Some(key) = row.new {
            recorded.new.insert(read(key)?);
        }
        if let (Some(key), Some(file), Some(at)) = (row.archived, row.file, row.pruned_at) {
            let pruned = Pruned { file, at: Timestamp::from_chrono(at) };
            recorded.archived.insert(case_id(&key)?, pruned);
        }
    }
    Ok(recorded)
}

/// Takes keys back that were recorded in this transaction: their events are refused.
pub async fn forget(conn: &mut PgConnection, keys: &[Digest]) -> Result<()> {
    sqlx::query("DELETE FROM event_keys WHERE key = ANY ($1)")
        .bind(keys.iter().map(Digest::as_slice).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

/// The contents recorded under keys. In a statement of its own: it must see what another
/// transaction has committed while `record` waited for it.
pub async fn contents(conn: &mut PgConnection, keys: &[&[u8]]) -> Result<HashMap<Digest, Digest>> {
    let rows: Vec<(Vec<u8>, Vec<u8>)> =
        sqlx::query_as("SELECT key, content FROM event_keys WHERE key = ANY ($1)")
            .bind(keys)
            .fetch_all(conn)
            .await?;
    rows.into_iter().map(|(key, content)| Ok((read(key)?, read(content)?))).collect()
}

fn read(bytes: Vec<u8>) -> Result<Digest> {
    bytes.try_into().map_err(|_| corrupt("a digest has 16 bytes"))
}
