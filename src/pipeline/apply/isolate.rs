//! A batch that fails for what is in it: halved until the one event, or case, is found.

use sqlx::{Connection, PgConnection};
use tracing::error;

use super::{Batch, Door, Outcome, Received, patience};
use crate::contract::{Rejection, RejectionCode};
use crate::pipeline::failure::{self, Class};
use crate::pipeline::silence::{Lent, answered};
use crate::rules::CaseId;
use crate::store::Together;
use crate::store::cases::{self, Parked};
use crate::store::pruning::Archived;
use crate::store::wake_ups::{self, WakeUp};

/// A batch that could not be finished.
#[derive(Debug, thiserror::Error)]
#[error("{}", failure::sentence(.error))]
pub struct Interrupted {
    #[source]
    pub error: sqlx::Error,
    /// The world is unavailable: wait, and do `rest`, for ever. Otherwise we are wrong: halt.
    pub may_pass: bool,
    /// What was committed before. It may be acknowledged, and is no part of `rest`.
    pub done: Outcome,
    /// What is still to be done, in this order.
    pub rest: Vec<Batch>,
}

/// What is to be done about a part that failed.
pub(super) enum Next {
    /// These instead, the last one first.
    Parts(Vec<Batch>),
    Stop {
        error: sqlx::Error,
        may_pass: bool,
        part: Batch,
    },
}

impl Door {
    /// Like [`Door::apply`], but what can't be stored doesn't hold up the rest: the one event
    /// that makes its transaction fail becomes a dead letter (`processing-failed`), the one
    /// case is parked. Commits in several transactions where it has to.
    pub async fn apply_isolating(&self, batch: Batch) -> Result<Outcome, Box<Interrupted>> {
        let mut done = Outcome::default();
        let mut rest = vec![batch];
        while let Some(part) = rest.pop() {
            match self.apply(&part).await {
                Ok(outcome) => done.add(outcome),
                Err(error) => match self.narrow(part, error).await {
                    Next::Parts(parts) => rest.extend(parts),
                    Next::Stop { error, may_pass, part } => {
                        rest.push(part);
                        rest.reverse();
                        return Err(Box::new(Interrupted { error, may_pass, done, rest }));
                    }
                },
            }
        }
        Ok(done)
    }

    async fn narrow(&self, part: Batch, error: sqlx::Error) -> Next {
        match failure::classify(&error) {
            Class::Isolate | Class::Shrink if part.size() > 1 => Next::Parts(part.halve()),
            Class::Isolate => self.give_up(part, error).await,
            class => Next::Stop { error, may_pass: class != Class::Halt, part },
        }
    }

    /// One event, or one case, that can't be stored: the event is refused, the case parked. A
    /// dead letter that can't be stored is our fault.
    async fn give_up(&self, mut part: Batch, error: sqlx::Error) -> Next {
        if let Some(Archived(cases)) = Archived::of(&error) {
            match self.give_up_archived(part.clone(), cases).await {
                Ok(Some(next)) => return next,
                Ok(None) => {}
                Err(error) => {
                    let may_pass = failure::classify(&error) != Class::Halt;
                    return Next::Stop { error, may_pass, part };
                }
            }
        }
        let sentence = failure::sentence(&error);
        if let Some(received) = part.received.first_mut().filter(|one| one.judged.is_ok()) {
            received.refuse(&sentence);
            return Next::Parts(vec![part]);
        }
        let Some(case) = part.wake.first() else {
            return Next::Stop { error, may_pass: false, part };
        };
        error!(%case, error = %sentence, "a case can't be decided, and is parked");
        match self.park(case, &sentence).await {
            Ok(()) => Next::Parts(Vec::new()),
            Err(error) => {
                let may_pass = failure::classify(&error) != Class::Halt;
                Next::Stop { error, may_pass, part }
            }
        }
    }

    async fn park(&self, case: &CaseId, sentence: &str) -> Result<(), sqlx::Error> {
        let mut lent = Lent::from(&self.pool).await?;
        let parked = answered(self.park_on(&mut lent, case, sentence)).await;
        lent.give_back(parked)
    }

    async fn park_on(
        &self,
        conn: &mut PgConnection,
        case: &CaseId,
        sentence: &str,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = conn.begin().await?;
        let set = [case.clone()].into();
        let locked = cases::lock(&mut transaction, &set, &self.policy).await?;
        let row = &locked[case];
        let until = row.clock + patience(row.parked_attempts);
        let parked = Parked { case: case.clone(), until, error: sentence.to_owned() };
        cases::park(&mut transaction, &[parked]).await?;
        let announcing = wake_ups::take(&mut transaction, &set).await?;
        let later = |case: CaseId| WakeUp { case, announce: true, due_at: until };
        let again: Vec<WakeUp> = announcing.into_iter().map(later).collect();
        let mut writes = Together::default();
        wake_ups::leave(&mut writes, &again);
        writes.execute(&mut transaction).await?;
        transaction.commit().await
    }
}

impl Batch {
    /// Messages and cases.
    pub(super) fn size(&self) -> usize {
        self.received.len() + self.wake.len()
    }

    /// Two batches in the place of one, the second half first: the last is done next. Cases
    /// to be decided again come after the messages.
    pub(super) fn halve(mut self) -> Vec<Batch> {
        let half = self.size() / 2;
        let received = self.received.split_off(half.min(self.received.len()));
        let wake = self.wake.split_off(half.saturating_sub(self.received.len()));
        let restore = self.restore.clone();
        let second = Batch { received, wake, held: self.held, restores: self.restores, restore };
        vec![second, self]
    }
}

impl Received {
    fn refuse(&mut self, sentence: &str) {
        let Ok(accepted) = &self.judged else { return };
        let (event, key) = (&accepted.event, &accepted.event.key);
        error!(source = %key.source, id = %key.id, error = sentence, "an event can't be stored, and becomes a dead letter");
        self.judged = Err(Rejection {
            code: RejectionCode::ProcessingFailed,
            pointer: None,
            detail: format!("it makes its transaction fail: {sentence}"),
            event_source: Some(key.source.clone()),
            event_id: Some(key.id.clone()),
            event_type: Some(event.input.input_type().name().to_owned()),
        });
    }
}

impl Outcome {
    fn add(&mut self, other: Outcome) {
        self.clock = self.clock.max(other.clock);
        self.decided_at = self.decided_at.max(other.decided_at);
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        for (code, count) in other.dead {
            *self.dead.entry(code).or_default() += count;
        }
        for (event_type, count) in other.queued {
            *self.queued.entry(event_type).or_default() += count;
        }
        self.next_at = self.next_at.into_iter().chain(other.next_at).min();
        self.parked.extend(other.parked);
        self.changes.extend(other.changes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Identifier;

    fn cases(ids: &[&str]) -> Vec<CaseId> {
        ids.iter().map(|id| CaseId::Order(Identifier::new(*id).unwrap())).collect()
    }

    #[test]
    fn halves_are_done_in_the_order_of_the_whole_and_end_with_one() {
        let mut parts = vec![Batch { wake: cases(&["a", "b", "c", "d", "e"]), ..Batch::default() }];
        let mut seen = Vec::new();
        while let Some(part) = parts.pop() {
            if part.size() > 1 {
                parts.extend(part.halve());
            } else {
                seen.extend(part.wake);
            }
        }
        assert_eq!(seen, cases(&["a", "b", "c", "d", "e"]));
    }
}
