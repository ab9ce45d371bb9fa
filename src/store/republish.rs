//! Derived events that stand, read one after the other to be sent once more.

use futures_util::Stream;
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{Result, SqlTime, case_id, corrupt, sql_time};
use crate::contract::{DerivedType, EventRef, Timestamp};
use crate::rules::CaseId;

/// Which events are meant; the filters narrow together.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// None: all.
    pub types: Vec<String>,
    pub seller: Option<String>,
    /// That became true from … up to, but not including, ….
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Those too that were recorded only.
    pub with_unsent: bool,
    /// Only those after this one, in the order of [`rows`].
    pub after: Option<Place>,
}

/// An event's place among all: its case and sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub case: CaseId,
    pub sequence: i64,
}

/// A derived event with all that it is published with.
#[derive(Clone, Debug, FromRow)]
pub struct Row {
    pub event_id: Uuid,
    pub case_key: String,
    #[sqlx(rename = "type")]
    event_type: String,
    pub key: String,
    pub n: i32,
    pub sequence: i64,
    time: SqlTime,
    pub data: Value,
    cause_source: Option<String>,
    cause_id: Option<String>,
    pub traceparent: Option<String>,
    pub tracestate: Option<String>,
}

impl Row {
    pub fn case(&self) -> Result<CaseId> {
        case_id(&self.case_key)
    }

    pub fn derived_type(&self) -> Result<DerivedType> {
        DerivedType::from_name(&self.event_type)
            .ok_or_else(|| corrupt("a type of derived event that there isn't"))
    }

    pub fn time(&self) -> Timestamp {
        Timestamp::from_chrono(self.time)
    }

    pub fn cause(&self) -> Option<EventRef> {
        let (source, id) = (self.cause_source.clone()?, self.cause_id.clone()?);
        Some(EventRef { source, id })
    }
}

macro_rules! meant {
    ($select:literal, $order:literal) => {
        concat!(
            $select,
            " FROM derived_events d
              WHERE withdrawn_at IS NULL AND ((suppressed AND $1)
                     OR ",
            is_published!(),
            ")
                AND (cardinality($2::text[]) = 0 OR type = ANY ($2))
                AND ($3::text IS NULL OR seller_id = $3)
                AND ($4::timestamptz IS NULL OR time >= $4)
                AND ($5::timestamptz IS NULL OR time < $5)
                AND ($6::text IS NULL OR (case_key, sequence) > ($6, $7::bigint)) ",
            $order
        )
    };
}

/// The events, case by case in the order of their sequence. No more than a few rows are held:
/// the database waits while nobody takes the next.
pub fn rows<'c>(
    conn: &'c mut PgConnection,
    filter: &'c Filter,
) -> impl Stream<Item = Result<Row>> + 'c {
    sqlx::query_as(meant!(
        "SELECT event_id, case_key, type, key, n, sequence, time, data, cause_source, cause_id,
                traceparent, tracestate",
        "ORDER BY case_key, sequence"
    ))
    .persistent(false)
    .bind(filter.with_unsent)
    .bind(&filter.types)
    .bind(&filter.seller)
    .bind(filter.since.map(sql_time))
    .bind(filter.until.map(sql_time))
    .bind(filter.after.as_ref().map(|place| place.case.key()))
    .bind(filter.after.as_ref().map(|place| place.sequence))
    .fetch(conn)
}

/// How many there are.
pub async fn count(conn: &mut PgConnection, filter: &Filter) -> Result<i64> {
    sqlx::query_scalar(meant!("SELECT count(*)", ""))
        .persistent(false)
        .bind(filter.with_unsent)
        .bind(&filter.types)
        .bind(&filter.seller)
        .bind(filter.since.map(sql_time))
        .bind(filter.until.map(sql_time))
        .bind(filter.after.as_ref().map(|place| place.case.key()))
        .bind(filter.after.as_ref().map(|place| place.sequence))
        .fetch_one(conn)
        .await
}
