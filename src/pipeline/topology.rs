//! What the world publishes to stays there: a queue or an exchange that somebody deletes by hand is
//! declared again.
//!
//! Nothing tells a processor of an exchange that is gone: its consumers go on, and upstream
//! systems are refused until somebody declares it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::retry::Outage;

/// How long what was deleted may be missing.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// Declares the topology again and again, until `stop`.
pub async fn keep_topology(shared: Arc<Shared>, stop: CancellationToken) {
    let mut outage = Outage::of("declaring the topology");
    while !stop.is_cancelled() {
        _ = tokio::time::timeout(LOOK_AGAIN, stop.cancelled()).await;
        match stop.run_until_cancelled(shared.declare()).await {
            None => return,
            Some(Ok(())) => outage.over(),
            Some(Err(error)) => {
                stop.run_until_cancelled(outage.wait(&error)).await;
            }
        }
    }
}
