//! Which of the received messages are new: the first step, before any case is locked.

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;

use super::Received;
use crate::contract::{Accepted, Rejection, RejectionCode};
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
/// first of a batch goes before its repetitions; the same key with other content is refused.
pub(super) async fn admit<'a>(
    conn: &mut PgConnection,
    received: &'a [Received],
) -> Result<Admission<'a>, sqlx::Error> {
    let mut first: BTreeMap<Digest, (usize, Digest)> = BTreeMap::new();
    for (index, accepted) in accepted(received) {
        first.entry(accepted.key_digest).or_insert((index, accepted.content_digest));
    }
    let known = known(conn, &first).await?;
    let mut admission = Admission::default();
    for (index, message) in received.iter().enumerate() {
        match &message.judged {
            Err(rejection) => admission.dead.push((index, rejection.clone())),
            Ok(accepted) => {
                let (first_index, first_content) = first[&accepted.key_digest];
                let content = known.get(&accepted.key_digest).copied();
                if accepted.content_digest != content.unwrap_or(first_content) {
                    admission.dead.push((index, collision(accepted)));
                } else if content.is_none() && index == first_index {
                    admission.fresh.push(accepted);
                    admission.accepted.push(index);
                } else {
                    admission.duplicates.push(index);
                }
            }
        }
    }
    Ok(admission)
}

fn accepted(received: &[Received]) -> impl Iterator<Item = (usize, &Accepted)> {
    received
        .iter()
        .enumerate()
        .filter_map(|(index, message)| Some((index, message.judged.as_ref().ok()?)))
}

/// Records the keys, and returns the contents of those that were there before.
async fn known(
    conn: &mut PgConnection,
    first: &BTreeMap<Digest, (usize, Digest)>,
) -> Result<HashMap<Digest, Digest>, sqlx::Error> {
    if first.is_empty() {
        return Ok(HashMap::new());
    }
    let keys: Vec<_> = first.iter().map(|(key, (_, content))| (*key, *content)).collect();
    let new = event_keys::record(conn, &keys).await?;
    let old: Vec<&[u8]> =
        first.keys().filter(|key| !new.contains(*key)).map(Digest::as_slice).collect();
    if old.is_empty() {
        return Ok(HashMap::new());
    }
    event_keys::contents(conn, &old).await
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
