//! Every event ever derived.

use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::history::Trace;
use super::{
    CaseSet, Digest, Result, SqlTime, Together, case_id, case_keys, corrupt, sql_time, sql_times,
    texts,
};
use crate::contract::{Derived, DerivedType, Identifier, Rule, Timestamp};
use crate::rules::CaseId;

/// A derived event as it was recorded, without its data.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub event_id: Uuid,
    pub case: CaseId,
    pub event_type: DerivedType,
    pub key: String,
    pub order_id: Option<Identifier>,
    pub seller_id: Identifier,
    pub rule: Rule,
    pub time: Timestamp,
    pub content: Digest,
    /// Recorded only, never sent.
    pub suppressed: bool,
    pub withdrawn: bool,
}

#[derive(FromRow)]
struct Row {
    event_id: Uuid,
    case_key: String,
    #[sqlx(rename = "type")]
    event_type: String,
    key: String,
    order_id: Option<String>,
    seller_id: String,
    rule: String,
    time: SqlTime,
    content: Vec<u8>,
    suppressed: bool,
    withdrawn: bool,
}

/// All that was ever derived from cases, the withdrawn events too: they count towards `n`.
pub async fn of_cases(conn: &mut PgConnection, cases: &CaseSet) -> Result<Vec<Recorded>> {
    // Those of an order's case are found by the order.
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT event_id, case_key, type, key, order_id, seller_id, rule, time, content,
                suppressed, withdrawn_at IS NOT NULL AS withdrawn
         FROM derived_events WHERE order_id = ANY ($1) AND case_key LIKE 'o/%'
         UNION ALL
         SELECT event_id, case_key, type, key, order_id, seller_id, rule, time, content,
                suppressed, withdrawn_at IS NOT NULL AS withdrawn
         FROM derived_events WHERE case_key = ANY ($2) AND case_key LIKE 't/%'",
    )
    .bind(texts(cases.iter().filter_map(CaseId::order_id)))
    .bind(case_keys(cases.iter().filter(|case| case.order_id().is_none())))
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(read).collect()
}

fn read(row: Row) -> Result<Recorded> {
    Ok(Recorded {
        event_id: row.event_id,
        case: case_id(&row.case_key)?,
        event_type: DerivedType::from_name(&row.event_type)
            .ok_or_else(|| corrupt("a type of derived event that there isn't"))?,
        key: row.key,
        order_id: row.order_id.map(super::identifier).transpose()?,
        seller_id: super::identifier(row.seller_id)?,
        rule: Rule::from_id(&row.rule).ok_or_else(|| corrupt("a rule that there isn't"))?,
        time: Timestamp::from_chrono(row.time),
        content: row.content.try_into().map_err(|_| corrupt("a digest has 16 bytes"))?,
        suppressed: row.suppressed,
        withdrawn: row.withdrawn,
    })
}

/// Marks events as withdrawn, each with what stands in its place.
pub fn withdraw(writes: &mut Together, withdrawn: &[(Uuid, Option<Uuid>)], now: Timestamp) {
    writes
        .add(
            "withdrawn",
            "UPDATE derived_events SET withdrawn_at = $3, replaced_by = gone.replaced_by
         FROM unnest($1::uuid[], $2::uuid[]) AS gone (event_id, replaced_by)
         WHERE derived_events.event_id = gone.event_id",
        )
        .bind(withdrawn.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(withdrawn.iter().map(|(_, replaced_by)| *replaced_by).collect::<Vec<_>>())
        .bind(sql_time(now));
}

/// A derived event to be recorded.
#[derive(Clone, Debug)]
pub struct NewDerived {
    pub event_id: Uuid,
    pub case: CaseId,
    pub n: i32,
    pub sequence: i64,
    pub derived: Derived,
    pub data: String,
    pub content: Digest,
    pub suppressed: bool,
    pub trace: Trace,
}

impl NewDerived {
    /// As it will be read.
    pub fn recorded(&self) -> Recorded {
        Recorded {
            event_id: self.event_id,
            case: self.case.clone(),
            event_type: self.derived.derived_type(),
            key: self.derived.key.clone(),
            order_id: self.derived.order_id.clone(),
            seller_id: self.derived.seller_id.clone(),
            rule: self.derived.rule,
            time: self.derived.time,
            content: self.content,
            suppressed: self.suppressed,
            withdrawn: false,
        }
    }
}

/// Records new events, each with its message's position in the outbox: they are queued before,
/// among the same `writes`.
pub fn record(writes: &mut Together, new: &[NewDerived], now: Timestamp) {
    let derived = || new.iter().map(|new| &new.derived);
    let cause = || derived().map(|derived| derived.cause.as_ref());
    writes.add(
        "derived",
        "INSERT INTO derived_events (event_id, case_key, type, key, n, sequence, order_id,
             seller_id, rule, time, data, content, cause_source, cause_id, traceparent,
             tracestate, suppressed, position, recorded_at)
         SELECT event_id, case_key, type, key, n, sequence, order_id, seller_id, rule, time,
             data::jsonb, content, cause_source, cause_id, traceparent, tracestate, suppressed, position, $18
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[],
                     $7::text[], $8::text[], $9::text[], $10::timestamptz[], $11::text[],
                     $12::bytea[], $13::text[], $14::text[], $15::text[], $16::text[],
                     $17::bool[])
             AS new (event_id, case_key, type, key, n, sequence, order_id, seller_id, rule,
                     time, data, content, cause_source, cause_id, traceparent, tracestate,
                     suppressed)
             LEFT JOIN queued USING (event_id)",
    )
    .bind(new.iter().map(|new| new.event_id).collect::<Vec<_>>())
    .bind(case_keys(new.iter().map(|new| &new.case)))
    .bind(derived().map(|derived| derived.derived_type().name()).collect::<Vec<_>>())
    .bind(derived().map(|derived| derived.key.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.n).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.sequence).collect::<Vec<_>>())
    .bind(derived().map(|d| d.order_id.as_ref().map(Identifier::as_str)).collect::<Vec<_>>())
    .bind(derived().map(|derived| derived.seller_id.as_str()).collect::<Vec<_>>())
    .bind(derived().map(|derived| derived.rule.id()).collect::<Vec<_>>())
    .bind(sql_times(derived().map(|derived| derived.time)))
    .bind(new.iter().map(|new| new.data.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.content.as_slice()).collect::<Vec<_>>())
    .bind(cause().map(|cause| cause.map(|cause| cause.source.as_str())).collect::<Vec<_>>())
    .bind(cause().map(|cause| cause.map(|cause| cause.id.as_str())).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.trace.parent.as_deref()).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.trace.state.as_deref()).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.suppressed).collect::<Vec<_>>())
    .bind(sql_time(now));
}
