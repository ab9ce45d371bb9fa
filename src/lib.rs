//! Otodoke: from the queues of a marketplace to a read model and derived events.

pub mod broker;
pub mod config;
pub mod contract;
pub mod masking;
pub mod retry;
pub mod rules;
