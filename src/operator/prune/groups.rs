//! Which cases go together: pure, but for asking which are linked.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use sqlx::PgConnection;

use crate::rules::CaseId;
use crate::store::{CaseSet, pruning};

/// The most cases that are looked at together. A shop's threads never come near it; where they
/// do, what hangs together with more stays.
const MOST: usize = 20_000;

/// Cases that go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Together {
    pub cases: CaseSet,
    /// They are not all of the group: it is too large.
    pub cut: bool,
}

/// The groups in which the cases are, each as a whole.
pub async fn groups(conn: &mut PgConnection, cases: &[CaseId]) -> Result<Vec<Together>> {
    let mut known: CaseSet = cases.iter().cloned().collect();
    let (mut links, mut new) = (BTreeSet::new(), known.clone());
    while !new.is_empty() && known.len() <= MOST {
        let found = pruning::links(conn, &new).await?;
        let ends = found.iter().flat_map(|(a, b)| [a, b]);
        new = ends.filter(|case| !known.contains(*case)).cloned().collect();
        known.extend(new.iter().cloned());
        links.extend(found);
    }
    Ok(joined(known, &links, &new))
}

/// Joins what is linked. `open`: cases of which nobody knows what they are linked with.
fn joined(cases: CaseSet, links: &BTreeSet<(CaseId, CaseId)>, open: &CaseSet) -> Vec<Together> {
    let mut neighbours: BTreeMap<&CaseId, Vec<&CaseId>> = BTreeMap::new();
    for (a, b) in links {
        neighbours.entry(a).or_default().push(b);
        neighbours.entry(b).or_default().push(a);
    }
    let (mut groups, mut seen) = (Vec::new(), BTreeSet::new());
    for case in &cases {
        let (mut group, mut waiting) = (CaseSet::new(), vec![case]);
        while let Some(next) = waiting.pop() {
            if seen.insert(next) {
                group.insert(next.clone());
                waiting.extend(neighbours.get(next).into_iter().flatten());
            }
        }
        if !group.is_empty() {
            let cut = group.iter().any(|case| open.contains(case));
            groups.push(Together { cases: group, cut });
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(keys: &[&str]) -> CaseSet {
        keys.iter().map(|key| CaseId::from_key(key).unwrap()).collect()
    }

    fn link(a: &str, b: &str) -> (CaseId, CaseId) {
        (CaseId::from_key(a).unwrap(), CaseId::from_key(b).unwrap())
    }

    #[test]
    fn what_is_linked_over_others_is_one_group() {
        let links = [link("o/1", "t/1"), link("o/2", "t/1"), link("o/2", "t/2")].into();
        let cases = set(&["o/1", "o/2", "o/3", "t/1", "t/2"]);
        let found = joined(cases, &links, &set(&[]));
        let groups: Vec<&CaseSet> = found.iter().map(|group| &group.cases).collect();
        assert_eq!(groups, [&set(&["o/1", "o/2", "t/1", "t/2"]), &set(&["o/3"])]);
        assert!(found.iter().all(|group| !group.cut));
    }

    #[test]
    fn a_group_that_nobody_knows_the_end_of_is_marked() {
        let found =
            joined(set(&["o/1", "o/2", "t/1"]), &[link("o/1", "t/1")].into(), &set(&["t/1"]));
        assert_eq!(found.iter().map(|group| group.cut).collect::<Vec<_>>(), [true, false]);
    }
}
