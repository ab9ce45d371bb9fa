//! All that touches RabbitMQ: connections, topology, consuming, publishing.
//!
//! No type of the client library leaves this module. Nothing here retries for
//! ever or recovers by itself: every fault comes out as a [`BrokerError`], and
//! whoever holds the session drops it and opens another. Every wait for the
//! broker has a deadline, since under an alarm it simply stops answering; the
//! one exception is waiting for the next delivery.

mod acks;
mod catalogue;
mod consumer;
mod error;
mod flow;
mod headers;
mod message;
mod names;
mod publisher;
mod session;
mod tail;
mod tls;
mod topology;

pub use acks::{Acks, Token};
pub use catalogue::asyncapi;
pub use consumer::{Consumer, Subscription};
pub use error::{BrokerError, Fault};
pub use flow::Flow;
pub use headers::{HeaderValue, Headers, headers_to_json};
pub use message::{Delivery, Outgoing, Properties};
pub use names::Names;
pub use publisher::{Outcome, Publisher};
pub use session::{Session, check_url};
pub use tail::Tail;
pub use topology::{Difference, QueueDepth, backlog, declare, queue_exists, remove};
