//! Otodoke: from the queues of a marketplace to a read model and derived events.

pub mod contract;
pub mod pipeline;
pub mod rules;
pub mod store;
