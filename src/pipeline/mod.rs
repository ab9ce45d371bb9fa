//! From a queue to the database, and from the database to the broker.
//!
//! [`consume`] takes messages, [`apply`] is the door through which everything that changes a
//! case goes, [`relay`] sends what the door has derived, [`timers`] bring back what time
//! changes, [`replay`] brings back dead letters. Each finds its work in tables or queues; none trusts memory.

pub mod apply;
pub mod archive;
mod clock;
mod consume;
mod dealer;
pub mod failure;
mod followed;
mod given_up;
mod hold;
mod metrics;
mod pauses;
mod relay;
pub mod replay;
mod shared;
mod silence;
mod timers;
mod topology;
pub mod traces;
mod watch;

pub use clock::DatabaseClock;
pub use consume::{Purpose, consume};
pub use hold::Hold;
pub use metrics::{BatchCounts, Levels, Metrics};
pub use relay::{relay, rounds};
pub use replay::replays;
pub use shared::{Services, Shared};
pub use timers::timers;
pub use topology::keep_topology;
pub use watch::{Probe, since, watch_backlog};
