//! What the marketplace promises, as pure functions of a case's history.
//!
//! A case is decided from the set of its events, the policy that it was opened
//! with, and the time up to which absence may be taken for granted. Nothing here
//! reads a clock, a database or a network, so any arrival order, batching or
//! repetition of the same events ends alike.
//!
//! [`decide_order`] folds an order, [`decide_thread`] an inquiry thread for what
//! belongs to no order; [`place`] says which messages belong where.
//! [`world::decide_all`] does all of it from memory: the model that tests and
//! benchmarks hold the store to.

mod changes;
mod correspondence;
mod decision;
mod facts;
mod fold;
mod goods;
mod guarantee;
mod inquiries;
mod money;
mod neighbours;
mod output;
mod payment;
pub mod personal;
mod policy;
mod returns;
mod shipping;
mod state;
mod threads;
pub mod world;

pub use decision::*;
pub use fold::{Member, decide_order, identity};
pub use neighbours::{Identity, OrderNeighbours, ThreadNeighbours, address_key, fold_case};
pub use policy::Policy;
pub use threads::{Lookup, Placement, decide_thread, lookups, named_orders, place};
