//! What orders tell the cases beside them: who placed them, and when they could be shipped
//! together. A case that may have read what is different now is woken.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use super::orders::Orders;
use super::threads::{Thread, Threads};
use super::{Mode, Pass};
use crate::contract::{Identifier, Timestamp};
use crate::rules::{CaseId, Decision, Identity, Release};
use crate::store::groups::Group;
use crate::store::releases::{self, ChangedStretch, Changes};
use crate::store::{around, identities};

/// What is different from what was recorded, or has yet to be told.
struct News<'a> {
    /// Of each order: who placed it, and who was thought to have.
    identities: Vec<&'a Identity>,
    stretches: Vec<ChangedStretch>,
    groups: BTreeMap<&'a Identifier, BTreeSet<Group>>,
}

/// Records what the decided orders tell of themselves, and wakes the cases that read otherwise.
/// Returns the releases beside each decided order, read only after that.
pub(super) async fn tell(
    pass: &mut Pass<'_>,
    conn: &mut PgConnection,
    threads: &Threads,
    orders: &Orders,
    decisions: &BTreeMap<CaseId, Decision>,
) -> Result<BTreeMap<Identifier, Vec<Release>>, sqlx::Error> {
    if pass.mode == Mode::Preview || orders.orders.is_empty() {
        return beside(conn, decisions).await;
    }
    let new: Vec<&Identity> = orders.newly_identified().map(|(new, _)| new).collect();
    identities::record(&mut pass.writes, &new);
    let releases = releases_of(orders, decisions);
    let news = gather(pass, orders, &releases);
    let groups = news.groups.values().flatten().copied().collect();
    let busy = releases::change(conn, &changes(&releases), &groups).await?;
    for (order, groups) in &news.groups {
        if groups.iter().any(|group| busy.contains(group)) {
            pass.settle(CaseId::Order((*order).clone()));
        }
    }
    let around = around::look(conn, &own(decisions), &news.stretches, &news.identities).await?;
    wake_threads(pass, threads, orders, around.asking);
    // Those in hand are decided with what is recorded now.
    for order in around.released.into_iter().filter(|order| !orders.orders.contains_key(order)) {
        pass.wake(CaseId::Order(order));
    }
    Ok(by_order(around.beside))
}

/// The releases beside each decided order.
pub(super) async fn beside(
    conn: &mut PgConnection,
    decisions: &BTreeMap<CaseId, Decision>,
) -> Result<BTreeMap<Identifier, Vec<Release>>, sqlx::Error> {
    Ok(by_order(around::look(conn, &own(decisions), &[], &[]).await?.beside))
}

fn own(decisions: &BTreeMap<CaseId, Decision>) -> Vec<&Release> {
    decisions.values().flat_map(|decision| &decision.releases).collect()
}

fn by_order(beside: Vec<(Identifier, Release)>) -> BTreeMap<Identifier, Vec<Release>> {
    let mut by_order: BTreeMap<Identifier, Vec<Release>> = BTreeMap::new();
    for (order, release) in beside {
        let releases = by_order.entry(order).or_default();
        if !releases.contains(&release) {
            releases.push(release);
        }
    }
    by_order
}

/// The releases of an order: as they are, and as they were recorded.
#[derive(Default)]
struct Releases {
    now: BTreeSet<Release>,
    before: BTreeSet<Release>,
}

fn releases_of(
    orders: &Orders,
    decisions: &BTreeMap<CaseId, Decision>,
) -> BTreeMap<Identifier, Releases> {
    let mut releases: BTreeMap<Identifier, Releases> = BTreeMap::new();
    for (case, decision) in decisions {
        if let Some(order) = case.order_id() {
            let now = decision.releases.iter().cloned().collect();
            let before = orders.orders.get(order).map(|order| order.before.releases.clone());
            releases.insert(order.clone(), Releases { now, before: before.unwrap_or_default() });
        }
    }
    releases
}

fn changes(releases: &BTreeMap<Identifier, Releases>) -> Changes<'_> {
    let mut changes = Changes::default();
    for (order, Releases { now, before }) in releases {
        if now == before {
            continue;
        }
        if differ_in_their_ends(now, before) {
            changes.ended.extend(now.difference(before));
            continue;
        }
        if !before.is_empty() {
            changes.outdated.push(order);
        }
        changes.new.extend(now);
    }
    changes
}

/// Mostly the one stretch of an order has ended. They are told apart by when they begin.
fn differ_in_their_ends(now: &BTreeSet<Release>, before: &BTreeSet<Release>) -> bool {
    let begins: BTreeSet<Timestamp> = now.iter().map(|release| release.from).collect();
    let alike = |(a, b): (&Release, &Release)| Release { until: b.until, ..a.clone() } == *b;
    begins.len() == now.len() && now.len() == before.len() && now.iter().zip(before).all(alike)
}

fn gather<'a>(
    pass: &Pass<'_>,
    orders: &'a Orders,
    releases: &'a BTreeMap<Identifier, Releases>,
) -> News<'a> {
    let mut news = News { identities: Vec::new(), stretches: Vec::new(), groups: BTreeMap::new() };
    for (identity, recorded) in orders.newly_identified() {
        news.add_identities([Some(identity), recorded]);
    }
    for (order, releases) in releases {
        let announcing = pass.announcing.contains(&CaseId::Order(order.clone()));
        let before = if announcing { &BTreeSet::new() } else { &releases.before };
        news.add_releases(before, &releases.now);
        if announcing && let Some((order, decided)) = orders.orders.get_key_value(order) {
            news.groups.entry(order).or_default();
            news.add_identities([decided.identity.as_ref()]);
        }
    }
    news
}

impl<'a> News<'a> {
    fn add_identities(&mut self, identities: impl IntoIterator<Item = Option<&'a Identity>>) {
        for identity in identities.into_iter().flatten() {
            let (seller, buyer) = (&identity.seller_id, &identity.buyer_id);
            let groups = self.groups.entry(&identity.order_id).or_default();
            groups.insert(Group::of_buyer(seller, buyer));
            groups.extend(identity.relay_email.iter().map(|e| Group::of_email(seller, e)));
            self.identities.push(identity);
        }
    }

    fn add_releases(&mut self, before: &BTreeSet<Release>, now: &'a BTreeSet<Release>) {
        let stretches = changed_stretches(before, now);
        for release in now.iter().filter(|_| !stretches.is_empty()) {
            let group = Group::of_buyer(&release.seller_id, &release.buyer_id);
            self.groups.entry(&release.order_id).or_default().insert(group);
        }
        self.stretches.extend(stretches);
    }
}

/// The stretches in which others would find something else than before. A stretch that only
/// ended, or ended at another time, differs between its two ends.
fn changed_stretches(before: &BTreeSet<Release>, now: &BTreeSet<Release>) -> Vec<ChangedStretch> {
    let alike = |a: &Release, b: &Release| Release { until: b.until, ..a.clone() } == *b;
    let end = |release: &Release| release.until.unwrap_or(Timestamp::MAX);
    let bounded = |until: Timestamp| (until < Timestamp::MAX).then_some(until);
    let stretch = |release: &Release, from, until| ChangedStretch {
        release: release.clone(),
        from,
        until: bounded(until),
    };
    let mut gone: Vec<&Release> = before.difference(now).collect();
    let mut changed = Vec::new();
    for release in now.difference(before) {
        match gone.iter().position(|old| alike(old, release)) {
            Some(index) => {
                let old = gone.swap_remove(index);
                let (first, last) = (end(old).min(end(release)), end(old).max(end(release)));
                changed.push(stretch(release, first, last));
            }
            None => changed.push(stretch(release, release.from, end(release))),
        }
    }
    changed.extend(gone.into_iter().map(|old| stretch(old, old.from, end(old))));
    changed
}

fn wake_threads(
    pass: &mut Pass<'_>,
    threads: &Threads,
    orders: &Orders,
    asking: BTreeSet<(CaseId, Identifier)>,
) {
    let in_hand: BTreeMap<&Identifier, &Thread> =
        threads.threads.iter().map(|thread| (&thread.id, thread)).collect();
    for (case, order) in asking {
        let thread = case.thread_id().and_then(|id| in_hand.get(id));
        let identity = orders.orders.get(&order).and_then(|decided| decided.identity.as_ref());
        if !thread.is_some_and(|thread| thread.has_read(&order, identity)) {
            pass.wake(case);
        }
    }
}

impl Thread {
    /// Whether the thread was placed by this identity of an order.
    fn has_read(&self, order: &Identifier, identity: Option<&Identity>) -> bool {
        let beside = &self.neighbours;
        beside.named.get(order) == identity && identity.is_some()
            || beside.candidates.iter().any(|read| Some(read) == identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn release(from: i64, until: Option<i64>) -> Release {
        let id = |text| Identifier::new(text).unwrap();
        Release {
            order_id: id("o"),
            released_at: at(0),
            from: at(from),
            until: until.map(at),
            address: "x".into(),
            seller_id: id("s"),
            buyer_id: id("b"),
        }
    }

    fn changed(before: &[Release], now: &[Release]) -> Vec<(Timestamp, Option<Timestamp>)> {
        let set = |releases: &[Release]| releases.iter().cloned().collect();
        changed_stretches(&set(before), &set(now))
            .into_iter()
            .map(|stretch| (stretch.from, stretch.until))
            .collect()
    }

    #[test]
    fn a_stretch_that_ends_changes_what_is_seen_after_its_end_only() {
        assert_eq!(changed(&[], &[release(0, None)]), [(at(0), None)]);
        assert_eq!(changed(&[release(0, None)], &[release(0, Some(9))]), [(at(9), None)]);
        assert_eq!(changed(&[release(0, Some(9))], &[release(0, Some(5))]), [(at(5), Some(at(9)))]);
        assert_eq!(changed(&[release(0, Some(9))], &[]), [(at(0), Some(at(9)))]);
        assert_eq!(changed(&[release(0, None)], &[release(0, None)]), []);
    }
}
