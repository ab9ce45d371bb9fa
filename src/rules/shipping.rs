//! Shipping: S1 to S8 of the rule book (S6's refund stands with the others in `returns`).

use std::collections::BTreeMap;

use super::Release;
use super::facts::{Dispatch, Moment, listed};
use super::fold::{Fold, event_key};
use super::state::Package;
use crate::contract::derived::{
    BlockReason, CarrierInquiryRequired, CombinedShippingAvailable, ConflictKind, InquiredPackage,
    ShipNoticeRequired, ShipmentBlocked, ShipmentOverdue,
};
use crate::contract::{Event, Identifier, Rule, Timestamp};

/// The most orders that one offer of combined shipping lists.
const COMBINED_MAX: usize = 100;

impl<'a> Fold<'a> {
    pub(super) fn shipping_rules(&mut self, moment: &mut Moment<'a>) {
        for dispatch in std::mem::take(&mut moment.dispatched) {
            self.judge_dispatch(&dispatch);
            self.judge_lines(&dispatch, moment);
        }
        if !(self.is_ours() && self.is_fbs()) {
            return;
        }
        for index in 0..self.packages.len() {
            self.lost(index);
            if self.notice(index, moment) {
                moment.noticed.push(index);
            }
        }
    }

    /// S1, S2, and R5's block: one for a package, the first that applies.
    fn judge_dispatch(&mut self, dispatch: &Dispatch<'a>) {
        let package = &mut self.packages[dispatch.package];
        package.after_cancellation = self.cancelled.is_some();
        let package_id = package.package_id.clone();
        let awaits_consent = package.asks.iter().any(|ask| !self.goods.asks[*ask].is_granted());
        if !(self.is_ours() && self.is_fbs()) {
            return;
        }
        let blocked = |reason| ShipmentBlocked {
            reason,
            dispatched: true,
            package_id: Some(package_id.clone()),
            message_id: None,
        };
        let key = format!("package/{package_id}");
        if self.cancelled.is_some() {
            self.derive(Rule::S2, key, dispatch.event, blocked(BlockReason::Cancelled));
        } else if !self.payments.is_authorized() {
            self.derive_absence(
                Rule::S1,
                key,
                Some(dispatch.event),
                blocked(BlockReason::PaymentPending),
            );
        } else if awaits_consent {
            self.derive(Rule::R5, key, dispatch.event, blocked(BlockReason::ConsentPending));
        }
    }

    /// S7, but for what left after the cancellation.
    fn judge_lines(&mut self, dispatch: &Dispatch<'a>, moment: &mut Moment<'a>) {
        if self.cancelled.is_some() {
            return;
        }
        moment.unknown_lines(dispatch.event, &dispatch.unknown);
        if !dispatch.surplus.is_empty() {
            let detail = format!("more shipped than ordered of {}", listed(&dispatch.surplus));
            self.conflict(
                moment,
                Rule::S7,
                ConflictKind::ShippedMoreThanOrdered,
                dispatch.event,
                detail,
            );
        }
    }

    /// S3.
    pub(super) fn ship_by_passed(&mut self, released_at: Timestamp) {
        let Some(released) = self.released.filter(|released| released.at == released_at) else {
            return;
        };
        let overdue =
            self.cancelled.is_none() && self.goods.left() > 0 && !self.goods.consent_outstanding();
        if overdue {
            let key = event_key(released.cause);
            self.derive_absence(Rule::S3, key, None, ShipmentOverdue { ship_by: released.ship_by });
        }
    }

    /// S4: a package that nothing blocks any more.
    fn notice(&mut self, index: usize, moment: &Moment<'a>) -> bool {
        let package = &self.packages[index];
        let blocked = package.asks.iter().any(|ask| !self.goods.asks[*ask].is_granted());
        let due = !package.noticed
            && !package.after_cancellation
            && self.cancelled.is_none()
            && self.payments.is_authorized()
            && !blocked;
        if !due {
            return false;
        }
        let cause = self.cause_of_notice(package, moment);
        let notice = ShipNoticeRequired {
            package_id: package.package_id.clone(),
            whole_order: self.left_after(index) == 0,
            carrier: package.carrier.clone(),
            tracking_number: package.tracking_number.clone(),
        };
        self.packages[index].noticed = true;
        self.derive(Rule::S4, notice.package_id.to_string(), cause, notice);
        true
    }

    /// The last of dispatch, authorisation and consent.
    fn cause_of_notice(&self, package: &Package<'a>, moment: &Moment<'a>) -> &'a Event {
        let consent = moment.answers.last().map(|(event, _)| *event);
        let later = moment.authorized.first().copied().or(consent);
        later.filter(|_| package.at < self.at).unwrap_or(package.event)
    }

    /// Pieces left to ship once the package, and those that left before it, are gone.
    fn left_after(&self, index: usize) -> i64 {
        let later = self.packages[index + 1..].iter().flat_map(|package| &package.units);
        self.goods.left() + later.map(|units| units.pieces()).sum::<i64>()
    }

    /// S5: the orders that could go in the same parcel, offered on the one just released.
    pub(super) fn offer_combined_shipping(&mut self, cause: &'a Event) {
        let Some(own) = self.open_release() else { return };
        let mut together = self.ready_together(&own);
        let later = together.iter().any(|(id, at)| *at == own.released_at && **id > own.order_id);
        if together.is_empty() || later {
            return;
        }
        together.insert(&own.order_id, own.released_at);
        let truncated = together.len() > COMBINED_MAX;
        let mut listed: Vec<(Timestamp, &Identifier)> =
            together.into_iter().map(|(id, at)| (at, id)).collect();
        listed.sort_by(|a, b| b.cmp(a));
        listed.truncate(COMBINED_MAX);
        let mut order_ids: Vec<Identifier> = listed.into_iter().map(|(_, id)| id.clone()).collect();
        order_ids.sort();
        let offer = CombinedShippingAvailable {
            order_ids,
            buyer_id: self.order.buyer_id.clone(),
            truncated: truncated.then_some(true),
        };
        self.derive(Rule::S5, event_key(cause), cause, offer);
    }

    fn ready_together(&self, own: &Release) -> BTreeMap<&'a Identifier, Timestamp> {
        self.neighbours
            .iter()
            .filter(|other| {
                other.order_id != own.order_id
                    && other.seller_id == own.seller_id
                    && other.buyer_id == own.buyer_id
                    && other.address == own.address
                    && other.from <= self.at
                    && other.until.is_none_or(|until| self.at < until)
            })
            .map(|other| (&other.order_id, other.released_at))
            .collect()
    }

    /// S8.
    fn lost(&mut self, index: usize) {
        let package = &self.packages[index];
        let Some((at, event)) = package.news.lost else { return };
        if at.max(package.at) == self.at {
            let key = format!("lost/{}", package.package_id);
            let packages = vec![inquired(package)];
            self.derive(Rule::S8, key, event, CarrierInquiryRequired { thread_id: None, packages });
        }
    }
}

pub(super) fn inquired(package: &Package) -> InquiredPackage {
    InquiredPackage {
        package_id: package.package_id.clone(),
        carrier: package.carrier.clone(),
        tracking_number: package.tracking_number.clone(),
        insured: package.insured,
    }
}
