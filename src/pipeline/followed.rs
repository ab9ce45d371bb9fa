//! An event that is followed through the processor, for the trace that it belongs to.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;

use super::apply::Received;
use super::traces::{Done, Place, Traces, message};
use crate::broker::Names;

/// What is known of it when it is taken.
pub(super) struct Followed {
    place: Place,
    destination: String,
    attributes: Vec<KeyValue>,
    pub taken_at: SystemTime,
    pub judged_at: SystemTime,
}

/// The steps of the transaction that it was in.
pub(super) struct Steps {
    pub begun_at: SystemTime,
    pub decided_at: SystemTime,
    pub committed_at: SystemTime,
    /// How many messages there were in the batch.
    pub messages: usize,
}

impl Followed {
    /// `None` where nobody asked for it.
    pub fn begin(
        traces: &Traces,
        names: &Names,
        received: &Received,
        taken_at: SystemTime,
    ) -> Option<Followed> {
        let accepted = received.judged.as_ref().ok()?;
        let place =
            traces.place(accepted.traceparent.as_deref(), accepted.tracestate.as_deref())?;
        let destination = names.queue(received.stream?);
        let id = accepted.event.key.id.clone();
        let mut attributes =
            message("process", destination.clone(), received.routing_key.clone(), id);
        let kind = accepted.event.input.input_type().name();
        attributes.push(KeyValue::new("cloudevents.event_type", kind));
        let judged_at = SystemTime::now();
        Some(Followed { place, destination, attributes, taken_at, judged_at })
    }

    /// Its spans: all of its processing, and within it the steps.
    pub fn end(self, traces: &Traces, steps: &Steps) {
        let mut attributes = self.attributes;
        attributes.push(KeyValue::new("messaging.batch.message_count", steps.messages as i64));
        let process = Done {
            name: format!("process {}", self.destination),
            kind: SpanKind::Consumer,
            from: self.taken_at,
            to: steps.committed_at,
            attributes,
        };
        let within = traces.put(&self.place, process);
        for (name, from, to) in [
            ("intake", self.taken_at, self.judged_at),
            ("decide", steps.begun_at, steps.decided_at),
            ("commit", steps.decided_at, steps.committed_at),
        ] {
            let (name, kind) = (name.to_owned(), SpanKind::Internal);
            traces.put(&within, Done { name, kind, from, to, attributes: Vec::new() });
        }
    }
}
