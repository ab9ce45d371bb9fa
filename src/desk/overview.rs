//! How things stand, for screens that look again and again. Several who look at once cost one
//! look.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::broker::QueueDepth;
use crate::contract::{Span, Stream, Timestamp};
use crate::pipeline::Probe;
use crate::store::recent::{self, Slice};
use crate::store::status::{self, Figures};
use crate::store::{self, Result, replays};

/// The length of a slice of time.
const SLICE_SECONDS: i64 = 15;
/// How many slices are shown: ten minutes.
const SLICES: usize = 40;
/// How long a look is good for.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// Slices that are read again: a transaction of theirs may have ended since.
const OVERLAP: i64 = 2;

/// How things stand.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Overview {
    /// Whether the broker answers.
    pub broker: bool,
    /// Whether the database answers.
    pub database: bool,
    /// From the newest event's time to its commit, in seconds, in this process's last batch.
    pub lag_seconds: Option<f64>,
    pub streams: Vec<StreamLevel>,
    /// Messages that the broker gave up and that are not filed yet.
    pub given_up: Option<u32>,
    /// Derived events of the last ten minutes, by type.
    pub derived: Vec<DerivedLevel>,
    /// Nothing where the database doesn't answer.
    pub tables: Option<TableLevels>,
}

/// A stream of input events.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StreamLevel {
    pub stream: String,
    /// Messages that wait in its queue; nothing where the broker doesn't say.
    pub ready: Option<u32>,
    pub consumers: Option<u32>,
    /// Events a second, over the last minute.
    pub per_second: f64,
    /// When the last one came in, of the last ten minutes.
    pub last_at: Option<Timestamp>,
    /// How long the backlog takes at that rate, in seconds.
    pub drained_in_seconds: Option<u64>,
    /// Events in each of the last 40 stretches of 15 seconds.
    pub series: Vec<i64>,
}

/// A type of derived events.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DerivedLevel {
    #[serde(rename = "type")]
    pub event_type: String,
    pub count: i64,
    pub series: Vec<i64>,
}

/// What the database says.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TableLevels {
    /// Derived events that the broker has not confirmed.
    pub outbox: i64,
    pub oldest_unpublished_at: Option<Timestamp>,
    /// Types that are paused, with what waits.
    pub paused: BTreeMap<String, i64>,
    pub parked_cases: i64,
    /// Since when the case that is longest overdue has waited.
    pub overdue_since: Option<Timestamp>,
    pub deadlines: DeadlineLevels,
    /// Open dead letters, by code.
    pub dead_letters: BTreeMap<String, i64>,
    pub replays_running: i64,
}

/// Cases that time alone changes; each counted up to 10,000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeadlineLevels {
    pub due: i64,
    pub within_hour: i64,
    pub within_day: i64,
    pub within_week: i64,
}

impl Overview {
    pub fn open_dead_letters(&self) -> i64 {
        self.tables.iter().flat_map(|tables| tables.dead_letters.values()).sum()
    }
}

/// Looks, and remembers what it saw of the last minutes.
pub struct Watch {
    pool: PgPool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    looked: Option<(Instant, Overview)>,
    received: Slices,
    derived: Slices,
    last_at: BTreeMap<String, Timestamp>,
}

/// Counts by name and slice.
#[derive(Default)]
struct Slices(BTreeMap<String, BTreeMap<i64, i64>>);

impl Watch {
    pub fn new(pool: PgPool) -> Watch {
        Watch { pool, seen: Mutex::default() }
    }

    /// How things stand, no more than a second ago.
    pub async fn look(&self, probe: &Probe, lag: Option<f64>) -> Overview {
        let mut seen = self.seen.lock().await;
        if let Some((at, overview)) = &seen.looked
            && at.elapsed() < GOOD_FOR
        {
            return overview.clone();
        }
        let (depths, tables) = tokio::join!(probe.backlog(), self.ask(&mut seen));
        let overview = seen.tell(depths.ok().as_deref(), tables.ok(), lag);
        seen.looked = Some((Instant::now(), overview.clone()));
        overview
    }

    async fn ask(&self, seen: &mut Seen) -> Result<(Timestamp, TableLevels)> {
        let mut conn = self.pool.acquire().await?;
        let figures = status::figures(&mut conn).await?;
        seen.read(&mut conn, figures.clock).await?;
        let ahead = recent::ahead(&mut conn).await?;
        let running = replays::running(&mut conn).await?.len();
        Ok((figures.clock, levels(figures, ahead, running)))
    }
}

fn levels(figures: Figures, ahead: recent::Ahead, running: usize) -> TableLevels {
    TableLevels {
        outbox: figures.outbox,
        oldest_unpublished_at: figures.oldest_unpublished,
        paused: figures
            .paused
            .into_iter()
            .map(|waiting| (waiting.pause.event_type, waiting.waiting))
            .collect(),
        parked_cases: figures.parked_cases,
        overdue_since: figures.oldest_due,
        deadlines: DeadlineLevels {
            due: ahead.due,
            within_hour: ahead.hour,
            within_day: ahead.day,
            within_week: ahead.week,
        },
        dead_letters: figures.open_dead_letters,
        replays_running: i64::try_from(running).unwrap_or(i64::MAX),
    }
}

fn slice_of(moment: Timestamp) -> i64 {
    moment.micros().div_euclid(SLICE_SECONDS * 1_000_000)
}

impl Seen {
    async fn read(&mut self, conn: &mut PgConnection, clock: Timestamp) -> Result<()> {
        let now = slice_of(clock);
        let oldest = now - SLICES as i64 + 1;
        let last = self.received.last().max(self.derived.last());
        let from = last.map_or(oldest, |last| (last - OVERLAP).clamp(oldest, now));
        let since = Timestamp::from_micros(from * SLICE_SECONDS * 1_000_000);
        let received = recent::received(conn, since, SLICE_SECONDS).await?;
        let derived = recent::derived(conn, since, SLICE_SECONDS).await?;
        self.last_at.extend(recent::last_received(conn, since).await?);
        let horizon = clock - Span::seconds(SLICE_SECONDS * SLICES as i64);
        self.last_at.retain(|_, at| *at >= horizon);
        self.received.take(received, from, oldest);
        self.derived.take(derived, from, oldest);
        Ok(())
    }

    fn tell(
        &self,
        depths: Option<&[QueueDepth]>,
        tables: Option<(Timestamp, TableLevels)>,
        lag_seconds: Option<f64>,
    ) -> Overview {
        let depth = |stream| depths.into_iter().flatten().find(|depth| depth.stream == stream);
        let (clock, tables) = tables.unzip();
        let end = clock.map_or(0, slice_of);
        let stream = |stream: Stream| {
            let depth = depth(Some(stream));
            let series = self.received.series(stream.name(), end);
            let per_second = rate(&series);
            let ready = depth.and_then(|depth| depth.ready);
            StreamLevel {
                stream: stream.name().to_owned(),
                ready,
                consumers: depth.map(|depth| depth.consumers),
                per_second,
                last_at: self.last_at.get(stream.name()).copied(),
                drained_in_seconds: drained_in(ready, per_second),
                series,
            }
        };
        Overview {
            broker: depths.is_some(),
            database: tables.is_some(),
            lag_seconds,
            streams: Stream::ALL.into_iter().map(stream).collect(),
            given_up: depth(None).and_then(|depth| depth.ready),
            derived: self.derived.levels(end),
            tables,
        }
    }
}

/// Over the four slices before the one that is still being filled.
fn rate(series: &[i64]) -> f64 {
    let minute = series.iter().rev().skip(1).take(4).sum::<i64>();
    (minute as f64 / (4 * SLICE_SECONDS) as f64 * 10.0).round() / 10.0
}

fn drained_in(ready: Option<u32>, per_second: f64) -> Option<u64> {
    let ready = f64::from(ready.filter(|ready| *ready > 0)?);
    (per_second > 0.0).then(|| (ready / per_second).ceil() as u64)
}

impl Slices {
    fn last(&self) -> Option<i64> {
        self.0.values().filter_map(|slices| Some(*slices.last_key_value()?.0)).max()
    }

    /// Takes what was counted from a slice on, and forgets what is too old to be shown.
    fn take(&mut self, counted: Vec<Slice>, from: i64, oldest: i64) {
        for slices in self.0.values_mut() {
            slices.retain(|slice, _| *slice >= oldest && *slice < from);
        }
        for Slice { name, slice, count } in counted {
            self.0.entry(name).or_default().insert(slice, count);
        }
        self.0.retain(|_, slices| !slices.is_empty());
    }

    fn series(&self, name: &str, end: i64) -> Vec<i64> {
        let slices = self.0.get(name);
        let count = |slice| slices.and_then(|slices| slices.get(&slice)).copied().unwrap_or(0);
        (end - SLICES as i64 + 1..=end).map(count).collect()
    }

    fn levels(&self, end: i64) -> Vec<DerivedLevel> {
        let level = |name: &String| {
            let series = self.series(name, end);
            DerivedLevel { event_type: name.clone(), count: series.iter().sum(), series }
        };
        let mut levels: Vec<DerivedLevel> =
            self.0.keys().map(level).filter(|level| level.count > 0).collect();
        levels.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.event_type.cmp(&b.event_type)));
        levels
    }
}

/// The database's clock, for whoever has a connection at hand.
pub async fn clock(pool: &PgPool) -> Result<Timestamp> {
    store::clock(&mut *pool.acquire().await?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(slice: i64, count: i64) -> Slice {
        Slice { name: "orders".into(), slice, count }
    }

    #[test]
    fn a_slice_that_is_read_again_counts_once() {
        let mut slices = Slices::default();
        slices.take(vec![slice(7, 1), slice(8, 2)], 0, 0);
        slices.take(vec![slice(8, 5), slice(9, 1)], 8, 0);
        assert_eq!(slices.series("orders", 9)[SLICES - 3..], [1, 5, 1]);
        slices.take(vec![], 9, 8);
        assert_eq!(slices.series("orders", 9).iter().sum::<i64>(), 5);
    }

    #[test]
    fn a_backlog_takes_as_long_as_its_rate_says() {
        assert_eq!(drained_in(Some(100), 8.0), Some(13));
        assert_eq!((drained_in(Some(0), 8.0), drained_in(Some(5), 0.0)), (None, None));
        assert_eq!(rate(&[0, 15, 15, 15, 15, 999]), 1.0);
    }
}
