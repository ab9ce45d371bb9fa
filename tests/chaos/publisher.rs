//! The systems upstream: they publish at a pace, and again until the broker has confirmed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use otodoke::broker::{Outcome, Outgoing, Publisher};
use tokio::task::JoinHandle;

/// Messages that wait for their confirms at a time.
const CHUNK: usize = 20;
/// Between two chunks.
const PAUSE: Duration = Duration::from_millis(60);
/// Before what wasn't confirmed is sent again.
const AGAIN: Duration = Duration::from_millis(100);

/// Publishing in the background.
pub struct Publishing {
    paused: Arc<AtomicBool>,
    confirmed: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Publishing {
    /// Publishes in this order; a message that wasn't confirmed comes later than those that were.
    pub fn start(amqp_url: String, messages: Vec<Outgoing>) -> Publishing {
        let confirmed = Arc::new(AtomicUsize::new(0));
        let paused = Arc::new(AtomicBool::new(false));
        let (count, waits) = (confirmed.clone(), paused.clone());
        let task = tokio::spawn(async move {
            let mut publisher = None;
            for chunk in messages.chunks(CHUNK) {
                while waits.load(Ordering::Relaxed) {
                    tokio::time::sleep(PAUSE).await;
                }
                publish(&amqp_url, &mut publisher, chunk).await;
                count.fetch_add(chunk.len(), Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        });
        Publishing { paused, confirmed, task }
    }

    /// Nothing is sent from the next chunk on.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    pub fn confirmed(&self) -> usize {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// Returns when all are confirmed.
    pub async fn finish(self) {
        self.task.await.expect("publishing goes on until all is confirmed");
    }
}

async fn publish(amqp_url: &str, publisher: &mut Option<Publisher>, chunk: &[Outgoing]) {
    let mut rest = chunk.to_vec();
    while !rest.is_empty() {
        if publisher.is_none() {
            *publisher = Publisher::open(amqp_url).await.ok();
        }
        if let Some(open) = publisher {
            let outcomes = open.publish_all(&rest).await;
            let confirmed = Outcome::Confirmed { routed: true };
            let mut outcomes = outcomes.into_iter();
            rest.retain(|_| outcomes.next() != Some(confirmed));
        }
        if !rest.is_empty() {
            tokio::time::sleep(AGAIN).await;
        }
    }
}
