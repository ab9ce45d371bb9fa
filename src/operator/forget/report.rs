//! What of a buyer was found, and what became of it.

use anyhow::Result;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ForgetArguments;
use super::archives::{Archived, Archives};
use super::find::Found;
use super::letters::Letters;
use crate::operator::output::say;
use crate::rules::personal::Trail;

/// Counts, and what to look at.
#[derive(Debug)]
pub struct Report {
    orders: usize,
    threads: usize,
    events: usize,
    shared: usize,
    letters: usize,
    archived_events: usize,
    archive_files: usize,
    archives_left_out: usize,
    doubtful: Vec<Uuid>,
}

impl Report {
    pub fn new(
        trail: &Trail,
        found: &Found,
        letters: &Letters,
        archived: &Archived,
        archives: &Archives,
    ) -> Report {
        Report {
            orders: trail.orders.len(),
            threads: trail.threads.len(),
            events: found.events.len(),
            shared: found.shared,
            letters: letters.own.len(),
            archived_events: archived.events,
            archive_files: archived.files.len(),
            archives_left_out: archives.left_out(),
            doubtful: letters.doubtful.clone(),
        }
    }

    /// The numbers, as the audit trail keeps them.
    pub fn counts(&self) -> Value {
        json!({
            "orders": self.orders, "threads": self.threads, "events": self.events,
            "shared_events": self.shared, "dead_letters": self.letters,
            "archived_events": self.archived_events, "archive_files": self.archive_files,
            "archives_left_out": self.archives_left_out,
        })
    }

    pub fn tell(&self, arguments: &ForgetArguments) -> Result<()> {
        if arguments.json {
            let mut told = self.counts();
            told["buyer"] = json!(arguments.buyer);
            told["forgotten"] = json!(arguments.yes);
            told["doubtful_dead_letters"] = json!(self.doubtful);
            return Ok(say(&told.to_string())?);
        }
        say(&self.text(arguments))?;
        self.warn(arguments);
        Ok(())
    }

    fn text(&self, arguments: &ForgetArguments) -> String {
        let buyer = &arguments.buyer;
        let known = format!("{} orders and {} threads", self.orders, self.threads);
        if self.events + self.letters + self.archived_events + self.archive_files == 0 {
            return format!("nothing personal is left of the buyer {buyer} ({known})");
        }
        let would_be = if arguments.yes { "were" } else { "would be" };
        let mut text = format!(
            "of the buyer {buyer} with {known}, {} events {would_be} rewritten without personal \
             data, and {} dead letters emptied",
            self.events, self.letters
        );
        if self.archive_files > 0 {
            let (events, files) = (self.archived_events, self.archive_files);
            text.push_str(&format!("; so {would_be} {events} events in {files} archive files"));
        }
        text
    }

    fn warn(&self, arguments: &ForgetArguments) {
        if self.shared > 0 {
            eprintln!(
                "{} events of other buyers name the same e-mail address, which goes from them, too",
                self.shared
            );
        }
        if self.archives_left_out > 0 {
            eprintln!("{} archive files were not looked into", self.archives_left_out);
        }
        for letter in &self.doubtful {
            eprintln!(
                "the dead letter {letter} holds the same name or phone number, but not whose it is"
            );
        }
        if !arguments.yes {
            eprintln!("nothing was changed; to do it add --yes, and why as --reason");
        }
    }
}
