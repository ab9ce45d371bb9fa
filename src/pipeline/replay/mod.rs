//! Dead letters on their way back. The jobs stand in the database, and whoever has the lease
//! of one works on it: a processor, or the command that submitted it where none runs. When
//! that one dies the next goes on behind the last letter that was committed.

mod letter;
mod pace;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::retry::Outage;

pub use letter::{Letter, document, judge};
pub use worker::{Way, Worker, WorkerError};

/// How long the table of jobs goes unlooked at.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Works on whatever job nobody else works on, until `stop`.
pub async fn replays(shared: Arc<Shared>, stop: CancellationToken) {
    let mut outage = Outage::of("replaying dead letters");
    let way = Way::Processor(shared.clone());
    while !stop.is_cancelled() {
        match Worker::new(way.clone(), shared.settings.max_clock_skew).all(&stop).await {
            Ok(()) => {
                outage.over();
                _ = tokio::time::timeout(LOOK_AGAIN, stop.cancelled()).await;
            }
            Err(error) => tokio::select! {
                () = stop.cancelled() => {}
                () = outage.wait(&error) => {}
            },
        }
    }
}
