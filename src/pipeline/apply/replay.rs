//! Dead letters on their way back: the same door, and their job told in the same transaction.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::admit::Admission;
use super::{Batch, Claim, Pass};
use crate::contract::Timestamp;
use crate::store::replays::{self, Fate, Processed};

/// Locks the letters of the batch, and leaves out those that were processed meanwhile: by a
/// worker that has lost its lease, or is thought to have. So each goes through once.
pub(super) async fn still_waiting<'a>(
    conn: &mut PgConnection,
    batch: &'a Batch,
) -> Result<Cow<'a, Batch>, sqlx::Error> {
    let mut claimed: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
    for claim in batch.received.iter().filter_map(|received| received.claim) {
        claimed.entry(claim.job).or_default().push(claim.letter);
    }
    let mut waiting: HashSet<(Uuid, Uuid)> = HashSet::new();
    let mut count = 0;
    for (job, letters) in claimed {
        count += letters.len();
        let still = replays::still_waiting(conn, job, &letters).await?;
        waiting.extend(still.into_iter().map(|letter| (job, letter)));
    }
    if waiting.len() == count {
        return Ok(Cow::Borrowed(batch));
    }
    let mut rest = batch.clone();
    let is_waiting = |claim: Claim| waiting.contains(&(claim.job, claim.letter));
    rest.received.retain(|received| received.claim.is_none_or(is_waiting));
    Ok(Cow::Owned(rest))
}

/// Records what became of the letters in the batch.
pub(super) async fn record(
    pass: &Pass<'_>,
    conn: &mut PgConnection,
    admission: &Admission<'_>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let claim = |index: usize| pass.batch.received[index].claim;
    let accepted = admission.accepted.iter().map(|index| (*index, Fate::Accepted));
    let duplicates = admission.duplicates.iter().map(|index| (*index, Fate::Duplicate));
    let refused =
        admission.dead.iter().map(|(index, rejection)| (*index, Fate::Refused(rejection)));
    let processed: Vec<Processed<'_>> = accepted
        .chain(duplicates)
        .chain(refused)
        .filter_map(|(index, fate)| {
            let Claim { job, letter, repaired } = claim(index)?;
            Some(Processed { job, letter, fate, unchanged: !repaired })
        })
        .collect();
    if processed.is_empty() { Ok(()) } else { replays::record(conn, &processed, now).await }
}
