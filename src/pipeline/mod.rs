//! From a queue to the database, and from the database to the broker.
//!
//! [`consume`](mod@consume) takes messages, [`apply`] is the door through which everything
//! that changes a case goes, [`relay`] sends what the door has derived, [`timers`] bring
//! back what time changes. Each finds its work in tables or queues; none trusts memory.

pub mod apply;
mod clock;
mod consume;
pub mod failure;
mod given_up;
mod hold;
mod metrics;
mod processor;
mod relay;
mod timers;
mod watch;

pub use clock::DatabaseClock;
pub use hold::Hold;
pub use metrics::Metrics;
pub use processor::{Part, ProcessorError, Shared, pool, run};
pub use watch::{Probe, since};
