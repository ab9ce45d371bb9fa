//! The fold of an order: its history moment by moment, deadlines in between.
//!
//! A moment is all the events of one time. Their facts are folded in history
//! order, then the rules judge the moment as a whole: what is dated alike can't
//! undo each other, only decide which is first.

use std::collections::BTreeMap;

use super::correspondence::Correspondence;
use super::facts::Moment;
use super::goods::Goods;
use super::guarantee::Guarantee;
use super::money::Refunds;
use super::output::{Basis, Deadline, Deadlines, Output, Subject};
use super::returns::NamedRefund;
use super::state::{News, Package, Payments};
use super::threads::{Fit, fit};
use super::{Decision, GuaranteeStatus, Identity, Policy, Release, inquiries};
use crate::contract::{
    Address, Derivation, Event, Identifier, Input, OrderPlaced, Party, Rule, Timestamp,
};

/// An event as it stands in an order's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub event: Event,
    /// When a message that names no order came to belong to this one.
    pub joined_at: Option<Timestamp>,
    /// The message's thread belongs to this order, which so writes the thread's row.
    pub owns_thread: bool,
    /// A message that named no order, and was matched with this one by a lookup (Q1).
    pub found: bool,
    /// The same message as one that came before it in the thread, under another event id.
    pub repeated: bool,
}

impl Member {
    /// An event that names its order itself.
    pub fn named(event: Event) -> Member {
        Member { event, joined_at: None, owns_thread: false, found: false, repeated: false }
    }
}

/// Who placed the order, by the `order-placed` that stands: the first in history order (X1).
pub fn identity(history: &[Member]) -> Option<Identity> {
    standing_order(history).map(|(event, placed)| Identity::of(placed, event.time))
}

fn standing_order(history: &[Member]) -> Option<(&Event, &OrderPlaced)> {
    history
        .iter()
        .filter_map(|member| match &member.event.input {
            Input::OrderPlaced(placed) => Some((&member.event, placed)),
            _ => None,
        })
        .min_by_key(|(event, _)| event.position())
}

/// Decides an order from the set of its events, in whatever order they are given.
///
/// `as_of` is the time up to which absence may be taken for granted; `neighbours`
/// are the releases of other orders of the same seller and buyer (S5).
pub fn decide_order(
    order_id: &Identifier,
    history: &[Member],
    policy: &Policy,
    as_of: Timestamp,
    neighbours: &[Release],
) -> Decision {
    let Some((event, placed)) = standing_order(history) else {
        return inquiries::decide_unplaced(order_id, history, policy, as_of);
    };
    let mut fold = Fold::new(event, placed, policy, neighbours);
    inquiries::before_placing(order_id, history, Some(fold.placed_at), policy, &mut fold.output);
    for moment in moments(&fold, history) {
        fold.pass_deadlines(Some(moment.at));
        fold.moment(moment);
    }
    fold.pass_deadlines(None);
    fold.finish(as_of)
}

/// An event of the history, at the time that it counts for.
pub(super) struct Dated<'a> {
    pub at: Timestamp,
    pub member: &'a Member,
}

/// All events of one time, in history order.
pub(super) struct Group<'a> {
    pub at: Timestamp,
    pub members: Vec<&'a Member>,
}

fn moments<'a>(fold: &Fold<'a>, history: &'a [Member]) -> Vec<Group<'a>> {
    let mut dated: Vec<Dated> = history
        .iter()
        .filter(|member| fold.concerns(member))
        .map(|member| Dated { at: fold.counts_at(member), member })
        .collect();
    dated.sort_by(|a, b| (a.at, a.member.event.position()).cmp(&(b.at, b.member.event.position())));
    dated.dedup_by(|a, b| a.member.event.key == b.member.event.key);
    dated
        .chunk_by(|a, b| a.at == b.at)
        .map(|group| Group {
            at: group[0].at,
            members: group.iter().map(|dated| dated.member).collect(),
        })
        .collect()
}

/// A cancellation: never undone.
#[derive(Clone, Copy)]
pub(super) struct Cancelled {
    pub at: Timestamp,
}

/// A stretch in which the order is released for shipping (P2).
#[derive(Clone, Copy)]
pub(super) struct Released<'a> {
    pub at: Timestamp,
    pub ship_by: Timestamp,
    pub cause: &'a Event,
}

/// An order as folded so far. The rules of each section of the rule book stand in
/// a file of their own, as methods of this.
pub(super) struct Fold<'a> {
    pub order: &'a OrderPlaced,
    pub placed_event: &'a Event,
    pub placed_at: Timestamp,
    pub policy: &'a Policy,
    pub neighbours: &'a [Release],
    /// The moment that is being folded.
    pub at: Timestamp,
    pub subject: Subject,
    pub goods: Goods,
    pub ship_to: Option<&'a Address>,
    /// The consents that changed something, in order.
    pub consents: Vec<&'a Event>,
    pub payments: Payments,
    pub packages: Vec<Package<'a>>,
    /// News of packages whose dispatch isn't known yet.
    pub early_news: BTreeMap<Identifier, News<'a>>,
    pub first_shipped_at: Option<Timestamp>,
    pub cancelled: Option<Cancelled>,
    pub released: Option<Released<'a>>,
    pub releases: Vec<Release>,
    pub letters: Correspondence<'a>,
    pub refunds: Refunds,
    /// Refunds that a payment names, wherever in time those stand.
    pub named_refunds: Vec<NamedRefund<'a>>,
    pub guarantee: Guarantee<'a>,
    pub deadlines: Deadlines,
    pub output: Output,
}

impl<'a> Fold<'a> {
    fn new(
        placed_event: &'a Event,
        order: &'a OrderPlaced,
        policy: &'a Policy,
        neighbours: &'a [Release],
    ) -> Self {
        let placed_at = order.placed_at.unwrap_or(placed_event.time);
        let goods = Goods::new(&order.lines);
        let mut payments = Payments::default();
        let totals = goods.totals();
        payments.placed(order, totals.items + totals.shipping);
        Fold {
            order,
            placed_event,
            placed_at,
            policy,
            neighbours,
            at: placed_at,
            subject: Subject {
                order_id: Some(order.order_id.clone()),
                seller_id: order.seller_id.clone(),
            },
            goods,
            ship_to: order.ship_to.as_ref(),
            consents: Vec::new(),
            payments,
            packages: Vec::new(),
            early_news: BTreeMap::new(),
            first_shipped_at: None,
            cancelled: None,
            released: None,
            releases: Vec::new(),
            letters: Correspondence::default(),
            refunds: Refunds::default(),
            named_refunds: Vec::new(),
            guarantee: Guarantee::default(),
            deadlines: Deadlines::default(),
            output: Output::default(),
        }
    }

    /// Messages that are about another seller's or buyer's order belong elsewhere.
    fn concerns(&self, member: &Member) -> bool {
        match &member.event.input {
            Input::MessageSent(message) => {
                let identity = Identity::of(self.order, self.placed_event.time);
                !member.repeated && fit(message, &identity) == Fit::Same
            }
            _ => true,
        }
    }

    /// Its own time, that of joining the case, or of placing, whichever is last (rule 0.6).
    fn counts_at(&self, member: &Member) -> Timestamp {
        if member.event.key == self.placed_event.key {
            return self.placed_at;
        }
        member.event.time.max(member.joined_at.unwrap_or(Timestamp::MIN)).max(self.placed_at)
    }

    fn moment(&mut self, group: Group<'a>) {
        self.at = group.at;
        let mut moment = Moment::default();
        for member in group.members {
            self.fold_facts(member, &mut moment);
        }
        self.answer_buyers_requests(&mut moment);
        self.note_cancellation(&mut moment);
        self.payment_rules(&mut moment);
        self.shipping_rules(&mut moment);
        self.return_rules(&moment);
        self.change_rules(&mut moment);
        self.inquiry_rules(&moment);
        self.guarantee_rules(&moment);
        self.issue_refunds(&moment);
        self.note_release();
    }

    fn pass_deadlines(&mut self, limit: Option<Timestamp>) {
        while let Some((at, deadline)) = self.deadlines.next_before(limit) {
            self.at = at;
            match deadline {
                Deadline::PaymentDue => self.payment_due(),
                Deadline::ShipBy { released_at } => self.ship_by_passed(released_at),
                Deadline::Reply { contact } => self.reply_due(contact),
                Deadline::Guarantee { contact } => self.guarantee_due(contact),
                Deadline::BuyerReply { request } => self.buyer_reply_due(request),
            }
        }
    }

    /// "Ours": sold by the seller.
    pub fn is_ours(&self) -> bool {
        self.order.sold_by == Party::Seller
    }

    /// "FBS": shipped by the seller.
    pub fn is_fbs(&self) -> bool {
        self.order.fulfilled_by == Party::Seller
    }

    pub fn has_shipped(&self) -> bool {
        self.first_shipped_at.is_some()
    }

    /// Something holds from this moment on.
    pub fn derive(
        &mut self,
        rule: Rule,
        key: impl Into<String>,
        cause: &'a Event,
        what: impl Into<Derivation>,
    ) {
        self.emit(
            Basis {
                rule,
                time: self.at,
                key: key.into(),
                cause: Some(cause),
                rests_on_absence: false,
            },
            what,
        );
    }

    /// Something holds from this moment on because something else is missing.
    pub fn derive_absence(
        &mut self,
        rule: Rule,
        key: impl Into<String>,
        cause: Option<&'a Event>,
        what: impl Into<Derivation>,
    ) {
        self.emit(
            Basis { rule, time: self.at, key: key.into(), cause, rests_on_absence: true },
            what,
        );
    }

    fn emit(&mut self, basis: Basis, what: impl Into<Derivation>) {
        self.output.derive(&self.subject, basis, what);
    }

    fn finish(mut self, as_of: Timestamp) -> Decision {
        self.settle_named_refunds();
        let output = std::mem::take(&mut self.output);
        let decision = output.finish(self.policy, as_of);
        let guarantees = self.guarantee_states(&decision.derived, as_of);
        let closing = guarantees.iter().filter(|row| row.status == GuaranteeStatus::Waiting);
        let closes_at =
            closing.filter_map(|row| row.eligible_at).min().map(|at| at + self.policy.settle);
        Decision {
            order: Some(self.order_state()),
            packages: self.package_states(),
            threads: self.letters.states(Some(&self.order.order_id)),
            guarantees,
            next_at: decision.next_at.into_iter().chain(closes_at).min(),
            refunds: std::mem::take(&mut self.refunds.states),
            releases: std::mem::take(&mut self.releases),
            ..decision
        }
    }
}

/// How a key names an event.
pub(super) fn event_key(event: &Event) -> String {
    format!("{} {}", event.key.source, event.key.id)
}
