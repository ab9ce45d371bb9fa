//! The orders in hand: locked, their history brought up to date and read.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use super::Pass;
use super::decide::guarded;
use super::recent::{Facts, Known};
use super::threads::{Thread, Threads, at_home, thread_id};
use crate::contract::{Accepted, Event, EventRef, Identifier, Timestamp};
use crate::rules::{self, CaseId, Identity, Member, Placement};
use crate::store::history::{self, Entry, Move, NewEntry, Trace};
use crate::store::{self, CaseSet, derived_events, identities, releases};

/// An order to be decided.
#[derive(Default)]
pub(super) struct Order {
    pub members: Vec<Member>,
    pub identity: Option<Identity>,
    /// As recorded before this transaction.
    pub before: Facts,
    traces: Vec<(EventRef, Trace)>,
}

/// All orders to be decided, and who placed those that are locked.
pub(super) struct Orders {
    /// The database's clock, read when the last lock was taken.
    pub now: Timestamp,
    pub orders: BTreeMap<Identifier, Order>,
    /// Who placed those that are locked only, as recorded before this transaction.
    recorded: BTreeMap<Identifier, Identity>,
    locked: BTreeSet<Identifier>,
}

/// Locks the orders, moves what moves, and puts the histories together.
pub(super) async fn gather(
    pass: &mut Pass<'_>,
    conn: &mut PgConnection,
    fresh: &[&Accepted],
    threads: &Threads,
) -> Result<Orders, sqlx::Error> {
    let changed = orders_of(pass, fresh, threads);
    let locked: BTreeSet<Identifier> = changed.union(&threads.named).cloned().collect();
    pass.lock(conn, &cases(&locked)).await?;
    let (waiting, decided): (BTreeSet<Identifier>, BTreeSet<Identifier>) =
        changed.into_iter().partition(|id| pass.is_to_wait(&CaseId::Order(id.clone())));
    pass.deferred.extend(cases(&waiting));
    let named: Vec<&Identifier> = locked.difference(&decided).collect();
    let recorded = identities::of_orders(conn, named).await?;
    let now = match pass.cases.values().map(|case| case.clock).max() {
        Some(now) => now,
        None => store::clock(conn).await?,
    };
    let entries: Vec<_> = fresh.iter().map(|new| new_entry(pass, new, threads)).collect();
    if pass.has_cases() {
        history::insert(&mut pass.writes, &entries, now);
    }
    if !threads.moves.is_empty() {
        history::relocate(conn, &threads.moves, |case| pass.case(case).opened).await?;
    }
    let mut gathered = recall(pass, &decided, &threads.moves);
    let unknown = decided.into_iter().filter(|id| !gathered.contains_key(id)).collect();
    gathered.extend(read(pass, conn, &unknown).await?);
    add(pass, &mut gathered, entries);
    let orders = identified(pass, gathered);
    let orders = Orders { now, orders, recorded, locked };
    for thread in threads.threads.iter().filter(|thread| orders.contradict(thread)) {
        pass.wake(CaseId::Thread(thread.id.clone()));
    }
    Ok(orders)
}

/// The orders of the batch, those that got or lost a message, and the woken ones.
fn orders_of(pass: &Pass<'_>, fresh: &[&Accepted], threads: &Threads) -> BTreeSet<Identifier> {
    let of_events = fresh
        .iter()
        .filter(|accepted| thread_id(&accepted.event).is_none())
        .filter_map(|accepted| accepted.event.input.order_id());
    let woken = pass.batch.wake.iter().filter_map(CaseId::order_id);
    of_events.chain(woken).chain(&threads.affected).cloned().collect()
}

fn cases(orders: &BTreeSet<Identifier>) -> CaseSet {
    orders.iter().cloned().map(CaseId::Order).collect()
}

fn new_entry<'a>(pass: &Pass<'_>, accepted: &'a Accepted, threads: &Threads) -> NewEntry<'a> {
    let placement = threads.placements.get(&accepted.key_digest).cloned().unwrap_or_else(|| {
        let order = accepted.event.input.order_id();
        at_home(CaseId::Order(order.expect("only a message names no order").clone()))
    });
    let opened = pass.case(&placement.home).opened;
    NewEntry { accepted, placement, opened }
}

/// The orders that are known as they are. Those of messages that move are read anew.
fn recall(
    pass: &mut Pass<'_>,
    decided: &BTreeSet<Identifier>,
    moves: &[Move],
) -> BTreeMap<Identifier, Order> {
    let homes = |moved: &Move| [moved.from.order_id().cloned(), moved.to.home.order_id().cloned()];
    let moved: BTreeSet<Identifier> = moves.iter().flat_map(homes).flatten().collect();
    let mut known = BTreeMap::new();
    for id in decided.difference(&moved) {
        if let Some(order) = pass.recall(id) {
            for (event, trace) in &order.traces {
                pass.note_trace(event, trace);
            }
            let Known { members, facts, traces, .. } = order;
            known.insert(id.clone(), Order { members, identity: None, before: facts, traces });
        }
    }
    known
}

/// Adds the new events to their orders.
fn add(pass: &mut Pass<'_>, orders: &mut BTreeMap<Identifier, Order>, entries: Vec<NewEntry<'_>>) {
    for NewEntry { accepted, placement, .. } in entries {
        let (key, trace) = (&accepted.event.key, trace(accepted));
        pass.note_trace(key, &trace);
        if let Some(order) = placement.home.order_id().and_then(|home| orders.get_mut(home)) {
            order.note_trace(key, trace);
            order.members.push(placed(accepted.event.clone(), &placement));
        }
    }
}

fn trace(accepted: &Accepted) -> Trace {
    Trace { parent: accepted.traceparent.clone(), state: accepted.tracestate.clone() }
}

/// Reads orders as they are stored.
async fn read(
    pass: &mut Pass<'_>,
    conn: &mut PgConnection,
    ids: &BTreeSet<Identifier>,
) -> Result<BTreeMap<Identifier, Order>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let set = cases(ids);
    let mut orders: BTreeMap<Identifier, Order> =
        ids.iter().map(|id| (id.clone(), Order::default())).collect();
    let opened = |case: &CaseId| pass.case(case).opened;
    for entry in history::of_cases(conn, &set, opened).await? {
        match entry {
            Err(unreadable) => pass.park(&unreadable.case, unreadable.problem),
            Ok(entry) => {
                pass.note_trace(&entry.event.key, &entry.trace);
                let home = entry.placement.home.order_id();
                if let Some(order) = home.and_then(|id| orders.get_mut(id)) {
                    order.note_trace(&entry.event.key, entry.trace);
                    order.members.push(placed(entry.event, &entry.placement));
                }
            }
        }
    }
    for (id, identity) in identities::of_orders(conn, ids).await? {
        orders.entry(id).or_default().before.identity = Some(identity);
    }
    for release in releases::of_orders(conn, ids).await? {
        let order = orders.entry(release.order_id.clone()).or_default();
        order.before.releases.insert(release);
    }
    for event in derived_events::of_cases(conn, &set).await? {
        if let Some(order) = event.case.order_id().and_then(|id| orders.get_mut(id)) {
            order.before.derived.push(event);
        }
    }
    Ok(orders)
}

/// Sorts the histories, and says who placed the orders. One that fails is parked.
fn identified(
    pass: &mut Pass<'_>,
    mut orders: BTreeMap<Identifier, Order>,
) -> BTreeMap<Identifier, Order> {
    for (id, order) in &mut orders {
        order.members.sort_by(|a, b| a.event.position().cmp(&b.event.position()));
        match guarded(|| rules::identity(&order.members)) {
            Ok(identity) => order.identity = identity,
            Err(problem) => pass.park(&CaseId::Order(id.clone()), problem),
        }
    }
    orders.retain(|id, _| !pass.parked.contains_key(&CaseId::Order(id.clone())));
    orders
}

/// An event as its home's rules read it.
fn placed(event: Event, placement: &Placement) -> Member {
    Member {
        event,
        joined_at: placement.joined_at,
        owns_thread: placement.owns_thread,
        found: placement.found,
        repeated: placement.repeated,
    }
}

/// An entry as its home's rules read it.
pub(super) fn member(entry: Entry) -> Member {
    placed(entry.event, &entry.placement)
}

impl Order {
    fn note_trace(&mut self, event: &EventRef, trace: Trace) {
        if trace.parent.is_some() {
            self.traces.push((event.clone(), trace));
        }
    }

    /// As a transaction leaves it that gives its case this version.
    pub fn known(self, version: i64, facts: Facts) -> Known {
        Known { version, members: self.members, traces: self.traces, facts }
    }
}

impl Orders {
    /// Who placed an order that is locked, as known now. The outer `None`: it isn't locked, so
    /// nothing is known for certain.
    fn identity(&self, order: &Identifier) -> Option<Option<&Identity>> {
        match self.orders.get(order) {
            Some(decided) => Some(decided.identity.as_ref()),
            None => self.locked.contains(order).then(|| self.recorded.get(order)),
        }
    }

    /// Whether a thread was placed by what no longer is so: its orders were read before they
    /// were locked.
    fn contradict(&self, thread: &Thread) -> bool {
        let beside = &thread.neighbours;
        let named = rules::named_orders(&thread.messages);
        let outdated = |order: &Identifier, read: Option<&Identity>| {
            self.identity(order).is_some_and(|known| known != read)
        };
        named.iter().any(|order| outdated(order, beside.named.get(order)))
            || beside.candidates.iter().any(|read| outdated(&read.order_id, Some(read)))
    }

    /// The orders whose identity is new or changed, with what was recorded.
    pub fn newly_identified(&self) -> impl Iterator<Item = (&Identity, Option<&Identity>)> {
        self.orders
            .values()
            .filter_map(|decided| {
                Some((decided.identity.as_ref()?, decided.before.identity.as_ref()))
            })
            .filter(|(identity, recorded)| Some(*identity) != *recorded)
    }
}
