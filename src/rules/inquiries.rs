//! Inquiries that belong to an order: Q1's match, Q4 to Q8, S1's answer to
//! `ship-now`, and what an order's case can say before the order is known (Q2, Q7).

use super::correspondence::{Correspondence, Letter, is_inquiry, is_marketplaces};
use super::facts::{Moment, Received};
use super::fold::{Fold, Member};
use super::money::minor_units;
use super::output::{Basis, Output, Subject};
use super::shipping::inquired;
use super::{Decision, Policy};
use crate::contract::derived::{
    BlockReason, BuyerRedirected, CarrierInquiryRequired, GuaranteeRisk, InquiryMatched,
    InquiryUnmatched, NonReceiptOpened, NonReceiptOption, OrderStatus, Redirection,
    RedirectionReason, ReplyCode, ReplyRequired, ShipmentBlocked, Verdict,
};
use crate::contract::{
    Event, Identifier, Input, MessageSent, NonReceiptAction, NonReceiptHandled, Rule, Timestamp,
    Topic,
};

impl<'a> Fold<'a> {
    pub(super) fn inquiry_rules(&mut self, moment: &Moment<'a>) {
        for received in &moment.letters {
            self.output.note(Rule::M6, self.at, &received.member.event, "recorded");
        }
        if !self.is_ours() {
            return;
        }
        for received in moment.letters.iter().filter(|received| is_inquiry(received.message)) {
            self.inquiry(received);
        }
        for (event, handled) in &moment.handled {
            self.non_receipt_handled(event, handled);
        }
    }

    fn inquiry(&mut self, received: &Received<'a>) {
        let (event, message) = (&received.member.event, received.message);
        if received.member.found {
            self.matched(event, message);
        }
        match message.topic() {
            Topic::ShipNow => self.ship_now(event, message),
            Topic::NotReceived | Topic::WhereIsIt => self.not_received(received),
            Topic::PriceBreakdown => self.price_breakdown(event, message),
            Topic::ChangeOrder => self.change_order(event, message),
            topic if is_marketplaces(topic) && is_own_case(received.member, self.placed_at) => {
                redirect_to_marketplace(&mut self.output, &self.subject, event, message);
            }
            _ => {}
        }
    }

    /// Q1.
    fn matched(&mut self, event: &'a Event, message: &MessageSent) {
        let status = self.status();
        let verdict = match status {
            OrderStatus::Cancelled => Verdict::Cancelled,
            OrderStatus::Pending => Verdict::PaymentPending,
            _ => Verdict::Valid,
        };
        let (thread_id, message_id) = (message.thread_id.clone(), message.message_id.clone());
        let matched = InquiryMatched { thread_id, message_id, status, verdict };
        self.derive(Rule::Q1, message_key(message), event, matched);
    }

    /// S1's second half: whatever the buyer says, a pending order doesn't ship.
    fn ship_now(&mut self, event: &'a Event, message: &MessageSent) {
        if self.status() != OrderStatus::Pending || !self.is_fbs() {
            return;
        }
        let code = ReplyCode::CannotShipPending;
        let reply =
            ReplyRequired::plain(message.thread_id.clone(), message.message_id.clone(), code);
        let blocked = ShipmentBlocked {
            reason: BlockReason::PaymentPending,
            dispatched: false,
            package_id: None,
            message_id: Some(message.message_id.clone()),
        };
        self.derive_absence(
            Rule::S1,
            format!("{}/cannot-ship-pending", message_key(message)),
            Some(event),
            reply,
        );
        self.derive_absence(
            Rule::S1,
            format!("message/{}", message_key(message)),
            Some(event),
            blocked,
        );
    }

    /// Q4: the first such message of a thread since something shipped.
    fn not_received(&mut self, received: &Received<'a>) {
        let (event, message) = (&received.member.event, received.message);
        let after_shipping =
            self.first_shipped_at.is_some_and(|shipped| shipped <= received.said_at);
        if !after_shipping || !self.guarantee.open_non_receipt(&message.thread_id) {
            return;
        }
        if !self.is_fbs() {
            let to = Redirection::MarketplaceSupport;
            return self.redirect(
                Rule::Q4,
                event,
                message,
                to,
                Some(RedirectionReason::FulfilledByMarketplace),
                None,
            );
        }
        let latest_delivery_at = self.order.latest_delivery_at;
        let options = match latest_delivery_at {
            Some(latest) if self.at <= latest => vec![NonReceiptOption::AskToWait],
            _ => vec![NonReceiptOption::ContactCarrier, NonReceiptOption::AskToWait],
        };
        let opened = NonReceiptOpened {
            thread_id: message.thread_id.clone(),
            options,
            tracked: self.packages.iter().any(|package| package.tracking_number.is_some()),
            insured: self.packages.iter().any(|package| package.insured),
            delivered: self.packages.iter().any(|package| package.news.delivered.is_some()),
            latest_delivery_at,
        };
        self.derive(Rule::Q4, message_key(message), event, opened);
    }

    /// Q5.
    fn non_receipt_handled(&mut self, event: &'a Event, handled: &NonReceiptHandled) {
        let key = format!("{}/{}", handled.thread_id, super::fold::event_key(event));
        match handled.action {
            NonReceiptAction::ContactCarrier if self.packages.is_empty() => {}
            NonReceiptAction::ContactCarrier => {
                let packages = self.packages.iter().map(inquired).collect();
                let thread_id = Some(handled.thread_id.clone());
                self.derive(Rule::Q5, key, event, CarrierInquiryRequired { thread_id, packages });
            }
            NonReceiptAction::AskToWait => {
                let first = self.letters.first_contact_at(&handled.thread_id);
                let risk = GuaranteeRisk {
                    thread_id: handled.thread_id.clone(),
                    wait_until: handled.wait_until,
                    eligible_at: first.map(|first| first + self.policy.guarantee_after),
                };
                self.derive(Rule::Q5, key, event, risk);
            }
        }
    }

    /// Q6: this seller's totals only; what was bought elsewhere is the marketplace's to tell.
    fn price_breakdown(&mut self, event: &'a Event, message: &MessageSent) {
        let totals = self.goods.totals();
        let reply = ReplyRequired {
            items_total: Some(minor_units(totals.items)),
            tax_total: Some(minor_units(totals.tax)),
            shipping_total: Some(minor_units(totals.shipping)),
            currency: Some(self.order.currency),
            ..ReplyRequired::plain(
                message.thread_id.clone(),
                message.message_id.clone(),
                ReplyCode::PriceBreakdown,
            )
        };
        self.derive(Rule::Q6, format!("{}/price-breakdown", message_key(message)), event, reply);
        self.redirect(Rule::Q6, event, message, Redirection::MarketplaceSupport, None, None);
    }

    /// Q8.
    fn change_order(&mut self, event: &'a Event, message: &MessageSent) {
        if self.cancelled.is_some() {
            return;
        }
        let key = message_key(message);
        if self.has_shipped() {
            let code = ReplyCode::ReturnAfterShipping;
            let reply =
                ReplyRequired::plain(message.thread_id.clone(), message.message_id.clone(), code);
            self.derive(Rule::Q8, format!("{key}/return-after-shipping"), event, reply);
        } else if self.at <= self.window_ends() {
            let until = Some(self.window_ends());
            self.redirect(Rule::Q8, event, message, Redirection::AccountServices, None, until);
        } else {
            self.advise_reorder(Rule::Q8, key, event, Some(message.thread_id.clone()));
        }
    }

    fn redirect(
        &mut self,
        rule: Rule,
        event: &'a Event,
        message: &MessageSent,
        to: Redirection,
        reason: Option<RedirectionReason>,
        until: Option<Timestamp>,
    ) {
        let redirected = BuyerRedirected { reason, until, ..redirection(message, to) };
        self.derive(rule, message_key(message), event, redirected);
    }
}

/// How a key names a message.
pub(super) fn message_key(message: &MessageSent) -> String {
    format!("{}/{}", message.thread_id, message.message_id)
}

pub(super) fn redirection(message: &MessageSent, to: Redirection) -> BuyerRedirected {
    BuyerRedirected {
        thread_id: message.thread_id.clone(),
        message_id: message.message_id.clone(),
        to,
        topic: message.topic(),
        reason: None,
        until: None,
    }
}

/// Q7 fires at the message's own time, in the case that it belonged to then.
fn is_own_case(member: &Member, placed_at: Timestamp) -> bool {
    let joined = member.joined_at.is_none_or(|joined| joined <= member.event.time);
    joined && placed_at <= member.event.time
}

/// Q7.
pub(super) fn redirect_to_marketplace(
    output: &mut Output,
    subject: &Subject,
    event: &Event,
    message: &MessageSent,
) {
    let to = match message.topic() {
        Topic::PaymentDetails => Redirection::MarketplaceSupport,
        Topic::Receipt => Redirection::AccountServices,
        _ => Redirection::HelpPages,
    };
    let basis = Basis {
        rule: Rule::Q7,
        time: event.time,
        key: message_key(message),
        cause: Some(event),
        rests_on_absence: false,
    };
    output.derive(subject, basis, redirection(message, to));
}

/// Q2: nobody knows which order is meant.
pub(super) fn derive_unmatched(
    output: &mut Output,
    subject: &Subject,
    message: &MessageSent,
    time: Timestamp,
) {
    let basis = || Basis {
        rule: Rule::Q2,
        time,
        key: message_key(message),
        cause: None,
        rests_on_absence: true,
    };
    let (thread_id, message_id) = (message.thread_id.clone(), message.message_id.clone());
    output.derive(subject, basis(), InquiryUnmatched { thread_id, message_id });
    let redirected = BuyerRedirected {
        reason: Some(RedirectionReason::Unmatched),
        ..redirection(message, Redirection::MarketplaceSupport)
    };
    output.derive(subject, basis(), redirected);
}

/// An order's case before the order is known: its events wait, its messages don't (Q2, Q7).
pub(super) fn decide_unplaced(
    order_id: &Identifier,
    history: &[Member],
    policy: &Policy,
    as_of: Timestamp,
) -> Decision {
    let mut output = Output::default();
    before_placing(order_id, history, None, policy, &mut output);
    let mut letters = Correspondence::default();
    let mut members: Vec<&Member> = history.iter().filter(|member| !member.repeated).collect();
    members.sort_by(|a, b| a.event.position().cmp(&b.event.position()));
    for member in members {
        if let Input::MessageSent(message) = &member.event.input {
            let at = member.event.time;
            letters.receive(
                &Letter { event: &member.event, message, at, owned: member.owns_thread },
                policy,
            );
        }
    }
    Decision { threads: letters.states(Some(order_id)), ..output.finish(policy, as_of) }
}

/// What messages brought about while their order wasn't known yet.
pub(super) fn before_placing(
    order_id: &Identifier,
    history: &[Member],
    placed_at: Option<Timestamp>,
    policy: &Policy,
    output: &mut Output,
) {
    for member in history.iter().filter(|member| !member.repeated) {
        let Input::MessageSent(message) = &member.event.input else { continue };
        let unknown_at = |time: Timestamp| placed_at.is_none_or(|placed| placed > time);
        let (time, named) = (member.event.time, message.order_id.is_some());
        let subject =
            Subject { order_id: Some(order_id.clone()), seller_id: message.seller_id.clone() };
        let gives_up_at = time + policy.unmatched_after;
        if !is_inquiry(message) {
            continue;
        }
        if is_marketplaces(message.topic()) {
            let belongs = named || member.joined_at.is_none_or(|joined| joined <= time);
            if belongs && unknown_at(time) {
                redirect_to_marketplace(output, &subject, &member.event, message);
            }
        } else if named && unknown_at(gives_up_at) {
            derive_unmatched(output, &subject, message, gives_up_at);
        }
    }
}
