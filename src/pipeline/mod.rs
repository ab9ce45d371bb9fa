//! From a queue to the database, and from the database to the broker.

pub mod apply;
pub mod failure;
