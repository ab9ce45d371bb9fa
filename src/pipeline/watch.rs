//! Looking at the queues from outside: for the metrics, and for a processor that
//! consumes nothing itself but must know whether a backlog has drained.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::metrics::Levels;
use super::relay::type_name;
use super::silence::{answered, ask};
use super::{Metrics, Shared};
use crate::broker::{BrokerError, Names, QueueDepth, Session, backlog};
use crate::contract::{RejectionCode, Stream, Timestamp};
use crate::store::status::{self, Figures};
use crate::store::{self, leases};

/// How often the queues are looked at while deadlines wait for them.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often a processor with a backlog is heard of: several times in the life of a lease.
const SAY_AGAIN: Duration = Duration::from_secs(10);

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
        ask(&self.pool, async |conn| status::figures(conn).await).await
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
        paused: figures
            .paused
            .iter()
            .map(|paused| (type_name(&paused.pause.event_type), paused.waiting))
            .collect(),
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

/// What this processor had to take from the queues when its session began. While it is not
/// done, no processor concludes anything from absence: the others can't see what this one has
/// in hand. Ends with its connection.
pub struct Backlog {
    lease: PoolConnection<Postgres>,
    done: bool,
    heard: Instant,
}

impl Backlog {
    pub async fn open(shared: &Shared) -> Result<Backlog, sqlx::Error> {
        let mut lease = shared.pool.acquire().await?;
        lease.close_on_drop();
        answered(leases::prepare(&mut lease)).await?;
        answered(leases::have_backlog(&mut lease)).await?;
        Ok(Backlog { lease, done: false, heard: Instant::now() })
    }

    /// Lets the database hear of us while nothing is asked of it: others wait for a processor that is
    /// at work, not for one that froze.
    pub async fn stay(&mut self) -> Result<(), sqlx::Error> {
        if self.heard.elapsed() >= SAY_AGAIN {
            answered(store::clock(&mut self.lease)).await?;
            self.heard = Instant::now();
        }
        Ok(())
    }

    /// Ours is done; whether everybody's is.
    pub async fn is_the_last(&mut self) -> Result<bool, sqlx::Error> {
        if !self.done {
            answered(leases::have_no_backlog(&mut self.lease)).await?;
            self.done = true;
        }
        Ok(!answered(leases::anyone_has_backlog(&mut self.lease)).await?)
    }
}

async fn anyone_has_backlog(pool: &PgPool) -> Result<bool, sqlx::Error> {
    ask(pool, async |conn| leases::anyone_has_backlog(conn).await).await
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
        let elsewhere = anyone_has_backlog(&shared.pool).await.unwrap_or(true);
        let empty = depths.is_ok_and(|depths| !waiting(&depths)) && !elsewhere;
        if empty && empty_before {
            shared.release_deadlines();
        }
        empty_before = empty;
        _ = tokio::time::timeout(LOOK_AGAIN, stop.cancelled()).await;
    }
}
