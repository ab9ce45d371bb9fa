//! What the marketplace promises, as a pure function of a case's history.

mod decision;
mod neighbours;
mod policy;
mod stub;

pub use decision::*;
pub use neighbours::{Identity, OrderNeighbours, ThreadNeighbours, address_key, fold_case};
pub use policy::Policy;
pub use stub::*;
