//! What of an event is personal data, and what stands in its place once the buyer is forgotten.
//!
//! Rules compare two such fields: addresses (S5) and e-mail addresses (Q1). They get pseudonyms,
//! equal where the rules took the two for equal before, so that every decision stays as it is.
//! All else of a person is simply left out: no rule reads it.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::neighbours::{address_key, fold_case};
use crate::contract::{Address, Identifier, Input, Text};

/// What every pseudonym begins with; 32 hexadecimal digits follow.
const PREFIX: &str = "forgotten-";
const DIGITS: usize = 32;
/// The country of a forgotten address.
const NOWHERE: &str = "forgotten";

/// Pseudonyms of one act of forgetting. Without its salt nobody finds out what stood there, not
/// even by trying all addresses of a town.
#[derive(Clone)]
pub struct Pseudonyms {
    salt: Vec<u8>,
}

impl Pseudonyms {
    pub fn new(salt: Vec<u8>) -> Pseudonyms {
        Pseudonyms { salt }
    }

    /// In place of an e-mail address, which is given as rules compare it.
    pub fn email(&self, folded: &str) -> String {
        if is_pseudonym(folded) { folded.to_owned() } else { self.name("email", folded) }
    }

    /// In place of an address.
    pub fn address(&self, address: &Address) -> Address {
        if is_forgotten(address) {
            return address.clone();
        }
        self.address_of_key(&address_key(address))
    }

    /// In place of an address that is known as rules compare it only, in the same form.
    pub fn address_key(&self, key: &str) -> String {
        if key.strip_suffix(NOWHERE).is_some_and(is_pseudonym) {
            return key.to_owned();
        }
        address_key(&self.address_of_key(key))
    }

    fn address_of_key(&self, key: &str) -> Address {
        Address {
            recipient: None,
            postal_code: Text(self.name("address", key)),
            region: Text(String::new()),
            city: None,
            address_lines: Vec::new(),
            country: Text(NOWHERE.to_owned()),
        }
    }

    fn name(&self, kind: &str, text: &str) -> String {
        let mut hash = Sha256::new();
        for part in [&self.salt[..], kind.as_bytes(), text.as_bytes()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{PREFIX}{}", &digits[..DIGITS])
    }
}

/// Whether a text is one of ours: nothing personal, whoever wrote it.
pub fn is_pseudonym(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == DIGITS
            && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn is_forgotten(address: &Address) -> bool {
    let Address { recipient, postal_code, region, city, address_lines, country } = address;
    is_pseudonym(&postal_code.0)
        && country.0 == NOWHERE
        && region.0.is_empty()
        && recipient.is_none()
        && city.is_none()
        && address_lines.is_empty()
}

/// How much of an event is a buyer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// It is about the buyer.
    Whole,
    /// It is about another buyer, who uses the same e-mail address.
    Email,
}

/// By what a buyer's events are known, as the rules match them: the id, the orders that were
/// placed with it, the e-mail addresses used with it, and the threads of all that.
#[derive(Clone, Debug)]
pub struct Trail {
    pub buyer: Identifier,
    pub orders: BTreeSet<Identifier>,
    pub threads: BTreeSet<Identifier>,
    /// As rules compare them; no pseudonyms.
    pub emails: BTreeSet<String>,
    pub phones: BTreeSet<String>,
    pub names: BTreeSet<String>,
}

impl Trail {
    pub fn of(buyer: Identifier) -> Trail {
        let (orders, threads) = (BTreeSet::new(), BTreeSet::new());
        let (emails, phones, names) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Trail { buyer, orders, threads, emails, phones, names }
    }

    pub fn len(&self) -> usize {
        self.orders.len() + self.threads.len() + self.emails.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Learns from an event whose home is an order (`None`: its thread) how others are known.
    pub fn learn(&mut self, home: Option<&Identifier>, input: &Input) {
        if self.share(home, input) != Some(Share::Whole) {
            return;
        }
        match input {
            Input::OrderPlaced(placed) => {
                self.learn_email(placed.relay_email.as_ref());
                self.phones.extend(placed.phone.iter().map(|phone| phone.0.clone()));
                self.names.extend(placed.buyer_name.iter().map(|name| name.0.clone()));
            }
            Input::MessageSent(message) => {
                self.threads.insert(message.thread_id.clone());
                self.learn_email(message.relay_email.as_ref());
            }
            _ => {}
        }
    }

    pub fn learn_email(&mut self, email: Option<&Text>) {
        let emails = email.map(fold_case).filter(|email| !is_pseudonym(email));
        self.emails.extend(emails);
    }

    /// How much of an event is the buyer's.
    pub fn share(&self, home: Option<&Identifier>, input: &Input) -> Option<Share> {
        let same_email = |email: &Option<Text>| {
            email.as_ref().is_some_and(|email| self.emails.contains(&fold_case(email)))
        };
        let is_whole = match input {
            Input::OrderPlaced(placed) => placed.buyer_id == self.buyer,
            Input::MessageSent(message) => match &message.buyer_id {
                Some(buyer) => *buyer == self.buyer,
                None => {
                    same_email(&message.relay_email)
                        || self.threads.contains(&message.thread_id)
                        || home.is_some_and(|order| self.orders.contains(order))
                }
            },
            other => other.order_id().is_some_and(|order| self.orders.contains(order)),
        };
        let shares_email = || match input {
            Input::OrderPlaced(placed) => same_email(&placed.relay_email),
            Input::MessageSent(message) => same_email(&message.relay_email),
            _ => false,
        };
        match is_whole {
            true => Some(Share::Whole),
            false => shares_email().then_some(Share::Email),
        }
    }
}

/// Takes a person out of an event.
///
/// Every type stands here, so that whoever adds one has to think of it. Ids, goods, amounts,
/// times, carriers and tracking numbers are the books', and stay.
pub fn forget(input: &mut Input, share: Share, pseudonyms: &Pseudonyms) {
    let email = |email: &mut Option<Text>| {
        if let Some(Text(text)) = email {
            *text = pseudonyms.email(&fold_case(&Text(text.clone())));
        }
    };
    let address = |address: &mut Option<Address>| {
        *address = address.as_ref().map(|address| pseudonyms.address(address));
    };
    let is_whole = share == Share::Whole;
    match input {
        Input::OrderPlaced(placed) => {
            email(&mut placed.relay_email);
            if is_whole {
                (placed.buyer_name, placed.phone) = (None, None);
                address(&mut placed.ship_to);
            }
        }
        Input::MessageSent(message) => {
            email(&mut message.relay_email);
            if is_whole {
                message.body = None;
            }
        }
        Input::ChangeRequested(change) => address(&mut change.ship_to),
        Input::CancelRequested(cancel) => cancel.reason = None,
        Input::OrderCancelled(cancelled) => cancelled.reason = None,
        Input::LinesUnshippable(lines) => lines.reason = None,
        Input::ReturnRequested(request) => request.reason = None,
        Input::PaymentAuthorized(_)
        | Input::PaymentFailed(_)
        | Input::PaymentRefunded(_)
        | Input::ShipmentDispatched(_)
        | Input::ShipmentUpdated(_)
        | Input::ConsentRecorded(_)
        | Input::NonReceiptHandled(_)
        | Input::GuaranteeClaimed(_) => {}
    }
}

#[cfg(test)]
#[path = "personal/tests.rs"]
mod tests;
