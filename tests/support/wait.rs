//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Returns as soon as `condition` holds.
///
/// # Panics
/// When it doesn't hold within `time`: "after 10 s still not: the order is shipped".
pub async fn wait_until(time: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + time;
    let mut pause = FIRST_PAUSE;
    while !condition().await {
        assert!(Instant::now() < deadline, "after {} s still not: {what}", time.as_secs_f64());
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
