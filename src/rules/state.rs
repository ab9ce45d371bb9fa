//! Payments and packages of an order, as folded so far.

use std::collections::BTreeMap;

use super::goods::Units;
use crate::contract::derived::ReturnedBecause;
use crate::contract::{
    Event, Identifier, OrderPlaced, PackageStatus, PaymentAuthorized, PaymentMethod, PlacedPayment,
    ReturnReason, ShipmentDispatched, ShipmentUpdated, Text, Timestamp,
};

/// The attempts to pay, and the money that came in.
#[derive(Default)]
pub(super) struct Payments {
    attempts: BTreeMap<Identifier, Attempt>,
    placed_authorized: bool,
    placed_captured: i128,
    placed_method: Option<PaymentMethod>,
    last_method: Option<PaymentMethod>,
    last_failed: bool,
    /// Since when the order has been authorised without a break.
    pub authorized_at: Option<Timestamp>,
    /// It was authorised at some time.
    pub ever_authorized: bool,
}

#[derive(Default)]
struct Attempt {
    authorized: bool,
    captured: i128,
    /// It has been captured before, whatever came after.
    ever_captured: bool,
}

impl Payments {
    /// `total`: items and shipping, as placed.
    pub fn placed(&mut self, order: &OrderPlaced, total: i128) {
        let Some(payment) = &order.payment else { return };
        self.placed_authorized = payment.status == PlacedPayment::Authorized;
        self.placed_method = payment.method;
        if payment.captured == Some(true) {
            self.placed_captured = total;
        }
    }

    /// `amount`: what counts of it (nothing in another currency). Whether it is new money.
    pub fn authorize(&mut self, payment: &PaymentAuthorized, amount: i128) -> bool {
        let attempt = self.attempts.entry(payment.attempt_id.clone()).or_default();
        attempt.authorized = true;
        self.last_failed = false;
        self.last_method = payment.method.or(self.last_method);
        if !payment.is_captured() {
            return false;
        }
        let first = !attempt.ever_captured;
        attempt.ever_captured = true;
        attempt.captured = amount;
        first
    }

    pub fn fail(&mut self, attempt: &Identifier) {
        let attempt = self.attempts.entry(attempt.clone()).or_default();
        (attempt.authorized, attempt.captured) = (false, 0);
        self.last_failed = true;
    }

    pub fn is_authorized(&self) -> bool {
        self.placed_authorized || self.attempts.values().any(|attempt| attempt.authorized)
    }

    pub fn is_failed(&self) -> bool {
        !self.is_authorized() && self.last_failed
    }

    /// Money in, up to now.
    pub fn captured(&self) -> i128 {
        self.placed_captured + self.attempts.values().map(|attempt| attempt.captured).sum::<i128>()
    }

    /// That of the latest authorisation that names one, else that named at placing.
    pub fn method(&self) -> Option<PaymentMethod> {
        self.last_method.or(self.placed_method)
    }

    /// Cash on delivery that nobody has collected.
    pub fn is_uncollected_cash(&self) -> bool {
        self.method() == Some(PaymentMethod::CashOnDelivery) && self.captured() == 0
    }
}

/// A package that left.
pub(super) struct Package<'a> {
    pub package_id: &'a Identifier,
    pub event: &'a Event,
    pub dispatch: &'a ShipmentDispatched,
    pub at: Timestamp,
    pub units: Vec<Units>,
    pub carrier: Option<Text>,
    pub tracking_number: Option<Text>,
    pub insured: bool,
    /// It left after the order was cancelled (S2): recorded, and no more.
    pub after_cancellation: bool,
    /// The asks that were open when it left: it waits for consent to them.
    pub asks: Vec<usize>,
    pub noticed: bool,
    pub refunded: bool,
    pub news: News<'a>,
}

/// What the carrier said of a package.
#[derive(Default)]
pub(super) struct News<'a> {
    pub status: Option<PackageStatus>,
    pub delivered: Option<(Timestamp, &'a Event)>,
    pub returned: Option<(Timestamp, &'a Event)>,
    pub lost: Option<(Timestamp, &'a Event)>,
    returning_reason: Option<ReturnReason>,
    returned_reason: Option<ReturnReason>,
}

impl<'a> News<'a> {
    pub fn add(&mut self, at: Timestamp, event: &'a Event, update: &ShipmentUpdated) {
        self.status = Some(update.status);
        match update.status {
            PackageStatus::Delivered => _ = self.delivered.get_or_insert((at, event)),
            PackageStatus::Lost => _ = self.lost.get_or_insert((at, event)),
            PackageStatus::Returning => {
                self.returning_reason = update.reason.or(self.returning_reason)
            }
            PackageStatus::Returned if self.returned.is_none() => {
                self.returned = Some((at, event));
                self.returned_reason = update.reason.or(self.returning_reason);
            }
            _ => {}
        }
    }

    /// Why it came back; while it is on its way, what is known.
    pub fn return_reason(&self) -> Option<ReturnedBecause> {
        match (self.returned, self.returned_reason, self.returning_reason) {
            (Some(_), reason, _) => Some(reason.map_or(ReturnedBecause::Other, because)),
            (None, _, Some(reason)) => Some(because(reason)),
            (None, _, None) => None,
        }
    }
}

fn because(reason: ReturnReason) -> ReturnedBecause {
    match reason {
        ReturnReason::Undeliverable => ReturnedBecause::Undeliverable,
        ReturnReason::Refused => ReturnedBecause::Refused,
        ReturnReason::UnknownAddress => ReturnedBecause::UnknownAddress,
        ReturnReason::BuyerReturn => ReturnedBecause::BuyerReturn,
        ReturnReason::Other => ReturnedBecause::Other,
    }
}
