//! A dry run: letters through the door, in transactions that are rolled back.

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;
use uuid::Uuid;

use super::Candidate;
use crate::contract::{Repair, Span};
use crate::pipeline::apply::{Batch, Door, Received, Rehearsal};
use crate::pipeline::replay::judge;
use crate::store::dead_letters::{self, DeadLetter};
use crate::store::{self, Result, leases};

/// Letters in one transaction. All letters of an order are in one, unless they are more.
const BATCH: usize = 200;

/// What would come of the letters of one batch.
pub async fn rehearse_batch(
    conn: &mut PgConnection,
    door: &Door,
    batch: &[Uuid],
    repair: Option<&Repair>,
    skew: Span,
) -> Result<Rehearsal> {
    let received = received(conn, batch, repair, skew).await?;
    let held = leases::anyone_has_backlog(conn).await?;
    door.rehearse(Batch { received, held, restores: true, ..Batch::default() }).await
}

/// The letters dealt into batches, those of one order together.
pub fn batches(candidates: Vec<Candidate>) -> Vec<Vec<Uuid>> {
    let mut orders: BTreeMap<_, Vec<Uuid>> = BTreeMap::new();
    let mut batches: Vec<Vec<Uuid>> = Vec::new();
    for candidate in candidates {
        orders.entry(candidate.order).or_default().push(candidate.letter);
    }
    for letters in orders.into_values() {
        for part in letters.chunks(BATCH) {
            match batches.last_mut().filter(|batch| batch.len() + part.len() <= BATCH) {
                Some(batch) => batch.extend(part),
                None => batches.push(part.to_vec()),
            }
        }
    }
    batches
}

async fn received(
    conn: &mut PgConnection,
    batch: &[Uuid],
    repair: Option<&Repair>,
    skew: Span,
) -> Result<Vec<Received>> {
    let now = store::clock(conn).await?;
    let letters = dead_letters::some(conn, batch).await?;
    let mut letters: HashMap<Uuid, DeadLetter> =
        letters.into_iter().map(|letter| (letter.summary.id, letter)).collect();
    let in_order = batch.iter().filter_map(|id| letters.remove(id));
    Ok(in_order.map(|letter| judge(letter.into(), repair, now, skew)).collect())
}
