//! Why a message was refused: the codes of the contract, and what goes with one.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! rejection_codes {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)+) => {
        /// Why a message became a dead letter. Sorts in the order in which the codes
        /// apply: of several faults the first names the dead letter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RejectionCode {
            $($(#[$doc])* $variant,)+
        }

        impl RejectionCode {
            pub const ALL: &[RejectionCode] = &[$(RejectionCode::$variant,)+];

            /// The code as it stands in `dead_letters.code` and on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $(RejectionCode::$variant => $name,)+
                }
            }

            pub fn from_name(name: &str) -> Option<RejectionCode> {
                match name {
                    $($name => Some(RejectionCode::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

rejection_codes! {
    /// Empty, not UTF-8, not parseable, a lone surrogate, a key twice in one object,
    /// or a number that no double can hold.
    NotJson "not-json",
    /// Body, nesting, lines or text over a limit. (A body over its limit is never read,
    /// so this comes before all else then.)
    TooLarge "too-large",
    /// Not an object, an attribute missing or malformed, no `data` object, or another
    /// content type.
    BadEnvelope "bad-envelope",
    /// A type that the contract doesn't have.
    UnknownType "unknown-type",
    /// A type that belongs to another stream.
    WrongStream "wrong-stream",
    /// `data` breaks its schema, or holds U+0000.
    SchemaViolation "schema-violation",
    /// Dated further ahead than clocks may differ.
    TimeInFuture "time-in-future",
    /// The same source and id as an event before it, with other content. The store's to find.
    IdCollision "id-collision",
    /// For a case that was archived. The store's to find; a replay brings the case back.
    CasePruned "case-pruned",
    /// Given up by the broker: delivered too often.
    DeliveryLimit "delivery-limit",
    /// Given up by the broker: published where no queue takes it.
    Unroutable "unroutable",
    /// Given up by the broker: lay in its queue for too long.
    Expired "expired",
    /// The one event that makes its transaction fail.
    ProcessingFailed "processing-failed",
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for RejectionCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for RejectionCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        RejectionCode::from_name(&name).ok_or_else(|| de::Error::custom("no code of a dead letter"))
    }
}

impl JsonSchema for RejectionCode {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RejectionCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": RejectionCode::ALL })
    }
}

/// A message that was refused, as its dead letter tells of it. No part of it holds
/// U+0000, which PostgreSQL can't store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub code: RejectionCode,
    /// Where the fault is, as in structured mode; `None` where it has no one place.
    pub pointer: Option<String>,
    /// A sentence for a person. Never quotes a value of `data`.
    pub detail: String,
    /// As far as known, as the sender wrote it; left out where longer than any valid one.
    pub event_source: Option<String>,
    pub event_id: Option<String>,
    pub event_type: Option<String>,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Rejection {}

/// What is wrong and where: a [`Rejection`] before it is known whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub code: RejectionCode,
    pub pointer: Option<String>,
    pub expectation: String,
}

impl Fault {
    /// A fault of the message as a whole.
    pub fn of_message(code: RejectionCode, expectation: impl Into<String>) -> Self {
        Fault { code, pointer: None, expectation: expectation.into() }
    }

    /// A fault at one place of the document.
    pub fn at(code: RejectionCode, pointer: String, expectation: impl Into<String>) -> Self {
        Fault { code, pointer: Some(pointer), expectation: expectation.into() }
    }

    /// What was expected and where, in one sentence.
    pub fn detail(&self) -> String {
        match self.pointer.as_deref() {
            None => self.expectation.clone(),
            Some("") => format!("the document: {}", self.expectation),
            Some(pointer) => format!("`{pointer}`: {}", self.expectation),
        }
    }
}
