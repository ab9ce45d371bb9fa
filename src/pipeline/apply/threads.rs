//! Placing messages: which case each message of the threads in hand belongs to.
//!
//! A thread's messages are placed together, since one decides for those after it; one that
//! is new can so move others, and the orders that they left or joined are decided too.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::PgConnection;

use super::decide::guarded;
use super::{Mode, Pass};
use crate::contract::{Accepted, Event, Identifier, Input};
use crate::rules::{self, CaseId, Identity, Lookup, Placement, ThreadNeighbours};
use crate::store::groups::{self, Group};
use crate::store::history::{self, Move};
use crate::store::lookups::{self, Asked};
use crate::store::{CaseSet, Digest, identities};

/// The messages of a thread, in history order.
#[derive(Default)]
struct Messages {
    events: Vec<Event>,
    /// For each its key, and where it stands; `None`: it is new.
    places: Vec<(Digest, Option<Placement>)>,
}

/// A thread whose messages were placed.
pub(super) struct Thread {
    pub id: Identifier,
    /// In history order.
    pub messages: Vec<Event>,
    pub neighbours: ThreadNeighbours,
}

/// What came of placing.
#[derive(Default)]
pub(super) struct Threads {
    pub threads: Vec<Thread>,
    /// Where the new messages belong.
    pub placements: HashMap<Digest, Placement>,
    /// Messages that belong elsewhere than before.
    pub moves: Vec<Move>,
    /// Orders that got or lost a message.
    pub affected: BTreeSet<Identifier>,
    /// Orders that a message names for the first time in its thread.
    pub named: BTreeSet<Identifier>,
}

/// Places the messages of all threads that got one, or were woken.
pub(super) async fn place(
    pass: &mut Pass<'_>,
    conn: &mut PgConnection,
    fresh: &[&Accepted],
) -> Result<Threads, sqlx::Error> {
    let cases = threads_of(pass, fresh);
    if cases.is_empty() {
        return Ok(Threads::default());
    }
    pass.lock(conn, &cases).await?;
    let (waiting, cases): (CaseSet, CaseSet) =
        cases.into_iter().partition(|case| pass.is_to_wait(case));
    let by_thread = load(pass, conn, &cases, fresh).await?;
    let new_asked = record_asked(pass, conn, &cases, &by_thread).await?;
    let neighbours = read_neighbours(conn, &by_thread, fresh).await?;
    let mut threads = Threads { named: newly_named(&new_asked), ..Threads::default() };
    for (id, messages) in by_thread {
        let beside = neighbours.of(&messages.events);
        place_thread(pass, &mut threads, id, messages, beside);
    }
    for accepted in fresh {
        let case = thread_id(&accepted.event).cloned().map(CaseId::Thread);
        if let Some(case) = case.filter(|case| waiting.contains(case)) {
            threads.placements.insert(accepted.key_digest, at_home(case));
        }
    }
    pass.deferred.extend(waiting);
    Ok(threads)
}

fn threads_of(pass: &Pass<'_>, fresh: &[&Accepted]) -> CaseSet {
    let woken = pass.batch.wake.iter().filter(|case| case.order_id().is_none()).cloned();
    let written = fresh.iter().filter_map(|accepted| thread_id(&accepted.event));
    woken.chain(written.cloned().map(CaseId::Thread)).collect()
}

/// The thread of a message; `None` for all other events.
pub(super) fn thread_id(event: &Event) -> Option<&Identifier> {
    match &event.input {
        Input::MessageSent(message) => Some(&message.thread_id),
        _ => None,
    }
}

type ByThread = BTreeMap<Identifier, Messages>;

async fn load(
    pass: &mut Pass<'_>,
    conn: &mut PgConnection,
    cases: &CaseSet,
    fresh: &[&Accepted],
) -> Result<ByThread, sqlx::Error> {
    let mut messages: Vec<(Event, Digest, Option<Placement>)> = Vec::new();
    let old = pass.old(cases);
    let entries = match old.is_empty() {
        true => Vec::new(),
        false => history::of_threads(conn, &old).await?,
    };
    for entry in entries {
        match entry {
            Ok(entry) => {
                pass.note_trace(&entry.event.key, &entry.trace);
                messages.push((entry.event, entry.key, Some(entry.placement)));
            }
            Err(unreadable) => pass.park(&unreadable.case, unreadable.problem),
        }
    }
    let new = fresh.iter().filter(|accepted| {
        let thread = thread_id(&accepted.event).cloned();
        thread.is_some_and(|thread| cases.contains(&CaseId::Thread(thread)))
    });
    messages.extend(new.map(|new| (new.event.clone(), new.key_digest, None)));
    messages.sort_by(|(a, ..), (b, ..)| a.position().cmp(&b.position()));
    let mut by_thread: ByThread = cases
        .iter()
        .filter_map(CaseId::thread_id)
        .map(|thread| (thread.clone(), Messages::default()))
        .collect();
    for (event, key, placed) in messages {
        let thread = thread_id(&event).expect("only messages are loaded").clone();
        let messages = by_thread.entry(thread).or_default();
        messages.events.push(event);
        messages.places.push((key, placed));
    }
    Ok(by_thread)
}

/// Remembers which orders the threads ask for, so that those wake them when they change, and
/// takes the locks of the groups that are asked for the first time.
async fn record_asked(
    pass: &mut Pass<'_>,
    conn: &mut PgConnection,
    cases: &CaseSet,
    by_thread: &ByThread,
) -> Result<BTreeSet<(CaseId, Asked)>, sqlx::Error> {
    let asked = asked(by_thread);
    if pass.mode == Mode::Preview || asked.is_empty() {
        return Ok(BTreeSet::new());
    }
    let old = pass.old(cases);
    let known = match old.is_empty() {
        true => BTreeSet::new(),
        false => lookups::of_cases(conn, &old).await?,
    };
    let new: Vec<_> = asked.difference(&known).collect();
    if !new.is_empty() {
        lookups::record(conn, &new).await?;
    }
    let changed = |row: &&(CaseId, Asked)| !known.contains(row) || pass.announcing.contains(&row.0);
    let groups: BTreeMap<&CaseId, BTreeSet<Group>> = asked
        .iter()
        .filter(changed)
        .filter_map(|(case, asked)| Some((case, group(asked)?)))
        .fold(BTreeMap::new(), |mut groups, (case, group)| {
            groups.entry(case).or_insert_with(BTreeSet::new).insert(group);
            groups
        });
    let busy = groups::try_lock(conn, &groups.values().flatten().copied().collect()).await?;
    for (case, groups) in groups {
        if groups.iter().any(|group| busy.contains(group)) {
            pass.settle(case.clone());
        }
    }
    Ok(new.into_iter().cloned().collect())
}

fn asked(by_thread: &ByThread) -> BTreeSet<(CaseId, Asked)> {
    let mut asked = BTreeSet::new();
    for (id, messages) in by_thread {
        let case = || CaseId::Thread(id.clone());
        let lookups = rules::lookups(&messages.events);
        asked.extend(lookups.iter().map(|lookup| (case(), lookup.into())));
        let named = rules::named_orders(&messages.events);
        asked.extend(named.into_iter().map(|order| (case(), Asked::Named(order))));
    }
    asked
}

/// An order that is named needs no lock of a group: it is locked itself, and looked at again.
fn group(asked: &Asked) -> Option<Group> {
    match asked {
        Asked::Lookup { seller_id, buyer_id: Some(buyer), .. } => {
            Some(Group::of_buyer(seller_id, buyer))
        }
        Asked::Lookup { seller_id, relay_email: Some(email), .. } => {
            Some(Group::of_email(seller_id, email))
        }
        _ => None,
    }
}

fn newly_named(asked: &BTreeSet<(CaseId, Asked)>) -> BTreeSet<Identifier> {
    asked
        .iter()
        .filter_map(|(_, asked)| match asked {
            Asked::Named(order) => Some(order.clone()),
            Asked::Lookup { .. } => None,
        })
        .collect()
}

/// The orders beside all threads in hand.
struct Neighbours {
    known: BTreeMap<Identifier, Identity>,
    candidates: Vec<Identity>,
}

/// Reads the orders that are named or looked for. Those placed in this very batch are among
/// them, though they aren't stored yet: otherwise a backlog would be gone through twice.
async fn read_neighbours(
    conn: &mut PgConnection,
    by_thread: &ByThread,
    fresh: &[&Accepted],
) -> Result<Neighbours, sqlx::Error> {
    let placed = placed_now(fresh);
    let mut named = BTreeSet::new();
    let mut lookups = Vec::new();
    for messages in by_thread.values() {
        named.extend(rules::named_orders(&messages.events));
        lookups.extend(rules::lookups(&messages.events));
    }
    let wanted = named.iter().chain(placed.keys().filter(|order| !named.contains(*order)));
    let mut known = identities::of_orders(conn, wanted).await?;
    let mut candidates = identities::candidates(conn, &lookups).await?;
    for (order, identity) in placed {
        known.entry(order).or_insert_with(|| {
            candidates.push(identity.clone());
            identity
        });
    }
    Ok(Neighbours { known, candidates })
}

/// The orders beside one thread, as they are stored.
pub(super) async fn beside(
    conn: &mut PgConnection,
    messages: &[Event],
) -> Result<ThreadNeighbours, sqlx::Error> {
    let named = rules::named_orders(messages);
    let known = identities::of_orders(conn, &named).await?;
    let candidates = identities::candidates(conn, &rules::lookups(messages)).await?;
    Ok(Neighbours { known, candidates }.of(messages))
}

fn placed_now(fresh: &[&Accepted]) -> BTreeMap<Identifier, Identity> {
    let mut first: BTreeMap<&Identifier, &Event> = BTreeMap::new();
    for accepted in fresh {
        if let Input::OrderPlaced(placed) = &accepted.event.input {
            let standing = first.entry(&placed.order_id).or_insert(&accepted.event);
            if accepted.event.position() < standing.position() {
                *standing = &accepted.event;
            }
        }
    }
    first
        .into_iter()
        .filter_map(|(order, event)| match &event.input {
            Input::OrderPlaced(placed) => Some((order.clone(), Identity::of(placed, event.time))),
            _ => None,
        })
        .collect()
}

impl Neighbours {
    fn of(&self, messages: &[Event]) -> ThreadNeighbours {
        let lookups = rules::lookups(messages);
        ThreadNeighbours {
            named: rules::named_orders(messages)
                .into_iter()
                .filter_map(|order| self.known.get_key_value(&order))
                .map(|(order, identity)| (order.clone(), identity.clone()))
                .collect(),
            candidates: self
                .candidates
                .iter()
                .filter(|identity| lookups.iter().any(|lookup| may_find(lookup, identity)))
                .cloned()
                .collect(),
        }
    }
}

/// As the store's statements have it; how far back a lookup reaches is the rules' to say.
fn may_find(lookup: &Lookup, identity: &Identity) -> bool {
    lookup.seller_id == identity.seller_id
        && lookup.buyer_id.as_ref().is_none_or(|buyer| *buyer == identity.buyer_id)
        && (lookup.relay_email.is_none() || lookup.relay_email == identity.relay_email)
        && identity.placed_at <= lookup.asked_at
}

fn place_thread(
    pass: &mut Pass<'_>,
    threads: &mut Threads,
    id: Identifier,
    messages: Messages,
    neighbours: ThreadNeighbours,
) {
    let case = CaseId::Thread(id.clone());
    let policy = pass.case(&case).policy.clone();
    let place = || rules::place(&id, &messages.events, &neighbours, &policy);
    if !pass.parked.contains_key(&case) {
        match guarded(place) {
            Ok(placements) => {
                for ((key, before), to) in messages.places.into_iter().zip(placements) {
                    threads.take(pass.mode, key, before, to);
                }
                threads.threads.push(Thread { id, messages: messages.events, neighbours });
                return;
            }
            Err(problem) => pass.park(&case, problem),
        }
    }
    threads.leave_unplaced(&case, messages);
}

impl Threads {
    fn take(&mut self, mode: Mode, key: Digest, before: Option<Placement>, to: Placement) {
        match before {
            Some(before) if before == to || mode == Mode::Preview => return,
            Some(before) => {
                self.affected.extend(before.home.order_id().cloned());
                self.moves.push(Move { from: before.home, key, to: to.clone() });
            }
            None => {
                self.placements.insert(key, to.clone());
            }
        }
        self.affected.extend(to.home.order_id().cloned());
    }

    /// Where a thread can't be placed, its new messages are kept, and placed once it can.
    fn leave_unplaced(&mut self, case: &CaseId, messages: Messages) {
        let new = messages.places.into_iter().filter(|(_, placed)| placed.is_none());
        self.placements.extend(new.map(|(key, _)| (key, at_home(case.clone()))));
    }
}

/// The placement of what nothing is to be said about but its case.
pub(super) fn at_home(home: CaseId) -> Placement {
    Placement {
        home,
        joined_at: None,
        owns_thread: false,
        found: false,
        stray: false,
        repeated: false,
    }
}
