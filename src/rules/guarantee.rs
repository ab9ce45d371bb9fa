//! Replies and the guarantee: M2 to M5 of the rule book.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Moment;
use super::fold::{Fold, event_key};
use super::money::{Due, minor_units};
use super::output::Deadline;
use super::returns::Refund;
use super::{GuaranteeState, GuaranteeStatus};
use crate::contract::derived::{
    CancellationReason, CancellationRequired, ClaimRefusal, GuaranteeEligible, GuaranteeRefused,
    LinePieces, RefundReason, ReplyOverdue,
};
use crate::contract::{
    Derivation, Derived, DerivedType, Event, GuaranteeClaimed, Identifier, Rule, Timestamp,
};

/// What the guarantee has come to so far.
#[derive(Default)]
pub(super) struct Guarantee<'a> {
    /// Threads in which a parcel was reported missing (Q4).
    non_receipts: BTreeSet<Identifier>,
    /// The contact that the guarantee applies for.
    eligible: Option<usize>,
    claimed: Option<usize>,
    claims: Vec<(&'a Event, &'a GuaranteeClaimed)>,
}

impl Guarantee<'_> {
    /// Whether it is the thread's first.
    pub fn open_non_receipt(&mut self, thread: &Identifier) -> bool {
        self.non_receipts.insert(thread.clone())
    }
}

impl<'a> Fold<'a> {
    /// M2 and M3. What was due before the contact came to this order isn't its to say.
    pub(super) fn set_contact_deadlines(&mut self, number: usize) {
        let contact = &self.letters.contacts[number];
        let event = contact.event;
        let reply_due = contact.thread.is_some().then_some(contact.at + self.policy.reply_within);
        let eligible = contact.at + self.policy.guarantee_after;
        if self.letters.waits_first(number) {
            self.output.note(Rule::M1, self.at, event, "awaiting the seller");
        }
        if let Some(due) = reply_due.filter(|due| *due >= self.at) {
            self.deadlines.set(due, Deadline::Reply { contact: number });
        }
        if eligible >= self.at {
            self.deadlines.set(eligible, Deadline::Guarantee { contact: number });
        }
    }

    /// M5.
    pub(super) fn set_request_deadline(&mut self, number: usize) {
        let by = self.letters.requests[number].by;
        if by >= self.at {
            self.deadlines.set(by, Deadline::BuyerReply { request: number });
        }
    }

    /// M2: once for each stretch of waiting.
    pub(super) fn reply_due(&mut self, number: usize) {
        let contact = &self.letters.contacts[number];
        if !self.is_ours() || contact.answered_at.is_some() || !self.letters.waits_first(number) {
            return;
        }
        let Some(thread_id) = contact.thread.clone() else { return };
        let key = format!("{thread_id}/{}", event_key(contact.event));
        let overdue = ReplyOverdue { thread_id, since: contact.at, due_at: self.at };
        self.derive_absence(Rule::M2, key, None, overdue);
    }

    /// M3: one for an order.
    pub(super) fn guarantee_due(&mut self, number: usize) {
        let contact = &self.letters.contacts[number];
        let covered = self.is_ours() && self.payments.is_authorized() && self.cancelled.is_none();
        if !covered || contact.answered_at.is_some() || self.guarantee.eligible.is_some() {
            return;
        }
        let amount = self.guaranteed(number).items();
        if amount == 0 {
            return;
        }
        let eligible = GuaranteeEligible {
            thread_id: contact.thread.clone(),
            basis: contact.basis(),
            since: contact.at,
            eligible_at: self.at,
            amount: minor_units(amount),
            currency: self.order.currency,
        };
        let key = contact.thread.as_ref().map_or(String::new(), Identifier::to_string);
        self.guarantee.eligible = Some(number);
        self.derive_absence(Rule::M3, key, None, eligible);
    }

    /// The price of the lines concerned, less what other rules gave back for them.
    fn guaranteed(&self, contact: usize) -> Due {
        let concerned = self.goods.concerned(self.letters.contacts[contact].lines);
        let goods = concerned
            .into_iter()
            .map(|(index, pieces)| {
                let line = self.goods.line(index);
                let price = i128::from(line.unit_price) * i128::from(pieces);
                (index, (price - line.refunded_goods).max(0))
            })
            .collect();
        Due { goods, shipping: 0 }
    }

    /// M4.
    pub(super) fn guarantee_rules(&mut self, moment: &Moment<'a>) {
        for (event, claim) in &moment.claims {
            let known =
                self.guarantee.claims.iter().any(|(_, before)| before.claim_id == claim.claim_id);
            if !known {
                self.guarantee.claims.push((event, claim));
                self.claimed(event, claim);
            }
        }
    }

    fn claimed(&mut self, event: &'a Event, claim: &GuaranteeClaimed) {
        if !self.is_ours() || !self.payments.is_authorized() || self.cancelled.is_some() {
            return self.refuse_claim(event, claim, ClaimRefusal::NotCovered, None);
        }
        if !self
            .letters
            .contacts
            .iter()
            .any(|contact| self.is_before(contact.at, contact.event, event))
        {
            return self.refuse_claim(event, claim, ClaimRefusal::NoPriorContact, None);
        }
        match self.first_left_waiting(event) {
            None => self.refuse_claim(event, claim, ClaimRefusal::Answered, None),
            Some((eligible_at, _)) if self.at < eligible_at => {
                self.refuse_claim(event, claim, ClaimRefusal::TooEarly, Some(eligible_at));
            }
            Some((_, contact)) => self.grant_claim(event, claim, contact),
        }
    }

    fn is_before(&self, at: Timestamp, contact: &Event, claim: &Event) -> bool {
        (at, &contact.key) < (self.at, &claim.key)
    }

    /// The first contact before the claim that wasn't answered in time, and when it became eligible.
    fn first_left_waiting(&self, claim: &Event) -> Option<(Timestamp, usize)> {
        self.letters
            .contacts
            .iter()
            .enumerate()
            .filter(|(_, contact)| self.is_before(contact.at, contact.event, claim))
            .map(|(number, contact)| (contact.at + self.policy.guarantee_after, number, contact))
            .filter(|(eligible_at, _, contact)| {
                contact.answered_at.is_none_or(|at| at > *eligible_at)
            })
            .min_by_key(|(eligible_at, _, contact)| (*eligible_at, &contact.event.key))
            .map(|(eligible_at, number, _)| (eligible_at, number))
    }

    fn refuse_claim(
        &mut self,
        event: &'a Event,
        claim: &GuaranteeClaimed,
        reason: ClaimRefusal,
        eligible_at: Option<Timestamp>,
    ) {
        let refused = GuaranteeRefused { claim_id: claim.claim_id.clone(), reason, eligible_at };
        self.derive_absence(Rule::M4, claim.claim_id.as_str(), Some(event), refused);
    }

    fn grant_claim(&mut self, event: &'a Event, claim: &GuaranteeClaimed, contact: usize) {
        if self.payments.is_uncollected_cash() {
            return;
        }
        let due = self.guaranteed(contact);
        let lines = self.goods.concerned(self.letters.contacts[contact].lines);
        let mut refund = Refund::new(Rule::M4, RefundReason::Guarantee, event);
        refund.key = format!("M4/{}", claim.claim_id);
        refund.lines = lines
            .into_iter()
            .filter(|(_, quantity)| *quantity > 0)
            .map(|(index, quantity)| LinePieces {
                line_id: self.goods.line(index).placed.line_id.clone(),
                quantity,
            })
            .collect();
        self.guarantee.claimed = Some(contact);
        self.refund(refund, due);
    }

    /// M5: each message that wants an answer, for itself.
    pub(super) fn buyer_reply_due(&mut self, number: usize) {
        let request = &self.letters.requests[number];
        let open = self.is_ours() && self.cancelled.is_none() && !self.has_shipped();
        if open && self.letters.unanswered(number) {
            let key = format!("{}/{}", request.thread, event_key(request.event));
            let thread_id = Some(request.thread.clone());
            let required =
                CancellationRequired { reason: CancellationReason::NoBuyerReply, thread_id };
            self.derive_absence(Rule::M5, key, None, required);
        }
    }

    /// One row for each thread with a contact, for each request without one, and for a
    /// claim that nothing came before.
    pub(super) fn guarantee_states(
        &self,
        derived: &[Derived],
        as_of: Timestamp,
    ) -> Vec<GuaranteeState> {
        let refused_at = derived
            .iter()
            .filter(|derived| derived.derived_type() == DerivedType::GuaranteeRefused)
            .map(|derived| derived.time)
            .max();
        let mut rows: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        if self.is_ours() {
            for (number, contact) in self.letters.contacts.iter().enumerate() {
                let key = contact
                    .thread
                    .as_ref()
                    .map_or_else(|| event_key(contact.event), Identifier::to_string);
                rows.entry(key).or_default().push(number);
            }
        }
        if rows.is_empty() {
            return self.claims_without_contact(derived);
        }
        let eligible =
            derived.iter().any(|derived| derived.derived_type() == DerivedType::GuaranteeEligible);
        rows.into_iter()
            .map(|(key, contacts)| {
                self.guarantee_state(key, &contacts, eligible, refused_at, as_of)
            })
            .collect()
    }

    fn guarantee_state(
        &self,
        key: String,
        contacts: &[usize],
        eligible: bool,
        refused_at: Option<Timestamp>,
        as_of: Timestamp,
    ) -> GuaranteeState {
        let stands = |number: Option<usize>| number.filter(|number| contacts.contains(number));
        let claimed = stands(self.guarantee.claimed);
        let eligible = stands(self.guarantee.eligible).filter(|_| eligible);
        let open = contacts
            .iter()
            .copied()
            .filter(|number| self.letters.contacts[*number].answered_at.is_none());
        let open = open.min_by_key(|number| self.letters.contacts[*number].at);
        let last = contacts.iter().copied().max_by_key(|number| self.letters.contacts[*number].at);
        let shown = claimed.or(eligible).or(open).or(last).expect("a row has a contact");
        let contact = &self.letters.contacts[shown];
        let eligible_at = contact.at + self.policy.guarantee_after;
        let runs =
            open.is_some() && self.cancelled.is_none() && as_of < eligible_at + self.policy.settle;
        let status = match (claimed, eligible) {
            (Some(_), _) => GuaranteeStatus::Claimed,
            (None, Some(_)) => GuaranteeStatus::Eligible,
            (None, None) if refused_at.is_some_and(|at| at >= contact.at) => {
                GuaranteeStatus::Refused
            }
            (None, None) if runs => GuaranteeStatus::Waiting,
            (None, None) => GuaranteeStatus::Closed,
        };
        GuaranteeState {
            key,
            thread_id: contact.thread.clone(),
            basis: Some(contact.basis()),
            since: Some(contact.at),
            eligible_at: Some(eligible_at),
            status,
        }
    }

    fn claims_without_contact(&self, derived: &[Derived]) -> Vec<GuaranteeState> {
        derived
            .iter()
            .filter_map(|derived| match &derived.derivation {
                Derivation::GuaranteeRefused(refused) => Some(refused),
                _ => None,
            })
            .map(|refused| GuaranteeState {
                key: format!("claim {}", refused.claim_id),
                thread_id: None,
                basis: None,
                since: None,
                eligible_at: None,
                status: GuaranteeStatus::Refused,
            })
            .collect()
    }
}
