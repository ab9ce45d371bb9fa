//! Payment: P1 to P5 of the rule book, and releases for combined shipping.

use super::Release;
use super::facts::Moment;
use super::fold::{Fold, Released, event_key};
use super::neighbours::address_key;
use super::output::Deadline;
use super::returns::Refund;
use crate::contract::derived::{
    ConflictKind, OrderStatus, PaymentOverdue, RefundReason, ShipmentRequired,
};
use crate::contract::{Event, PaymentAuthorized, Rule, Timestamp};

impl<'a> Fold<'a> {
    pub(super) fn payment_rules(&mut self, moment: &mut Moment<'a>) {
        self.note_authorization();
        if moment.placed {
            self.await_payment();
        }
        for event in &moment.failed {
            if self.payments.is_authorized() {
                self.output.note(Rule::P5, self.at, event, "still authorised");
            }
        }
        self.release(moment);
        for (event, payment, amount) in std::mem::take(&mut moment.captured) {
            self.paid_after_cancellation(event, payment, amount, moment);
        }
    }

    fn note_authorization(&mut self) {
        match (self.payments.authorized_at, self.payments.is_authorized()) {
            (None, true) => {
                self.payments.authorized_at = Some(self.at);
                self.payments.ever_authorized = true;
            }
            (Some(_), false) => {
                self.payments.authorized_at = None;
                self.released = None;
            }
            _ => {}
        }
    }

    /// P1, and P3's deadline.
    fn await_payment(&mut self) {
        if !self.payments.is_authorized() {
            self.output.note(Rule::P1, self.at, self.placed_event, "pending");
        }
        if !(self.is_ours() && self.is_fbs() && self.payments.is_authorized()) {
            self.output.note(
                Rule::V1,
                self.at,
                self.placed_event,
                "name, phone and address hidden",
            );
        }
        self.deadlines.set(self.payment_due_at().max(self.placed_at), Deadline::PaymentDue);
    }

    fn payment_due_at(&self) -> Timestamp {
        let named = self.order.payment.as_ref().and_then(|payment| payment.due_at);
        named.unwrap_or(self.placed_at + self.policy.payment_within)
    }

    /// P3.
    pub(super) fn payment_due(&mut self) {
        if self.is_ours() && self.status() == OrderStatus::Pending {
            let due_at = self.payment_due_at();
            self.derive_absence(Rule::P3, "", None, PaymentOverdue { due_at });
        }
    }

    /// P2: the order is the seller's to ship from now on.
    fn release(&mut self, moment: &Moment<'a>) {
        let Some(authorized_at) = self.payments.authorized_at else { return };
        let due =
            self.is_ours() && self.is_fbs() && self.cancelled.is_none() && self.released.is_none();
        if !due {
            return;
        }
        let cause = moment.authorized.first().copied().unwrap_or(self.placed_event);
        let ship_by = self
            .order
            .latest_ship_at
            .filter(|latest| *latest > authorized_at)
            .unwrap_or(authorized_at + self.policy.ship_within);
        self.released = Some(Released { at: self.at, ship_by, cause });
        self.deadlines.set(ship_by, Deadline::ShipBy { released_at: self.at });
        self.derive(Rule::P2, event_key(cause), cause, ShipmentRequired { ship_by });
        self.offer_combined_shipping(cause);
    }

    /// P4: the order never reopens, so the money goes back.
    fn paid_after_cancellation(
        &mut self,
        event: &'a Event,
        payment: &PaymentAuthorized,
        amount: i128,
        moment: &mut Moment<'a>,
    ) {
        let late = self.cancelled.is_some_and(|cancelled| cancelled.at < self.at);
        if !late || !self.is_ours() {
            return;
        }
        self.conflict(
            moment,
            Rule::P4,
            ConflictKind::PaidAfterCancellation,
            event,
            "paid after the order was cancelled",
        );
        if amount > 0 {
            let mut refund = Refund::new(Rule::P4, RefundReason::LatePayment, event);
            refund.key = format!("P4/{}", payment.attempt_id);
            refund.item_amount = amount;
            self.record_refund(refund);
        }
    }

    /// Keeps the stretches in which the order could go together with others (S5).
    pub(super) fn note_release(&mut self) {
        let now = self.open_release();
        let last = self.releases.last_mut().filter(|release| release.until.is_none());
        match (last, now) {
            (Some(last), Some(now))
                if last.released_at == now.released_at && last.address == now.address => {}
            (last, now) => {
                if let Some(last) = last {
                    last.until = Some(self.at);
                }
                self.releases.extend(now);
            }
        }
    }

    pub(super) fn open_release(&self) -> Option<Release> {
        let released = self.released?;
        if self.status() != OrderStatus::Unshipped {
            return None;
        }
        Some(Release {
            order_id: self.order.order_id.clone(),
            released_at: released.at,
            from: self.at,
            until: None,
            address: address_key(self.ship_to?),
            seller_id: self.order.seller_id.clone(),
            buyer_id: self.order.buyer_id.clone(),
        })
    }
}
