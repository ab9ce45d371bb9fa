//! Otodoke: from the queues of a marketplace to a read model and derived events.
//!
//! The modules stand in the order in which data flows.

pub mod contract;

pub mod rules;

pub mod store;

pub mod broker;

pub mod pipeline;

pub mod desk;

pub mod http;

pub mod processor;

pub mod operator;

pub mod certificates;
pub mod config;
pub mod fail_points;
pub mod masking;
pub mod retry;
pub mod sandbox;
