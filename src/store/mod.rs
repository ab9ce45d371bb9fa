//! PostgreSQL: every statement of the program stands in here, one file for each
//! group of tables.
//!
//! Functions take the caller's connection, since only the caller knows what belongs
//! into one transaction, and the moment where they need one. They never decide what
//! a row should say, and never read this machine's clock: the database's is the same
//! for all processors.

/// Whether the message of a derived event `d` is published: its position is within a run.
macro_rules! is_published {
    () => {
        "(SELECT run.first FROM publications run WHERE run.last >= d.position
          ORDER BY run.last LIMIT 1) <= d.position"
    };
}

pub mod around;
pub mod audit;
pub mod balance;
pub mod cases;
pub mod database;
pub mod dead_letters;
pub mod derived_events;
mod digest;
pub mod event_keys;
pub mod filling;
pub mod forgetting;
pub mod groups;
pub mod history;
pub mod identities;
pub mod inspection;
pub mod leases;
pub mod ledger;
pub mod lookups;
pub mod orders;
pub mod outbox;
pub mod partitions;
pub mod pauses;
pub mod policies;
pub mod pruning;
pub mod read_model;
pub mod recent;
pub mod reconcile;
pub mod releases;
pub mod replays;
pub mod report;
pub mod republish;
pub mod restoring;
mod schema;
pub mod status;
mod together;
pub mod wake_ups;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

pub use digest::{Digest, digest};
pub use schema::migrate;
pub use together::Together;

use crate::contract::{Identifier, Timestamp};
use crate::rules::CaseId;

/// A result of the database. Its errors are told apart by `pipeline::failure`.
pub type Result<T> = std::result::Result<T, sqlx::Error>;

type SqlTime = DateTime<Utc>;

fn sql_time(moment: Timestamp) -> SqlTime {
    moment.to_chrono().expect("every timestamp up to Timestamp::MAX is within chrono's range")
}

fn sql_times(moments: impl IntoIterator<Item = Timestamp>) -> Vec<SqlTime> {
    moments.into_iter().map(sql_time).collect()
}

fn case_keys<'a>(cases: impl IntoIterator<Item = &'a CaseId>) -> Vec<String> {
    cases.into_iter().map(CaseId::key).collect()
}

fn texts<'a>(ids: impl IntoIterator<Item = &'a Identifier>) -> Vec<&'a str> {
    ids.into_iter().map(Identifier::as_str).collect()
}

/// What a table should hold only, and does not.
fn corrupt(what: impl Into<String>) -> sqlx::Error {
    sqlx::Error::Decode(what.into().into())
}

fn identifier(text: String) -> Result<Identifier> {
    Identifier::new(text).ok_or_else(|| corrupt("a column of ids holds what is no id"))
}

fn case_id(key: &str) -> Result<CaseId> {
    CaseId::from_key(key).ok_or_else(|| corrupt("a column of case keys holds what is no case key"))
}

/// Begins a transaction that only reads, all of it as at one moment.
pub const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The database's clock.
pub async fn clock(conn: &mut sqlx::PgConnection) -> Result<Timestamp> {
    sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(conn).await.map(Timestamp::from_chrono)
}

/// Cases, in the order in which they are locked.
pub type CaseSet = BTreeSet<CaseId>;
