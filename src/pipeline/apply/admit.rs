//! Which of the received messages are new: the first step, before any case is locked.

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;

use super::restore::{self, Restored};
use super::{Batch, Received};
use crate::contract::{Accepted, Rejection, RejectionCode};
use crate::rules::CaseId;
use crate::store::pruning::Pruned;
use crate::store::{Digest, event_keys};

/// What became of the messages of a batch: each is in exactly one of the
/// lists `accepted`, `duplicates` and `dead`.
#[derive(Debug, Default)]
pub(super) struct Admission<'a> {
    /// Accepted for the first time.
    pub fresh: Vec<&'a Accepted>,
    /// The same, as indexes into the batch.
    pub accepted: Vec<usize>,
    /// In the history already; indexes into the batch.
    pub duplicates: Vec<usize>,
    /// Refused; indexes into the batch.
    pub dead: Vec<(usize, Rejection)>,
}

/// Recognises events by (source, id), in the batch and in all that was ever accepted. The
/// first of a batch goes before its repetitions; the same key with other content is refused,
/// and then what is for an archived case.
pub(super) async fn admit<'a>(
    conn: &mut PgConnection,
    batch: &'a Batch,
    restored: &Restored,
) -> Result<Admission<'a>, sqlx::Error> {
    let received = &batch.received;
    let mut first: BTreeMap<Digest, (usize, Digest)> = BTreeMap::new();
    for (index, accepted) in accepted(received) {
        first.entry(accepted.key_digest).or_insert((index, accepted.content_digest));
    }
    let Known { contents: known, archived } = known(conn, received, &first).await?;
    let mut admission = Admission::default();
    let mut refused = Vec::new();
    for (index, message) in received.iter().enumerate() {
        match &message.judged {
            Err(rejection) => admission.dead.push((index, rejection.clone())),
            Ok(accepted) => {
                let (first_index, first_content) = first[&accepted.key_digest];
                let content = known.get(&accepted.key_digest).copied();
                if accepted.content_digest != content.unwrap_or(first_content) {
                    admission.dead.push((index, collision(accepted)));
                } else if let Some(rejection) = content
                    .is_none()
                    .then(|| restore::refuse(accepted, &archived, restored, &batch.restore))
                    .flatten()
                {
                    refused.push(accepted.key_digest);
                    admission.dead.push((index, rejection));
                } else if content.is_none() && index == first_index {
                    admission.fresh.push(accepted);
                    admission.accepted.push(index);
                } else {
                    admission.duplicates.push(index);
                }
            }
        }
    }
    if !refused.is_empty() {
        event_keys::forget(conn, &refused).await?;
    }
    Ok(admission)
}

fn accepted(received: &[Received]) -> impl Iterator<Item = (usize, &Accepted)> {
    received
        .iter()
        .enumerate()
        .filter_map(|(index, message)| Some((index, message.judged.as_ref().ok()?)))
}

/// What was known before.
#[derive(Default)]
struct Known {
    /// The contents of the events that were accepted, by their keys.
    contents: HashMap<Digest, Digest>,
    /// Of the cases that events are for.
    archived: BTreeMap<CaseId, Pruned>,
}

/// Records the keys, and returns what was there before.
async fn known(
    conn: &mut PgConnection,
    received: &[Received],
    first: &BTreeMap<Digest, (usize, Digest)>,
) -> Result<Known, sqlx::Error> {
    if first.is_empty() {
        return Ok(Known::default());
    }
    let cases = accepted(received).flat_map(|(_, accepted)| restore::cases_of(accepted)).collect();
    let keys: Vec<_> = first.iter().map(|(key, (_, content))| (*key, *content)).collect();
    let recorded = event_keys::record(conn, &keys, &cases).await?;
    let old: Vec<&[u8]> =
        first.keys().filter(|key| !recorded.new.contains(*key)).map(Digest::as_slice).collect();
    let contents = match old.is_empty() {
        true => HashMap::new(),
        false => event_keys::contents(conn, &old).await?,
    };
    Ok(Known { contents, archived: recorded.archived })
}

fn collision(accepted: &Accepted) -> Rejection {
    Rejection {
        code: RejectionCode::IdCollision,
        pointer: Some("/id".into()),
        detail: "an event with the same source and id, but other content, was accepted before"
            .into(),
        event_source: Some(accepted.event.key.source.clone()),
        event_id: Some(accepted.event.key.id.clone()),
        event_type: Some(accepted.event.input.input_type().name().into()),
    }
}
