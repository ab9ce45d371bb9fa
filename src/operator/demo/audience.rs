//! Whoever subscribes to derived events: shows them as they come, and keeps them.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio_util::task::AbortOnDropHandle;

use crate::broker::{BrokerError, Names, Tail};
use crate::contract::Published;
use crate::operator::output::say;
use crate::operator::tail::line;

/// A subscriber to everything; goes when it is dropped.
pub struct Audience {
    heard: Arc<Mutex<Vec<Published>>>,
    /// Ends with the first fault.
    listening: AbortOnDropHandle<Result<(), BrokerError>>,
}

impl Audience {
    /// Listens from now on; `shows` on standard output what it hears.
    pub async fn seat(url: &str, names: &Names, shows: bool) -> Result<Audience> {
        let mut tail = Tail::open(url, names, &["#".to_owned()]).await?;
        let heard: Arc<Mutex<Vec<Published>>> = Arc::default();
        let kept = heard.clone();
        let listening = tokio::spawn(async move {
            loop {
                let delivery = tail.next().await?;
                if shows {
                    // A closed pipe is noticed by whoever tells the stories.
                    let _ = say(&format!("    {}", line(&delivery.body, false)));
                }
                if let Ok(event) = Published::from_body(&delivery.body) {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                }
            }
        });
        Ok(Audience { heard, listening: AbortOnDropHandle::new(listening) })
    }

    /// How many messages it has heard.
    pub fn count(&self) -> usize {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn heard(&self) -> Vec<Published> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it lost its connection, and with it what was published since.
    pub fn is_gone(&self) -> bool {
        self.listening.is_finished()
    }
}
