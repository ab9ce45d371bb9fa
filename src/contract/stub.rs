//! Stands in for `contract::intake` and `contract::published` until they are merged.

use super::{Event, EventRef};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    pub event: Event,
    pub facts: Value,
    pub unread: Option<Value>,
    pub subject: Option<String>,
    pub key_digest: [u8; 16],
    pub content_digest: [u8; 16],
    pub traceparent: Option<String>,
    pub tracestate: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectionCode {
    NotJson,
    BadEnvelope,
    SchemaViolation,
    IdCollision,
    ProcessingFailed,
}

impl RejectionCode {
    pub const fn name(self) -> &'static str {
        match self {
            RejectionCode::NotJson => "not-json",
            RejectionCode::BadEnvelope => "bad-envelope",
            RejectionCode::SchemaViolation => "schema-violation",
            RejectionCode::IdCollision => "id-collision",
            RejectionCode::ProcessingFailed => "processing-failed",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub code: RejectionCode,
    pub pointer: Option<String>,
    pub detail: String,
    pub event_source: Option<String>,
    pub event_id: Option<String>,
    pub event_type: Option<String>,
}

pub mod published {
    use super::super::derived::{DerivedWithdrawn, data_of, routing_key};
    use super::super::{Derived, DerivedType, Identifier, Rule, Timestamp};
    use super::EventRef;
    use serde_json::{Value, json};
    use uuid::Uuid;

    /// What surrounds the data of an outgoing event.
    #[derive(Clone, Debug)]
    pub struct Envelope<'a> {
        pub id: Uuid,
        pub source: &'a str,
        pub subject: String,
        pub sequence: i64,
        pub cause: Option<&'a EventRef>,
        pub traceparent: Option<&'a str>,
        pub tracestate: Option<&'a str>,
    }

    /// An event as it goes out.
    #[derive(Clone, Debug)]
    pub struct Published {
        pub id: Uuid,
        pub event_type: &'static str,
        pub time: Timestamp,
        pub routing_key: String,
        pub copied_to: Option<String>,
        pub body: String,
    }

    fn event(envelope: &Envelope<'_>, event_type: &str, time: Timestamp, data: Value) -> String {
        let mut event = json!({
            "specversion": "1.0", "id": envelope.id, "source": envelope.source,
            "type": event_type, "time": time, "subject": envelope.subject,
            "datacontenttype": "application/json",
            "sequence": envelope.sequence.to_string(), "data": data,
        });
        if let Some(cause) = envelope.cause {
            event["causationid"] = format!("{} {}", cause.source, cause.id).into();
        }
        if let Some(parent) = envelope.traceparent {
            event["traceparent"] = parent.into();
        }
        if let Some(state) = envelope.tracestate {
            event["tracestate"] = state.into();
        }
        event.to_string()
    }

    pub fn derived(envelope: &Envelope<'_>, derived: &Derived) -> Published {
        let event_type = derived.derived_type().name();
        Published {
            id: envelope.id,
            event_type,
            time: derived.time,
            routing_key: routing_key(event_type, derived.seller_id.as_str()),
            copied_to: None,
            body: event(envelope, event_type, derived.time, derived.data()),
        }
    }

    /// What a withdrawal says of the event that it withdraws.
    #[derive(Clone, Debug)]
    pub struct Withdrawn {
        pub order_id: Option<Identifier>,
        pub seller_id: Identifier,
        pub rule: Rule,
        pub time: Timestamp,
        pub data: DerivedWithdrawn,
    }

    pub fn withdrawal(envelope: &Envelope<'_>, withdrawn: Withdrawn) -> Published {
        let event_type = DerivedType::DerivedWithdrawn.name();
        let seller = withdrawn.seller_id.as_str();
        let copied_to = routing_key(&withdrawn.data.withdrawn_type, seller);
        let data = data_of(
            withdrawn.order_id.as_ref(),
            &withdrawn.seller_id,
            withdrawn.rule,
            &withdrawn.data.into(),
        );
        Published {
            id: envelope.id,
            event_type,
            time: withdrawn.time,
            routing_key: routing_key(event_type, seller),
            copied_to: Some(copied_to),
            body: event(envelope, event_type, withdrawn.time, data),
        }
    }

    /// What an alert says.
    #[derive(Clone, Debug)]
    pub struct Alert<'a> {
        pub dead_letter_id: Uuid,
        pub stream: Option<&'a str>,
        pub time: Timestamp,
        pub rejection: &'a super::Rejection,
    }

    pub fn alert(id: Uuid, source: &str, alert: &Alert<'_>) -> Published {
        let event_type = "event-dead-lettered";
        let mut data = json!({
            "dead_letter_id": alert.dead_letter_id, "code": alert.rejection.code.name(),
            "stream": alert.stream, "detail": alert.rejection.detail,
        });
        let optional = [
            ("pointer", &alert.rejection.pointer),
            ("event_source", &alert.rejection.event_source),
            ("event_id", &alert.rejection.event_id),
            ("event_type", &alert.rejection.event_type),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                data[name] = value.as_str().into();
            }
        }
        let body = json!({
            "specversion": "1.0", "id": id, "source": source, "type": event_type,
            "time": alert.time, "subject": alert.dead_letter_id,
            "datacontenttype": "application/json", "data": data,
        });
        let routing_key = format!("{event_type}.{}", alert.stream.unwrap_or("none"));
        Published {
            id,
            event_type,
            time: alert.time,
            routing_key,
            copied_to: None,
            body: body.to_string(),
        }
    }
}
