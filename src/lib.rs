//! Otodoke: from the queues of a marketplace to a read model and derived events.

pub mod contract;
pub mod operator;
pub mod rules;
pub mod sandbox;
