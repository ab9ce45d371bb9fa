//! The few facts that rules need of what lies beside their case, handed to
//! them so that they stay pure.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use super::Release;
use crate::contract::{Address, Identifier, OrderPlaced, Text, Timestamp};

/// Who placed an order, with whom and when: what inquiries are matched by (Q1 to Q3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    pub order_id: Identifier,
    pub seller_id: Identifier,
    pub buyer_id: Identifier,
    /// In lower case: an address's case is ignored.
    pub relay_email: Option<String>,
    pub placed_at: Timestamp,
}

impl Identity {
    /// `time` is the event's, which `placed_at` defaults to.
    pub fn of(placed: &OrderPlaced, time: Timestamp) -> Identity {
        Identity {
            order_id: placed.order_id.clone(),
            seller_id: placed.seller_id.clone(),
            buyer_id: placed.buyer_id.clone(),
            relay_email: placed.relay_email.as_ref().map(fold_case),
            placed_at: placed.placed_at.unwrap_or(time),
        }
    }
}

/// An e-mail address as it is compared.
pub fn fold_case(email: &Text) -> String {
    email.0.to_lowercase()
}

/// An address as S5 compares it: its parts joined, NFKC, lower case, no white space.
/// A recipient's name is no part of it.
pub fn address_key(address: &Address) -> String {
    let parts = [Some(&address.postal_code), Some(&address.region), address.city.as_ref()]
        .into_iter()
        .flatten()
        .chain(&address.address_lines)
        .chain([&address.country]);
    parts
        .flat_map(|part| part.0.nfkc())
        .flat_map(char::to_lowercase)
        .filter(|c| !c.is_whitespace())
        .collect()
}

/// The orders beside a thread: those that its messages name, and those that its lookups may find.
#[derive(Clone, Debug, Default)]
pub struct ThreadNeighbours {
    pub named: BTreeMap<Identifier, Identity>,
    pub candidates: Vec<Identity>,
}

/// The orders of the same seller and buyer beside an order (S5).
pub type OrderNeighbours = Vec<Release>;
