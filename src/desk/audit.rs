//! The ledger of a stretch of time, for screens and programs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::ledger::{Difference, Found};
use crate::contract::{Span, Timestamp};
use crate::store::{self, Result, balance};

/// The stretch of time that is looked at, up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    #[default]
    Hour,
    Day,
    Week,
    All,
}

impl Period {
    fn span(self) -> Option<Span> {
        match self {
            Period::Hour => Some(Span::hours(1)),
            Period::Day => Some(Span::days(1)),
            Period::Week => Some(Span::days(7)),
            Period::All => None,
        }
    }
}

/// What was received and derived, and whether it is where it belongs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Checked {
    pub at: Timestamp,
    pub since: Option<Timestamp>,
    pub adds_up: bool,
    pub streams: Vec<StreamCounts>,
    pub derived: DerivedCounts,
    pub dead: i64,
    pub dead_letter_attempts: i64,
    pub differences: Vec<Difference>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct StreamCounts {
    pub stream: String,
    pub received: i64,
    pub accepted: i64,
    pub duplicates: i64,
    pub dead: i64,
    pub history: i64,
    pub archived: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct DerivedCounts {
    pub recorded: i64,
    pub published: i64,
    pub waiting: i64,
    pub recorded_only: i64,
}

/// Checks it; `None` where some of that time is archived, which isn't counted by time.
pub async fn check(conn: &mut PgConnection, period: Period) -> Result<Option<Checked>> {
    let clock = store::clock(conn).await?;
    let since = period.span().map(|span| clock - span);
    let archived = balance::archived_until(conn).await?;
    if let (Some(since), Some(archived)) = (since, archived)
        && since <= archived
    {
        return Ok(None);
    }
    let found = Found::read(conn, since).await?;
    let differences = found.differences();
    let derived = found.audit.derived;
    let streams = found.streams().into_iter().map(|(stream, kept)| StreamCounts {
        stream,
        received: kept.count.received,
        accepted: kept.count.accepted,
        duplicates: kept.count.duplicates,
        dead: kept.count.dead,
        history: kept.history,
        archived: kept.archived,
    });
    Ok(Some(Checked {
        at: found.at,
        since,
        adds_up: differences.is_empty(),
        streams: streams.collect(),
        derived: DerivedCounts {
            recorded: derived.recorded,
            published: derived.published,
            waiting: derived.waiting,
            recorded_only: derived.suppressed,
        },
        dead: found.audit.dead,
        dead_letter_attempts: found.audit.dead_letter_attempts,
        differences,
    }))
}
