//! Locks on the groups in which cases look beside themselves.
//!
//! Two transactions that each change a fact and read the other's see neither. So each
//! takes the lock of the group before it reads; who doesn't get it leaves a wake-up for
//! its own cases, which are then decided again with the lock in hand. Nobody waits.

use std::collections::{BTreeSet, HashSet};

use sqlx::PgConnection;

use super::{Result, digest};
use crate::contract::Identifier;

/// A group, by a digest: two that share one are only locked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(i64);

impl Group {
    pub fn of_buyer(seller: &Identifier, buyer: &Identifier) -> Group {
        Group::new([b"buyer", seller.as_str().as_bytes(), buyer.as_str().as_bytes()])
    }

    /// `email` in lower case.
    pub fn of_email(seller: &Identifier, email: &str) -> Group {
        Group::new([b"email", seller.as_str().as_bytes(), email.as_bytes()])
    }

    fn new(parts: [&[u8]; 3]) -> Group {
        let bytes = digest(parts)[..8].try_into().expect("a digest has 16 bytes");
        Group(i64::from_be_bytes(bytes))
    }
}

/// Takes the locks that are free, until the transaction ends, and returns the groups that
/// another transaction has.
///
/// Each takes a place in the server's lock table (`max_locks_per_transaction` times
/// `max_connections`): a batch too large for it fails as out of shared memory, and passes in
/// halves.
pub async fn try_lock(conn: &mut PgConnection, groups: &BTreeSet<Group>) -> Result<HashSet<Group>> {
    if groups.is_empty() {
        return Ok(HashSet::new());
    }
    let busy: Vec<i64> = sqlx::query_scalar(
        "SELECT g FROM unnest($1::bigint[]) AS g WHERE NOT pg_try_advisory_xact_lock(g)",
    )
    .bind(numbers(groups))
    .fetch_all(conn)
    .await?;
    Ok(from_numbers(busy))
}

pub(super) fn numbers(groups: &BTreeSet<Group>) -> Vec<i64> {
    groups.iter().map(|group| group.0).collect()
}

pub(super) fn from_numbers(numbers: Vec<i64>) -> HashSet<Group> {
    numbers.into_iter().map(Group).collect()
}

/// Takes the locks, and waits for those that other transactions have.
pub async fn lock(conn: &mut PgConnection, groups: &BTreeSet<Group>) -> Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(g) FROM unnest($1::bigint[]) AS g")
        .bind(groups.iter().map(|group| group.0).collect::<Vec<_>>())
        .execute(conn)
        .await
        .map(drop)
}
