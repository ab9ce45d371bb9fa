//! Waiting for a service that is away: for ever, patiently, and saying so.
//!
//! The only module that knows the crate `backoff`, which is unmaintained.
//! To move to `backon`, replace `pace` and the two calls on it.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use backoff::backoff::Backoff;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

use crate::certificates;

/// The first pause, before jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, before jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Half as much more or less, so that processors don't come back all at once:
/// no pause is longer than 15 s.
const JITTER: f64 = 0.5;
/// A fault that lasts is said this often.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The absence of something that is needed, such as the broker or the database.
///
/// ```no_run
/// # async fn attempt() -> Result<(), std::io::Error> { Ok(()) }
/// # async fn example() {
/// let mut outage = otodoke::retry::Outage::of("the broker");
/// loop {
///     match attempt().await {
///         Ok(()) => break outage.over(),
///         Err(error) => outage.wait(&error).await,
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Outage {
    of: &'static str,
    pace: ExponentialBackoff,
    faults: Faults,
}

/// What was seen of an outage, and when it was last said.
#[derive(Debug, Default)]
struct Faults {
    count: u32,
    first: Option<Instant>,
    said: Option<Instant>,
}

impl Outage {
    /// Of what, as a sentence would name it: `the broker`.
    pub fn of(what: &'static str) -> Outage {
        Outage { of: what, pace: pace(), faults: Faults::default() }
    }

    /// Says the fault, if it is new or was not said for a minute, and waits for the next
    /// attempt: each time about twice as long, at most 15 s.
    pub async fn wait(&mut self, error: &(dyn Error + Send + Sync + 'static)) {
        let pause = self.next_pause();
        if self.faults.worth_saying(Instant::now()) {
            tracing::warn!(attempts = self.faults.count, "{} fails: {}", self.of, Causes(error));
        } else {
            tracing::debug!(attempts = self.faults.count, "{} fails: {}", self.of, Causes(error));
        }
        tokio::time::sleep(pause).await;
    }

    /// Work succeeded again: says so if a fault was said, and starts afresh.
    ///
    /// Not to be called for a mere connection: where each is lost at once, the
    /// pauses must go on growing.
    pub fn over(&mut self) {
        let faults = std::mem::take(&mut self.faults);
        self.pace.reset();
        if let Some(first) = faults.first {
            let seconds = first.elapsed().as_secs_f64();
            tracing::info!(attempts = faults.count, "{} works again after {seconds:.1} s", self.of);
        }
    }

    /// Whether faults were seen since work last succeeded.
    pub fn lasts(&self) -> bool {
        self.faults.count > 0
    }

    fn next_pause(&mut self) -> Duration {
        // `None` would mean to give up, which a pace without an end never does.
        self.pace.next_backoff().unwrap_or(LONGEST_PAUSE)
    }
}

impl Faults {
    fn worth_saying(&mut self, now: Instant) -> bool {
        self.count = self.count.saturating_add(1);
        self.first.get_or_insert(now);
        let due = self.said.is_none_or(|said| now.duration_since(said) >= SAY_AGAIN_AFTER);
        if due {
            self.said = Some(now);
        }
        due
    }
}

fn pace() -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_interval(FIRST_PAUSE)
        .with_max_interval(LONGEST_PAUSE)
        .with_multiplier(2.0)
        .with_randomization_factor(JITTER)
        // The crate's own default gives up after 15 minutes.
        .with_max_elapsed_time(None)
        .build()
}

/// An error and what caused it, in one line, and what to do where a certificate is at fault. A
/// cause that its error quotes isn't repeated.
pub struct Causes<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            cause = error.source();
        }
        certificates::advice(self.0).map_or(Ok(()), |advice| write!(f, " – {advice}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_never_end_and_stay_under_fifteen_seconds() {
        let mut outage = Outage::of("a test");
        let pauses: Vec<Duration> = (0..1_000).map(|_| outage.next_pause()).collect();
        assert!(pauses[0] <= Duration::from_millis(151));
        assert!(pauses[10..].iter().all(|pause| *pause >= Duration::from_secs(5)));
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(15_001)));
    }

    #[test]
    fn success_starts_the_pauses_afresh() {
        let mut outage = Outage::of("a test");
        for _ in 0..20 {
            outage.next_pause();
        }
        outage.over();
        assert!(outage.next_pause() <= Duration::from_millis(151));
    }

    #[test]
    fn a_lasting_fault_is_said_at_once_and_then_once_a_minute() {
        let mut faults = Faults::default();
        let start = Instant::now();
        let said: Vec<u64> = (0..180)
            .filter(|second| faults.worth_saying(start + Duration::from_secs(*second)))
            .collect();
        assert_eq!(said, [0, 60, 120]);
        assert_eq!(faults.count, 180);
    }

    #[test]
    fn causes_are_told_in_one_line_without_repeating_any() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot connect")]
        struct Outer(#[source] Middle);
        #[derive(Debug, thiserror::Error)]
        #[error("io: {0}")]
        struct Middle(#[source] std::io::Error);

        let error = Outer(Middle(std::io::Error::other("refused")));
        assert_eq!(Causes(&error).to_string(), "cannot connect: io: refused");
    }
}
