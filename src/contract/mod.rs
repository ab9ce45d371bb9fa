//! What the world sees: the envelope, every event type and field, and the
//! door's judgement of what comes in. Knows no service and no clock.

pub mod derived;
mod event;
mod input;
mod rule;
mod stub;
mod timestamp;
mod values;

pub use derived::{Derivation, Derived, DerivedType};
pub use event::{Event, EventRef};
pub use input::*;
pub use rule::Rule;
pub use stub::{Accepted, Rejection, RejectionCode, published};
pub use timestamp::{Span, Timestamp};
pub use values::{Currency, Identifier, Money, Quantity, QuantityOrNone, ReplyBy, Text};
