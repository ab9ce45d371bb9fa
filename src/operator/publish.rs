//! `otodoke publish`: events from files to the broker, each confirmed.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;

use super::ndjson::{self, Line, Lines};
use super::output::progress;
use super::validate::describe;
use crate::broker::{Names, Outcome, Outgoing, Publisher};
use crate::config::Settings;
use crate::contract::{STRUCTURED_MEDIA_TYPE, Stream};

/// Publish newline-delimited CloudEvents to the stream that each one's type belongs to
///
/// Each event is validated as the queue would, then published with the broker's confirm.
/// A wrong line is reported and passed over; the exit code is then 1. An event that is
/// published again changes nothing: it is known by its source and id.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  otodoke publish events.ndjson\n  generate-events | otodoke publish -"
)]
pub struct PublishArguments {
    /// Newline-delimited CloudEvents; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Send every line as it is, whatever it holds
    #[arg(long)]
    no_validate: bool,
    /// With --no-validate: the stream of lines whose type names none
    #[arg(long, value_name = "STREAM", requires = "no_validate", value_parser = stream)]
    stream: Option<Stream>,
}

fn stream(name: &str) -> Result<Stream, String> {
    Stream::from_name(name).ok_or_else(|| {
        format!("`{name}` is no stream; there are orders, payments, shipments and messages")
    })
}

/// Messages on their way at a time.
const BATCH: usize = 500;
/// How long the broker may refuse or not answer until the command gives up.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn publish(arguments: PublishArguments, settings: &Settings) -> Result<ExitCode> {
    let names = Names::new(&settings.services.prefix)?;
    let publisher = Publisher::open(settings.services.amqp_url()?).await?;
    let progress = bar(ndjson::total_size(&arguments.files).await);
    let mut run = Run {
        arguments,
        settings,
        names,
        publisher,
        progress,
        waiting: Vec::new(),
        sent: 0,
        wrong: 0,
    };
    for path in run.arguments.files.clone() {
        let mut lines = Lines::open(&path).await?;
        while let Some(line) = lines.next().await? {
            run.take(&path.display().to_string(), line)?;
            if run.waiting.len() >= BATCH {
                run.send().await?;
            }
        }
    }
    run.send().await?;
    run.progress.finish_and_clear();
    run.publisher.close().await;
    eprintln!("{} published, {} refused", run.sent, run.wrong);
    Ok(if run.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Run<'a> {
    arguments: PublishArguments,
    settings: &'a Settings,
    names: Names,
    publisher: Publisher,
    progress: ProgressBar,
    waiting: Vec<Outgoing>,
    sent: u64,
    wrong: u64,
}

impl Run<'_> {
    fn take(&mut self, path: &str, line: Line) -> Result<()> {
        self.progress.inc(line.length);
        let named = ndjson::named(&line.bytes);
        if self.arguments.no_validate {
            let Some(stream) = named.stream.or(self.arguments.stream) else {
                bail!("{path}:{}: its type names no stream: say which with --stream", line.number);
            };
            let type_name = named.type_name.unwrap_or_else(|| "unknown".to_owned());
            self.waiting.push(self.message(stream, type_name, line.bytes));
            return Ok(());
        }
        match ndjson::judge(&line.bytes, self.settings.pipeline.max_clock_skew) {
            Ok(stream) => {
                let type_name = named.type_name.unwrap_or_default();
                self.waiting.push(self.message(stream, type_name, line.bytes));
            }
            Err(rejection) => {
                self.wrong += 1;
                let report = describe(path, line.number, &rejection, false);
                self.progress.suspend(|| eprintln!("{report}"));
            }
        }
        Ok(())
    }

    fn message(&self, stream: Stream, type_name: String, body: Vec<u8>) -> Outgoing {
        let usable = |name: &str| name.len() <= 128 && !name.contains(['#', '*']);
        let word = if usable(&type_name) { type_name.as_str() } else { "unknown" };
        Outgoing {
            exchange: self.names.events(),
            routing_key: format!("{}.{word}", stream.name()),
            message_id: message_id(&body),
            event_type: type_name,
            timestamp: None,
            content_type: STRUCTURED_MEDIA_TYPE.to_owned(),
            headers: Default::default(),
            mandatory: true,
            body: body.into(),
        }
    }

    /// Sends what waits, again and again until all of it is confirmed.
    async fn send(&mut self) -> Result<()> {
        let begun = Instant::now();
        while !self.waiting.is_empty() {
            let outcomes = self.publisher.publish_all(&self.waiting).await;
            let mut unsent = Vec::new();
            for (message, outcome) in std::mem::take(&mut self.waiting).into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Confirmed { routed: true } => self.sent += 1,
                    Outcome::Confirmed { routed: false } => bail!(
                        "no queue takes {}: declare the topology with `otodoke topology`",
                        message.routing_key
                    ),
                    Outcome::Unsendable => bail!("a routing key is too long for AMQP"),
                    Outcome::Refused | Outcome::Unknown => unsent.push(message),
                }
            }
            self.waiting = unsent;
            if !self.waiting.is_empty() && begun.elapsed() > PATIENCE {
                return self.give_up();
            }
        }
        Ok(())
    }

    fn give_up(&self) -> Result<()> {
        let (sent, exchange) = (self.sent, self.names.events());
        let hint = format!(
            "{sent} events are confirmed, the next is not: publish the file again, what arrived changes nothing \
             (if the exchange {exchange} is missing, `otodoke topology` declares it)"
        );
        match self.publisher.fault() {
            Some(fault) => Err(anyhow::anyhow!("{}", crate::retry::Causes(fault))).context(hint),
            None => bail!("the broker refuses: {hint}"),
        }
    }
}

/// The event's own id, by which a returned message is recognised.
fn message_id(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Id {
        id: Option<String>,
    }
    serde_json::from_slice::<Id>(body).ok().and_then(|event| event.id).unwrap_or_default()
}

fn bar(total: Option<u64>) -> ProgressBar {
    progress(
        total,
        match total {
            Some(_) => "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
            None => "{spinner} {bytes} {bytes_per_sec}",
        },
    )
}
