//! What the world sees: the envelope, every event type and field, and the
//! door's judgement of what comes in. Knows no service and no clock.

pub mod archive;
mod code;
pub mod data;
pub mod derived;
mod envelope;
mod event;
mod input;
mod intake;
pub mod json;
pub mod limits;
mod origin;
mod pointer;
mod published;
mod reader;
pub mod repair;
mod rule;
pub mod schema;
mod timestamp;
mod trace;
mod values;

pub use code::{Rejection, RejectionCode};
pub use derived::{Derivation, Derived, DerivedType};
pub use envelope::{Header, Message, STRUCTURED_MEDIA_TYPE};
pub use event::{Event, EventRef};
pub use input::*;
pub use intake::{Accepted, intake};
pub use published::{AlertStream, EventDeadLettered, Label, Published, Sequence, Withdrawal};
pub use repair::Repair;
pub use rule::Rule;
pub use timestamp::{Span, Timestamp};
pub use values::{Currency, Identifier, Money, Quantity, QuantityOrNone, ReplyBy, Text};
