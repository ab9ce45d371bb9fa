//! What must hold for every history, tried on thousands that a seed makes.
//!
//! `OTODOKE_HISTORIES=1000000` tries more, `OTODOKE_TEST_FULL=1` many more (use
//! `--release`), `OTODOKE_SEED=n` begins at a seed: a failure names its own,
//! and shows the smallest history that still fails.

#[path = "support/generate.rs"]
mod generate;
#[path = "support/histories.rs"]
mod histories;

use std::collections::{BTreeMap, BTreeSet};

use histories::{Fact, History, facts, for_every_history};
use otodoke::contract::derived::{OrderStatus, RefundReason, RefundRequired};
use otodoke::contract::{Derivation, Derived, EventRef, Identifier, Input, Party, Rule};
use otodoke::contract::{PaymentMethod, Span, Timestamp};
use otodoke::rules::world::{World, decide_all};
use otodoke::rules::{CaseId, Decision, OrderState, PaymentStatus};

type Outcome = Result<(), String>;

fn demand(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// The law of derived events: a function of the set of events.
#[test]
fn neither_order_nor_repetition_of_arrivals_changes_anything() {
    for_every_history(|history| {
        let world = history.world();
        let mut again = history.events.clone();
        again.extend(history.events.iter().step_by(3).cloned());
        history.dice(1).shuffle(&mut again);
        let other = decide_all(&again, &history.policy, history.as_of);
        demand(other == world, || difference(&world, &other))
    });
}

#[test]
fn what_stands_goes_on_standing_while_only_time_passes() {
    for_every_history(|history| {
        let mut before = BTreeSet::new();
        for as_of in history.moments(6) {
            let now = facts(&decide_all(&history.events, &history.policy, as_of));
            let gone: Vec<_> = before.difference(&now).collect();
            demand(gone.is_empty(), || format!("gone by {as_of}: {gone:?}"))?;
            before = now;
        }
        Ok(())
    });
}

#[test]
fn nothing_changes_before_the_moment_that_is_announced_and_something_does_then() {
    for_every_history(|history| {
        let mut as_of = history.moments(2)[0];
        for _ in 0..200 {
            let world = decide_all(&history.events, &history.policy, as_of);
            let Some(next) = next_of(&world) else {
                let never = decide_all(&history.events, &history.policy, Timestamp::MAX);
                return demand(never == world, || difference(&world, &never));
            };
            demand(next > as_of, || format!("at {as_of} the next moment is {next}"))?;
            let just_before = Timestamp::from_micros(next.micros() - 1);
            let before = decide_all(&history.events, &history.policy, just_before);
            demand(before == world, || difference(&world, &before))?;
            let then = decide_all(&history.events, &history.policy, next);
            let something = without_waits(then) != without_waits(world);
            demand(something, || format!("at {next} nothing changes"))?;
            as_of = next;
        }
        Err("time alone changes something 200 times".into())
    });
}

#[test]
fn what_rests_on_something_missing_waits_for_late_arrivals() {
    for_every_history(|history| {
        for as_of in history.moments(4) {
            let world = decide_all(&history.events, &history.policy, as_of);
            for derived in all(&world).filter(|derived| rests_on_absence(derived)) {
                let settled = derived.time + history.policy.settle <= as_of;
                demand(settled, || format!("at {as_of} too early: {derived:?}"))?;
            }
        }
        Ok(())
    });
}

/// Deadlines, S1 and the refusals of M4.
fn rests_on_absence(derived: &Derived) -> bool {
    let deadlines = [Rule::P3, Rule::S1, Rule::S3, Rule::Q2, Rule::M2, Rule::M3, Rule::M5];
    deadlines.contains(&derived.rule)
        || matches!(derived.derivation, Derivation::GuaranteeRefused(_))
}

#[test]
fn a_time_is_that_of_an_event_or_of_a_deadline_never_later_than_looked_at() {
    for_every_history(|history| {
        let last = history.last();
        for derived in all(&decide_all(&history.events, &history.policy, last)) {
            demand(derived.time <= last, || format!("later than {last}: {derived:?}"))?;
        }
        Ok(())
    });
}

#[test]
fn no_type_and_key_stands_twice_in_a_case_and_every_cause_is_an_event() {
    for_every_history(|history| {
        let known: BTreeSet<&EventRef> = history.events.iter().map(|event| &event.key).collect();
        for (case, decision) in &history.world().cases {
            let mut seen = BTreeSet::new();
            for derived in &decision.derived {
                let name = (derived.derived_type(), &derived.key);
                demand(seen.insert(name), || format!("twice in {case}: {name:?}"))?;
                let cause = derived.cause.as_ref().is_none_or(|cause| known.contains(cause));
                demand(cause, || format!("no such cause: {derived:?}"))?;
                let id = case.order_id() == derived.order_id.as_ref();
                demand(id, || format!("in case {case}: {derived:?}"))?;
            }
            let in_order = decision.derived.is_sorted_by_key(|derived| derived.time);
            demand(in_order, || format!("{case} isn't in order of time"))?;
        }
        Ok(())
    });
}

/// Rule 0.3: with what is dated later left out, all that is dated up to then stands as before.
/// But for one thing: whose the order is that a thread names may turn out later. Where a question
/// for the marketplace (Q7) belongs depends on it. And where it turns out to be another seller's
/// or buyer's, the thread has no order, or another one, and its other messages are judged anew.
#[test]
fn what_is_dated_later_never_undoes_or_changes_what_was_true() {
    for_every_history(|history| {
        let whole = facts(&history.world());
        for cut in history.moments(5) {
            let early: Vec<_> = history
                .events
                .iter()
                .filter(|event| history.happened(event) <= cut)
                .cloned()
                .collect();
            let undecided = history.threads_of_orders_placed_after(cut);
            let astray = history.threads_of_others_orders_placed_after(cut);
            let up_to = |facts: &BTreeSet<Fact>| -> BTreeSet<Fact> {
                let moves = |fact: &&Fact| {
                    fact.is_of_any(&astray) || (fact.rule == Rule::Q7 && fact.is_of_any(&undecided))
                };
                facts.iter().filter(|fact| fact.time <= cut && !moves(fact)).cloned().collect()
            };
            let alone = up_to(&facts(&decide_all(&early, &history.policy, history.as_of)));
            let whole = up_to(&whole);
            demand(alone == whole, || {
                let lost: Vec<_> = alone.difference(&whole).collect();
                let new: Vec<_> = whole.difference(&alone).collect();
                format!("cut at {cut}: later events took {lost:#?} and brought {new:#?}")
            })?;
        }
        Ok(())
    });
}

#[test]
fn arrivals_in_steps_withdraw_only_what_was_published_and_end_where_one_step_does() {
    for_every_history(|history| {
        let mut standing = BTreeSet::new();
        let mut ever = BTreeSet::new();
        let (mut arrived, mut as_of) = (Vec::new(), Timestamp::MIN);
        for batch in history.events.chunks(1 + history.events.len() / 6) {
            arrived.extend_from_slice(batch);
            as_of = batch.iter().map(|event| event.time).fold(as_of, Timestamp::max);
            let now = facts(&decide_all(&arrived, &history.policy, as_of));
            let withdrawn: Vec<&Fact> = standing.difference(&now).collect();
            let unheard = withdrawn.iter().find(|fact| !ever.contains(**fact));
            demand(unheard.is_none(), || format!("withdrawn, never published: {unheard:?}"))?;
            ever.extend(now.iter().cloned());
            standing = now;
        }
        let at_once = facts(&decide_all(&history.events, &history.policy, as_of));
        demand(at_once == standing, || "steps and one step end differently".into())
    });
}

#[test]
fn money_back_never_exceeds_money_in() {
    for_every_history(|history| {
        let world = history.world();
        for (case, decision) in &world.cases {
            let Some(order) = &decision.order else { continue };
            let refunds: Vec<&RefundRequired> = refunds_of(decision).collect();
            let capped: Vec<_> = refunds
                .iter()
                .filter(|refund| refund.reason != RefundReason::LatePayment)
                .collect();
            for refund in &refunds {
                let fair = refund.amount == refund.item_amount + refund.shipping_amount
                    && refund.item_amount >= 0
                    && refund.shipping_amount >= 0
                    && (refund.amount > 0 || refund.reason == RefundReason::Returned);
                demand(fair, || format!("{case}: {refund:?}"))?;
            }
            if changed(history, &order.order_id) {
                continue;
            }
            let items: i64 = capped.iter().map(|refund| refund.item_amount).sum();
            let shipping: i64 = capped.iter().map(|refund| refund.shipping_amount).sum();
            let paid = captured(history, order);
            let whole = format!("{case}: {refunds:#?}\nof {order:?}");
            demand(shipping <= order.shipping_total, || format!("shipping of {whole}"))?;
            demand(items <= order.items_total.max(paid - shipping), || {
                format!("items of {whole}")
            })?;
        }
        Ok(())
    });
}

/// What totals and caps rest on may have been different at a refund's time.
fn changed(history: &History, order: &Identifier) -> bool {
    let is_change = |input: &Input| matches!(input, Input::ChangeRequested(_));
    history.events.iter().any(|e| is_change(&e.input) && e.input.order_id() == Some(order))
}

fn captured(history: &History, order: &OrderState) -> i64 {
    let mut attempts: BTreeMap<&EventRef, i64> = BTreeMap::new();
    for event in &history.events {
        if let Input::PaymentAuthorized(payment) = &event.input
            && payment.order_id == order.order_id
            && payment.is_captured()
        {
            attempts.insert(&event.key, payment.amount.minor_units());
        }
    }
    attempts.values().sum::<i64>() + order.items_total + order.shipping_total
}

fn refunds_of(decision: &Decision) -> impl Iterator<Item = &RefundRequired> {
    decision.derived.iter().filter_map(|derived| match &derived.derivation {
        Derivation::RefundRequired(refund) => Some(refund),
        _ => None,
    })
}

#[test]
fn the_rows_of_a_case_agree_with_each_other_and_with_what_is_derived() {
    for_every_history(|history| {
        for (case, decision) in &history.world().cases {
            let told: BTreeMap<&str, i64> = refunds_of(decision)
                .map(|refund| (refund.refund_key.as_str(), refund.amount))
                .collect();
            let rows: BTreeMap<&str, i64> =
                decision.refunds.iter().map(|row| (row.refund_key.as_str(), row.amount)).collect();
            demand(told == rows, || format!("{case}: refunds {told:?}, rows {rows:?}"))?;
            if let Some(order) = &decision.order {
                agrees(order).map_err(|fault| format!("{case}: {fault}: {order:?}"))?;
            }
        }
        Ok(())
    });
}

fn agrees(order: &OrderState) -> Outcome {
    let total =
        |amount: fn(&otodoke::rules::LineState) -> i64| order.lines.iter().map(amount).sum::<i64>();
    demand(order.items_total == total(|line| line.unit_price * line.quantity), || "items".into())?;
    demand(order.shipping_total == total(|line| line.shipping_fee.unwrap_or(0)), || {
        "shipping".into()
    })?;
    demand(order.tax_total == total(|line| line.tax.unwrap_or(0)), || "tax".into())?;
    let cancelled = order.status == OrderStatus::Cancelled;
    demand(cancelled == order.cancelled_at.is_some(), || "cancelled_at".into())?;
    let authorized = order.payment_status == PaymentStatus::Authorized;
    demand(authorized == order.authorized_at.is_some(), || "authorized_at".into())?;
    demand(cancelled || authorized != (order.status == OrderStatus::Pending), || "status".into())?;
    let shown = order.buyer_name.is_some() || order.phone.is_some() || order.ship_to.is_some();
    let sellers = order.sold_by == Party::Seller && order.fulfilled_by == Party::Seller;
    demand(!shown || (sellers && authorized), || "shows too much (V1)".into())?;
    for line in &order.lines {
        let counts = [line.quantity_shipped, line.quantity_cancelled, line.quantity_unshippable];
        demand(counts.iter().all(|count| *count >= 0), || "a negative number of pieces".into())?;
    }
    Ok(())
}

#[test]
fn for_what_the_marketplace_sells_only_uncovered_claims_and_misdirected_mail_are_derived() {
    for_every_history(|history| {
        for (case, decision) in &history.world().cases {
            let marketplaces =
                decision.order.as_ref().is_some_and(|o| o.sold_by == Party::Marketplace);
            if let Some(derived) =
                decision.derived.iter().find(|derived| marketplaces && derived.rule != Rule::M4)
            {
                // Before it was placed nobody could know; what was said then stands.
                demand([Rule::Q2, Rule::Q7].contains(&derived.rule), || {
                    format!("{case}: {derived:?}")
                })?;
            }
        }
        Ok(())
    });
}

#[test]
fn cash_on_delivery_never_paid_gives_nothing_back() {
    for_every_history(|history| {
        for (case, decision) in &history.world().cases {
            let Some(order) =
                decision.order.as_ref().filter(|order| unpaid_on_delivery(history, order))
            else {
                continue;
            };
            let given = refunds_of(decision).find(|refund| refund.amount > 0);
            demand(given.is_none(), || format!("{case}: {given:?} of {order:?}"))?;
        }
        Ok(())
    });
}

/// Placed so, never captured then, and never a payment after.
fn unpaid_on_delivery(history: &History, order: &OrderState) -> bool {
    let on_delivery = order.payment_method == Some(PaymentMethod::CashOnDelivery);
    let paid = |input: &Input| match input {
        Input::OrderPlaced(placed) => {
            placed.payment.as_ref().is_some_and(|payment| payment.captured == Some(true))
        }
        input => matches!(input, Input::PaymentAuthorized(_)),
    };
    let own = history.events.iter().filter(|e| e.input.order_id() == Some(&order.order_id));
    on_delivery && !own.map(|event| &event.input).any(paid)
}

#[test]
fn a_generated_event_passes_the_door_and_comes_out_as_it_was() {
    for_every_history(|history| {
        for event in &history.events {
            let wire = generate::to_cloudevent(event);
            let kind = event.input.input_type();
            let read = kind.read(&wire["data"]).map_err(|fault| fault.to_string())?;
            demand(read == event.input, || format!("{wire}"))?;
            let time: Timestamp =
                wire["time"].as_str().and_then(|time| time.parse().ok()).ok_or("no time")?;
            demand(time == event.time, || format!("{wire}"))?;
        }
        Ok(())
    });
}

#[test]
fn the_same_seed_makes_the_same_history() {
    let make = || generate::Generator::new(7).events(500);
    assert_eq!(make(), make());
    assert_eq!(make().len(), 500);
}

fn all(world: &World) -> impl Iterator<Item = &Derived> {
    world.cases.values().flat_map(|decision| &decision.derived)
}

/// A world without what is only waited for.
fn without_waits(mut world: World) -> World {
    for decision in world.cases.values_mut() {
        decision.waits.clear();
        decision.next_at = None;
    }
    world
}

fn next_of(world: &World) -> Option<Timestamp> {
    world.cases.values().filter_map(|decision| decision.next_at).min()
}

/// The first case that two worlds decide differently.
fn difference(one: &World, other: &World) -> String {
    let cases: BTreeSet<&CaseId> = one.cases.keys().chain(other.cases.keys()).collect();
    let differs = |case: &&&CaseId| one.cases.get(case) != other.cases.get(case);
    match cases.iter().find(differs) {
        Some(case) => {
            format!("{case}: {:#?}\nand {:#?}", one.cases.get(case), other.cases.get(case))
        }
        None => "none".into(),
    }
}

/// So that a reader sees what spans histories run over.
#[test]
fn the_generated_histories_derive_every_type() {
    let mut missing: BTreeSet<&str> =
        otodoke::contract::DerivedType::ALL.iter().map(|kind| kind.name()).collect();
    missing.remove("derived-withdrawn");
    for seed in 0..40 {
        let events = generate::Generator::new(seed).events(200);
        let last = events.iter().map(|event| event.time).max().expect("events");
        let world = decide_all(&events, &Default::default(), last + Span::days(40));
        for derived in all(&world) {
            missing.remove(derived.derived_type().name());
        }
    }
    assert!(missing.is_empty(), "never derived: {missing:?}");
}
