//! A recorded event as it was published.

use sqlx::Error;

use crate::broker::{HeaderValue, Outgoing};
use crate::contract::{Label, Published, STRUCTURED_MEDIA_TYPE, Sequence};
use crate::pipeline::apply::event_id;
use crate::store::republish::Row;

/// Whether an event was recorded under this source: its id follows from it.
pub fn is_of(source: &str, row: &Row) -> Result<bool, Error> {
    let name = [row.derived_type()?.name(), row.key.as_str()];
    Ok(event_id(source, &row.case()?, name, row.n) == row.event_id)
}

/// As the relay sends it, but for where it goes.
pub fn message(row: Row, source: &str, queue: &str) -> Result<Outgoing, Error> {
    let (case, kind, time, cause) = (row.case()?, row.derived_type()?, row.time(), row.cause());
    let header = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| (name.to_owned(), HeaderValue::Text(value.clone())))
    };
    let headers = [header("traceparent", &row.traceparent), header("tracestate", &row.tracestate)];
    let label = Label {
        id: row.event_id,
        source,
        subject: case.subject(),
        sequence: Sequence(row.sequence),
        traceparent: row.traceparent,
        tracestate: row.tracestate,
    };
    let published = Published::again(kind, time, row.data, cause.as_ref(), label);
    Ok(Outgoing {
        // The default exchange: a queue is reached by its name.
        exchange: String::new(),
        routing_key: queue.to_owned(),
        body: published.to_text().into(),
        message_id: published.id.to_string(),
        event_type: published.event_type,
        // AMQP knows no time before 1970.
        timestamp: u64::try_from(time.micros().div_euclid(1_000_000)).ok(),
        content_type: STRUCTURED_MEDIA_TYPE.to_owned(),
        headers: headers.into_iter().flatten().collect(),
        mandatory: true,
    })
}
