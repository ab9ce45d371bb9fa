//! What each event says, before any rule judges it; and the rows that are read
//! off the fold at its end.

use std::collections::BTreeSet;

use super::correspondence::{Added, Contact, Letter};
use super::fold::{Cancelled, Fold, Member};
use super::goods::{TakenBy, Units};
use super::state::Package;
use super::{LineState, OrderState, PackageState, PaymentStatus};
use crate::contract::derived::{ConflictKind, OrderStatus};
use crate::contract::{
    ConsentRecorded, Event, GuaranteeClaimed, Identifier, Input, LineQuantity, MessageSent, Money,
    NonReceiptHandled, OrderCancelled, PaymentAuthorized, PaymentRefunded, ReturnRequested, Rule,
    ShipmentDispatched, Timestamp,
};

/// What the events of one moment were, for the rules to judge.
#[derive(Default)]
pub(super) struct Moment<'a> {
    pub placed: bool,
    pub placed_again: Vec<&'a Event>,
    pub authorized: Vec<&'a Event>,
    /// Money that came in, with the amount that counts.
    pub captured: Vec<(&'a Event, &'a PaymentAuthorized, i128)>,
    pub failed: Vec<&'a Event>,
    pub refunded: Vec<(&'a Event, &'a PaymentRefunded)>,
    /// Packages that left, by index.
    pub dispatched: Vec<Dispatch<'a>>,
    /// Cancellations of lines.
    pub line_cancellations: Vec<TakenBy<'a>>,
    /// Pieces that went with the whole order.
    pub cancelled_units: Vec<Units>,
    /// The order became cancelled, by this event.
    pub cancelled_by: Option<&'a Event>,
    /// What last changed what is left to ship.
    pub goods_changed_by: Option<&'a Event>,
    pub asks: Vec<(&'a Event, usize)>,
    pub answers: Vec<(&'a Event, &'a ConsentRecorded)>,
    pub buyers_requests: Vec<&'a Event>,
    pub sellers_changes: Vec<&'a Event>,
    pub conflicts: Vec<Conflict<'a>>,
    pub letters: Vec<Received<'a>>,
    pub handled: Vec<(&'a Event, &'a NonReceiptHandled)>,
    pub claims: Vec<(&'a Event, &'a GuaranteeClaimed)>,
    /// Packages that a notice is due for from now on, by index.
    pub noticed: Vec<usize>,
}

/// A package that left, and what was wrong with its lines.
pub(super) struct Dispatch<'a> {
    pub event: &'a Event,
    pub package: usize,
    pub unknown: BTreeSet<Identifier>,
    pub surplus: BTreeSet<Identifier>,
}

/// Something that doesn't fit together.
pub(super) struct Conflict<'a> {
    pub rule: Rule,
    pub kind: ConflictKind,
    pub event: &'a Event,
    pub detail: String,
}

/// A message of the moment.
pub(super) struct Received<'a> {
    pub member: &'a Member,
    pub message: &'a MessageSent,
    /// The message's own time, or the order's placing where it came before that.
    pub said_at: Timestamp,
}

impl<'a> Fold<'a> {
    pub(super) fn fold_facts(&mut self, member: &'a Member, moment: &mut Moment<'a>) {
        let event = &member.event;
        match &event.input {
            Input::OrderPlaced(_) if event.key == self.placed_event.key => moment.placed = true,
            Input::OrderPlaced(_) => moment.placed_again.push(event),
            Input::ChangeRequested(_) => self.change_requested(event, moment),
            Input::CancelRequested(_) => moment.buyers_requests.push(event),
            Input::OrderCancelled(data) => self.order_cancelled(event, data, moment),
            Input::LinesUnshippable(data) => self.lines_unshippable(event, &data.lines, moment),
            Input::PaymentAuthorized(data) => self.payment_authorized(event, data, moment),
            Input::PaymentFailed(data) => {
                self.payments.fail(&data.attempt_id);
                moment.failed.push(event);
            }
            Input::PaymentRefunded(data) => self.payment_refunded(event, data, moment),
            Input::ShipmentDispatched(data) => self.dispatched(event, data, moment),
            Input::ShipmentUpdated(data) => {
                let at = self.at;
                match self
                    .packages
                    .iter_mut()
                    .find(|package| *package.package_id == data.package_id)
                {
                    Some(package) => package.news.add(at, event, data),
                    None => self
                        .early_news
                        .entry(data.package_id.clone())
                        .or_default()
                        .add(at, event, data),
                }
            }
            Input::MessageSent(data) => self.message_sent(member, data, moment),
            Input::ConsentRecorded(data) => self.consent_recorded(event, data, moment),
            Input::ReturnRequested(data) => self.return_requested(event, data, moment),
            Input::NonReceiptHandled(data) => moment.handled.push((event, data)),
            Input::GuaranteeClaimed(data) => moment.claims.push((event, data)),
        }
    }

    fn order_cancelled(
        &mut self,
        event: &'a Event,
        data: &'a OrderCancelled,
        moment: &mut Moment<'a>,
    ) {
        match &data.lines {
            Some(lines) => {
                let taken = self.goods.cancel(Some(lines));
                moment.unknown_lines(event, &taken.unknown);
                moment.line_cancellations.push(TakenBy { event, taken });
                moment.goods_changed_by = Some(event);
            }
            None => self.cancel(event, moment),
        }
    }

    /// Cancels the whole order.
    pub(super) fn cancel(&mut self, event: &'a Event, moment: &mut Moment<'a>) {
        moment.cancelled_units.extend(self.goods.cancel(None).units);
        if self.cancelled.is_none() {
            self.cancelled = Some(Cancelled { at: self.at });
            moment.cancelled_by = Some(event);
        }
    }

    /// Nothing left to ship and nothing shipped is a cancelled order too (rule 0.8).
    pub(super) fn note_cancellation(&mut self, moment: &mut Moment<'a>) {
        let emptied = self.cancelled.is_none() && self.goods.left() == 0 && !self.has_shipped();
        if let (true, Some(event)) = (emptied, moment.goods_changed_by) {
            self.cancelled = Some(Cancelled { at: self.at });
            moment.cancelled_by = Some(event);
        }
    }

    fn lines_unshippable(
        &mut self,
        event: &'a Event,
        lines: &[LineQuantity],
        moment: &mut Moment<'a>,
    ) {
        moment.unknown_lines(event, &self.goods.unknown_of(lines));
        if self.cancelled.is_some() {
            return;
        }
        if let Some(ask) = self.goods.ask(lines) {
            moment.asks.push((event, ask));
        }
    }

    /// Before anything was asked, or after cancellation, an answer changes nothing (R5).
    fn consent_recorded(
        &mut self,
        event: &'a Event,
        data: &'a ConsentRecorded,
        moment: &mut Moment<'a>,
    ) {
        if self.cancelled.is_some() || self.goods.asks.is_empty() {
            return;
        }
        self.consents.push(event);
        self.goods.answer(data.granted.then(|| self.consents.len() - 1));
        moment.answers.push((event, data));
        moment.goods_changed_by = Some(event);
    }

    fn payment_authorized(
        &mut self,
        event: &'a Event,
        data: &'a PaymentAuthorized,
        moment: &mut Moment<'a>,
    ) {
        let fits = self.is_in_currency(event, data.currency, moment);
        let amount = if fits { i128::from(data.amount.minor_units()) } else { 0 };
        moment.authorized.push(event);
        if self.payments.authorize(data, amount) {
            moment.captured.push((event, data, amount));
        }
    }

    fn payment_refunded(
        &mut self,
        event: &'a Event,
        data: &'a PaymentRefunded,
        moment: &mut Moment<'a>,
    ) {
        if self.is_in_currency(event, data.currency, moment) {
            moment.refunded.push((event, data));
        }
    }

    fn dispatched(
        &mut self,
        event: &'a Event,
        data: &'a ShipmentDispatched,
        moment: &mut Moment<'a>,
    ) {
        if let Some(package) =
            self.packages.iter_mut().find(|package| *package.package_id == data.package_id)
        {
            package.carrier = data.carrier.clone().or(package.carrier.take());
            package.tracking_number =
                data.tracking_number.clone().or(package.tracking_number.take());
            package.insured = data.insured.unwrap_or(package.insured);
            return;
        }
        let asks = self.goods.open_asks();
        let taken = self.goods.dispatch(data.lines.as_deref());
        if !taken.units.is_empty() {
            self.first_shipped_at.get_or_insert(self.at);
        }
        self.packages.push(Package {
            package_id: &data.package_id,
            event,
            dispatch: data,
            at: self.at,
            units: taken.units,
            carrier: data.carrier.clone(),
            tracking_number: data.tracking_number.clone(),
            insured: data.insured.unwrap_or(false),
            after_cancellation: false,
            asks,
            noticed: false,
            refunded: false,
            news: self.early_news.remove(&data.package_id).unwrap_or_default(),
        });
        moment.goods_changed_by = Some(event);
        moment.dispatched.push(Dispatch {
            event,
            package: self.packages.len() - 1,
            unknown: taken.unknown,
            surplus: taken.surplus,
        });
    }

    fn message_sent(
        &mut self,
        member: &'a Member,
        message: &'a MessageSent,
        moment: &mut Moment<'a>,
    ) {
        let event = &member.event;
        let said_at = event.time.max(self.placed_at);
        let letter = Letter { event, message, at: said_at, owned: member.owns_thread };
        let added = self.letters.receive(&letter, self.policy);
        self.set_reply_deadlines(added);
        moment.letters.push(Received { member, message, said_at });
    }

    fn return_requested(
        &mut self,
        event: &'a Event,
        data: &'a ReturnRequested,
        moment: &mut Moment<'a>,
    ) {
        moment.unknown_lines(
            event,
            &self.goods.unknown_of(data.lines.as_deref().unwrap_or_default()),
        );
        let added = self.letters.open_contact(Contact {
            at: self.at,
            event,
            thread: data.thread_id.clone(),
            message: None,
            lines: data.lines.as_deref(),
            answered_at: None,
        });
        self.set_reply_deadlines(added);
    }

    fn set_reply_deadlines(&mut self, added: Added) {
        match added {
            Added::Contact(number) => self.set_contact_deadlines(number),
            Added::Request(number) => self.set_request_deadline(number),
            Added::Nothing => {}
        }
    }

    pub(super) fn status(&self) -> OrderStatus {
        if self.cancelled.is_some() {
            OrderStatus::Cancelled
        } else if !self.payments.is_authorized() {
            OrderStatus::Pending
        } else if !self.has_shipped() {
            OrderStatus::Unshipped
        } else if self.goods.left() > 0 {
            OrderStatus::PartiallyShipped
        } else {
            OrderStatus::Shipped
        }
    }

    pub(super) fn order_state(&self) -> OrderState {
        let totals = self.goods.totals();
        let order = self.order;
        let authorized = self.payments.is_authorized();
        // V1: who ships needs the address, and nobody needs it before the order is paid.
        let visible = self.is_ours() && self.is_fbs() && authorized;
        OrderState {
            order_id: order.order_id.clone(),
            seller_id: order.seller_id.clone(),
            buyer_id: order.buyer_id.clone(),
            status: self.status(),
            sold_by: order.sold_by,
            fulfilled_by: order.fulfilled_by,
            payment_status: match (authorized, self.payments.is_failed()) {
                (true, _) => PaymentStatus::Authorized,
                (false, true) => PaymentStatus::Failed,
                (false, false) => PaymentStatus::Pending,
            },
            payment_method: self.payments.method(),
            currency: order.currency,
            items_total: super::money::minor_units(totals.items),
            tax_total: super::money::minor_units(totals.tax),
            shipping_total: super::money::minor_units(totals.shipping),
            placed_at: self.placed_at,
            authorized_at: self.payments.authorized_at,
            ship_by: self.released.map(|released| released.ship_by),
            cancelled_at: self.cancelled.map(|cancelled| cancelled.at),
            buyer_name: order.buyer_name.clone().filter(|_| visible),
            relay_email: order.relay_email.clone(),
            phone: order.phone.clone().filter(|_| visible),
            ship_to: self.ship_to.cloned().filter(|_| visible),
            lines: self.goods.standing().map(|(_, line)| line_state(line)).collect(),
        }
    }

    pub(super) fn package_states(&self) -> Vec<PackageState> {
        self.packages
            .iter()
            .map(|package| PackageState {
                package_id: package.package_id.clone(),
                carrier: package.carrier.clone(),
                tracking_number: package.tracking_number.clone(),
                insured: package.insured,
                status: package.news.status,
                return_reason: package.news.return_reason(),
                dispatched_at: package.at,
                delivered_at: package.news.delivered.map(|(at, _)| at),
                returned_at: package.news.returned.map(|(at, _)| at),
                lines: self.goods.listed(&package.units),
            })
            .collect()
    }
}

fn line_state(line: &super::goods::Line) -> LineState {
    LineState {
        line_id: line.placed.line_id.clone(),
        sku: line.placed.sku.clone(),
        title: line.placed.title.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price,
        tax: line.placed.tax.map(Money::minor_units),
        shipping_fee: line.placed.shipping_fee.map(Money::minor_units),
        quantity_shipped: line.shipped,
        quantity_unshippable: line.asked,
        quantity_cancelled: line.cancelled,
    }
}

impl<'a> Moment<'a> {
    /// An event names lines that the order doesn't have: they are left out of it (S7).
    pub fn unknown_lines(&mut self, event: &'a Event, unknown: &BTreeSet<Identifier>) {
        if !unknown.is_empty() {
            let detail = format!(
                "{} names a line that the order doesn't have: {}",
                event.input.input_type().name(),
                listed(unknown)
            );
            self.conflicts.push(Conflict {
                rule: Rule::S7,
                kind: ConflictKind::UnknownLine,
                event,
                detail,
            });
        }
    }
}

pub(super) fn listed(ids: &BTreeSet<Identifier>) -> String {
    ids.iter().map(Identifier::as_str).collect::<Vec<_>>().join(", ")
}
