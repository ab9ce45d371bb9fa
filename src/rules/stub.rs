//! Stands in for the rules until they are merged: enough of P2, P3, S4, S5, R1, Q1 and Q2
//! for the store to be tried.

use std::collections::BTreeSet;

use super::*;
use crate::contract::derived::*;
use crate::contract::*;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub event: Event,
    pub joined_at: Option<Timestamp>,
    pub owns_thread: bool,
    pub found: bool,
    pub repeated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub home: CaseId,
    pub joined_at: Option<Timestamp>,
    pub owns_thread: bool,
    pub found: bool,
    pub repeated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lookup {
    pub seller_id: Identifier,
    pub buyer_id: Option<Identifier>,
    pub relay_email: Option<String>,
    pub asked_at: Timestamp,
}

fn sent(event: &Event) -> &MessageSent {
    match &event.input {
        Input::MessageSent(message) => message,
        _ => unreachable!("a thread holds messages"),
    }
}

pub fn lookups(messages: &[Event]) -> Vec<Lookup> {
    messages
        .iter()
        .map(|event| (event.time, sent(event)))
        .filter(|(_, m)| m.order_id.is_none() && m.from == Actor::Buyer && !m.is_automatic())
        .filter(|(_, m)| m.buyer_id.is_some() || m.relay_email.is_some())
        .map(|(asked_at, m)| Lookup {
            seller_id: m.seller_id.clone(),
            buyer_id: m.buyer_id.clone(),
            relay_email: m.relay_email.as_ref().map(fold_case),
            asked_at,
        })
        .collect()
}

pub fn named_orders(messages: &[Event]) -> BTreeSet<Identifier> {
    messages.iter().filter_map(|event| sent(event).order_id.clone()).collect()
}

fn candidates<'a>(
    event: &Event,
    beside: &'a ThreadNeighbours,
    policy: &Policy,
) -> Vec<&'a Identity> {
    let Some(lookup) = lookups(std::slice::from_ref(event)).pop() else { return vec![] };
    beside
        .candidates
        .iter()
        .filter(|c| c.seller_id == lookup.seller_id)
        .filter(|c| lookup.buyer_id.as_ref().is_none_or(|buyer| *buyer == c.buyer_id))
        .filter(|c| lookup.relay_email.is_none() || lookup.relay_email == c.relay_email)
        .filter(|c| c.placed_at <= lookup.asked_at)
        .filter(|c| c.placed_at >= lookup.asked_at - policy.lookup_window)
        .collect()
}

pub fn place(
    thread: &Identifier,
    messages: &[Event],
    neighbours: &ThreadNeighbours,
    policy: &Policy,
) -> Vec<Placement> {
    let mut owner: Option<(Identifier, Timestamp)> = None;
    messages
        .iter()
        .map(|event| {
            let message = sent(event);
            let mut found = false;
            let named = message.order_id.clone().filter(|order| {
                neighbours.named.get(order).is_none_or(|i| i.seller_id == message.seller_id)
            });
            if owner.is_none() {
                let one = match (&named, candidates(event, neighbours, policy).as_slice()) {
                    (Some(order), _) => Some(order.clone()),
                    (None, [only]) if message.order_id.is_none() => {
                        found = true;
                        Some(only.order_id.clone())
                    }
                    _ => None,
                };
                owner = one.map(|order| (order, event.time));
            }
            let misplaced = message.order_id.is_some() && named.is_none();
            let order = if misplaced {
                None
            } else {
                named.clone().or(owner.as_ref().map(|o| o.0.clone()))
            };
            Placement {
                joined_at: order.as_ref().filter(|_| named.is_none()).map(|_| event.time),
                owns_thread: order.is_some() && order == owner.as_ref().map(|o| o.0.clone()),
                home: order.map_or_else(|| CaseId::Thread(thread.clone()), CaseId::Order),
                found,
                repeated: false,
            }
        })
        .collect()
}

fn thread_state(order: Option<&Identifier>, event: &Event) -> ThreadState {
    let message = sent(event);
    ThreadState {
        thread_id: message.thread_id.clone(),
        order_id: order.cloned(),
        seller_id: message.seller_id.clone(),
        topic: message.topic(),
        opened_at: event.time,
        last_buyer_message_at: Some(event.time),
        last_seller_reply_at: None,
        awaiting: Awaiting::Seller,
        awaiting_since: Some(event.time),
        reply_by: None,
    }
}

pub fn decide_thread(
    thread: &Identifier,
    messages: &[Event],
    neighbours: &ThreadNeighbours,
    policy: &Policy,
    as_of: Timestamp,
) -> Decision {
    let mut decision = Decision::default();
    let homes = place(thread, messages, neighbours, policy);
    if let Some(first) = messages.first().filter(|_| !homes.iter().any(|home| home.owns_thread)) {
        decision.threads.push(thread_state(None, first));
    }
    for (event, home) in messages.iter().zip(&homes) {
        let message = sent(event);
        if home.home.order_id().is_some()
            || message.order_id.is_some()
            || message.from != Actor::Buyer
        {
            continue;
        }
        let found = candidates(event, neighbours, policy);
        let derive = |rule, time, derivation| Derived {
            rule,
            time,
            order_id: None,
            seller_id: message.seller_id.clone(),
            key: message.message_id.to_string(),
            cause: None,
            derivation,
        };
        if found.len() > 1 {
            decision.derived.push(derive(
                Rule::Q1,
                event.time,
                Derivation::from(InquiryAmbiguous {
                    thread_id: thread.clone(),
                    message_id: message.message_id.clone(),
                    order_ids: found.iter().map(|c| c.order_id.clone()).collect(),
                }),
            ));
            continue;
        }
        let due = event.time + policy.unmatched_after;
        if as_of >= due + policy.settle {
            decision.derived.push(derive(
                Rule::Q2,
                due,
                Derivation::from(InquiryUnmatched {
                    thread_id: thread.clone(),
                    message_id: message.message_id.clone(),
                }),
            ));
        } else {
            decision.next_at =
                decision.next_at.min(Some(due + policy.settle)).or(Some(due + policy.settle));
        }
    }
    decision
}

fn standing(history: &[Member]) -> Option<(&Event, &OrderPlaced)> {
    history
        .iter()
        .filter_map(|member| match &member.event.input {
            Input::OrderPlaced(placed) => Some((&member.event, placed)),
            _ => None,
        })
        .min_by_key(|(event, _)| event.position())
}

pub fn identity(history: &[Member]) -> Option<Identity> {
    standing(history).map(|(event, placed)| Identity::of(placed, event.time))
}

pub fn decide_order(
    order: &Identifier,
    history: &[Member],
    policy: &Policy,
    as_of: Timestamp,
    neighbours: &[Release],
) -> Decision {
    let mut decision = Decision::default();
    for member in history.iter().filter(|member| member.owns_thread) {
        if !decision.threads.iter().any(|t| t.thread_id == sent(&member.event).thread_id) {
            decision.threads.push(thread_state(Some(order), &member.event));
        }
    }
    let Some((event, placed)) = standing(history) else { return decision };
    if placed.buyer_name.as_ref().is_some_and(|name| name.0 == "panic") {
        panic!("the rules fail on {order}");
    }
    let placed_at = placed.placed_at.unwrap_or(event.time);
    let authorized = placed
        .payment
        .as_ref()
        .filter(|payment| payment.status == PlacedPayment::Authorized)
        .map(|_| (placed_at, event))
        .or_else(|| {
            history
                .iter()
                .filter(|m| matches!(m.event.input, Input::PaymentAuthorized(_)))
                .map(|m| (m.event.time.max(placed_at), &m.event))
                .min_by_key(|(at, _)| *at)
        });
    let dispatched: Vec<_> = history
        .iter()
        .filter_map(|m| match &m.event.input {
            Input::ShipmentDispatched(d) => Some((&m.event, d)),
            _ => None,
        })
        .collect();
    let derive = |rule, time, key: &str, cause: Option<&Event>, derivation| Derived {
        rule,
        time,
        order_id: Some(order.clone()),
        seller_id: placed.seller_id.clone(),
        key: key.into(),
        cause: cause.map(|event| event.key.clone()),
        derivation,
    };
    if let Some((at, cause)) = authorized {
        let ship_by = at + policy.ship_within;
        decision.derived.push(derive(
            Rule::P2,
            at,
            &cause.key.id,
            Some(cause),
            ShipmentRequired { ship_by }.into(),
        ));
        if let Some(address) = &placed.ship_to {
            let release = Release {
                order_id: order.clone(),
                released_at: at,
                from: at,
                until: dispatched.iter().map(|(e, _)| e.time).min(),
                address: address_key(address),
                seller_id: placed.seller_id.clone(),
                buyer_id: placed.buyer_id.clone(),
            };
            let mut beside: Vec<Identifier> = neighbours
                .iter()
                .filter(|n| n.address == release.address && n.released_at <= at && n.from <= at)
                .filter(|n| n.until.is_none_or(|until| until > at) && n.order_id != *order)
                .filter(|n| (n.released_at, &n.order_id) < (at, order))
                .map(|n| n.order_id.clone())
                .collect();
            if !beside.is_empty() {
                beside.push(order.clone());
                beside.sort();
                decision.derived.push(derive(
                    Rule::S5,
                    at,
                    &cause.key.id,
                    Some(cause),
                    CombinedShippingAvailable {
                        order_ids: beside,
                        buyer_id: placed.buyer_id.clone(),
                        truncated: None,
                    }
                    .into(),
                ));
            }
            decision.releases.push(release);
        }
    } else {
        let due_at = placed_at + policy.payment_within;
        if as_of >= due_at + policy.settle {
            decision.derived.push(derive(
                Rule::P3,
                due_at,
                "",
                None,
                PaymentOverdue { due_at }.into(),
            ));
        } else {
            decision.next_at = Some(due_at + policy.settle);
        }
    }
    for (event, dispatch) in &dispatched {
        decision.packages.push(PackageState {
            package_id: dispatch.package_id.clone(),
            carrier: dispatch.carrier.clone(),
            tracking_number: dispatch.tracking_number.clone(),
            insured: dispatch.insured.unwrap_or(false),
            status: None,
            return_reason: None,
            dispatched_at: event.time,
            delivered_at: None,
            returned_at: None,
            lines: vec![],
        });
        if let Some((at, _)) = authorized {
            let notice = ShipNoticeRequired {
                package_id: dispatch.package_id.clone(),
                whole_order: true,
                carrier: dispatch.carrier.clone(),
                tracking_number: dispatch.tracking_number.clone(),
            };
            decision.derived.push(derive(
                Rule::S4,
                event.time.max(at),
                dispatch.package_id.as_str(),
                Some(event),
                notice.into(),
            ));
        }
    }
    for member in history {
        let Input::ShipmentUpdated(update) = &member.event.input else { continue };
        let blocked = history.iter().any(|m| {
            matches!(m.event.input, Input::OrderCancelled(_)) && m.event.time <= member.event.time
        });
        if update.status == PackageStatus::Returned && !blocked {
            decision.refunds.push(RefundState {
                refund_key: format!("{order}/R1/{}", update.package_id),
                reason: RefundReason::Returned,
                currency: placed.currency,
                amount: 1500,
                item_amount: 1500,
                shipping_amount: 0,
                package_id: Some(update.package_id.clone()),
                required_at: member.event.time,
                issued_at: None,
            });
        }
    }
    decision.derived.sort_by_key(|derived| derived.time);
    let ours = authorized.is_some();
    decision.order = Some(OrderState {
        order_id: order.clone(),
        seller_id: placed.seller_id.clone(),
        buyer_id: placed.buyer_id.clone(),
        status: match (authorized, dispatched.is_empty()) {
            (None, _) => OrderStatus::Pending,
            (Some(_), true) => OrderStatus::Unshipped,
            (Some(_), false) => OrderStatus::Shipped,
        },
        sold_by: placed.sold_by,
        fulfilled_by: placed.fulfilled_by,
        payment_status: if ours { PaymentStatus::Authorized } else { PaymentStatus::Pending },
        payment_method: placed.payment.as_ref().and_then(|payment| payment.method),
        currency: placed.currency,
        items_total: placed
            .lines
            .iter()
            .map(|l| l.unit_price.minor_units() * l.quantity.pieces())
            .sum(),
        tax_total: 0,
        shipping_total: 0,
        placed_at,
        authorized_at: authorized.map(|(at, _)| at),
        ship_by: authorized.map(|(at, _)| at + policy.ship_within),
        cancelled_at: None,
        buyer_name: placed.buyer_name.clone().filter(|_| ours),
        relay_email: placed.relay_email.clone(),
        phone: placed.phone.clone().filter(|_| ours),
        ship_to: placed.ship_to.clone().filter(|_| ours),
        lines: placed
            .lines
            .iter()
            .map(|line| LineState {
                line_id: line.line_id.clone(),
                sku: line.sku.clone(),
                title: line.title.clone(),
                quantity: line.quantity.pieces(),
                unit_price: line.unit_price.minor_units(),
                tax: line.tax.map(Money::minor_units),
                shipping_fee: line.shipping_fee.map(Money::minor_units),
                quantity_shipped: 0,
                quantity_unshippable: 0,
                quantity_cancelled: 0,
            })
            .collect(),
    });
    decision
}
