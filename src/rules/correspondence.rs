//! Who waits for whom (M1): contacts, replies, and requests that want an answer.

use std::collections::{BTreeMap, BTreeSet};

use super::{Awaiting, Policy, ThreadState};
use crate::contract::derived::GuaranteeBasis;
use crate::contract::{
    Actor, Event, EventRef, Identifier, LineQuantity, MessageSent, Timestamp, Topic,
};

/// Whether a topic is the marketplace's to answer (Q7).
pub(super) fn is_marketplaces(topic: Topic) -> bool {
    matches!(topic, Topic::PaymentDetails | Topic::PaymentNumber | Topic::Points | Topic::Receipt)
}

/// Whether a message is one that the rules on inquiries are for.
pub(super) fn is_inquiry(message: &MessageSent) -> bool {
    message.from == Actor::Buyer && !message.is_automatic()
}

/// A buyer's message that wants an answer, or a request to send something back.
pub(super) struct Contact<'a> {
    pub at: Timestamp,
    pub event: &'a Event,
    pub thread: Option<Identifier>,
    /// `None` for a return request.
    pub message: Option<&'a Identifier>,
    /// The lines that a return request names.
    pub lines: Option<&'a [LineQuantity]>,
    pub answered_at: Option<Timestamp>,
}

impl Contact<'_> {
    pub fn basis(&self) -> GuaranteeBasis {
        match self.message {
            Some(_) => GuaranteeBasis::Contact,
            None => GuaranteeBasis::ReturnRequest,
        }
    }

    /// Where the contact stands among the events of its thread.
    fn position(&self) -> (Timestamp, &EventRef) {
        (self.at, &self.event.key)
    }
}

/// A seller's message that wants an answer by a moment.
pub(super) struct Request<'a> {
    pub at: Timestamp,
    pub by: Timestamp,
    pub event: &'a Event,
    pub thread: Identifier,
}

/// One thread, as far as its case sees it.
#[derive(Default)]
struct Track<'a> {
    /// By position; the first is the one that the thread has been waiting for longest.
    open: BTreeSet<(Timestamp, &'a EventRef, usize)>,
    first_contact_at: Option<Timestamp>,
    first_message: Option<(&'a Event, &'a MessageSent)>,
    last_buyer_message_at: Option<Timestamp>,
    last_buyer_word: Option<(Timestamp, &'a EventRef)>,
    last_seller_reply_at: Option<Timestamp>,
    requests: Vec<usize>,
    owned: bool,
}

/// All threads of a case, and the return requests that name none.
#[derive(Default)]
pub(super) struct Correspondence<'a> {
    tracks: BTreeMap<Identifier, Track<'a>>,
    pub contacts: Vec<Contact<'a>>,
    pub requests: Vec<Request<'a>>,
    /// Return requests without a thread that no seller's message has followed.
    loose: BTreeSet<usize>,
}

/// A message as the fold hands it on.
pub(super) struct Letter<'a> {
    pub event: &'a Event,
    pub message: &'a MessageSent,
    /// The message's own time, or the order's placing where it came before that.
    pub at: Timestamp,
    /// The case writes the thread's row.
    pub owned: bool,
}

/// What a message adds: the contact, or the request for an answer, by number.
pub(super) enum Added {
    Contact(usize),
    Request(usize),
    Nothing,
}

impl<'a> Correspondence<'a> {
    pub fn receive(&mut self, letter: &Letter<'a>, policy: &Policy) -> Added {
        let Letter { event, message, at, owned } = *letter;
        let track = self.tracks.entry(message.thread_id.clone()).or_default();
        track.owned |= owned;
        if track.first_message.is_none_or(|(first, _)| event.position() < first.position()) {
            track.first_message = Some((event, message));
        }
        match message.from {
            Actor::Buyer => self.buyer_wrote(event, message, at),
            Actor::Seller => self.seller_wrote(event, message, at, policy),
            Actor::Marketplace => Added::Nothing,
        }
    }

    fn buyer_wrote(&mut self, event: &'a Event, message: &'a MessageSent, at: Timestamp) -> Added {
        let track = self.tracks.entry(message.thread_id.clone()).or_default();
        track.last_buyer_message_at = track.last_buyer_message_at.max(Some(at));
        if message.is_automatic() {
            return Added::Nothing;
        }
        track.last_buyer_word = track.last_buyer_word.max(Some((at, &event.key)));
        if is_marketplaces(message.topic()) {
            return Added::Nothing;
        }
        self.open_contact(Contact {
            at,
            event,
            thread: Some(message.thread_id.clone()),
            message: Some(&message.message_id),
            lines: None,
            answered_at: None,
        })
    }

    /// A `return-requested` is a contact too.
    pub fn open_contact(&mut self, contact: Contact<'a>) -> Added {
        let number = self.contacts.len();
        match &contact.thread {
            Some(thread) => {
                let track = self.tracks.entry(thread.clone()).or_default();
                let first = track.first_contact_at.get_or_insert(contact.at);
                *first = contact.at.min(*first);
                track.open.insert((contact.at, &contact.event.key, number));
            }
            None => {
                self.loose.insert(number);
            }
        }
        self.contacts.push(contact);
        Added::Contact(number)
    }

    fn seller_wrote(
        &mut self,
        event: &'a Event,
        message: &'a MessageSent,
        at: Timestamp,
        policy: &Policy,
    ) -> Added {
        if !message.is_automatic() {
            self.answer(event, message, at);
        }
        let by = message.reply_by.map(|limit| policy.moment(limit)).filter(|by| *by > event.time);
        let Some(by) = by else { return Added::Nothing };
        let number = self.requests.len();
        self.requests.push(Request { at, by, event, thread: message.thread_id.clone() });
        self.tracks.entry(message.thread_id.clone()).or_default().requests.push(number);
        Added::Request(number)
    }

    fn answer(&mut self, event: &'a Event, message: &MessageSent, at: Timestamp) {
        let track = self.tracks.entry(message.thread_id.clone()).or_default();
        track.last_seller_reply_at = track.last_seller_reply_at.max(Some(at));
        let reply = (at, &event.key);
        while let Some(first) = track.open.first().copied() {
            if (first.0, first.1) > reply {
                break;
            }
            track.open.pop_first();
            self.contacts[first.2].answered_at = Some(at);
        }
        let contacts = &mut self.contacts;
        self.loose.retain(|number| {
            let answered = contacts[*number].position() <= reply;
            if answered {
                contacts[*number].answered_at = Some(at);
            }
            !answered
        });
    }

    /// Whether a contact is the one that its thread has been waiting for since.
    pub fn waits_first(&self, contact: usize) -> bool {
        let waiting =
            self.contacts[contact].thread.as_ref().and_then(|thread| self.first_open(thread));
        waiting == Some(contact)
    }

    fn first_open(&self, thread: &Identifier) -> Option<usize> {
        self.tracks.get(thread)?.open.first().map(|(_, _, number)| *number)
    }

    /// Whether no buyer has written in the thread since the request.
    pub fn unanswered(&self, request: usize) -> bool {
        let request = &self.requests[request];
        let word = self.tracks.get(&request.thread).and_then(|track| track.last_buyer_word);
        word.is_none_or(|word| word <= (request.at, &request.event.key))
    }

    /// When a thread's first contact was.
    pub fn first_contact_at(&self, thread: &Identifier) -> Option<Timestamp> {
        self.tracks.get(thread)?.first_contact_at
    }

    /// The message that has waited longest in the threads that began with a topic.
    pub fn longest_waiting(&self, topic: Topic) -> Option<(&Identifier, &'a Identifier)> {
        let began = |track: &&Track| {
            track.first_message.is_some_and(|(_, message)| message.topic() == topic)
        };
        let number = self
            .tracks
            .values()
            .filter(began)
            .filter_map(|track| {
                track.open.iter().find(|(_, _, number)| self.contacts[*number].message.is_some())
            })
            .min()?
            .2;
        let contact = &self.contacts[number];
        Some((contact.thread.as_ref()?, contact.message?))
    }

    /// The rows of the threads that the case owns. `order_id` is the case's.
    pub fn states(&self, order_id: Option<&Identifier>) -> Vec<ThreadState> {
        self.tracks
            .iter()
            .filter(|(_, track)| track.owned)
            .filter_map(|(thread, track)| self.state(thread, track, order_id))
            .collect()
    }

    fn state(
        &self,
        thread: &Identifier,
        track: &Track,
        order_id: Option<&Identifier>,
    ) -> Option<ThreadState> {
        let (event, message) = track.first_message?;
        let pending = |number: &&usize| self.unanswered(**number);
        let asked = track.requests.iter().filter(pending).map(|number| &self.requests[*number]);
        let waiting_for_seller = track.open.first().map(|(at, _, _)| *at);
        let waiting_for_buyer = asked.clone().map(|request| request.at).min();
        let (awaiting, awaiting_since) = match (waiting_for_seller, waiting_for_buyer) {
            (Some(since), _) => (Awaiting::Seller, Some(since)),
            (None, Some(since)) => (Awaiting::Buyer, Some(since)),
            (None, None) => (Awaiting::Nobody, None),
        };
        Some(ThreadState {
            thread_id: thread.clone(),
            order_id: order_id.cloned(),
            seller_id: message.seller_id.clone(),
            topic: message.topic(),
            opened_at: event.time,
            last_buyer_message_at: track.last_buyer_message_at,
            last_seller_reply_at: track.last_seller_reply_at,
            awaiting,
            awaiting_since,
            reply_by: asked
                .max_by_key(|request| (request.at, &request.event.key))
                .map(|request| request.by),
        })
    }
}
