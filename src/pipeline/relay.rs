//! The relay: what the door has put into the outbox goes to the broker, in order by
//! case, and is taken out when the broker has confirmed it.
//!
//! The table is the truth. A nudge after a commit only makes the relay look earlier;
//! what a crash leaves behind is found at the next look.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::SpanKind;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::pauses::Pauses;
use super::silence::{Lent, answered};
use super::traces::{Done, message};
use crate::broker::{BrokerError, HeaderValue, Outcome, Outgoing, Publisher};
use crate::contract::{DerivedType, EventDeadLettered, STRUCTURED_MEDIA_TYPE};
use crate::fail_points::FailPoint;
use crate::retry::{Causes, Outage};
use crate::store::outbox::{self, Extent, LANES, Place, Queued};

/// How many messages of a lane are read at a time.
const FETCH: i64 = 200;
/// How long the outbox goes unlooked at where nobody nudges: by another process's commits, mostly.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How many confirmed messages are taken out of the outbox without waiting for more.
const WORTH_A_COMMIT: usize = 100;
/// How long fewer wait.
const LINGER: Duration = Duration::from_millis(20);
/// How many may be on their way out before the relay waits for them: each look passes over them.
const LEAVING_MAX: usize = 200;
/// How often a processor asks for lanes that it hasn't got, and for what is paused.
const LEASE_AGAIN: Duration = Duration::from_secs(1);

/// Something that stops the relay for now.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("the database fails the relay")]
    Database(#[from] sqlx::Error),
    #[error("the broker fails the relay")]
    Broker(#[from] BrokerError),
    #[error("the broker doesn't confirm derived messages: {0}")]
    Unconfirmed(String),
}

/// Sends until `stop`; what is unsent then stays in the outbox.
pub async fn relay(shared: Arc<Shared>, stop: CancellationToken) {
    let mut outage = Outage::of("the relay");
    while !stop.is_cancelled() {
        let session = Session::open(&shared);
        let error = tokio::select! {
            () = stop.cancelled() => return,
            opened = session => match opened {
                Ok(mut session) => match session.run(&mut outage, &stop).await {
                    Ok(()) => return session.publisher.close().await,
                    Err(error) => error,
                },
                Err(error) => error,
            },
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = outage.wait(&error) => {}
        }
    }
}

/// A connection to each side, and the lanes that are leased through the database's.
struct Session {
    shared: Arc<Shared>,
    /// Keeps the leases: they end with it.
    leases: PoolConnection<Postgres>,
    lanes: Vec<i16>,
    leased: Option<Instant>,
    floors: Floors,
    pauses: Pauses,
    publisher: Publisher,
    leaving: Leaving,
}

impl Session {
    async fn open(shared: &Arc<Shared>) -> Result<Session, RelayError> {
        // Somebody may have deleted the exchange, which closes a channel with each message.
        shared.declare().await?;
        let publisher = Publisher::open(&shared.amqp_url).await;
        shared.metrics.connected("broker", publisher.is_ok());
        let publisher = publisher?;
        let leases = shared.pool.acquire().await;
        shared.metrics.connected("database", leases.is_ok());
        let mut leases = leases?;
        // A connection from the pool that ends a session must not keep its locks.
        leases.close_on_drop();
        answered(outbox::prepare(&mut leases)).await?;
        let mut confirming = Lent::from(&shared.pool).await?;
        answered(outbox::prepare(&mut confirming)).await?;
        let leaving = Leaving::through(confirming, shared.clone());
        Ok(Session {
            shared: shared.clone(),
            leases,
            lanes: Vec::new(),
            leased: None,
            floors: Floors::default(),
            pauses: Pauses::default(),
            publisher,
            leaving,
        })
    }

    async fn run(
        &mut self,
        outage: &mut Outage,
        stop: &CancellationToken,
    ) -> Result<(), RelayError> {
        loop {
            self.lease().await?;
            let let_go = answered(self.pauses.let_go(&mut self.leases)).await?;
            if let_go {
                self.floors = Floors::default();
            }
            let done = self.send().await?;
            outage.over();
            if done == 0 && !let_go {
                if stop.is_cancelled() {
                    return Ok(self.leaving.settle().await?);
                }
                rest(&self.shared.outbox_filled, stop).await;
            }
        }
    }

    async fn lease(&mut self) -> Result<(), RelayError> {
        let due = self.leased.is_none_or(|at| at.elapsed() >= LEASE_AGAIN);
        if due {
            let wanted: Vec<i16> = (0..LANES).filter(|lane| !self.lanes.contains(lane)).collect();
            // Also with nothing wanted: a connection that is lost has lost its leases, and must not go on.
            let leased = answered(outbox::try_lanes(&mut self.leases, &wanted)).await?;
            self.lanes.extend(&leased);
            self.floors.rise(answered(outbox::extent(&mut self.leases)).await?);
            answered(self.pauses.refresh(&mut self.leases, &self.lanes, &leased)).await?;
            self.leased = Some(Instant::now());
        }
        Ok(())
    }

    /// Sends what waits, in rounds: one message of each case at a time, so that none
    /// overtakes an earlier one of its case that the broker refuses. How many were sent, or
    /// held since their type is paused.
    async fn send(&mut self) -> Result<usize, RelayError> {
        self.leaving.note().await?;
        let (from, leaving) = (self.floors.of(&self.lanes), &self.leaving.places);
        let queued = answered(outbox::next(&mut self.leases, &from, leaving, FETCH)).await?;
        self.floors.note(&self.lanes, &queued);
        let mut done = queued.len();
        let queued = answered(self.pauses.hold(&mut self.leases, &self.lanes, queued)).await?;
        done -= queued.len();
        let mut refused: HashSet<String> = HashSet::new();
        let mut confirmed = Vec::new();
        if !queued.is_empty() {
            FailPoint::BeforePublish.pass();
        }
        for round in rounds(queued, |message| &message.case_key) {
            let round: Vec<Queued> =
                round.into_iter().filter(|message| !refused.contains(&message.case_key)).collect();
            if round.is_empty() {
                // Nothing is left to be sent, and a broker that takes nothing is waited for long.
                break;
            }
            let sent_at = SystemTime::now();
            let outcomes = self.publish(&round).await;
            for (message, outcome) in round.iter().zip(&outcomes) {
                match outcome {
                    Outcome::Confirmed { routed } => {
                        self.shared.metrics.published(type_name(&message.event_type), *routed);
                        self.follow(message, sent_at);
                        confirmed.push(message.place());
                    }
                    Outcome::Refused | Outcome::Unknown | Outcome::Unsendable => {
                        _ = refused.insert(message.case_key.clone())
                    }
                }
            }
        }
        done += confirmed.len();
        if !confirmed.is_empty() {
            self.leaving.leave(confirmed);
        }
        if refused.is_empty() {
            return Ok(done);
        }
        self.shared.metrics.refused(refused.len() as u64);
        let fault = self.publisher.fault().map(|fault| Causes(fault).to_string());
        Err(RelayError::Unconfirmed(fault.unwrap_or_else(|| "it could not store them".to_owned())))
    }

    /// Tells the trace of the cause that a message was sent, and confirmed just now.
    fn follow(&self, queued: &Queued, from: SystemTime) {
        let Shared { traces, names, .. } = &*self.shared;
        let (parent, state) = (queued.traceparent.as_deref(), queued.tracestate.as_deref());
        let Some(place) = traces.place(parent, state) else { return };
        let (exchange, id) = (names.derived(), queued.event_id.to_string());
        let done = Done {
            name: format!("send {exchange}"),
            kind: SpanKind::Producer,
            from,
            to: SystemTime::now(),
            attributes: message("send", exchange, queued.routing_key.clone(), id),
        };
        traces.put(&place, done);
    }

    async fn publish(&mut self, round: &[Queued]) -> Vec<Outcome> {
        let exchange = self.shared.names.derived();
        let messages: Vec<Outgoing> =
            round.iter().map(|queued| outgoing(&exchange, queued)).collect();
        self.publisher.publish_all(&messages).await
    }
}

/// What the broker has confirmed, on its way out of the outbox by a connection of its own: the
/// next look needn't wait for that, and passes it over. What a crash leaves behind is sent again.
struct Leaving {
    places: HashSet<Place>,
    confirmed: mpsc::UnboundedSender<Vec<Place>>,
    gone: mpsc::UnboundedReceiver<Result<Vec<Place>, sqlx::Error>>,
}

impl Leaving {
    fn through(connection: Lent, shared: Arc<Shared>) -> Leaving {
        let (confirmed, places) = mpsc::unbounded_channel();
        let (told, gone) = mpsc::unbounded_channel();
        tokio::spawn(take_out(connection, shared, places, told));
        Leaving { places: HashSet::new(), confirmed, gone }
    }

    /// Notes what is gone by now. To be called before the outbox is looked at.
    async fn note(&mut self) -> Result<(), sqlx::Error> {
        while self.places.len() > LEAVING_MAX || !self.gone.is_empty() {
            self.wait().await?;
        }
        Ok(())
    }

    fn leave(&mut self, confirmed: Vec<Place>) {
        self.places.extend(&confirmed);
        // Where nobody takes it, `wait` says why.
        _ = self.confirmed.send(confirmed);
    }

    /// Waits until all is gone.
    async fn settle(&mut self) -> Result<(), sqlx::Error> {
        while !self.places.is_empty() {
            self.wait().await?;
        }
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), sqlx::Error> {
        let gone = self.gone.recv().await.unwrap_or(Err(sqlx::Error::WorkerCrashed))?;
        gone.iter().for_each(|place| _ = self.places.remove(place));
        Ok(())
    }
}

/// Takes out what is confirmed. Nobody waits for it, so it waits for more where that is little:
/// each time costs a commit.
async fn take_out(
    mut connection: Lent,
    shared: Arc<Shared>,
    mut confirmed: mpsc::UnboundedReceiver<Vec<Place>>,
    gone: mpsc::UnboundedSender<Result<Vec<Place>, sqlx::Error>>,
) {
    while let Some(mut places) = confirmed.recv().await {
        if places.len() < WORTH_A_COMMIT {
            tokio::time::sleep(LINGER).await;
        }
        while let Ok(more) = confirmed.try_recv() {
            places.extend(more);
        }
        FailPoint::BeforeConfirm.pass();
        let now = shared.clock.now();
        let done = answered(outbox::confirm(&mut connection, &places, now)).await;
        FailPoint::AfterConfirm.pass();
        if gone.send(done.map(|()| places)).is_err() {
            return;
        }
    }
}

/// The positions up to which nothing is left to send, and nothing can come any more. What was
/// deleted stays in the table while anyone has an old transaction open: it isn't to be read
/// again at each look.
#[derive(Debug, Default)]
struct Floors {
    /// Every transaction that got a position up to here has ended.
    settled: i64,
    /// To be settled next.
    awaited: Option<Extent>,
    lanes: BTreeMap<i16, i64>,
}

impl Floors {
    fn rise(&mut self, now: Extent) {
        match self.awaited {
            Some(before) if now.ended <= before.begun => return,
            Some(before) => self.settled = before.position,
            None => {}
        }
        self.awaited = Some(now);
    }

    fn of(&self, lanes: &[i16]) -> Vec<Place> {
        lanes.iter().map(|lane| (*lane, self.lanes.get(lane).copied().unwrap_or(0))).collect()
    }

    /// What was found waits above the floor until it is found no more.
    fn note(&mut self, lanes: &[i16], queued: &[Queued]) {
        let first = |lane| queued.iter().find(|m| m.lane == lane).map(|m| m.position - 1);
        for lane in lanes {
            let floor = first(*lane).map_or(self.settled, |first| first.min(self.settled));
            self.lanes.insert(*lane, floor);
        }
    }
}

fn outgoing(exchange: &str, queued: &Queued) -> Outgoing {
    let text = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| (name.to_owned(), HeaderValue::Text(value.clone())))
    };
    let copies = queued
        .copied_to
        .as_ref()
        .map(|key| ("CC".to_owned(), HeaderValue::List(vec![HeaderValue::Text(key.clone())])));
    let headers =
        [copies, text("traceparent", &queued.traceparent), text("tracestate", &queued.tracestate)];
    Outgoing {
        exchange: exchange.to_owned(),
        routing_key: queued.routing_key.clone(),
        body: queued.body.clone().into(),
        message_id: queued.event_id.to_string(),
        event_type: queued.event_type.clone(),
        // AMQP knows no time before 1970.
        timestamp: u64::try_from(queued.time.timestamp()).ok(),
        content_type: STRUCTURED_MEDIA_TYPE.to_owned(),
        headers: headers.into_iter().flatten().collect(),
        mandatory: true,
    }
}

/// The name as a label that lives as long as the program.
pub(super) fn type_name(name: &str) -> &'static str {
    DerivedType::from_name(name).map_or(EventDeadLettered::TYPE, DerivedType::name)
}

/// Until the outbox is filled, or it is time to look again.
async fn rest(filled: &Notify, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        _ = timeout(LOOK_AGAIN, filled.notified()) => {}
    }
}

/// Deals messages out so that a round has one of each case at most, the earlier ones first:
/// if a round is confirmed before the next is sent, those of a case can't change places.
pub fn rounds<T>(messages: Vec<T>, case: impl Fn(&T) -> &String) -> Vec<Vec<T>> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut rounds: Vec<Vec<T>> = Vec::new();
    for message in messages {
        let round = seen.entry(case(&message).clone()).or_insert(0);
        if rounds.len() == *round {
            rounds.push(Vec::new());
        }
        rounds[*round].push(message);
        *round += 1;
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(position: i64, ended: i64, begun: i64) -> Extent {
        Extent { position, ended, begun }
    }

    fn queued(lane: i16, position: i64) -> Queued {
        Queued {
            position,
            lane,
            case_key: "o/1".to_owned(),
            event_id: uuid::Uuid::nil(),
            event_type: String::new(),
            routing_key: String::new(),
            copied_to: None,
            time: chrono::DateTime::UNIX_EPOCH,
            body: String::new(),
            traceparent: None,
            tracestate: None,
            queued_at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_floor_rises_only_to_what_no_transaction_can_fill_any_more() {
        let mut floors = Floors::default();
        floors.rise(extent(10, 5, 7));
        floors.note(&[1], &[]);
        assert_eq!(floors.of(&[1]), [(1, 0)], "those up to 7 may be under way");
        floors.rise(extent(20, 7, 8));
        floors.note(&[1], &[]);
        assert_eq!(floors.of(&[1]), [(1, 0)], "7 still is");
        floors.rise(extent(30, 8, 9));
        assert_eq!(floors.of(&[1]), [(1, 0)], "the lane was not looked at since");
        floors.note(&[1], &[]);
        assert_eq!(floors.of(&[1, 2]), [(1, 10), (2, 0)]);
        floors.rise(extent(40, 10, 11));
        floors.note(&[1, 2], &[queued(1, 12), queued(1, 15), queued(2, 33)]);
        assert_eq!(floors.of(&[1, 2]), [(1, 11), (2, 30)], "what waits is found again");
    }
}
