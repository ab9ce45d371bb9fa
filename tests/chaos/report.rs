//! What runs came to: a line of a table for each fault, and JSON for programs.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use serde_json::json;

/// What one run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub fault: String,
    pub seed: u64,
    /// From the end of the last fault until everything that was published was stored, decided,
    /// and told to the subscriber. `None`: never.
    pub recovery: Option<Duration>,
    /// Confirmed events that are neither in the history nor a dead letter.
    pub lost: usize,
    /// Whether a processor complained, and so the fault was felt.
    pub felt: bool,
    /// What doesn't hold, in words.
    pub wrong: Vec<String>,
}

impl Outcome {
    pub fn is_right(&self) -> bool {
        self.recovery.is_some() && self.lost == 0 && self.wrong.is_empty()
    }

    fn to_json(&self) -> serde_json::Value {
        json!({
            "fault": self.fault, "seed": self.seed, "lost": self.lost,
            "felt": self.felt, "wrong": self.wrong,
            "recovery_ms": self.recovery.map(|time| time.as_millis() as u64),
        })
    }
}

/// All runs with one fault.
#[derive(Clone, Debug)]
pub struct Report {
    pub fault: String,
    pub outcomes: Vec<Outcome>,
}

impl Report {
    pub fn of(fault: &str) -> Report {
        Report { fault: fault.to_owned(), outcomes: Vec::new() }
    }

    /// Adds a run; where `OTODOKE_CHAOS_REPORT` names a file, also a line of JSON to that.
    pub fn add(&mut self, outcome: Outcome) {
        if let Ok(path) = std::env::var("OTODOKE_CHAOS_REPORT") {
            let file = std::fs::File::options().create(true).append(true).open(path);
            let mut file = file.expect("OTODOKE_CHAOS_REPORT is a file that can be written");
            writeln!(file, "{}", outcome.to_json()).expect("the report can be written");
        }
        println!(
            "{} seed {}: recovery {}, lost {}, wrong {}",
            outcome.fault,
            outcome.seed,
            seconds(outcome.recovery),
            outcome.lost,
            outcome.wrong.len()
        );
        self.outcomes.push(outcome);
    }

    /// `| fault | runs | median | max | lost | wrong |`
    pub fn line(&self) -> String {
        let mut times: Vec<Duration> = self.outcomes.iter().filter_map(|o| o.recovery).collect();
        times.sort();
        let lost: usize = self.outcomes.iter().map(|o| o.lost).sum();
        let wrong: usize = self.outcomes.iter().map(|o| o.wrong.len()).sum();
        format!(
            "| {} | {} | {} | {} | {lost} | {wrong} |",
            self.fault,
            self.outcomes.len(),
            seconds(times.get(times.len() / 2).copied()),
            seconds(times.last().copied()),
        )
    }

    /// # Panics
    /// When a run was not right, with all that was wrong in it.
    pub fn assert_right(&self) {
        println!("{}", self.line());
        let mut text = String::new();
        for outcome in self.outcomes.iter().filter(|outcome| !outcome.is_right()) {
            let Outcome { fault, seed, recovery, lost, wrong, .. } = outcome;
            let recovery = seconds(*recovery);
            _ = writeln!(
                text,
                "{fault}, OTODOKE_CHAOS_SEEDS={seed}: recovery {recovery}, lost {lost}"
            );
            wrong.iter().for_each(|fault| _ = writeln!(text, "- {fault}"));
        }
        assert!(text.is_empty(), "it did not survive:\n{text}");
    }
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or("never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
}
