//! Deciding the cases in hand. A decision that fails parks its case; the others go on.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sqlx::PgConnection;

use super::orders::{Order, Orders};
use super::threads::Threads;
use super::{Pass, neighbours};
use crate::contract::{Identifier, Timestamp};
use crate::rules::{self, CaseId, Decision, Release};

/// What the rules say of the cases in hand.
pub(super) struct Decided {
    pub now: Timestamp,
    pub orders: BTreeMap<Identifier, Order>,
    /// How many events each case has.
    pub sizes: BTreeMap<CaseId, i64>,
    pub decisions: BTreeMap<CaseId, Decision>,
}

/// Decides all orders, then once more those that have neighbours, then the threads.
pub(super) async fn decide(
    pass: &mut Pass<'_>,
    conn: &mut PgConnection,
    threads: &Threads,
    orders: Orders,
) -> Result<Decided, sqlx::Error> {
    let mut decisions = BTreeMap::new();
    for (id, order) in &orders.orders {
        decide_order(pass, &mut decisions, id, order, &[]);
    }
    let beside = neighbours::tell(pass, conn, threads, &orders, &decisions).await?;
    for (id, releases) in beside {
        if let Some(order) = orders.orders.get(&id) {
            decide_order(pass, &mut decisions, &id, order, &releases);
        }
    }
    for thread in &threads.threads {
        let case = CaseId::Thread(thread.id.clone());
        let (policy, as_of) = (pass.case(&case).policy.clone(), as_of(pass, &case));
        let (messages, beside) = (&thread.messages, &thread.neighbours);
        let decide = || rules::decide_thread(&thread.id, messages, beside, &policy, as_of);
        note(pass, &mut decisions, case, guarded(decide));
    }
    let Orders { now, orders, .. } = orders;
    let of_orders =
        orders.iter().map(|(id, order)| (CaseId::Order(id.clone()), order.members.len()));
    let of_threads =
        threads.threads.iter().map(|t| (CaseId::Thread(t.id.clone()), t.messages.len()));
    let sizes = of_orders.chain(of_threads).map(|(case, size)| (case, size as i64)).collect();
    Ok(Decided { now, orders, sizes, decisions })
}

fn decide_order(
    pass: &mut Pass<'_>,
    decisions: &mut BTreeMap<CaseId, Decision>,
    id: &Identifier,
    order: &Order,
    beside: &[Release],
) {
    let case = CaseId::Order(id.clone());
    let (policy, as_of) = (pass.case(&case).policy.clone(), as_of(pass, &case));
    let decide = || rules::decide_order(id, &order.members, &policy, as_of, beside);
    note(pass, decisions, case, guarded(decide));
}

/// A case that was never decided by the clock knows of no moment: nothing is absent yet.
fn as_of(pass: &Pass<'_>, case: &CaseId) -> Timestamp {
    pass.as_of(case).unwrap_or(Timestamp::MIN)
}

fn note(
    pass: &mut Pass<'_>,
    decisions: &mut BTreeMap<CaseId, Decision>,
    case: CaseId,
    decision: Result<Decision, String>,
) {
    match decision {
        Ok(decision) => drop(decisions.insert(case, decision)),
        Err(problem) => {
            decisions.remove(&case);
            pass.park(&case, problem);
        }
    }
}

/// Runs a rule so that its panic is this case's trouble only.
pub(super) fn guarded<T>(rule: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(rule)).map_err(|panic| words(panic.as_ref()))
}

fn words(panic: &(dyn Any + Send)) -> String {
    const LONGEST: usize = 500;
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given");
    format!("the decision failed: {}", said.chars().take(LONGEST).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_sentence() {
        let problem = guarded(|| panic!("no line {}", 7)).map(|(): ()| ()).unwrap_err();
        assert_eq!(problem, "the decision failed: no line 7");
        assert_eq!(guarded(|| 7), Ok(7));
    }
}
