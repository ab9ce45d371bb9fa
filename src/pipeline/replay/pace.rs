//! How fast a job goes: one letter at a time while it proves itself, then ever faster: pure.

use std::time::Duration;

/// The most letters in one transaction.
const BATCH: i64 = 250;
/// With what the ramp begins, in letters a second. It doubles with every second.
const BEGINNING: f64 = 20.0;
/// So many transactions a second, so that a progress bar moves and a pause comes soon.
const STEPS: f64 = 5.0;

/// The pace of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// How many go one by one at first.
    canary: i64,
    /// The most in a second.
    rate: Option<f64>,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub letters: i64,
    /// Not before the last step was this long ago.
    pub pause: Duration,
}

impl Pace {
    pub fn new(canary: i32, rate: Option<i32>) -> Pace {
        Pace { canary: i64::from(canary), rate: rate.map(f64::from) }
    }

    /// The step after `processed` letters of the job, `ramping` after the canary.
    pub fn step(&self, processed: i64, ramping: Duration) -> Step {
        let most = self.rate.unwrap_or(f64::INFINITY);
        let speed = if processed < self.canary {
            most.min(BEGINNING)
        } else {
            most.min(BEGINNING * ramping.as_secs_f64().min(60.0).exp2())
        };
        let letters = if processed < self.canary { 1.0 } else { (speed / STEPS).floor() };
        let letters = letters.clamp(1.0, BATCH as f64);
        let full = letters >= BATCH as f64 && self.rate.is_none();
        let pause = if full { 0.0 } else { letters / speed };
        Step { letters: letters as i64, pause: Duration::from_secs_f64(pause) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn per_second(step: Step) -> f64 {
        step.letters as f64 / step.pause.as_secs_f64()
    }

    #[test]
    fn the_canary_goes_alone() {
        let pace = Pace::new(3, None);
        for processed in 0..3 {
            assert_eq!(pace.step(processed, Duration::ZERO).letters, 1);
        }
        assert!(pace.step(3, Duration::ZERO).letters > 1);
    }

    #[test]
    fn it_doubles_every_second_up_to_what_was_asked_for() {
        let pace = Pace::new(0, Some(100));
        let speeds: Vec<u32> = (0..5)
            .map(|second| per_second(pace.step(0, Duration::from_secs(second))).round() as u32)
            .collect();
        assert_eq!(speeds, [20, 40, 80, 100, 100]);
        let slow = Pace::new(0, Some(2)).step(9, Duration::from_secs(9));
        assert_eq!((slow.letters, slow.pause), (1, Duration::from_millis(500)));
    }

    #[test]
    fn without_a_limit_it_ends_in_full_batches() {
        let step = Pace::new(1, None).step(1, Duration::from_secs(3600));
        assert_eq!(step, Step { letters: BATCH, pause: Duration::ZERO });
    }
}
