//! Dead letters back through the door: which ones, what would come of it, and the job.

mod job;
mod rehearse;
mod select;
mod submit;
mod trial;
mod turn;

pub use job::{Job, job, jobs};
pub use rehearse::{batches, rehearse_batch};
pub use select::{Candidate, Selection, select};
pub use submit::submit;
pub use trial::{Change, Column, Refusal, RowChange, TRIED_MAX, Trial, attempt};
pub use turn::{Turn, Turned, turn};
