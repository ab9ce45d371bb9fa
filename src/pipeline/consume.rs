//! From the queues to the door: what waits goes through it in batches, and is
//! acknowledged once the batch has committed, never before.
//!
//! One session takes from all queues and deals the messages to lanes, so that two
//! transactions seldom meet on a case's lock (`dealer.rs`). A lane takes what waits, up to
//! the bounds of a batch, and lingers for nothing. While the database is away a lane
//! waits with its batch; when that takes too long the session is given up, which hands
//! the messages back to the broker: it would take them from us anyway in the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::apply::{Batch, Door, Interrupted, Received};
use super::dealer::{Dealer, Keys, keys};
use super::followed::{Followed, Steps};
use super::watch::Backlog;
use super::{Shared, given_up};
use crate::broker::{
    Acks, BrokerError, Consumer, Delivery, HeaderValue, Subscription, Token, headers_to_json,
};
use crate::contract::{Header, Message, Stream, intake};
use crate::fail_points::FailPoint;
use crate::retry::{Causes, Outage};

/// How long messages are held while the database is away.
const HELD_MESSAGES: Duration = Duration::from_secs(60);
/// How long the messages in hand may take after SIGTERM.
const DRAIN: Duration = Duration::from_secs(20);
/// How often it is looked whether the backlog has drained, while deadlines wait for it.
const LOOK_FOR_DRAINED: Duration = Duration::from_millis(200);

/// Something that ends a session.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("the broker fails")]
    Broker(#[from] BrokerError),
    #[error("the database fails: messages are handed back to the broker until it answers")]
    Database(#[from] sqlx::Error),
    #[error("the database fails: messages are handed back to the broker until it answers")]
    Door(#[from] Box<Interrupted>),
    #[error("a lane of the pipeline ended unasked")]
    Lane,
}

impl SessionError {
    fn is_unreadable(&self) -> bool {
        matches!(self, SessionError::Broker(error) if error.is_unreadable())
    }
}

/// What a consumer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The four queues of input events.
    Events,
    /// What the broker gave up.
    GivenUp,
}

/// Consumes until `stop`, then finishes what was taken.
pub async fn consume(shared: Arc<Shared>, purpose: Purpose, stop: CancellationToken) {
    let mut outage = Outage::of(match purpose {
        Purpose::Events => "consuming events",
        Purpose::GivenUp => "consuming what the broker gave up",
    });
    while !stop.is_cancelled() {
        let Err(error) = session(&shared, purpose, &mut outage, &stop).await else { return };
        if purpose == Purpose::Events && error.is_unreadable() {
            // It holds up all others until its delivery limit is reached: so at once.
            tracing::warn!(
                "a message can't be read and is left to its delivery limit: {}",
                Causes(&error)
            );
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = outage.wait(&error) => {}
        }
    }
}

async fn session(
    shared: &Arc<Shared>,
    purpose: Purpose,
    outage: &mut Outage,
    stop: &CancellationToken,
) -> Result<(), SessionError> {
    let opened = stop.run_until_cancelled(open(shared, purpose)).await.transpose()?;
    let Some((mut consumer, mut backlog)) = opened else { return Ok(()) };
    let mut lanes = Lanes::start(shared, purpose, &consumer.acks());
    let ended = receive(shared, &mut backlog, &mut consumer, &mut lanes, outage, stop).await;
    match ended {
        Ok(()) => lanes.drain().await,
        Err(_) => lanes.abandon().await,
    }
    consumer.close().await;
    ended
}

/// The database first: there is no sense in taking what can't be stored.
async fn open(
    shared: &Arc<Shared>,
    purpose: Purpose,
) -> Result<(Consumer, Option<Backlog>), SessionError> {
    shared.read_clock().await?;
    shared.declare().await?;
    let settings = &shared.settings;
    let subscription = match purpose {
        Purpose::Events => Subscription::Streams(Stream::ALL.to_vec()),
        Purpose::GivenUp => Subscription::DeadQueue,
    };
    // Before the broker can deliver anything: from then on others have to wait for it.
    let backlog = match purpose {
        Purpose::Events => Some(Backlog::open(shared).await?),
        Purpose::GivenUp => None,
    };
    let consumer =
        Consumer::open(&shared.amqp_url, &shared.names, &subscription, settings.prefetch).await?;
    if purpose == Purpose::Events {
        shared.hold_deadlines();
    }
    Ok((consumer, backlog))
}

async fn receive(
    shared: &Arc<Shared>,
    backlog: &mut Option<Backlog>,
    consumer: &mut Consumer,
    lanes: &mut Lanes,
    outage: &mut Outage,
    stop: &CancellationToken,
) -> Result<(), SessionError> {
    let mut look = tokio::time::interval(LOOK_FOR_DRAINED);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            fault = lanes.fault() => return Err(fault),
            delivery = consumer.next() => lanes.take(delivery?),
            _ = look.tick() => {
                if lanes.has_worked() {
                    outage.over();
                }
                if let Some(known) = backlog
                    && look_for_drained(shared, known, consumer, lanes).await?
                {
                    *backlog = None;
                }
            }
        }
    }
}

/// Whether deadlines wait no longer. The broker answers on the channel that it delivers on,
/// so what it sent before the answer has arrived: once that is taken too and done, nothing
/// is left of ours, and it is looked whether others have something left.
async fn look_for_drained(
    shared: &Shared,
    backlog: &mut Backlog,
    consumer: &mut Consumer,
    lanes: &mut Lanes,
) -> Result<bool, SessionError> {
    if !shared.deadlines_are_held() {
        return Ok(true);
    }
    backlog.stay().await?;
    let ready = consumer.ready().await?;
    let mut arrived = false;
    while let Some(delivery) = consumer.next().now_or_never() {
        lanes.take(delivery?);
        arrived = true;
    }
    if ready > 0 || arrived || lanes.in_hand() > 0 || !backlog.is_the_last().await? {
        return Ok(false);
    }
    shared.release_deadlines();
    Ok(true)
}

/// A message in hand, judged.
struct Taken {
    token: Token,
    keys: Keys,
    received: Received,
    followed: Option<Followed>,
}

/// The workers of a session, each with its own part of the cases.
struct Lanes {
    shared: Arc<Shared>,
    purpose: Purpose,
    inboxes: Vec<mpsc::UnboundedSender<Taken>>,
    workers: JoinSet<Result<(), SessionError>>,
    dealer: SharedDealer,
    worked: Arc<AtomicBool>,
}

/// Told by the session what comes in, and by the lanes what is done.
#[derive(Clone)]
struct SharedDealer(Arc<Mutex<Dealer>>);

impl SharedDealer {
    fn with<T>(&self, act: impl FnOnce(&mut Dealer) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lanes {
    fn start(shared: &Arc<Shared>, purpose: Purpose, acks: &Acks) -> Lanes {
        let count = match purpose {
            Purpose::Events => usize::from(shared.settings.lanes),
            Purpose::GivenUp => 1,
        };
        let dealer = SharedDealer(Arc::new(Mutex::new(Dealer::new(count))));
        let worked = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        let mut inboxes = Vec::new();
        for number in 0..count {
            // The prefetch bounds what is in it.
            let (sender, inbox) = mpsc::unbounded_channel();
            let lane = Lane {
                shared: shared.clone(),
                acks: acks.clone(),
                inbox,
                waiting: Vec::new(),
                door: shared.own_door(),
                number,
                dealer: dealer.clone(),
                worked: worked.clone(),
            };
            workers.spawn(lane.run());
            inboxes.push(sender);
        }
        Lanes { shared: shared.clone(), purpose, inboxes, workers, dealer, worked }
    }

    fn take(&mut self, delivery: Delivery) {
        self.shared.metrics.received(delivery.stream.map_or("dead", Stream::name));
        FailPoint::Taken.pass();
        let taken = self.judge(delivery);
        let lane = self.dealer.with(|dealer| dealer.deal(taken.keys));
        // A worker that has ended is found by `fault`, and its messages come again.
        _ = self.inboxes[lane].send(taken);
    }

    fn judge(&self, delivery: Delivery) -> Taken {
        let (token, taken_at) = (delivery.token, SystemTime::now());
        let received = match (self.purpose, delivery.stream) {
            (Purpose::Events, Some(stream)) => judge_event(&self.shared, stream, delivery),
            _ => given_up::judge(&self.shared.names, delivery),
        };
        let Shared { traces, names, .. } = &*self.shared;
        let followed = Followed::begin(traces, names, &received, taken_at);
        Taken { token, keys: keys(&received), received, followed }
    }

    fn in_hand(&self) -> usize {
        self.dealer.with(|dealer| dealer.in_hand())
    }

    fn has_worked(&self) -> bool {
        self.worked.load(Ordering::Relaxed)
    }

    /// Waits for the first worker that fails.
    async fn fault(&mut self) -> SessionError {
        match self.workers.join_next().await {
            Some(Ok(Err(error))) => error,
            _ => SessionError::Lane,
        }
    }

    /// Finishes what is in hand, for a while; the rest is the broker's again.
    async fn drain(mut self) {
        self.inboxes.clear();
        let finished = async { while self.workers.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, finished).await.is_err() {
            tracing::warn!("messages in hand were not finished in {DRAIN:?} and are handed back");
        }
    }

    async fn abandon(mut self) {
        self.workers.shutdown().await;
    }
}

fn judge_event(shared: &Shared, stream: Stream, delivery: Delivery) -> Received {
    let attributes: Vec<(&str, Header)> = delivery
        .properties
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), header(value)))
        .collect();
    let message = Message {
        body: &delivery.body,
        content_type: delivery.properties.content_type.as_deref(),
        attributes: &attributes,
        stream,
    };
    let judged = intake(&message, shared.clock.now(), shared.settings.max_clock_skew)
        .map_err(|rejection| *rejection);
    Received {
        stream: Some(stream),
        routing_key: delivery.routing_key,
        headers: headers_to_json(&delivery.properties.headers),
        content_type: delivery.properties.content_type,
        body: delivery.body,
        claim: None,
        judged,
    }
}

fn header(value: &HeaderValue) -> Header<'_> {
    match value {
        HeaderValue::Text(text) => Header::Text(text),
        HeaderValue::Bytes(_) => Header::NotUtf8,
        HeaderValue::Time(seconds) => Header::Timestamp(*seconds),
        _ => Header::Other,
    }
}

/// One worker.
struct Lane {
    shared: Arc<Shared>,
    acks: Acks,
    inbox: mpsc::UnboundedReceiver<Taken>,
    /// Taken from the inbox, but too much for the last batch.
    waiting: Vec<Taken>,
    door: Door,
    number: usize,
    dealer: SharedDealer,
    worked: Arc<AtomicBool>,
}

impl Lane {
    async fn run(mut self) -> Result<(), SessionError> {
        while let Some(taken) = self.next_batch().await {
            let (mut tokens, mut keys, mut received) = (Vec::new(), Vec::new(), Vec::new());
            let mut followed = Vec::new();
            for message in taken {
                tokens.push(message.token);
                keys.push(message.keys);
                received.push(message.received);
                followed.extend(message.followed);
            }
            self.apply(received, followed).await?;
            FailPoint::BeforeAck.pass();
            // Committed: only now.
            self.acks.done(tokens);
            self.acks.flush().await?;
            FailPoint::AfterAck.pass();
            self.dealer.with(|dealer| keys.into_iter().for_each(|k| dealer.done(self.number, k)));
            self.worked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What waits, up to the bounds of a batch; `None` once all is done and none will come.
    async fn next_batch(&mut self) -> Option<Vec<Taken>> {
        let most = usize::from(self.shared.settings.batch_max);
        if self.waiting.is_empty() {
            self.inbox.recv_many(&mut self.waiting, most).await;
        }
        while self.waiting.len() < most {
            match self.inbox.try_recv() {
                Ok(taken) => self.waiting.push(taken),
                Err(_) => break,
            }
        }
        let bound = self.shared.settings.batch_kib as usize * 1024;
        let mut bytes = 0;
        let fits = |taken: &Taken| {
            bytes += taken.received.body.len();
            bytes <= bound
        };
        let count = self.waiting.iter().map(fits).take_while(|fits| *fits).count();
        // One message always fits.
        let count = count.clamp(1, most).min(self.waiting.len());
        let rest = self.waiting.split_off(count);
        Some(std::mem::replace(&mut self.waiting, rest)).filter(|batch| !batch.is_empty())
    }

    /// Through the door, however long the database takes to come back, within reason.
    async fn apply(
        &self,
        received: Vec<Received>,
        followed: Vec<Followed>,
    ) -> Result<(), SessionError> {
        let (begun, begun_at, messages) = (Instant::now(), SystemTime::now(), received.len());
        let mut outage = Outage::of("the database");
        let mut rest = vec![Batch { received, ..Batch::default() }];
        let mut decided_at = None;
        while let Some(mut batch) = rest.pop() {
            batch.held = self.shared.deadlines_are_held();
            match self.shared.apply_by(&self.door, batch).await {
                Ok(decided) => {
                    decided_at = decided_at.max(decided);
                    outage.over();
                }
                Err(mut interrupted) => {
                    if !interrupted.may_pass || begun.elapsed() > HELD_MESSAGES {
                        return Err(interrupted.into());
                    }
                    outage.wait(&interrupted).await;
                    rest.extend(interrupted.rest.drain(..).rev());
                }
            }
        }
        let committed_at = SystemTime::now();
        let decided_at = decided_at.unwrap_or(committed_at);
        let steps = Steps { begun_at, decided_at, committed_at, messages };
        followed.into_iter().for_each(|one| one.end(&self.shared.traces, &steps));
        Ok(())
    }
}
