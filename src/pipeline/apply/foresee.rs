//! Looking ahead: what time alone will bring to a case if nothing else arrives.
//!
//! A moment enters a decision in one place only: it says which of the deadlines, all of which
//! the fold has found, are past and settled. So the decision at a moment to come, of the
//! history as it is, is what will then be decided; compared with what is recorded, it is what
//! will be derived until then. Nothing is locked and nothing is written.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::difference::{Difference, Subject, difference};
use super::explain::examine;
use super::{ChangeKind, Settings};
use crate::contract::{DerivedType, Rule, Span, Timestamp};
use crate::rules::{CaseId, Wait};
use crate::store::cases::{self, Ahead};
use crate::store::{CaseSet, derived_events};

/// A derived event that will be derived, or withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    pub kind: ChangeKind,
    pub event_type: DerivedType,
    pub rule: Rule,
    /// When it becomes true; the settling time later it is derived.
    pub time: Timestamp,
    /// What it is about: what names it within its case and type.
    pub key: String,
    pub event_id: Uuid,
    /// It is to be recorded only.
    pub suppressed: bool,
}

/// What a case waits for, in order of time, by a snapshot; what is due already and not yet
/// derived too. `None` where nothing is known of it, or the problem that keeps it undecided.
pub async fn waits(
    conn: &mut PgConnection,
    ahead: &Ahead,
    clock: Timestamp,
) -> Result<Option<Result<Vec<Wait>, String>>, sqlx::Error> {
    // Just before it is due, what is due is still waited for.
    let before = ahead.next_at - Span::micros_of(1);
    let examined = examine(conn, &ahead.case, Some(clock.min(before)), Some(clock)).await?;
    Ok(examined.map(|case| case.decision.map(|decision| decision.waits)))
}

/// What will be derived and withdrawn of a case up to `as_of`, by a snapshot.
pub async fn foresee(
    conn: &mut PgConnection,
    id: &CaseId,
    as_of: Timestamp,
    settings: &Settings,
) -> Result<Option<Result<Vec<Foreseen>, String>>, sqlx::Error> {
    let Some(examined) = examine(conn, id, Some(as_of), None).await? else { return Ok(None) };
    let decision = match examined.decision {
        Ok(decision) => decision,
        Err(problem) => return Ok(Some(Err(problem))),
    };
    let Some(case) = cases::look(conn, id).await? else { return Ok(None) };
    let recorded = derived_events::of_cases(conn, &CaseSet::from([id.clone()])).await?;
    let (last_sequence, traces) = (case.last_sequence, &HashMap::new());
    let subject = Subject { case: id, last_sequence, settings, traces };
    Ok(Some(Ok(tell(difference(&subject, decision.derived, &recorded)))))
}

fn tell(difference: Difference) -> Vec<Foreseen> {
    let withdrawn = difference.withdrawn.into_iter().map(|(old, _)| Foreseen {
        kind: ChangeKind::Withdrawn,
        event_type: old.event_type,
        rule: old.rule,
        time: old.time,
        key: old.key,
        event_id: old.event_id,
        suppressed: old.suppressed,
    });
    let derived = difference.new.into_iter().map(|new| Foreseen {
        kind: ChangeKind::Derived,
        event_type: new.derived.derived_type(),
        rule: new.derived.rule,
        time: new.derived.time,
        key: new.derived.key,
        event_id: new.event_id,
        suppressed: new.suppressed,
    });
    withdrawn.chain(derived).collect()
}
