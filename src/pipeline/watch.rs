//! Looking at the queues from outside: for the metrics, and for a processor that
//! consumes nothing itself but must know whether a backlog has drained.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::metrics::Levels;
use super::{Metrics, Shared};
use crate::broker::{BrokerError, Names, QueueDepth, Session, backlog};
use crate::contract::{RejectionCode, Stream, Timestamp};
use crate::store::status::{self, Figures};

/// How often the queues are looked at while deadlines wait for them.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Reads the levels of queues and tables, on a connection of its own.
pub struct Probe {
    pool: PgPool,
    amqp_url: String,
    names: Names,
    session: Mutex<Option<Session>>,
}

impl Probe {
    pub fn new(pool: PgPool, amqp_url: String, names: Names) -> Probe {
        Probe { pool, amqp_url, names, session: Mutex::default() }
    }

    /// The depth of every queue.
    pub async fn backlog(&self) -> Result<Vec<QueueDepth>, BrokerError> {
        let mut slot = self.session.lock().await;
        let session = match slot.take() {
            Some(session) => session,
            None => Session::open(&self.amqp_url, "watch").await?,
        };
        let depths = backlog(&session, &self.names).await?;
        *slot = Some(session);
        Ok(depths)
    }

    pub async fn figures(&self) -> Result<Figures, sqlx::Error> {
        status::figures(&mut *self.pool.acquire().await?).await
    }

    /// Brings the metrics' levels up to date, as far as the services answer.
    pub async fn refresh(&self, metrics: &Metrics) {
        let (depths, figures) = tokio::join!(self.backlog(), self.figures());
        metrics.connected("broker", depths.is_ok());
        metrics.connected("database", figures.is_ok());
        if let (Ok(depths), Ok(figures)) = (depths, figures) {
            metrics.levels(&levels(&depths, &figures));
        }
    }
}

fn levels(depths: &[QueueDepth], figures: &Figures) -> Levels {
    Levels {
        backlog: depths
            .iter()
            .filter_map(|depth| {
                Some((depth.stream.map_or("dead", Stream::name), i64::from(depth.ready?)))
            })
            .collect(),
        outbox: figures.outbox,
        oldest_unpublished: since(figures.oldest_unpublished, figures.clock),
        dead_letters: figures
            .open_dead_letters
            .iter()
            .filter_map(|(code, count)| Some((RejectionCode::from_name(code)?.name(), *count)))
            .collect(),
        parked: figures.parked_cases,
    }
}

/// How long ago a moment was; nothing where there is none, or it is to come.
pub fn since(moment: Option<Timestamp>, now: Timestamp) -> Duration {
    let micros = moment.map_or(0, |moment| now.micros().saturating_sub(moment.micros()));
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// For a processor that consumes nothing: deadlines wait until the queues were seen empty
/// twice in a row, so that what was just taken from them is likely stored.
pub async fn watch_backlog(shared: Arc<Shared>, stop: CancellationToken) {
    let probe = Probe::new(shared.pool.clone(), shared.amqp_url.clone(), shared.names.clone());
    let mut empty_before = false;
    while !stop.is_cancelled() && shared.deadlines_are_held() {
        let depths = probe.backlog().await;
        shared.metrics.connected("broker", depths.is_ok());
        let waiting = |depths: &Vec<QueueDepth>| {
            depths.iter().filter(|depth| depth.stream.is_some()).any(|depth| depth.ready != Some(0))
        };
        let empty = depths.is_ok_and(|depths| !waiting(&depths));
        if empty && empty_before {
            shared.release_deadlines();
        }
        empty_before = empty;
        _ = tokio::time::timeout(LOOK_AGAIN, stop.cancelled()).await;
    }
}
