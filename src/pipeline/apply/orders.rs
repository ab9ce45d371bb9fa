//! The orders in hand: locked, their history brought up to date and read.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use super::Pass;
use super::decide::guarded;
use super::threads::{Thread, Threads, at_home, thread_id};
use crate::contract::{Accepted, Identifier, Timestamp};
use crate::rules::{self, CaseId, Identity, Member};
use crate::store::history::{self, Entry, NewEntry, Trace};
use crate::store::{self, CaseSet, identities};

/// An order to be decided.
pub(super) struct Order {
    pub members: Vec<Member>,
    pub identity: Option<Identity>,
}

/// All orders to be decided, and who placed those that are locked.
pub(super) struct Orders {
    /// The database's clock, read when the last lock was taken.
    pub now: Timestamp,
    pub orders: BTreeMap<Identifier, Order>,
    /// As recorded before this transaction.
    pub recorded: BTreeMap<Identifier, Identity>,
    locked: BTreeSet<Identifier>,
}

/// Locks the orders, writes the new events and moves, and reads the histories.
pub(super) async fn gather(
    pass: &mut Pass<'_>,
    conn: &mut PgConnection,
    fresh: &[&Accepted],
    threads: &Threads,
) -> Result<Orders, sqlx::Error> {
    let decided = orders_of(pass, fresh, threads);
    let locked: BTreeSet<Identifier> = decided.union(&threads.named).cloned().collect();
    pass.lock(conn, &cases(&locked)).await?;
    let recorded = identities::of_orders(conn, &locked).await?;
    let now = match pass.cases.values().map(|case| case.clock).max() {
        Some(now) => now,
        None => store::clock(conn).await?,
    };
    write_history(pass, conn, fresh, threads, now).await?;
    let orders = read_histories(pass, conn, fresh, decided).await?;
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

async fn write_history<'a>(
    pass: &Pass<'_>,
    conn: &mut PgConnection,
    fresh: &[&'a Accepted],
    threads: &Threads,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    if !fresh.is_empty() {
        let entry = |accepted: &&'a Accepted| new_entry(pass, accepted, threads);
        let entries: Vec<_> = fresh.iter().map(entry).collect();
        history::insert(conn, &entries, now).await?;
    }
    if !threads.moves.is_empty() {
        history::relocate(conn, &threads.moves, |case| pass.case(case).opened).await?;
    }
    Ok(())
}

fn new_entry<'a>(pass: &Pass<'_>, accepted: &'a Accepted, threads: &Threads) -> NewEntry<'a> {
    let placement = threads.placements.get(&accepted.key_digest).cloned().unwrap_or_else(|| {
        let order = accepted.event.input.order_id();
        at_home(CaseId::Order(order.expect("only a message names no order").clone()))
    });
    let opened = pass.case(&placement.home).opened;
    NewEntry { accepted, placement, opened }
}

async fn read_histories(
    pass: &mut Pass<'_>,
    conn: &mut PgConnection,
    fresh: &[&Accepted],
    decided: BTreeSet<Identifier>,
) -> Result<BTreeMap<Identifier, Order>, sqlx::Error> {
    for accepted in fresh {
        let (parent, state) = (accepted.traceparent.clone(), accepted.tracestate.clone());
        pass.note_trace(&accepted.event.key, &Trace { parent, state });
    }
    if decided.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut members: BTreeMap<Identifier, Vec<Member>> = BTreeMap::new();
    let opened = |case: &CaseId| pass.case(case).opened;
    for entry in history::of_cases(conn, &cases(&decided), opened).await? {
        match entry {
            Err(unreadable) => pass.park(&unreadable.case, unreadable.problem),
            Ok(entry) => {
                pass.note_trace(&entry.event.key, &entry.trace);
                if let Some(order) = entry.placement.home.order_id().cloned() {
                    members.entry(order).or_default().push(member(entry));
                }
            }
        }
    }
    let mut orders = BTreeMap::new();
    for id in decided {
        let mut members = members.remove(&id).unwrap_or_default();
        members.sort_by(|a, b| a.event.position().cmp(&b.event.position()));
        match guarded(|| rules::identity(&members)) {
            Ok(identity) => drop(orders.insert(id, Order { members, identity })),
            Err(problem) => pass.park(&CaseId::Order(id), problem),
        }
    }
    orders.retain(|id, _| !pass.parked.contains_key(&CaseId::Order(id.clone())));
    Ok(orders)
}

/// An entry as its home's rules read it.
pub(super) fn member(entry: Entry) -> Member {
    Member {
        event: entry.event,
        joined_at: entry.placement.joined_at,
        owns_thread: entry.placement.owns_thread,
        found: entry.placement.found,
        repeated: entry.placement.repeated,
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
            .iter()
            .filter_map(|(order, decided)| {
                Some((decided.identity.as_ref()?, self.recorded.get(order)))
            })
            .filter(|(identity, recorded)| Some(*identity) != *recorded)
    }
}
