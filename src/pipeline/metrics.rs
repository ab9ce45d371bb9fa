//! What the processor counts, in Prometheus's terms. Labels hold types, codes and
//! streams, never ids.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

type Labels = [(&'static str, &'static str); 1];

/// All metrics of one processor. A clone counts into the same.
#[derive(Clone)]
pub struct Metrics {
    received: Family<Labels, Counter>,
    accepted: Counter,
    duplicates: Counter,
    dead: Family<Labels, Counter>,
    queued: Family<Labels, Counter>,
    published: Family<Labels, Counter>,
    unrouted: Counter,
    refused: Counter,
    batch_events: Histogram,
    batch_seconds: Histogram,
    lag_seconds: Gauge<f64, AtomicU64>,
    connected: Family<Labels, Gauge>,
    held: Gauge,
    backlog: Family<Labels, Gauge>,
    outbox: Gauge,
    paused: Family<Labels, Gauge>,
    oldest_unpublished_seconds: Gauge<f64, AtomicU64>,
    dead_letters: Family<Labels, Gauge>,
    parked: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            received: Family::default(),
            accepted: Counter::default(),
            duplicates: Counter::default(),
            dead: Family::default(),
            queued: Family::default(),
            published: Family::default(),
            unrouted: Counter::default(),
            refused: Counter::default(),
            batch_events: Histogram::new(exponential_buckets(1.0, 2.0, 13)),
            batch_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            lag_seconds: Gauge::default(),
            connected: Family::default(),
            held: Gauge::default(),
            backlog: Family::default(),
            outbox: Gauge::default(),
            paused: Family::default(),
            oldest_unpublished_seconds: Gauge::default(),
            dead_letters: Family::default(),
            parked: Gauge::default(),
        }
    }
}

/// What a batch came to.
#[derive(Clone, Debug, Default)]
pub struct BatchCounts {
    pub accepted: u64,
    pub duplicates: u64,
    pub dead: Vec<(&'static str, u64)>,
    /// By type: derived events, withdrawals and alerts.
    pub queued: Vec<(&'static str, u64)>,
}

/// What is read from the broker and the database at each scrape.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    pub backlog: Vec<(&'static str, i64)>,
    pub outbox: i64,
    /// By paused type, how much waits.
    pub paused: Vec<(&'static str, i64)>,
    pub oldest_unpublished: Duration,
    pub dead_letters: Vec<(&'static str, i64)>,
    pub parked: i64,
}

impl Metrics {
    pub fn received(&self, stream: &'static str) {
        self.received.get_or_create(&[("stream", stream)]).inc();
    }

    pub fn batch(&self, counts: &BatchCounts, events: usize, took: Duration) {
        for (code, count) in &counts.dead {
            self.dead.get_or_create(&[("code", *code)]).inc_by(*count);
        }
        for (derived_type, count) in &counts.queued {
            self.queued.get_or_create(&[("type", *derived_type)]).inc_by(*count);
        }
        self.accepted.inc_by(counts.accepted);
        self.duplicates.inc_by(counts.duplicates);
        if events > 0 {
            self.batch_events.observe(events as f64);
            self.batch_seconds.observe(took.as_secs_f64());
        }
    }

    /// `lag`: from the newest event's time to its commit.
    pub fn lag(&self, lag: Duration) {
        self.lag_seconds.set(lag.as_secs_f64());
    }

    /// What was told last; nothing before the first batch.
    pub fn last_lag(&self) -> Option<f64> {
        Some(self.lag_seconds.get()).filter(|seconds| *seconds > 0.0)
    }

    pub fn published(&self, derived_type: &'static str, routed: bool) {
        self.published.get_or_create(&[("type", derived_type)]).inc();
        if !routed {
            self.unrouted.inc();
        }
    }

    pub fn refused(&self, messages: u64) {
        self.refused.inc_by(messages);
    }

    /// `service`: `broker` or `database`.
    pub fn connected(&self, service: &'static str, connected: bool) {
        self.connected.get_or_create(&[("service", service)]).set(i64::from(connected));
    }

    pub fn is_connected(&self, service: &'static str) -> bool {
        self.connected.get_or_create(&[("service", service)]).get() == 1
    }

    pub fn held(&self, held: bool) {
        self.held.set(i64::from(held));
    }

    pub fn levels(&self, levels: &Levels) {
        for (stream, ready) in &levels.backlog {
            self.backlog.get_or_create(&[("stream", *stream)]).set(*ready);
        }
        self.dead_letters.clear();
        for (code, count) in &levels.dead_letters {
            self.dead_letters.get_or_create(&[("code", *code)]).set(*count);
        }
        self.paused.clear();
        for (paused_type, waiting) in &levels.paused {
            self.paused.get_or_create(&[("type", *paused_type)]).set(*waiting);
        }
        self.outbox.set(levels.outbox);
        self.oldest_unpublished_seconds.set(levels.oldest_unpublished.as_secs_f64());
        self.parked.set(levels.parked);
    }

    /// Everything in Prometheus's text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry()).expect("a String takes all that is written to it");
        text
    }

    fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("otodoke");
        let all = &mut registry;
        all.register("messages_received", "Messages taken from the queues", self.received.clone());
        all.register("events_accepted", "Events accepted into the history", self.accepted.clone());
        all.register("events_duplicate", "Events seen before", self.duplicates.clone());
        all.register(
            "messages_dead",
            "Messages that became dead letters, each attempt",
            self.dead.clone(),
        );
        all.register(
            "messages_queued",
            "Derived events, withdrawals and alerts put into the outbox",
            self.queued.clone(),
        );
        all.register(
            "messages_published",
            "Messages that the broker confirmed",
            self.published.clone(),
        );
        all.register(
            "messages_unrouted",
            "Of these, messages that no queue took",
            self.unrouted.clone(),
        );
        all.register(
            "messages_refused",
            "Messages that the broker did not confirm, to be sent again",
            self.refused.clone(),
        );
        all.register("batch_events", "Events in one transaction", self.batch_events.clone());
        all.register_with_unit(
            "batch",
            "From the first statement of a batch to its commit",
            Unit::Seconds,
            self.batch_seconds.clone(),
        );
        all.register_with_unit(
            "lag",
            "From the newest event's time to its commit, last batch",
            Unit::Seconds,
            self.lag_seconds.clone(),
        );
        all.register("service_connected", "1 while the service answers", self.connected.clone());
        all.register(
            "deadlines_held",
            "1 while deadlines wait for a backlog to drain",
            self.held.clone(),
        );
        all.register("queue_ready", "Messages waiting in a queue", self.backlog.clone());
        all.register("outbox_waiting", "Derived messages waiting to be sent", self.outbox.clone());
        all.register(
            "outbox_paused",
            "Derived messages that wait since their type is paused; no value: it isn't",
            self.paused.clone(),
        );
        all.register_with_unit(
            "oldest_unpublished",
            "Age of the derived message that has waited longest, but for a pause",
            Unit::Seconds,
            self.oldest_unpublished_seconds.clone(),
        );
        all.register(
            "dead_letters_open",
            "Dead letters that nobody has settled",
            self.dead_letters.clone(),
        );
        all.register(
            "cases_parked",
            "Cases whose decision failed and is tried again",
            self.parked.clone(),
        );
        registry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_help_and_shows_what_was_counted() {
        let metrics = Metrics::default();
        let counts = BatchCounts { accepted: 2, ..BatchCounts::default() };
        (0..3).for_each(|_| metrics.received("orders"));
        metrics.batch(&counts, 3, Duration::from_millis(5));
        let text = metrics.text();
        assert!(text.contains("otodoke_messages_received_total{stream=\"orders\"} 3"), "{text}");
        assert!(text.contains("# HELP otodoke_events_accepted"), "{text}");
        assert!(text.contains("otodoke_events_accepted_total 2"), "{text}");
    }
}
