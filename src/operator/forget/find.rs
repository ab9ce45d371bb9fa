//! What of a database is a buyer's.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::contract::Identifier;
use crate::rules::CaseId;
use crate::rules::personal::{Pseudonyms, Share, Trail, forget, is_pseudonym};
use crate::store::forgetting::{self, Shown, Stored};
use crate::store::{self, CaseSet};

/// What there is of a buyer, and what is to be written instead.
#[derive(Debug, Default)]
pub struct Found {
    /// All cases in which something is to be changed, or that must not change meanwhile.
    pub cases: CaseSet,
    pub sellers: BTreeSet<Identifier>,
    /// As they are to be.
    pub events: Vec<Stored>,
    /// Of those, how many are another buyer's.
    pub shared: usize,
    pub shown: Vec<Shown>,
    /// The addresses, and their pseudonyms, as rules compare them.
    pub emails: BTreeMap<String, String>,
}

/// Finds what a trail leads to, and follows it where that leads on.
pub async fn find(
    conn: &mut PgConnection,
    trail: &mut Trail,
    pseudonyms: &Pseudonyms,
) -> store::Result<Found> {
    let sellers = forgetting::orders(conn, trail).await?;
    let events = loop {
        let before = trail.len();
        let events = forgetting::events(conn, trail).await?;
        for event in &events {
            trail.learn(event.home.order_id(), &event.input);
        }
        if trail.len() == before {
            break events;
        }
    };
    let mut found = Found { sellers, ..Found::default() };
    found.cases.extend(trail.orders.iter().cloned().map(CaseId::Order));
    for event in events {
        found.take(trail, event, pseudonyms);
    }
    for email in &trail.emails {
        found.emails.insert(email.clone(), pseudonyms.email(email));
    }
    let shown = forgetting::shown(conn, trail).await?;
    found.shown = shown.into_iter().map(|order| shown_as(order, pseudonyms)).collect();
    Ok(found)
}

impl Found {
    fn take(&mut self, trail: &Trail, event: Stored, pseudonyms: &Pseudonyms) {
        let Some(share) = trail.share(event.home.order_id(), &event.input) else { return };
        self.cases.insert(event.home.clone());
        self.cases.extend(event.thread.clone().map(CaseId::Thread));
        let mut forgotten = event.clone();
        forget(&mut forgotten.input, share, pseudonyms);
        forgotten.has_more &= share == Share::Email;
        if forgotten.input != event.input || forgotten.has_more != event.has_more {
            self.shared += usize::from(share == Share::Email);
            self.events.push(forgotten);
        }
    }
}

fn shown_as(order: Shown, pseudonyms: &Pseudonyms) -> Shown {
    let email = |email: String| match is_pseudonym(&email) {
        true => email,
        false => pseudonyms.email(&email.to_lowercase()),
    };
    let ship_to = order.ship_to.map(|address| match order.is_own {
        true => Json(pseudonyms.address(&address)),
        false => address,
    });
    Shown { relay_email: order.relay_email.map(email), ship_to, ..order }
}
