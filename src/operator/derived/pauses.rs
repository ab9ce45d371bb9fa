//! `otodoke derived pause`, `resume` and `pauses`: a type of message is held back.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sqlx::Connection;

use crate::config::Settings;
use crate::contract::Timestamp;
use crate::desk::who::who;
use crate::operator::database::connect;
use crate::operator::output::{say, table};
use crate::operator::tail::type_name;
use crate::store::audit;
use crate::store::pauses::{self, Pause, Waiting};

/// Hold back a type of derived event
///
/// Within a second no processor sends it any more, nor withdrawals of it, nor what comes after
/// one of either in its case: events of a case go out in the order of their sequence, or not
/// at all. Everything else goes on, and what is held waits in the outbox until `derived resume`,
/// through restarts too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke derived pause --type refund-required --reason 'the payer is being repaired'
  otodoke derived pauses
  otodoke derived resume --type refund-required")]
pub struct PauseArguments {
    /// The type, event-dead-lettered and derived-withdrawn (any withdrawal) among them; may be
    /// given several times
    #[arg(long = "type", value_name = "TYPE", value_parser = type_name, required = true)]
    types: Vec<String>,
    /// Why, for those who find it paused
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
}

/// Send again what was held back
///
/// Within a second processors send what has waited, in the order of its sequence by case.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  otodoke derived resume --type refund-required")]
pub struct ResumeArguments {
    /// The type; may be given several times
    #[arg(long = "type", value_name = "TYPE", value_parser = type_name, required = true)]
    types: Vec<String>,
}

/// List what is held back, and how much waits
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  otodoke derived pauses --json")]
pub struct PausesArguments {
    /// A JSON array
    #[arg(long)]
    json: bool,
}

/// What to do where the statement fails.
const IS_IT_SET_UP: &str = "the database can't (is it set up? `otodoke migrate` does that)";

pub async fn pause(arguments: PauseArguments, settings: &Settings) -> Result<ExitCode> {
    let mut connection = connect(settings).await?;
    let who = who();
    let reason = arguments.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    let mut transaction = connection.begin().await?;
    let paused = pauses::add(&mut transaction, &arguments.types, &who, reason).await;
    let paused = paused.context(IS_IT_SET_UP)?;
    let detail = json!({ "reason": reason });
    audit::record_each(&mut transaction, &who, "pause", &paused, &detail).await?;
    transaction.commit().await?;
    for pause in pauses::list(&mut connection).await?.iter().map(|waiting| &waiting.pause) {
        let name = &pause.event_type;
        if paused.contains(name) {
            eprintln!("{name} is paused by {who}: `otodoke derived resume --type {name}` ends it");
        } else if arguments.types.contains(name) {
            eprintln!("{name} was paused already, {}", story(pause));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn resume(arguments: ResumeArguments, settings: &Settings) -> Result<ExitCode> {
    let mut connection = connect(settings).await?;
    let mut transaction = connection.begin().await?;
    let ended = pauses::remove(&mut transaction, &arguments.types).await.context(IS_IT_SET_UP)?;
    let names: Vec<String> = ended.iter().map(|pause| pause.event_type.clone()).collect();
    audit::record_each(&mut transaction, &who(), "resume", &names, &json!({})).await?;
    transaction.commit().await?;
    for name in &arguments.types {
        match ended.iter().find(|pause| pause.event_type == *name) {
            Some(pause) => eprintln!("{name} is sent again; it was paused {}", story(pause)),
            None => eprintln!("{name} was not paused"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn pauses(arguments: PausesArguments, settings: &Settings) -> Result<ExitCode> {
    let mut connection = connect(settings).await?;
    let paused = pauses::list(&mut connection).await.context(IS_IT_SET_UP)?;
    if arguments.json {
        let objects: Vec<Value> = paused.iter().map(object).collect();
        say(&serde_json::to_string_pretty(&objects)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    match rows(&paused) {
        None => eprintln!("nothing is paused"),
        Some(rows) => {
            say(&rows)?;
            let behind = pauses::behind(&mut connection).await?;
            if behind > 0 {
                eprintln!("{behind} messages of other types wait behind these in their cases");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn story(pause: &Pause) -> String {
    let since = Timestamp::from_chrono(pause.since);
    let why = pause.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    format!("since {since} by {}{why}", pause.who)
}

/// A table of what is paused; `None` where nothing is.
pub fn rows(paused: &[Waiting]) -> Option<String> {
    if paused.is_empty() {
        return None;
    }
    let mut rows = table(["paused", "waiting", "since", "by", "why"]);
    for waiting in paused {
        let pause = &waiting.pause;
        rows.add_row([
            pause.event_type.clone(),
            waiting.waiting.to_string(),
            Timestamp::from_chrono(pause.since).to_string(),
            pause.who.clone(),
            pause.reason.clone().unwrap_or_default(),
        ]);
    }
    Some(rows.trim_fmt())
}

/// A pause, for programs.
pub fn object(waiting: &Waiting) -> Value {
    let pause = &waiting.pause;
    json!({
        "type": pause.event_type,
        "since": Timestamp::from_chrono(pause.since),
        "who": pause.who,
        "reason": pause.reason,
        "waiting": waiting.waiting,
        "oldest_waiting_since": waiting.oldest.map(Timestamp::from_chrono),
    })
}
