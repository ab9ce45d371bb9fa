//! `otodoke derived republish`: recorded derived events once more, to one queue.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use futures_util::{Stream, StreamExt};
use indicatif::ProgressBar;
use serde_json::json;

use super::again::{is_of, message};
use crate::broker::{Outcome, Outgoing, Publisher, Session, queue_exists};
use crate::config::Settings;
use crate::contract::DerivedType;
use crate::desk::period::{self, Limit};
use crate::operator::database::connect;
use crate::operator::output::{progress, say, table};
use crate::pipeline::rounds;
use crate::retry::Causes;
use crate::rules::CaseId;
use crate::store::republish::{self as events, Filter, Place, Row};

/// Send recorded derived events once more, to one queue
///
/// For a subscriber who came late, or lost some. Sends those that stand, which were published
/// and not withdrawn since: each as it was then, under the same id, case by case in the order
/// of their sequence. They go to the queue itself, past the exchange, so nobody else gets them
/// twice. Bind the queue first and republish then: nothing is missed in between, and what comes
/// both ways has one id. What is withdrawn while this runs may come after its withdrawal: of two
/// events of a case the one with the greater `sequence` is the later. An interrupted run says from where to go on.
///
/// Their `source` is the setting OTODOKE_SOURCE, from which their ids follow: events that were
/// recorded under another one are left out, and counted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke derived republish --type refund-required --since 2026-01-01 --to payer --dry-run
  otodoke derived republish --type refund-required --since 2026-01-01 --to payer
  otodoke derived republish --seller A1B2C3 --include-unsent --to warehouse --json")]
pub struct RepublishArguments {
    /// Only this type; may be given several times
    #[arg(long = "type", value_name = "TYPE", value_parser = recorded_type)]
    types: Vec<String>,
    /// Only events for this seller
    #[arg(long, value_name = "SELLER")]
    seller: Option<String>,
    /// Only what became true on this day (in the setting time-zone) or after this moment
    #[arg(long, value_name = "DATE", value_parser = period::limit)]
    since: Option<Limit>,
    /// Only what became true up to the end of this day, or before this moment
    #[arg(long, value_name = "DATE", value_parser = period::limit)]
    until: Option<Limit>,
    /// The queue's full name; it must exist
    #[arg(long, value_name = "QUEUE", value_parser = queue_name)]
    to: String,
    /// Those too that were only recorded, because of the setting publish-from
    #[arg(long)]
    include_unsent: bool,
    /// Only what comes after this place; an interrupted run names it
    #[arg(long, value_name = "PLACE", value_parser = place)]
    after: Option<Place>,
    /// Count what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON object with the counts
    #[arg(long)]
    json: bool,
}

fn recorded_type(name: &str) -> Result<String, String> {
    let recorded =
        || DerivedType::ALL.iter().filter(|kind| **kind != DerivedType::DerivedWithdrawn);
    let names: Vec<&str> = recorded().map(|kind| kind.name()).collect();
    match names.contains(&name) {
        true => Ok(name.to_owned()),
        false => {
            Err(format!("`{name}` is no type that is recorded; there are {}", names.join(", ")))
        }
    }
}

fn queue_name(name: &str) -> Result<String, String> {
    match name.len() {
        1..=255 => Ok(name.to_owned()),
        _ => Err("a queue's name has 1 to 255 bytes".to_owned()),
    }
}

fn place(text: &str) -> Result<Place, String> {
    let parts = text.rsplit_once('/');
    parts
        .and_then(|(case, sequence)| {
            Some(Place { case: CaseId::from_key(case)?, sequence: sequence.parse().ok()? })
        })
        .ok_or_else(|| format!("`{text}` is no place: an interrupted run names it"))
}

/// Events in hand at a time.
const BATCH: usize = 2_000;
/// How long the broker may refuse or not answer until the command gives up.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn republish(arguments: RepublishArguments, settings: &Settings) -> Result<ExitCode> {
    let url = settings.services.amqp_url()?;
    check_queue(url, &arguments.to).await?;
    let filter = filter(&arguments, settings);
    let mut connection = connect(settings).await?;
    let total = match std::io::stderr().is_terminal() {
        true => Some(events::count(&mut connection, &filter).await?.unsigned_abs()),
        false => None,
    };
    let mut run = Run {
        publisher: match arguments.dry_run {
            true => None,
            false => Some(Publisher::open(url).await?),
        },
        progress: progress(total, "{bar:40} {pos}/{len} events {per_sec} {eta} left"),
        place: filter.after.clone(),
        source: &settings.services.source,
        arguments,
        by_type: BTreeMap::new(),
        left_out: 0,
    };
    let outcome = tokio::select! {
        outcome = run.all(events::rows(&mut connection, &filter)) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    run.progress.finish_and_clear();
    outcome.map_err(|error| run.go_on(error))?;
    run.finish().await
}

async fn check_queue(url: &str, queue: &str) -> Result<()> {
    let session = Session::open(url, "republish").await?;
    let exists = queue_exists(&session, queue).await;
    session.close().await;
    if !exists? {
        bail!(
            "there is no queue `{queue}`: whoever is to consume it declares it, or\n  \
             rabbitmqadmin declare queue name={queue} durable=true \
             arguments='{{\"x-queue-type\":\"quorum\"}}'"
        );
    }
    Ok(())
}

fn filter(arguments: &RepublishArguments, settings: &Settings) -> Filter {
    Filter {
        types: arguments.types.clone(),
        seller: arguments.seller.clone(),
        since: arguments.since.map(|limit| limit.beginning(settings)),
        until: arguments.until.map(|limit| limit.end(settings)),
        with_unsent: arguments.include_unsent,
        after: arguments.after.clone(),
    }
}

struct Run<'a> {
    arguments: RepublishArguments,
    source: &'a str,
    /// `None`: nothing is to be sent.
    publisher: Option<Publisher>,
    progress: ProgressBar,
    /// The last event that is done with.
    place: Option<Place>,
    by_type: BTreeMap<&'static str, u64>,
    /// Recorded under another source.
    left_out: u64,
}

impl Run<'_> {
    async fn all(&mut self, rows: impl Stream<Item = Result<Row, sqlx::Error>>) -> Result<()> {
        let mut batches = std::pin::pin!(rows.chunks(BATCH));
        while let Some(batch) = batches.next().await {
            let batch: Vec<Row> = batch.into_iter().collect::<Result<_, _>>()?;
            let last = batch.last().map(|row| {
                Ok::<_, sqlx::Error>(Place { case: row.case()?, sequence: row.sequence })
            });
            let size = batch.len() as u64;
            let ours = self.ours(batch)?;
            for row in &ours {
                *self.by_type.entry(row.derived_type()?.name()).or_default() += 1;
            }
            for round in rounds(ours, |row| &row.case_key) {
                self.send(round).await?;
            }
            self.place = last.transpose()?;
            self.progress.inc(size);
        }
        Ok(())
    }

    /// Only those whose ids follow from our source: the others would not be what they were.
    fn ours(&mut self, batch: Vec<Row>) -> Result<Vec<Row>> {
        let mut ours = Vec::with_capacity(batch.len());
        for row in batch {
            match is_of(self.source, &row)? {
                true => ours.push(row),
                false => self.left_out += 1,
            }
        }
        Ok(ours)
    }

    /// Sends a round, again and again until all of it is confirmed.
    async fn send(&mut self, round: Vec<Row>) -> Result<()> {
        let Some(publisher) = &mut self.publisher else { return Ok(()) };
        let queue = &self.arguments.to;
        let messages = round.into_iter().map(|row| message(row, self.source, queue));
        let mut waiting: Vec<Outgoing> = messages.collect::<Result<_, _>>()?;
        let begun = Instant::now();
        while !waiting.is_empty() {
            let outcomes = publisher.publish_all(&waiting).await;
            let mut unsent = Vec::new();
            for (message, outcome) in waiting.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Confirmed { routed: true } => {}
                    Outcome::Confirmed { routed: false } => bail!("the queue `{queue}` is gone"),
                    Outcome::Unsendable => bail!("the queue's name is too long for AMQP"),
                    Outcome::Refused | Outcome::Unknown => unsent.push(message),
                }
            }
            waiting = unsent;
            if !waiting.is_empty() && begun.elapsed() > PATIENCE {
                let fault = publisher.fault().map(|fault| Causes(fault).to_string());
                bail!(fault.unwrap_or_else(|| "the broker refuses: is the queue full?".to_owned()));
            }
        }
        Ok(())
    }

    fn sent(&self) -> u64 {
        self.by_type.values().sum()
    }

    fn go_on(&self, error: anyhow::Error) -> anyhow::Error {
        let hint = match &self.place {
            Some(place) => {
                format!(
                    "go on with the same command and --after {}/{}",
                    place.case.key(),
                    place.sequence
                )
            }
            None => "begin again with the same command".to_owned(),
        };
        error.context(format!("not all is sent: {hint} (what comes twice has one id)"))
    }

    async fn finish(self) -> Result<ExitCode> {
        let (count, source) = (self.sent(), self.source);
        if self.arguments.json {
            let object = json!({
                "queue": self.arguments.to, "source": source, "dry_run": self.arguments.dry_run,
                "events": count, "by_type": self.by_type, "left_out": self.left_out,
            });
            say(&serde_json::to_string_pretty(&object)?)?;
        } else {
            self.tell()?;
        }
        if self.left_out > 0 {
            eprintln!(
                "{} events were recorded under another source than `{source}` and are left out: \
                 send them with OTODOKE_SOURCE set to what it was then",
                self.left_out
            );
        }
        if let Some(publisher) = self.publisher {
            publisher.close().await;
        }
        Ok(if self.left_out == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn tell(&self) -> Result<()> {
        if !self.by_type.is_empty() {
            let mut rows = table(["type", "events"]);
            for (name, count) in &self.by_type {
                rows.add_row([(*name).to_owned(), count.to_string()]);
            }
            say(&rows.trim_fmt())?;
        }
        let (count, queue, source) = (self.sent(), &self.arguments.to, self.source);
        let done = if self.arguments.dry_run { "would be sent" } else { "sent" };
        eprintln!("{count} events {done} to `{queue}`, with the source `{source}`");
        Ok(())
    }
}
