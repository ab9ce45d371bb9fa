//! The whole marketplace decided from memory: what the store, with its locks,
//! batches and wake-ups, must come to.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CaseId, Decision, Identity, Member, OrderNeighbours, Policy, ThreadNeighbours, decide_order,
    decide_thread, identity, lookups, named_orders, place,
};
use crate::contract::{Event, EventRef, Identifier, Input, Timestamp};

/// Every case of a set of events, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    pub cases: BTreeMap<CaseId, Decision>,
}

/// Decides every case of a set of events: order and repetitions don't matter.
pub fn decide_all(events: &[Event], policy: &Policy, as_of: Timestamp) -> World {
    let events: BTreeMap<&EventRef, &Event> =
        events.iter().map(|event| (&event.key, event)).collect();
    let mut orders: BTreeMap<Identifier, Vec<Member>> = BTreeMap::new();
    let mut threads: BTreeMap<Identifier, Vec<Event>> = BTreeMap::new();
    for event in events.into_values() {
        match &event.input {
            Input::MessageSent(message) => {
                threads.entry(message.thread_id.clone()).or_default().push(event.clone());
            }
            input => {
                let order_id = input.order_id().expect("only a message may name no order").clone();
                orders.entry(order_id).or_default().push(Member::named(event.clone()));
            }
        }
    }
    let identities: BTreeMap<Identifier, Identity> = orders
        .iter()
        .filter_map(|(order_id, history)| Some((order_id.clone(), identity(history)?)))
        .collect();
    let mut cases = BTreeMap::new();
    for (thread, messages) in &threads {
        let neighbours = beside_thread(messages, &identities);
        cases.insert(
            CaseId::Thread(thread.clone()),
            decide_thread(thread, messages, &neighbours, policy, as_of),
        );
        for (member, home) in placed(thread, messages, &neighbours, policy) {
            if let CaseId::Order(order_id) = home {
                orders.entry(order_id).or_default().push(member);
            }
        }
    }
    cases.extend(decide_orders(&orders, policy, as_of));
    World { cases }
}

fn beside_thread(
    messages: &[Event],
    identities: &BTreeMap<Identifier, Identity>,
) -> ThreadNeighbours {
    let named = named_orders(messages)
        .into_iter()
        .filter_map(|order_id| Some((order_id.clone(), identities.get(&order_id)?.clone())))
        .collect();
    let sellers: BTreeSet<Identifier> =
        lookups(messages).into_iter().map(|lookup| lookup.seller_id).collect();
    let candidates =
        identities.values().filter(|order| sellers.contains(&order.seller_id)).cloned().collect();
    ThreadNeighbours { named, candidates }
}

fn placed(
    thread: &Identifier,
    messages: &[Event],
    neighbours: &ThreadNeighbours,
    policy: &Policy,
) -> Vec<(Member, CaseId)> {
    let placements = place(thread, messages, neighbours, policy);
    messages
        .iter()
        .cloned()
        .zip(placements)
        .map(|(event, placement)| placement.member(event))
        .collect()
}

fn decide_orders(
    orders: &BTreeMap<Identifier, Vec<Member>>,
    policy: &Policy,
    as_of: Timestamp,
) -> BTreeMap<CaseId, Decision> {
    let alone: BTreeMap<&Identifier, Decision> = orders
        .iter()
        .map(|(order_id, history)| (order_id, decide_order(order_id, history, policy, as_of, &[])))
        .collect();
    let mut beside: BTreeMap<(&Identifier, &Identifier), OrderNeighbours> = BTreeMap::new();
    for release in alone.values().flat_map(|decision| &decision.releases) {
        beside.entry((&release.seller_id, &release.buyer_id)).or_default().push(release.clone());
    }
    alone
        .iter()
        .map(|(order_id, decision)| {
            let group = decision.releases.first().map(|own| (&own.seller_id, &own.buyer_id));
            let neighbours =
                group.and_then(|group| beside.get(&group)).filter(|releases| releases.len() > 1);
            let decided = match neighbours {
                Some(neighbours) => {
                    decide_order(order_id, &orders[*order_id], policy, as_of, neighbours)
                }
                None => decision.clone(),
            };
            (CaseId::Order((*order_id).clone()), decided)
        })
        .collect()
}
