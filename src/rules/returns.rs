//! Returns, what can't be shipped, and money back: R1 to R7 of the rule book, and S6.
//!
//! Refunds of one moment count in the order R6, R1, R4, S6 (M4 comes after, in
//! `guarantee`): each takes only what the earlier ones have left.

use std::collections::BTreeMap;

use super::RefundState;
use super::facts::Moment;
use super::fold::{Fold, event_key};
use super::goods::{Answer, TakenBy, Units};
use super::money::{Due, minor_units};
use crate::contract::derived::{
    CancellationReason, CancellationRequired, ConflictKind, ConsentOption, ConsentRequired,
    LinePieces, RefundReason, RefundRequired, ReturnedBecause,
};
use crate::contract::{
    ConsentRecorded, DerivedType, Event, Identifier, PaymentRefunded, Rule, Timestamp,
};

/// A refund that is due.
pub(super) struct Refund<'a> {
    pub rule: Rule,
    pub reason: RefundReason,
    pub cause: &'a Event,
    /// The part of the refund key after the order's id.
    pub key: String,
    pub item_amount: i128,
    pub shipping_amount: i128,
    pub lines: Vec<LinePieces>,
    pub package_id: Option<Identifier>,
    pub return_reason: Option<ReturnedBecause>,
}

impl<'a> Refund<'a> {
    pub fn new(rule: Rule, reason: RefundReason, cause: &'a Event) -> Self {
        Refund {
            rule,
            reason,
            cause,
            key: rule.id().to_owned(),
            item_amount: 0,
            shipping_amount: 0,
            lines: Vec::new(),
            package_id: None,
            return_reason: None,
        }
    }
}

impl<'a> Fold<'a> {
    pub(super) fn return_rules(&mut self, moment: &Moment<'a>) {
        if !self.is_ours() {
            return;
        }
        self.refund_cancellations(moment);
        for index in 0..self.packages.len() {
            self.delivered_and_returned(index);
        }
        if !self.is_fbs() {
            return;
        }
        for index in 0..self.packages.len() {
            self.came_back(index);
        }
        for (event, ask) in &moment.asks {
            self.unshippable(event, *ask);
        }
        for (event, answer) in &moment.answers {
            self.answered(event, answer);
        }
        self.refund_left_out(moment);
        for package in &moment.noticed {
            self.refund_combined_shipping(*package);
        }
    }

    /// R6.
    fn refund_cancellations(&mut self, moment: &Moment<'a>) {
        if self.payments.captured() == 0 || !self.payments.ever_authorized {
            return;
        }
        if let Some(event) = moment.cancelled_by {
            return self.refund_whole_order(event, moment);
        }
        for cancellation in &moment.line_cancellations {
            self.refund_cancelled_lines(cancellation);
        }
    }

    fn refund_whole_order(&mut self, event: &'a Event, moment: &Moment<'a>) {
        let amount = self.payments.captured() - self.refunds.total;
        if amount <= 0 {
            return;
        }
        let units =
            moment.line_cancellations.iter().flat_map(|cancellation| &cancellation.taken.units);
        let mut refund = Refund::new(Rule::R6, RefundReason::Cancelled, event);
        refund.shipping_amount = self.refunds.shipping_left(&self.goods).min(amount);
        refund.item_amount = amount - refund.shipping_amount;
        refund.lines = self.goods.listed(units.chain(&moment.cancelled_units));
        self.refunds.count_everything(amount);
        self.record_refund(refund);
    }

    fn refund_cancelled_lines(&mut self, cancellation: &TakenBy<'a>) {
        let due = Due::for_units(&self.goods, &cancellation.taken.units);
        let mut refund = Refund::new(Rule::R6, RefundReason::Cancelled, cancellation.event);
        refund.key = format!("R6/{}", cancellation.event.key.id);
        refund.lines = self.goods.listed(&cancellation.taken.units);
        self.refund(refund, due);
    }

    /// R1.
    fn came_back(&mut self, index: usize) {
        let package = &self.packages[index];
        let Some((_, event)) = package.news.returned else { return };
        if package.refunded || package.after_cancellation || !self.payments.ever_authorized {
            return;
        }
        let due = Due::for_units(&self.goods, &package.units);
        let mut refund = Refund::new(Rule::R1, RefundReason::Returned, event);
        refund.key = format!("R1/{}", package.package_id);
        refund.lines = self.goods.listed(&package.units);
        refund.package_id = Some(package.package_id.clone());
        refund.return_reason = package.news.return_reason();
        self.packages[index].refunded = true;
        if !self.payments.is_uncollected_cash() {
            self.refund(refund, due);
        } else if !refund.lines.is_empty() {
            self.record_refund(refund);
        }
    }

    /// R2.
    fn delivered_and_returned(&mut self, index: usize) {
        let package = &self.packages[index];
        let (Some((delivered, _)), Some((returned, event))) =
            (package.news.delivered, package.news.returned)
        else {
            return;
        };
        let buyers_own = package.news.return_reason() == Some(ReturnedBecause::BuyerReturn);
        if buyers_own || delivered.max(returned).max(package.at) != self.at {
            return;
        }
        let key = format!("delivered-and-returned/{}", package.package_id);
        let detail = format!("package {} is both delivered and returned", package.package_id);
        self.derive_conflict(Rule::R2, ConflictKind::DeliveredAndReturned, key, event, detail);
    }

    /// R3.
    fn unshippable(&mut self, event: &'a Event, ask: usize) {
        let lines = self.goods.listed_ask(ask);
        if self.cancelled.is_some() || lines.is_empty() {
            return;
        }
        if self.goods.asks[ask].wants_consent {
            let options = vec![ConsentOption::ShipTheRest, ConsentOption::CancelAndReorder];
            self.derive(Rule::R3, event_key(event), event, ConsentRequired { lines, options });
        } else {
            let reason = CancellationReason::NothingShippable;
            self.require_cancellation(Rule::R3, event_key(event), event, reason, None);
        }
    }

    /// R5's denial.
    fn answered(&mut self, event: &'a Event, answer: &ConsentRecorded) {
        if self.cancelled.is_none() && !answer.granted {
            let reason = CancellationReason::ConsentDenied;
            self.require_cancellation(
                Rule::R5,
                event_key(event),
                event,
                reason,
                answer.thread_id.clone(),
            );
        }
    }

    pub(super) fn require_cancellation(
        &mut self,
        rule: Rule,
        key: String,
        event: &'a Event,
        reason: CancellationReason,
        thread_id: Option<Identifier>,
    ) {
        self.derive(rule, key, event, CancellationRequired { reason, thread_id });
    }

    /// R4: the rest has left and is noticed, and the buyer agreed to go without these.
    fn refund_left_out(&mut self, moment: &Moment<'a>) {
        let noticed =
            self.packages.iter().all(|package| package.noticed || package.after_cancellation);
        if self.cancelled.is_some() || !self.has_shipped() || self.goods.left() > 0 || !noticed {
            return;
        }
        for (consent, asks) in self.unrefunded_consents() {
            let units = self.left_out_units(&asks);
            let event = self.consents[consent];
            let dispatched = self.packages.last().map(|package| package.event);
            let last_needed = dispatched.filter(|_| !moment.noticed.is_empty());
            let due = Due::for_units(&self.goods, &units);
            let mut refund =
                Refund::new(Rule::R4, RefundReason::LinesUnshippable, last_needed.unwrap_or(event));
            refund.key = format!("R4/{}", event.key.id);
            refund.lines = self.goods.listed(&units);
            if !self.payments.is_uncollected_cash() {
                self.refund(refund, due);
            }
        }
    }

    fn unrefunded_consents(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut consents: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, ask) in self.goods.asks.iter().enumerate() {
            if let Answer::Granted(consent) = ask.answer
                && !ask.refunded
            {
                consents.entry(consent).or_default().push(index);
            }
        }
        consents
    }

    /// The units that follow the dispatched ones, taken once.
    fn left_out_units(&mut self, asks: &[usize]) -> Vec<Units> {
        let mut units = Vec::new();
        for ask in asks {
            self.goods.asks[*ask].refunded = true;
            for (index, pieces) in self.goods.asks[*ask].pieces.clone() {
                let line = self.goods.line_mut(index);
                let from = line.shipped + line.left_out;
                line.left_out += pieces;
                units.push(Units { line: index, from, to: from + pieces });
            }
        }
        units
    }

    /// S6.
    fn refund_combined_shipping(&mut self, index: usize) {
        let package = &self.packages[index];
        let together =
            package.dispatch.combined_with.as_ref().is_some_and(|orders| !orders.is_empty());
        let Some(actual) = package.dispatch.shipping_fee_actual.filter(|_| together) else {
            return;
        };
        let charged = Due::for_units(&self.goods, &package.units).shipping;
        let due = Due { goods: Vec::new(), shipping: charged - i128::from(actual.minor_units()) };
        if due.shipping <= 0 || self.payments.is_uncollected_cash() {
            return;
        }
        let mut refund = Refund::new(Rule::S6, RefundReason::CombinedShipping, package.event);
        refund.key = format!("S6/{}", package.package_id);
        refund.lines = self.goods.listed(&package.units);
        refund.package_id = Some(package.package_id.clone());
        self.refund(refund, due);
    }

    /// Derives a refund of what earlier ones have left; one of nothing is not derived.
    pub(super) fn refund(&mut self, mut refund: Refund<'a>, due: Due) {
        let key = self.refund_key(&refund);
        let capped = self.refunds.cap(&self.goods, due);
        if capped.amount() == 0 || self.output.has(DerivedType::RefundRequired, &key) {
            return;
        }
        self.refunds.count(&mut self.goods, &capped, refund.reason);
        (refund.item_amount, refund.shipping_amount) = (capped.items(), capped.shipping);
        self.record_refund(refund);
    }

    fn refund_key(&self, refund: &Refund) -> String {
        format!("{}/{}", self.order.order_id, refund.key)
    }

    /// Derives a refund as it is.
    pub(super) fn record_refund(&mut self, refund: Refund<'a>) {
        let refund_key = self.refund_key(&refund);
        if self.output.has(DerivedType::RefundRequired, &refund_key) {
            return;
        }
        let (item_amount, shipping_amount) =
            (minor_units(refund.item_amount), minor_units(refund.shipping_amount));
        let amount = minor_units(refund.item_amount + refund.shipping_amount);
        self.refunds.states.push(RefundState {
            refund_key: refund_key.clone(),
            reason: refund.reason,
            currency: self.order.currency,
            amount,
            item_amount,
            shipping_amount,
            package_id: refund.package_id.clone(),
            required_at: self.at,
            issued_at: None,
        });
        let required = RefundRequired {
            refund_key: refund_key.clone(),
            reason: refund.reason,
            currency: self.order.currency,
            item_amount,
            shipping_amount,
            amount,
            lines: refund.lines,
            package_id: refund.package_id,
            return_reason: refund.return_reason,
        };
        self.derive(refund.rule, refund_key, refund.cause, required);
    }

    /// R7: money that went back settles the refund it names, else the oldest open one of its amount.
    pub(super) fn issue_refunds(&mut self, moment: &Moment<'a>) {
        for (event, data) in &moment.refunded {
            match &data.settles {
                Some(key) => self.named_refunds.push((key.0.clone(), self.at, event)),
                None => self.issue_oldest(event, data),
            }
        }
    }

    fn issue_oldest(&mut self, event: &Event, data: &PaymentRefunded) {
        let amount = data.amount.minor_units();
        let named: Vec<&String> = self.named_refunds.iter().map(|(key, _, _)| key).collect();
        let open = |state: &&mut RefundState| {
            state.issued_at.is_none()
                && state.amount == amount
                && !named.contains(&&state.refund_key)
        };
        if let Some(state) = self.refunds.states.iter_mut().find(open) {
            state.issued_at = Some(self.at);
            let outcome = format!("issued {}", state.refund_key);
            self.output.note(Rule::R7, self.at, event, outcome);
        }
    }

    /// A refund that is named is settled whichever of the two came first.
    pub(super) fn settle_named_refunds(&mut self) {
        for (key, at, event) in std::mem::take(&mut self.named_refunds) {
            let state = self.refunds.states.iter_mut().find(|state| state.refund_key == key);
            if let Some(state) = state.filter(|state| state.issued_at.is_none()) {
                state.issued_at = Some(at);
                self.output.note(Rule::R7, at, event, format!("issued {key}"));
            }
        }
    }

    /// An amount in another currency than the order's doesn't count (X2).
    pub(super) fn is_in_currency(
        &self,
        event: &'a Event,
        currency: Option<crate::contract::Currency>,
        moment: &mut Moment<'a>,
    ) -> bool {
        let fits = currency.is_none_or(|currency| currency == self.order.currency);
        if !fits {
            let detail = "an amount is in another currency than the order";
            self.conflict(moment, Rule::X2, ConflictKind::CurrencyMismatch, event, detail);
        }
        fits
    }
}

/// When and by what a refund was named as settled.
pub(super) type NamedRefund<'a> = (String, Timestamp, &'a Event);
