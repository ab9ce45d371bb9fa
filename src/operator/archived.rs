//! What is said of a case that isn't there: that it was archived, or that nothing is known.

use anyhow::{Error, Result, anyhow};
use sqlx::PgConnection;

use crate::rules::CaseId;
use crate::store::pruning;

/// Why one of these cases, `named` so, can't be shown.
pub async fn unknown(conn: &mut PgConnection, cases: &[CaseId], named: &str) -> Result<Error> {
    let archived = sentence(conn, cases, named).await?;
    Ok(archived.map_or_else(|| anyhow!("nothing is known of {named}"), Error::msg))
}

/// Where one of these cases, `named` so, went; `None` where none is archived.
pub async fn sentence(
    conn: &mut PgConnection,
    cases: &[CaseId],
    named: &str,
) -> Result<Option<String>> {
    let archived = pruning::among(conn, cases).await?;
    Ok(archived.first_key_value().map(|(case, pruned)| {
        format!(
            "{named} was archived at {}, into the file {}: `otodoke prune --restore {case}` brings \
             it back",
            pruned.at, pruned.file
        )
    }))
}
