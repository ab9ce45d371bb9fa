//! Which events were ever accepted.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;

use super::{Digest, Result, corrupt};

/// Records keys with the digests of their contents, sorted by key, and tells which are new.
///
/// Waits for another transaction that records the same key until that one has ended.
pub async fn record(conn: &mut PgConnection, keys: &[(Digest, Digest)]) -> Result<HashSet<Digest>> {
    let new: Vec<Vec<u8>> = sqlx::query_scalar(
        "INSERT INTO event_keys (key, content)
         SELECT key, content FROM unnest($1::bytea[], $2::bytea[]) AS new (key, content)
         ORDER BY key ON CONFLICT DO NOTHING RETURNING key",
    )
    .bind(keys.iter().map(|(key, _)| key.as_slice()).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, content)| content.as_slice()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    new.into_iter().map(read).collect()
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
