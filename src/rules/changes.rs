//! Changes, cancelling and what doesn't fit together: K1 to K4, X1, X2 and S7's conflicts.

use super::facts::{Conflict, Moment};
use super::fold::{Fold, event_key};
use crate::contract::derived::{
    CancelAndReorderAdvised, CancellationReason, ChangeRefusal, ChangeRefused, ConflictKind,
    OrderConflict, ReorderReason, ReplyCode, ReplyRequired,
};
use crate::contract::{Actor, ChangeRequested, Event, Identifier, Input, Rule, Timestamp, Topic};

impl<'a> Fold<'a> {
    /// A change by the marketplace takes effect as it is folded; a seller's never does,
    /// and a buyer's is judged by the whole moment.
    pub(super) fn change_requested(&mut self, event: &'a Event, moment: &mut Moment<'a>) {
        let Input::ChangeRequested(change) = &event.input else { return };
        let lines = change.lines.as_deref().unwrap_or_default();
        moment.unknown_lines(event, &self.goods.unknown_of_change(lines));
        match change.actor {
            Actor::Buyer => moment.buyers_requests.push(event),
            Actor::Seller => moment.sellers_changes.push(event),
            Actor::Marketplace => self.apply_change(Rule::K4, event, change, moment),
        }
    }

    fn apply_change(
        &mut self,
        rule: Rule,
        event: &'a Event,
        change: &'a ChangeRequested,
        moment: &mut Moment<'a>,
    ) {
        let lines = change.lines.as_deref().unwrap_or_default();
        if self.goods.change(lines, change.actor == Actor::Marketplace).is_err() {
            let detail = "the change would bring a total of the order over 10^15";
            return self.conflict(moment, Rule::S7, ConflictKind::OutOfRange, event, detail);
        }
        if let Some(address) = &change.ship_to {
            self.ship_to = Some(address);
        }
        moment.goods_changed_by = Some(event);
        self.output.note(rule, self.at, event, "change takes effect");
    }

    /// K1 and K2, in the order of history.
    pub(super) fn answer_buyers_requests(&mut self, moment: &mut Moment<'a>) {
        for event in std::mem::take(&mut moment.buyers_requests) {
            match &event.input {
                Input::ChangeRequested(change) => self.answer_change(event, change, moment),
                _ => self.answer_cancellation(event, moment),
            }
        }
    }

    /// The end of the buyer's window, which is inclusive.
    pub(super) fn window_ends(&self) -> Timestamp {
        self.placed_at + self.policy.change_window
    }

    fn answer_change(
        &mut self,
        event: &'a Event,
        change: &'a ChangeRequested,
        moment: &mut Moment<'a>,
    ) {
        if self.cancelled.is_some() {
            self.refuse(Rule::K1, event, change.actor, ChangeRefusal::Cancelled);
        } else if self.has_shipped() {
            self.refuse(Rule::K1, event, change.actor, ChangeRefusal::AlreadyShipped);
        } else if self.at <= self.window_ends() {
            self.apply_change(Rule::K1, event, change, moment);
        } else {
            self.refuse(Rule::K2, event, change.actor, ChangeRefusal::WindowClosed);
            self.advise_reorder(Rule::K2, event_key(event), event, None);
        }
    }

    fn answer_cancellation(&mut self, event: &'a Event, moment: &mut Moment<'a>) {
        if !self.is_fbs() || self.cancelled.is_some() {
            return;
        }
        if self.has_shipped() {
            self.ask_for_return_instead(event);
        } else if self.at <= self.window_ends() {
            self.output.note(Rule::K1, self.at, event, "cancellation takes effect");
            self.cancel(event, moment);
        } else if self.is_ours() {
            let reason = CancellationReason::BuyerRequest;
            self.require_cancellation(Rule::K2, event_key(event), event, reason, None);
        }
    }

    /// K2, once something has shipped: the buyer's request to cancel gets an answer.
    fn ask_for_return_instead(&mut self, event: &'a Event) {
        let Some((thread, message)) = self.letters.longest_waiting(Topic::Cancel) else { return };
        if self.is_ours() {
            let key = format!("{thread}/{message}/return-after-shipping/{}", event_key(event));
            let reply = ReplyRequired::plain(
                thread.clone(),
                message.clone(),
                ReplyCode::ReturnAfterShipping,
            );
            self.derive(Rule::K2, key, event, reply);
        }
    }

    fn refuse(&mut self, rule: Rule, event: &'a Event, actor: Actor, reason: ChangeRefusal) {
        if self.is_ours() {
            self.derive(rule, event_key(event), event, ChangeRefused { actor, reason });
        }
    }

    pub(super) fn advise_reorder(
        &mut self,
        rule: Rule,
        key: String,
        event: &'a Event,
        thread_id: Option<Identifier>,
    ) {
        if self.is_ours() {
            let reason = ReorderReason::ChangeWindowClosed;
            self.derive(rule, key, event, CancelAndReorderAdvised { reason, thread_id });
        }
    }

    /// K3, X1, and every conflict that the moment has brought up.
    pub(super) fn change_rules(&mut self, moment: &mut Moment<'a>) {
        for event in std::mem::take(&mut moment.sellers_changes) {
            self.refuse(Rule::K3, event, Actor::Seller, ChangeRefusal::SellerNotPermitted);
        }
        for event in std::mem::take(&mut moment.placed_again) {
            let detail = "the order was placed before, by another event";
            self.conflict(moment, Rule::X1, ConflictKind::PlacedTwice, event, detail);
        }
        for conflict in std::mem::take(&mut moment.conflicts) {
            let Conflict { rule, kind, event, detail } = conflict;
            self.derive_conflict(
                rule,
                kind,
                format!("{kind:?}/{}", event_key(event)),
                event,
                detail,
            );
        }
    }

    /// One of a kind for an event.
    pub(super) fn conflict(
        &self,
        moment: &mut Moment<'a>,
        rule: Rule,
        kind: ConflictKind,
        event: &'a Event,
        detail: impl Into<String>,
    ) {
        moment.conflicts.push(Conflict { rule, kind, event, detail: detail.into() });
    }

    pub(super) fn derive_conflict(
        &mut self,
        rule: Rule,
        kind: ConflictKind,
        key: String,
        event: &'a Event,
        detail: String,
    ) {
        if self.is_ours() {
            self.derive(rule, key, event, OrderConflict { kind, detail });
        }
    }
}

impl ReplyRequired {
    /// A reply that needs no amounts.
    pub(super) fn plain(thread_id: Identifier, message_id: Identifier, code: ReplyCode) -> Self {
        ReplyRequired {
            thread_id,
            message_id,
            code,
            items_total: None,
            tax_total: None,
            shipping_total: None,
            currency: None,
        }
    }
}
