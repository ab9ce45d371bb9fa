//! Inquiry threads: which order each message belongs to, and what can be said of
//! a message that belongs to none, or may not be told of the one that it names
//! (Q1 to Q3, Q7, M2).

use std::collections::BTreeSet;

use super::correspondence::{Added, Correspondence, Letter, is_inquiry, is_marketplaces};
use super::fold::event_key;
use super::inquiries::{derive_unmatched, message_key, redirect_to_marketplace, redirection};
use super::output::{Basis, Deadline, Deadlines, Output, Subject};
use super::{CaseId, Decision, Identity, Member, Policy, ThreadNeighbours, fold_case};
use crate::contract::derived::{
    BuyerRedirected, InquiryAmbiguous, Redirection, RedirectionReason, ReplyOverdue,
};
use crate::contract::{Actor, Event, Identifier, Input, MessageSent, Rule, Timestamp, Topic};

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The order that the message names, follows its thread into, or was matched with; else its thread.
    pub home: CaseId,
    /// When a message that names no order came to belong to its home.
    pub joined_at: Option<Timestamp>,
    /// Its home writes the thread's row.
    pub owns_thread: bool,
    /// Matched with its home by a lookup (Q1).
    pub found: bool,
    /// It names an order of another seller or buyer: nothing of that order is told, and
    /// the order's rules don't see it.
    pub stray: bool,
    /// The same `message_id` came before it in the thread.
    pub repeated: bool,
}

impl Placement {
    /// The message as it stands in its home's history.
    pub fn member(self, event: Event) -> (Member, CaseId) {
        let Placement { home, joined_at, owns_thread, found, stray: _, repeated } = self;
        (Member { event, joined_at, owns_thread, found, repeated }, home)
    }
}

/// What the orders are looked up by, for one message (Q1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lookup {
    pub seller_id: Identifier,
    pub buyer_id: Option<Identifier>,
    /// In lower case.
    pub relay_email: Option<String>,
    pub asked_at: Timestamp,
}

impl Lookup {
    fn of(event: &Event, message: &MessageSent) -> Lookup {
        Lookup {
            seller_id: message.seller_id.clone(),
            buyer_id: message.buyer_id.clone(),
            relay_email: message.relay_email.as_ref().map(fold_case),
            asked_at: event.time,
        }
    }

    /// Both must fit where both are given; where neither is, no order does.
    fn finds(&self, order: &Identity, policy: &Policy) -> bool {
        let given = self.buyer_id.is_some() || self.relay_email.is_some();
        given
            && order.seller_id == self.seller_id
            && self.buyer_id.as_ref().is_none_or(|buyer| *buyer == order.buyer_id)
            && self
                .relay_email
                .as_ref()
                .is_none_or(|email| Some(email) == order.relay_email.as_ref())
            && order.placed_at <= self.asked_at
            && self.asked_at - policy.lookup_window <= order.placed_at
    }
}

/// Whether a message may be told of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Same,
    OtherSeller,
    OtherBuyer,
}

pub(super) fn fit(message: &MessageSent, order: &Identity) -> Fit {
    if message.seller_id != order.seller_id {
        return Fit::OtherSeller;
    }
    if message.from != Actor::Buyer {
        return Fit::Same;
    }
    let email = message.relay_email.as_ref().map(fold_case);
    let other = match (&message.buyer_id, email, &order.relay_email) {
        (Some(buyer), _, _) => *buyer != order.buyer_id,
        (None, Some(written), Some(known)) => written != *known,
        (None, _, _) => false,
    };
    if other { Fit::OtherBuyer } else { Fit::Same }
}

fn message_of(event: &Event) -> Option<&MessageSent> {
    match &event.input {
        Input::MessageSent(message) => Some(message),
        _ => None,
    }
}

/// The orders that the messages of a thread may have to be looked up among.
pub fn lookups(messages: &[Event]) -> Vec<Lookup> {
    messages
        .iter()
        .filter_map(|event| Some((event, message_of(event)?)))
        .filter(|(_, message)| is_looked_up(message))
        .map(|(event, message)| Lookup::of(event, message))
        .collect()
}

/// The orders that the messages of a thread name.
pub fn named_orders(messages: &[Event]) -> BTreeSet<Identifier> {
    messages.iter().filter_map(|event| message_of(event)?.order_id.clone()).collect()
}

fn is_looked_up(message: &MessageSent) -> bool {
    message.order_id.is_none() && is_inquiry(message) && !is_marketplaces(message.topic())
}

/// Where each message of a thread stands, in the order in which they are given.
pub fn place(
    thread: &Identifier,
    messages: &[Event],
    neighbours: &ThreadNeighbours,
    policy: &Policy,
) -> Vec<Placement> {
    let sorted = Thread::read(thread, messages, neighbours, policy);
    let mut placed: Vec<(usize, Placement)> =
        sorted.entries.iter().map(|entry| (entry.index, sorted.placement(entry))).collect();
    placed.sort_by_key(|(index, _)| *index);
    placed.into_iter().map(|(_, placement)| placement).collect()
}

/// Decides a thread's own case: what no order may be told of.
pub fn decide_thread(
    thread: &Identifier,
    messages: &[Event],
    neighbours: &ThreadNeighbours,
    policy: &Policy,
    as_of: Timestamp,
) -> Decision {
    Thread::read(thread, messages, neighbours, policy).decide(as_of)
}

/// The order that a thread belongs to, and since when.
#[derive(Clone)]
struct Owner {
    order_id: Identifier,
    since: Timestamp,
}

/// What a lookup came to.
#[derive(Clone, PartialEq, Eq)]
enum Search {
    /// The message names an order, follows its thread, or isn't an inquiry.
    NotNeeded,
    Found(Identifier),
    Several(Vec<Identifier>),
    None,
}

struct Entry<'a> {
    index: usize,
    event: &'a Event,
    message: &'a MessageSent,
    repeated: bool,
    search: Search,
}

struct Thread<'a> {
    id: &'a Identifier,
    neighbours: &'a ThreadNeighbours,
    policy: &'a Policy,
    /// In history order.
    entries: Vec<Entry<'a>>,
    owner: Option<Owner>,
}

impl<'a> Thread<'a> {
    fn read(
        id: &'a Identifier,
        messages: &'a [Event],
        neighbours: &'a ThreadNeighbours,
        policy: &'a Policy,
    ) -> Thread<'a> {
        let mut thread =
            Thread { id, neighbours, policy, entries: sorted_entries(messages), owner: None };
        let named = thread.first_named();
        for index in 0..thread.entries.len() {
            thread.search(index, named.as_ref());
        }
        thread.owner = match (thread.owner.take(), named) {
            (Some(found), Some(named)) if named.since < found.since => Some(named),
            (found, named) => found.or(named),
        };
        thread
    }

    /// The first message that names an order which may be told of it, or which nobody knows yet.
    fn first_named(&self) -> Option<Owner> {
        self.entries.iter().filter(|entry| !entry.repeated).find_map(|entry| {
            let order_id = entry.message.order_id.as_ref()?;
            (self.fit(order_id, entry.message) == Fit::Same)
                .then(|| Owner { order_id: order_id.clone(), since: entry.event.time })
        })
    }

    fn fit(&self, order_id: &Identifier, message: &MessageSent) -> Fit {
        self.neighbours.named.get(order_id).map_or(Fit::Same, |order| fit(message, order))
    }

    /// Looks a message up, unless its thread has an order by its time.
    fn search(&mut self, index: usize, named: Option<&Owner>) {
        let entry = &self.entries[index];
        if entry.repeated || !is_looked_up(entry.message) {
            return;
        }
        let time = entry.event.time;
        let owned =
            [named, self.owner.as_ref()].into_iter().flatten().any(|owner| owner.since <= time);
        if owned && entry.message.topic() != Topic::UnknownOrder {
            return;
        }
        let lookup = Lookup::of(entry.event, entry.message);
        let found: BTreeSet<&Identifier> = self
            .neighbours
            .candidates
            .iter()
            .filter(|order| lookup.finds(order, self.policy))
            .map(|order| &order.order_id)
            .collect();
        let search = match found.len() {
            0 => Search::None,
            1 => Search::Found(found.into_iter().next().expect("one was counted").clone()),
            _ => Search::Several(found.into_iter().cloned().collect()),
        };
        if let (Search::Found(order_id), None, false) = (&search, &self.owner, owned) {
            self.owner = Some(Owner { order_id: order_id.clone(), since: time });
        }
        self.entries[index].search = search;
    }

    fn known(&self, order_id: &Identifier) -> Option<&Identity> {
        let found = || self.neighbours.candidates.iter().find(|order| order.order_id == *order_id);
        self.neighbours.named.get(order_id).or_else(found)
    }

    /// The order that a message without one follows its thread into.
    fn followed(&self, message: &MessageSent) -> Option<(&Owner, Fit)> {
        let owner = self.owner.as_ref()?;
        let fit = self.known(&owner.order_id).map_or(Fit::Same, |order| fit(message, order));
        Some((owner, fit))
    }

    fn placement(&self, entry: &Entry) -> Placement {
        let time = entry.event.time;
        let own = Placement {
            home: CaseId::Thread(self.id.clone()),
            joined_at: None,
            owns_thread: self.owner.is_none(),
            found: false,
            stray: false,
            repeated: entry.repeated,
        };
        let owns = |order_id: &Identifier| {
            self.owner.as_ref().is_some_and(|owner| owner.order_id == *order_id)
        };
        let in_order = |order_id: &Identifier, joined_at| Placement {
            home: CaseId::Order(order_id.clone()),
            joined_at,
            owns_thread: owns(order_id),
            ..own.clone()
        };
        if let Some(order_id) = &entry.message.order_id {
            let stray = self.fit(order_id, entry.message) != Fit::Same;
            return Placement {
                stray,
                owns_thread: owns(order_id) && !stray,
                ..in_order(order_id, None)
            };
        }
        if let Search::Found(order_id) = &entry.search {
            return Placement { found: true, ..in_order(order_id, Some(time)) };
        }
        match self.followed(entry.message) {
            Some((owner, Fit::Same)) => in_order(&owner.order_id, Some(time.max(owner.since))),
            _ => own,
        }
    }

    fn decide(&self, as_of: Timestamp) -> Decision {
        let mut output = Output::default();
        let mut letters = Correspondence::default();
        let mut deadlines = Deadlines::default();
        for entry in self.entries.iter().filter(|entry| !entry.repeated) {
            self.pass_deadlines(&mut deadlines, &letters, &mut output, Some(entry.event.time));
            self.judge(entry, &mut output);
            if self.is_within(entry) {
                let letter = Letter {
                    event: entry.event,
                    message: entry.message,
                    at: entry.event.time,
                    owned: self.owner.is_none(),
                };
                if let Added::Contact(contact) = letters.receive(&letter, self.policy) {
                    let due = entry.event.time + self.policy.reply_within;
                    deadlines.set(due, Deadline::Reply { contact });
                }
            }
        }
        self.pass_deadlines(&mut deadlines, &letters, &mut output, None);
        let threads = if self.owner.is_none() { self.rows(&letters) } else { Vec::new() };
        Decision { threads, ..output.finish(self.policy, as_of) }
    }

    /// M1 doesn't count a message about another seller's order (Q3).
    fn is_within(&self, entry: &Entry) -> bool {
        self.stray_seller(entry).is_none()
    }

    /// The row of a thread without an order; Q3's messages alone make one too.
    fn rows(&self, letters: &Correspondence) -> Vec<super::ThreadState> {
        let rows = letters.states(None);
        if !rows.is_empty() {
            return rows;
        }
        let Some(first) = self.entries.first() else { return rows };
        let said = |actor| {
            let by = |entry: &&Entry| entry.message.from == actor && !entry.repeated;
            self.entries.iter().filter(by).map(|entry| entry.event.time).max()
        };
        vec![super::ThreadState {
            thread_id: self.id.clone(),
            order_id: None,
            seller_id: first.message.seller_id.clone(),
            topic: first.message.topic(),
            opened_at: first.event.time,
            last_buyer_message_at: said(Actor::Buyer),
            last_seller_reply_at: None,
            awaiting: super::Awaiting::Nobody,
            awaiting_since: None,
            reply_by: None,
        }]
    }

    /// When it is known that the message's order is another seller's.
    fn stray_seller(&self, entry: &Entry) -> Option<Timestamp> {
        let time = entry.event.time;
        match &entry.message.order_id {
            Some(order_id) => {
                let order = self.neighbours.named.get(order_id)?;
                (fit(entry.message, order) == Fit::OtherSeller).then(|| time.max(order.placed_at))
            }
            None => {
                // Of a thread that had no order yet when it was written, it is judged alone.
                let (owner, fit) = self.followed(entry.message)?;
                let searched = entry.search != Search::NotNeeded;
                let order = self.known(&owner.order_id)?;
                (fit == Fit::OtherSeller && owner.since <= time && !searched)
                    .then(|| time.max(order.placed_at))
            }
        }
    }

    fn judge(&self, entry: &Entry<'a>, output: &mut Output) {
        let (event, message) = (entry.event, entry.message);
        output.note(Rule::M6, event.time, event, "recorded");
        if !is_inquiry(message) {
            return;
        }
        let subject = Subject { order_id: None, seller_id: message.seller_id.clone() };
        if is_marketplaces(message.topic()) {
            if self.answers_for_marketplace(entry) {
                redirect_to_marketplace(output, &subject, event, message);
            }
        } else if let Some(time) = self.stray_seller(entry) {
            output.derive(
                &subject,
                other_seller_basis(event, message, time),
                other_seller(message),
            );
        } else if let Search::Several(order_ids) = &entry.search {
            output.derive(&subject, ambiguous_basis(event, message), ambiguous(message, order_ids));
        } else if self.stays_unmatched(entry) {
            derive_unmatched(output, &subject, message, event.time + self.policy.unmatched_after);
        }
    }

    /// Q7: no order of the same seller and buyer was named, or followed, by the message's time.
    fn answers_for_marketplace(&self, entry: &Entry) -> bool {
        let time = entry.event.time;
        match &entry.message.order_id {
            Some(order_id) => {
                let known =
                    self.neighbours.named.get(order_id).filter(|order| order.placed_at <= time);
                known.is_some_and(|order| fit(entry.message, order) != Fit::Same)
            }
            None => match self.followed(entry.message) {
                Some((owner, fit)) => fit != Fit::Same || owner.since > time,
                None => true,
            },
        }
    }

    /// Q2: at the message's time and the waiting time, still no order that it may be told of.
    fn stays_unmatched(&self, entry: &Entry) -> bool {
        let gives_up_at = entry.event.time + self.policy.unmatched_after;
        match &entry.message.order_id {
            Some(order_id) => {
                let known = self
                    .neighbours
                    .named
                    .get(order_id)
                    .filter(|order| order.placed_at <= gives_up_at);
                known.is_some_and(|order| fit(entry.message, order) == Fit::OtherBuyer)
            }
            None if entry.search == Search::None => match self.followed(entry.message) {
                Some((owner, fit)) => fit != Fit::Same || owner.since > gives_up_at,
                None => true,
            },
            None => false,
        }
    }

    /// M2, for as long as the thread has no order.
    fn pass_deadlines(
        &self,
        deadlines: &mut Deadlines,
        letters: &Correspondence,
        output: &mut Output,
        limit: Option<Timestamp>,
    ) {
        while let Some((time, deadline)) = deadlines.next_before(limit) {
            let Deadline::Reply { contact: number } = deadline else { continue };
            let contact = &letters.contacts[number];
            let owned = self.owner.as_ref().is_some_and(|owner| owner.since <= time);
            if owned || contact.answered_at.is_some() || !letters.waits_first(number) {
                continue;
            }
            let Some(message) = message_of(contact.event) else { continue };
            let subject = Subject { order_id: None, seller_id: message.seller_id.clone() };
            let key = format!("{}/{}", self.id, event_key(contact.event));
            let basis = Basis { rule: Rule::M2, time, key, cause: None, rests_on_absence: true };
            let overdue =
                ReplyOverdue { thread_id: self.id.clone(), since: contact.at, due_at: time };
            output.derive(&subject, basis, overdue);
        }
    }
}

fn sorted_entries(messages: &[Event]) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry> = messages
        .iter()
        .enumerate()
        .filter_map(|(index, event)| {
            let message = message_of(event)?;
            Some(Entry { index, event, message, repeated: false, search: Search::NotNeeded })
        })
        .collect();
    entries.sort_by(|a, b| a.event.position().cmp(&b.event.position()));
    let mut seen = BTreeSet::new();
    for entry in &mut entries {
        entry.repeated = !seen.insert(&entry.message.message_id);
    }
    entries
}

fn other_seller_basis<'a>(event: &'a Event, message: &MessageSent, time: Timestamp) -> Basis<'a> {
    Basis {
        rule: Rule::Q3,
        time,
        key: message_key(message),
        cause: Some(event),
        rests_on_absence: false,
    }
}

fn other_seller(message: &MessageSent) -> BuyerRedirected {
    BuyerRedirected {
        reason: Some(RedirectionReason::OtherSellerOrder),
        ..redirection(message, Redirection::MarketplaceSupport)
    }
}

fn ambiguous_basis<'a>(event: &'a Event, message: &MessageSent) -> Basis<'a> {
    let key = message_key(message);
    Basis { rule: Rule::Q1, time: event.time, key, cause: Some(event), rests_on_absence: false }
}

fn ambiguous(message: &MessageSent, order_ids: &[Identifier]) -> InquiryAmbiguous {
    InquiryAmbiguous {
        thread_id: message.thread_id.clone(),
        message_id: message.message_id.clone(),
        order_ids: order_ids.to_vec(),
    }
}
