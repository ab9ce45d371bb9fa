//! Dead letters back through the door: which ones, what would come of it, and the job.

mod rehearse;
mod select;
mod submit;
mod turn;

pub use rehearse::{batches, rehearse_batch};
pub use select::{Candidate, Selection, select};
pub use submit::submit;
pub use turn::{Turn, Turned, turn};
