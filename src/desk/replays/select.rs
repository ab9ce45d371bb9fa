//! The letters of a replay, each judged before anything is done.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::contract::{EventRef, Identifier, Rejection, Repair, Span, Timestamp};
use crate::pipeline::replay::judge;
use crate::store::dead_letters::{self, DeadLetter};
use crate::store::{self, Result};

/// Letters in memory at a time: what was refused for its size may be as large as the broker lets
/// it be.
const PAGE: usize = 25;

/// The letters that fit a filter.
#[derive(Debug, Default)]
pub struct Selection {
    /// Those that are valid, or are made so, in the order of their events.
    pub valid: Vec<Candidate>,
    /// Those that would be refused again.
    pub refused: Vec<(Uuid, Rejection)>,
    /// How many are replayed already.
    pub replayed: usize,
}

/// A letter that can be replayed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    time: Timestamp,
    key: EventRef,
    pub letter: Uuid,
    pub order: Option<Identifier>,
}

impl Selection {
    pub fn is_empty(&self) -> bool {
        self.valid.is_empty() && self.refused.is_empty() && self.replayed == 0
    }
}

/// Judges these letters; `judged` is called after each.
pub async fn select(
    conn: &mut PgConnection,
    ids: &[Uuid],
    repair: Option<&Repair>,
    skew: Span,
    judged: impl Fn(),
) -> Result<Selection> {
    let now = store::clock(conn).await?;
    let mut selection = Selection::default();
    for page in ids.chunks(PAGE) {
        for letter in dead_letters::some(conn, page).await? {
            selection.add(letter, repair, now, skew);
            judged();
        }
    }
    selection.valid.sort_unstable();
    selection.refused.sort_by_key(|(id, _)| *id);
    Ok(selection)
}

impl Selection {
    fn add(&mut self, letter: DeadLetter, repair: Option<&Repair>, now: Timestamp, skew: Span) {
        let id = letter.summary.id;
        if letter.summary.status == "replayed" {
            self.replayed += 1;
            return;
        }
        let received = judge(letter.into(), repair, now, skew);
        match received.judged {
            Err(rejection) => self.refused.push((id, rejection)),
            Ok(accepted) => self.valid.push(Candidate {
                time: accepted.event.time,
                order: accepted.event.input.order_id().cloned(),
                key: accepted.event.key,
                letter: id,
            }),
        }
    }
}
