//! Deciding a case for somebody who asks why: read and decided as the door does, but
//! nothing is locked and nothing is written.

use std::collections::BTreeMap;

use sqlx::{Connection, PgConnection};

use super::decide::guarded;
use super::orders::member;
use super::{neighbours, threads};
use crate::contract::{Event, Identifier, Timestamp};
use crate::rules::{self, CaseId, Decision, Member, Policy};
use crate::store::cases::{self, Case};
use crate::store::history::{self, Received, Unreadable};

/// A case with what the rules say of it.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub case: CaseId,
    /// The moment that it was decided at.
    pub as_of: Timestamp,
    /// In history order, up to that moment.
    pub history: Vec<Told>,
    /// How many events are dated later, and so were left out.
    pub left_out: usize,
    /// Or why it can't be decided.
    pub decision: Result<Decision, String>,
}

/// An event of a history, and how it came to be there.
#[derive(Clone, Debug)]
pub struct Told {
    pub event: Event,
    pub received_at: Timestamp,
    /// One that is dated later was accepted before it.
    pub is_late: bool,
    /// Where its home is another case: a message of the thread that belongs to an order.
    pub home: CaseId,
}

/// Decides a case as at `as_of`, by default now; `None` where nothing is known of it.
pub async fn explain(
    conn: &mut PgConnection,
    id: &CaseId,
    as_of: Option<Timestamp>,
) -> Result<Option<Explanation>, sqlx::Error> {
    let mut snapshot = conn.begin_with(crate::store::SNAPSHOT).await?;
    examine(&mut snapshot, id, as_of, as_of).await
}

/// The same in the caller's snapshot. `known_until` (by default `as_of`) is up to when events
/// are taken; `as_of` up to when their absence is taken for granted.
pub(super) async fn examine(
    conn: &mut PgConnection,
    id: &CaseId,
    as_of: Option<Timestamp>,
    known_until: Option<Timestamp>,
) -> Result<Option<Explanation>, sqlx::Error> {
    let entries = history::with_receipt(conn, id).await?;
    let Some(case) = cases::look(conn, id).await?.filter(|_| !entries.is_empty()) else {
        return Ok(None);
    };
    let as_of = as_of.unwrap_or(case.clock.max(case.as_of.unwrap_or(Timestamp::MIN)));
    let known_until = known_until.unwrap_or(as_of);
    let (all, unreadable) = sorted(entries);
    let (known, later): (Vec<Received>, Vec<Received>) =
        all.into_iter().partition(|received| received.entry.event.time <= known_until);
    let decision = match unreadable {
        Some(unreadable) => Err(unreadable.problem),
        None => decide(conn, id, &case, &known, as_of).await?,
    };
    let (history, left_out) = (tell(known), later.len());
    Ok(Some(Explanation { case: id.clone(), as_of, history, left_out, decision }))
}

type Read = Result<Received, Unreadable>;

fn sorted(entries: Vec<Read>) -> (Vec<Received>, Option<Unreadable>) {
    let (mut readable, mut unreadable) = (Vec::new(), None);
    for entry in entries {
        match entry {
            Ok(entry) => readable.push(entry),
            Err(fault) => unreadable = Some(fault),
        }
    }
    readable.sort_by(|a, b| a.entry.event.position().cmp(&b.entry.event.position()));
    (readable, unreadable)
}

async fn decide(
    conn: &mut PgConnection,
    id: &CaseId,
    case: &Case,
    known: &[Received],
    as_of: Timestamp,
) -> Result<Result<Decision, String>, sqlx::Error> {
    match id {
        CaseId::Order(order) => {
            let members = known.iter().map(|received| member(received.entry.clone())).collect();
            decide_order(conn, order, members, &case.policy, as_of).await
        }
        CaseId::Thread(thread) => {
            let messages: Vec<Event> =
                known.iter().map(|received| received.entry.event.clone()).collect();
            let beside = threads::beside(conn, &messages).await?;
            let policy = &case.policy;
            Ok(guarded(|| rules::decide_thread(thread, &messages, &beside, policy, as_of)))
        }
    }
}

/// Alone first, which tells what it is beside; then once more beside that.
async fn decide_order(
    conn: &mut PgConnection,
    order: &Identifier,
    members: Vec<Member>,
    policy: &Policy,
    as_of: Timestamp,
) -> Result<Result<Decision, String>, sqlx::Error> {
    let decide = |beside: &[rules::Release]| {
        guarded(|| rules::decide_order(order, &members, policy, as_of, beside))
    };
    let alone = match decide(&[]) {
        Ok(alone) => alone,
        Err(problem) => return Ok(Err(problem)),
    };
    let decisions = BTreeMap::from([(CaseId::Order(order.clone()), alone)]);
    let beside = neighbours::beside(conn, &decisions).await?;
    Ok(match (beside.get(order), decisions.into_values().next()) {
        (None, Some(alone)) => Ok(alone),
        (beside, _) => decide(beside.map_or(&[], Vec::as_slice)),
    })
}

/// Marks what came late, going back from the last.
fn tell(known: Vec<Received>) -> Vec<Told> {
    let mut told: Vec<Told> = Vec::with_capacity(known.len());
    // When the first of those dated later was accepted; and the same with this very moment's.
    let (mut later, mut from_here) = (Timestamp::MAX, Timestamp::MAX);
    for Received { entry, received_at } in known.into_iter().rev() {
        if told.last().is_some_and(|next| next.event.time > entry.event.time) {
            later = from_here;
        }
        from_here = from_here.min(received_at);
        let is_late = later < received_at;
        told.push(Told { event: entry.event, received_at, is_late, home: entry.placement.home });
    }
    told.reverse();
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{EventRef, InputType};
    use crate::store::history::{Entry, Trace};

    fn received(time: i64, received_at: i64) -> Received {
        let data = serde_json::json!({ "order_id": "o", "actor": "buyer" });
        let input = InputType::CancelRequested.read(&data).unwrap();
        let key = EventRef { source: "/test".into(), id: format!("{time}/{received_at}") };
        let event = Event { time: Timestamp::from_micros(time), key, input };
        let placement = threads::at_home(CaseId::Order(Identifier::new("o").unwrap()));
        let entry = Entry { key: [0; 16], event, placement, trace: Trace::default() };
        Received { entry, received_at: Timestamp::from_micros(received_at) }
    }

    fn late(times: &[(i64, i64)]) -> Vec<bool> {
        let known = times.iter().map(|(time, at)| received(*time, *at)).collect();
        tell(known).iter().map(|told| told.is_late).collect()
    }

    #[test]
    fn an_event_is_late_that_was_accepted_after_one_dated_later() {
        assert_eq!(late(&[(1, 10), (2, 11), (3, 12)]), [false, false, false]);
        assert_eq!(late(&[(1, 13), (2, 11), (3, 12)]), [true, false, false]);
        assert_eq!(late(&[(1, 10), (2, 13), (3, 12)]), [false, true, false]);
    }

    #[test]
    fn what_came_together_or_is_dated_alike_is_not_late() {
        assert_eq!(late(&[(1, 10), (2, 10), (3, 10)]), [false, false, false]);
        assert_eq!(late(&[(1, 12), (1, 10), (1, 11)]), [false, false, false]);
        assert_eq!(late(&[(1, 12), (1, 10), (2, 11)]), [true, false, false]);
    }
}
