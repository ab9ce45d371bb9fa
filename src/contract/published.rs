//! The CloudEvents that go out: derived events, their withdrawals, and the alert that a
//! message was refused. One type to write them with and, for a subscriber, to read them.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use uuid::Uuid;

use super::derived::{DerivedWithdrawn, data_of, routing_key};
use super::{
    Derived, DerivedType, EventRef, Identifier, RejectionCode, Rule, Stream, Timestamp, schema,
};

/// An event as it is published: a CloudEvents document in structured mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    specversion: SpecVersion,
    pub id: Uuid,
    pub source: String,
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it became true in the world.
    pub time: Timestamp,
    /// The case: an order's id, or `thread:<thread_id>`; of an alert the dead letter's id.
    pub subject: String,
    datacontenttype: DataContentType,
    /// The URN of the JSON Schema that the event follows.
    pub dataschema: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
    /// Rises by case, with gaps; only an alert has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    /// Source, space and id of the input event that made it true; absent where only time did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causationid: Option<String>,
    pub data: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum SpecVersion {
    #[serde(rename = "1.0")]
    One,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum DataContentType {
    #[serde(rename = "application/json")]
    Json,
}

/// A place in the order of a case's events; a decimal string on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub i64);

impl Serialize for Sequence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Sequence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Sequence).map_err(|_| de::Error::custom("a sequence is a decimal string"))
    }
}

/// What an event of a case is published under, beside what it says.
#[derive(Clone, Debug)]
pub struct Label<'a> {
    pub id: Uuid,
    /// The setting `source`.
    pub source: &'a str,
    /// The case: an order's id, or `thread:` and a thread's.
    pub subject: String,
    pub sequence: Sequence,
    pub traceparent: Option<String>,
    pub tracestate: Option<String>,
}

/// A derived event that no longer holds.
#[derive(Clone, Debug)]
pub struct Withdrawal<'a> {
    pub withdraws: Uuid,
    pub withdrawn_type: DerivedType,
    /// Where only its data changed: the event that stands in its place.
    pub replaced_by: Option<Uuid>,
    /// The withdrawn event's, like the three that follow.
    pub time: Timestamp,
    pub order_id: Option<&'a Identifier>,
    pub seller_id: &'a Identifier,
    pub rule: Rule,
}

/// A message was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventDeadLettered {
    /// What the dead letter is called in the store.
    pub dead_letter_id: Uuid,
    /// Why it was refused.
    pub code: RejectionCode,
    /// The queue that it came from; `none` where none is known.
    pub stream: AlertStream,
    /// JSON Pointer of the fault, as in structured mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// A sentence for a person, without values of `data`.
    pub detail: String,
    /// The refused event's `source`, as far as it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_source: Option<String>,
    /// The refused event's `id`, as far as it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The refused event's `type`, as far as it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
}

impl EventDeadLettered {
    pub const TYPE: &str = "event-dead-lettered";
}

/// A stream, or the word for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum AlertStream {
    Orders,
    Payments,
    Shipments,
    Messages,
    None,
}

impl AlertStream {
    pub const fn name(self) -> &'static str {
        match self {
            AlertStream::Orders => Stream::Orders.name(),
            AlertStream::Payments => Stream::Payments.name(),
            AlertStream::Shipments => Stream::Shipments.name(),
            AlertStream::Messages => Stream::Messages.name(),
            AlertStream::None => "none",
        }
    }
}

impl From<Option<Stream>> for AlertStream {
    fn from(stream: Option<Stream>) -> Self {
        match stream {
            Some(Stream::Orders) => AlertStream::Orders,
            Some(Stream::Payments) => AlertStream::Payments,
            Some(Stream::Shipments) => AlertStream::Shipments,
            Some(Stream::Messages) => AlertStream::Messages,
            None => AlertStream::None,
        }
    }
}

impl Published {
    /// A derived event that holds.
    pub fn derived(derived: &Derived, label: Label<'_>) -> Published {
        let (kind, time, data) = (derived.derived_type(), derived.time, derived.data());
        Published::again(kind, time, data, derived.cause.as_ref(), label)
    }

    /// One that was recorded before, from what was recorded: the same as when it was derived.
    pub fn again(
        kind: DerivedType,
        time: Timestamp,
        data: Value,
        cause: Option<&EventRef>,
        label: Label<'_>,
    ) -> Published {
        let causationid = cause.map(causation);
        Published { causationid, ..Published::of_case(kind, time, data, label) }
    }

    /// The withdrawal of one that no longer does.
    pub fn withdrawn(withdrawal: &Withdrawal<'_>, label: Label<'_>) -> Published {
        let derivation = DerivedWithdrawn {
            withdraws: withdrawal.withdraws,
            withdrawn_type: withdrawal.withdrawn_type.name().into(),
            replaced_by: withdrawal.replaced_by,
        };
        let (order_id, seller_id) = (withdrawal.order_id, withdrawal.seller_id);
        let data = data_of(order_id, seller_id, withdrawal.rule, &derivation.into());
        Published::of_case(DerivedType::DerivedWithdrawn, withdrawal.time, data, label)
    }

    /// The alert that a message was refused at `time`. `id` must be the same for the same
    /// dead letter.
    pub fn dead_lettered(
        alert: &EventDeadLettered,
        id: Uuid,
        source: &str,
        time: Timestamp,
    ) -> Published {
        let data = serde_json::to_value(alert).expect("an alert is a struct of plain values");
        let subject = alert.dead_letter_id.to_string();
        Published::new(EventDeadLettered::TYPE, id, source, time, subject, data)
    }

    fn of_case(kind: DerivedType, time: Timestamp, data: Value, label: Label<'_>) -> Published {
        Published {
            sequence: Some(label.sequence),
            traceparent: label.traceparent,
            tracestate: label.tracestate,
            ..Published::new(kind.name(), label.id, label.source, time, label.subject, data)
        }
    }

    fn new(
        event_type: &str,
        id: Uuid,
        source: &str,
        time: Timestamp,
        subject: String,
        data: Value,
    ) -> Published {
        Published {
            specversion: SpecVersion::One,
            id,
            source: source.into(),
            event_type: event_type.into(),
            time,
            subject,
            datacontenttype: DataContentType::Json,
            dataschema: schema::urn(event_type),
            traceparent: None,
            tracestate: None,
            sequence: None,
            causationid: None,
            data,
        }
    }

    /// Reads the body of a message from `marketplace.derived`.
    pub fn from_body(body: &[u8]) -> serde_json::Result<Published> {
        serde_json::from_slice(body)
    }

    /// The body of its message.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a published event is JSON")
    }

    /// The routing key that it goes out under.
    pub fn routing_key(&self) -> String {
        let last_word =
            if self.event_type == EventDeadLettered::TYPE { "stream" } else { "seller_id" };
        routing_key(&self.event_type, self.text(last_word).unwrap_or("none"))
    }

    /// The further routing key (header `CC`) by which a withdrawal reaches whoever got the
    /// event that it withdraws.
    pub fn copy_routing_key(&self) -> Option<String> {
        if self.derived_type() != Some(DerivedType::DerivedWithdrawn) {
            return None;
        }
        Some(routing_key(self.text("withdrawn_type")?, self.seller_id()?))
    }

    /// `None` for an alert, and for a type that is newer than this reader.
    pub fn derived_type(&self) -> Option<DerivedType> {
        DerivedType::from_name(&self.event_type)
    }

    /// `None` for an inquiry that no order may be told of, and for an alert.
    pub fn order_id(&self) -> Option<&str> {
        self.text("order_id")
    }

    /// `None` for an alert.
    pub fn seller_id(&self) -> Option<&str> {
        self.text("seller_id")
    }

    /// `None` for an alert, and for a rule that is newer than this reader.
    pub fn rule(&self) -> Option<Rule> {
        self.text("rule").and_then(Rule::from_id)
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.data.get(member)?.as_str()
    }
}

fn causation(event: &EventRef) -> String {
    format!("{} {}", event.source, event.id)
}

#[cfg(test)]
mod tests;
