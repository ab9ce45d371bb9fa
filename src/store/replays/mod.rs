//! Replay jobs: sets of dead letters on their way back through the door.

mod jobs;
mod letters;
mod submit;

pub use jobs::{Job, job, jobs, release, running, try_lease, turn};
pub use letters::{
    Attempt, Fate, Processed, RefusedAgain, Waiting, attempts, record, refused, still_waiting,
    waiting,
};
pub use submit::{NewJob, Submitted, submit};
