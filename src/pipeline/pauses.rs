//! What an operator has paused, as the relay keeps to it.
//!
//! Nothing tells the relay of a pause but the table, at which it looks every second. What it
//! then comes upon and must not send, it marks as held; what is held isn't read again. When
//! the pauses change, a lane after the other is let go as a whole, and what is paused still is
//! held anew. Only who leases a lane does so, so no two processors disagree about a case.

use std::collections::{BTreeSet, HashSet};

use sqlx::PgConnection;

use crate::store::outbox::{self, Place, Queued};
use crate::store::pauses;

/// The pauses as one relay knows them.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    types: Vec<String>,
    /// Lanes in which messages may be held that are no longer to be.
    outdated: BTreeSet<i16>,
}

impl Pauses {
    /// Looks at the table. What is held in a lane that was just leased was held by another,
    /// by the pauses of its time.
    pub async fn refresh(
        &mut self,
        conn: &mut PgConnection,
        lanes: &[i16],
        leased: &[i16],
    ) -> Result<(), sqlx::Error> {
        let types = pauses::types(conn).await?;
        self.outdated.extend(leased);
        if types != self.types {
            self.outdated.extend(lanes);
            match types.is_empty() {
                true => tracing::info!("nothing is paused any more"),
                false => tracing::info!("paused by an operator: {}", types.join(", ")),
            }
            self.types = types;
        }
        Ok(())
    }

    /// Lets go what is held in one lane that is outdated, so that the others needn't wait for
    /// all. Whether there was one.
    pub async fn let_go(&mut self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let Some(lane) = self.outdated.first().copied() else { return Ok(false) };
        outbox::let_go(conn, lane).await?;
        self.outdated.remove(&lane);
        Ok(true)
    }

    /// Holds what must not be sent now, and returns the rest.
    pub async fn hold(
        &self,
        conn: &mut PgConnection,
        lanes: &[i16],
        queued: Vec<Queued>,
    ) -> Result<Vec<Queued>, sqlx::Error> {
        if queued.is_empty() || (self.types.is_empty() && self.outdated.is_empty()) {
            return Ok(queued);
        }
        let cases: BTreeSet<&str> = queued.iter().map(|m| m.case_key.as_str()).collect();
        let cases: Vec<&str> = cases.into_iter().collect();
        let held = outbox::held_cases(conn, lanes, &cases).await?;
        let (free, paused) = split(queued, &self.types, held.into_iter().collect());
        if !paused.is_empty() {
            outbox::hold(conn, &paused).await?;
        }
        Ok(free)
    }
}

/// What may be sent, and the places of what is to be held: messages of the paused types,
/// withdrawals of such, and whatever comes after a held one in its case.
fn split(
    queued: Vec<Queued>,
    paused: &[String],
    mut held: HashSet<String>,
) -> (Vec<Queued>, Vec<Place>) {
    let (mut free, mut places) = (Vec::new(), Vec::new());
    for message in queued {
        if held.contains(&message.case_key) {
            places.push(message.place());
        } else if paused.iter().any(|name| is_of(&message, name)) {
            places.push(message.place());
            held.insert(message.case_key);
        } else {
            free.push(message);
        }
    }
    (free, places)
}

/// A withdrawal is copied to those who get the type that it withdraws.
fn is_of(message: &Queued, name: &str) -> bool {
    let withdrawn = || message.copied_to.as_deref().and_then(|key| key.split('.').next());
    message.event_type == name || withdrawn() == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(position: i64, case: &str, event_type: &str, copied_to: Option<&str>) -> Queued {
        Queued {
            position,
            lane: 0,
            case_key: case.to_owned(),
            event_id: uuid::Uuid::nil(),
            event_type: event_type.to_owned(),
            routing_key: String::new(),
            copied_to: copied_to.map(str::to_owned),
            time: chrono::DateTime::UNIX_EPOCH,
            body: String::new(),
            traceparent: None,
            tracestate: None,
            queued_at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    fn split_off(queued: Vec<Queued>, held: &[&str]) -> (Vec<i64>, Vec<i64>) {
        let held = held.iter().map(|case| (*case).to_owned()).collect();
        let (free, paused) = split(queued, &["refund-required".to_owned()], held);
        let positions = paused.into_iter().map(|(_, position)| position).collect();
        (free.iter().map(|message| message.position).collect(), positions)
    }

    #[test]
    fn a_paused_type_holds_what_follows_it_in_its_case_only() {
        let all = vec![
            queued(1, "o/1", "shipment-required", None),
            queued(2, "o/1", "refund-required", None),
            queued(3, "o/2", "shipment-required", None),
            queued(4, "o/1", "order-conflict", None),
        ];
        assert_eq!(split_off(all, &[]), (vec![1, 3], vec![2, 4]));
    }

    #[test]
    fn the_withdrawal_of_a_paused_type_is_held_and_of_another_is_not() {
        let all = vec![
            queued(1, "o/1", "derived-withdrawn", Some("refund-required.S1")),
            queued(2, "o/2", "derived-withdrawn", Some("shipment-required.S1")),
            queued(3, "o/3", "refund-required-soon", None),
        ];
        assert_eq!(split_off(all, &[]), (vec![2, 3], vec![1]));
    }

    #[test]
    fn what_follows_a_message_held_before_is_held() {
        let all = vec![
            queued(7, "o/1", "order-conflict", None),
            queued(8, "o/2", "order-conflict", None),
        ];
        assert_eq!(split_off(all, &["o/1"]), (vec![8], vec![7]));
    }
}
