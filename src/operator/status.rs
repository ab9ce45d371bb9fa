//! `otodoke status`: backlog, lag, rates, dead letters, and whether the services answer.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::database::connect;
use super::derived::pauses;
use super::output::{say, table};
use crate::broker::{Names, QueueDepth, Session, backlog};
use crate::config::Settings;
use crate::contract::{Stream, Timestamp};
use crate::pipeline::since;
use crate::store::ledger::{self, Count};
use crate::store::status::{self as figures, Figures, ParkedCase};

/// Show how things stand: backlog, lag, rates, dead letters, connections
///
/// Looks at the broker's queues and at the database, and counts for a second how many events
/// come in. Exits with 1 where one of them doesn't answer; what the other says is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "What to look at:
  ready             messages that wait in a queue; no consumers: nobody takes them
  outbox            derived events that the broker has not confirmed: the relay sends them,
                    but for what is paused: see `otodoke derived pauses`
  overdue           how long the first due case has waited to be decided: the timers do that
  parked            cases whose decision fails; they are tried again by themselves
  dead letters      see `otodoke dead-letters list`")]
pub struct StatusArguments {
    /// One JSON object; ages in seconds
    #[arg(long)]
    json: bool,
}

/// The most parked cases that are listed.
const PARKED_MAX: i64 = 100;
/// How long events are counted for a rate.
const COUNTED: Duration = Duration::from_secs(1);

pub async fn status(arguments: StatusArguments, settings: &Settings) -> Result<ExitCode> {
    // A setting that is missing is no service that is away.
    let (_, url) = (settings.services.database_url()?, settings.services.amqp_url()?);
    let names = Names::new(&settings.services.prefix)?;
    let (queues, tables) = tokio::join!(queues(url, &names), Tables::read(settings));
    match arguments.json {
        true => say(&serde_json::to_string_pretty(&for_programs(&queues, &tables))?)?,
        false => say(for_people(&queues, &tables).trim_end())?,
    }
    Ok(if queues.is_ok() && tables.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn queues(url: &str, names: &Names) -> Result<Vec<QueueDepth>> {
    let session = Session::open(url, "status").await?;
    let depths = backlog(&session, names).await;
    session.close().await;
    Ok(depths?)
}

/// What the database says.
struct Tables {
    figures: Figures,
    parked: Vec<ParkedCase>,
    /// When something came in last.
    last_received: Option<Timestamp>,
    counted: Count,
    counted_for: Duration,
}

impl Tables {
    async fn read(settings: &Settings) -> Result<Tables> {
        let mut connection = connect(settings).await?;
        Tables::ask(&mut connection).await.context("the database can't say (is it set up?)")
    }

    async fn ask(conn: &mut PgConnection) -> Result<Tables, sqlx::Error> {
        let (end, _) = ledger::end(conn).await?;
        let begun = Instant::now();
        tokio::time::sleep(COUNTED).await;
        let counted = ledger::after(conn, end).await?;
        let counted_for = begun.elapsed();
        let (_, last_received) = ledger::end(conn).await?;
        let figures = figures::figures(conn).await?;
        let parked = figures::parked(conn, PARKED_MAX).await?;
        Ok(Tables { figures, parked, last_received, counted, counted_for })
    }

    fn rate(&self, count: i64) -> f64 {
        (count as f64 / self.counted_for.as_secs_f64() * 10.0).round() / 10.0
    }

    /// Nothing where there is nothing that could be old.
    fn age(&self, moment: Option<Timestamp>) -> Option<f64> {
        moment.map(|moment| since(Some(moment), self.figures.clock).as_secs_f64())
    }
}

fn for_people(queues: &Result<Vec<QueueDepth>>, tables: &Result<Tables>) -> String {
    let mut text = connection("broker", queues) + &connection("database", tables);
    if let Ok(depths) = queues {
        text.push_str(&queue_table(depths));
    }
    if let Ok(tables) = tables {
        text.push_str(&levels(tables));
        text.push_str(&paused(tables));
        text.push_str(&dead_letters(tables));
        text.push_str(&parked(tables));
    }
    text
}

fn connection<T>(service: &str, answer: &Result<T>) -> String {
    match answer {
        Ok(_) => format!("{service:9} answers\n"),
        Err(error) => format!("{service:9} does not answer: {error:#}\n"),
    }
}

fn queue_table(depths: &[QueueDepth]) -> String {
    let mut rows = table(["queue", "ready", "consumers"]);
    for depth in depths {
        let ready = depth.ready.map_or("missing".to_owned(), |ready| ready.to_string());
        rows.add_row([depth.queue.clone(), ready, depth.consumers.to_string()]);
    }
    let hint = match depths.iter().any(|depth| depth.ready.is_none()) {
        true => "`otodoke topology` declares what is missing\n",
        false => "",
    };
    format!("\n{}\n{hint}", rows.trim_fmt())
}

fn levels(tables: &Tables) -> String {
    let age = |moment| tables.age(moment).map_or("nothing".to_owned(), |age| format!("{age:.1} s"));
    let (figures, counted) = (&tables.figures, &tables.counted);
    let rows = [
        ("events a second", tables.rate(counted.received).to_string()),
        ("  new to the history", tables.rate(counted.accepted).to_string()),
        (
            "last event came in",
            tables
                .age(tables.last_received)
                .map_or("never".to_owned(), |age| format!("{age:.1} s ago")),
        ),
        ("outbox", figures.outbox.to_string()),
        ("oldest unpublished", age(figures.oldest_unpublished)),
        ("overdue", age(figures.oldest_due)),
        ("wake-ups", figures.wake_ups.to_string()),
        ("parked cases", figures.parked_cases.to_string()),
    ];
    let lines = rows.map(|(name, value)| format!("{name:21} {value}\n"));
    format!("\n{}", lines.concat())
}

fn paused(tables: &Tables) -> String {
    match pauses::rows(&tables.figures.paused) {
        Some(rows) => format!("\n{rows}\n\n"),
        None => String::new(),
    }
}

fn dead_letters(tables: &Tables) -> String {
    let open = &tables.figures.open_dead_letters;
    if open.is_empty() {
        return "open dead letters     0\n".to_owned();
    }
    let mut rows = table(["open dead letters", "count"]);
    for (code, count) in open {
        rows.add_row([code.clone(), count.to_string()]);
    }
    format!("\n{}\n", rows.trim_fmt())
}

fn parked(tables: &Tables) -> String {
    if tables.parked.is_empty() {
        return String::new();
    }
    let mut rows = table(["parked", "attempts", "again at", "why"]);
    for parked in &tables.parked {
        let (attempts, until) = (parked.attempts.to_string(), parked.until.to_string());
        rows.add_row([parked.case.subject(), attempts, until, parked.error.clone()]);
    }
    format!("\n{}\n", rows.trim_fmt())
}

fn for_programs(queues: &Result<Vec<QueueDepth>>, tables: &Result<Tables>) -> Value {
    let mut object = match tables {
        Ok(tables) => of_tables(tables),
        Err(_) => json!({}),
    };
    object["connections"] = json!({
        "broker": answer(queues),
        "database": answer(tables),
    });
    if let Ok(depths) = queues {
        object["queues"] = depths.iter().map(of_queue).collect();
    }
    object
}

fn answer<T>(answer: &Result<T>) -> Value {
    match answer {
        Ok(_) => json!({ "answers": true }),
        Err(error) => json!({ "answers": false, "error": format!("{error:#}") }),
    }
}

fn of_queue(depth: &QueueDepth) -> Value {
    json!({
        "queue": depth.queue,
        "stream": depth.stream.map(Stream::name),
        "ready": depth.ready,
        "consumers": depth.consumers,
    })
}

fn of_tables(tables: &Tables) -> Value {
    let (figures, counted) = (&tables.figures, &tables.counted);
    let parked = |parked: &ParkedCase| {
        json!({
            "case": parked.case.subject(), "until": parked.until,
            "attempts": parked.attempts, "error": parked.error,
        })
    };
    json!({
        "outbox": figures.outbox,
        "oldest_unpublished_seconds": tables.age(figures.oldest_unpublished),
        "paused": figures.paused.iter().map(pauses::object).collect::<Vec<_>>(),
        "overdue_seconds": tables.age(figures.oldest_due),
        "last_received_seconds": tables.age(tables.last_received),
        "rates": {
            "received": tables.rate(counted.received),
            "accepted": tables.rate(counted.accepted),
            "duplicates": tables.rate(counted.duplicates),
            "dead": tables.rate(counted.dead),
        },
        "wake_ups": figures.wake_ups,
        "dead_letters": figures.open_dead_letters,
        "parked_cases": figures.parked_cases,
        "parked": tables.parked.iter().map(parked).collect::<Vec<_>>(),
    })
}
