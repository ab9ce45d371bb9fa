//! `otodoke tail`: derived events as they are published.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use serde_json::Value;

use super::output::{coloured, say};
use crate::broker::{Names, Tail};
use crate::config::Settings;
use crate::contract::DerivedType;
use crate::retry::Outage;

/// Show derived events as they are published
///
/// Takes nothing from anybody: it looks on with a queue of its own, from now on. With a
/// lost connection it waits and goes on; what was published meanwhile is not shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke tail
  otodoke tail --type refund-required --type derived-withdrawn
  otodoke tail --seller A1B2C3 --json")]
pub struct TailArguments {
    /// Only this type; may be given several times
    #[arg(long = "type", value_name = "TYPE", value_parser = type_name)]
    types: Vec<String>,
    /// Only events for this seller
    #[arg(long, value_name = "SELLER")]
    seller: Option<String>,
    /// End after this many events
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// One CloudEvent a line, as it was published
    #[arg(long)]
    json: bool,
}

/// Published beside the derived events, for alerting.
const ALERT: &str = "event-dead-lettered";

/// A type of message that goes out, for clap.
pub fn type_name(name: &str) -> Result<String, String> {
    let known = DerivedType::from_name(name).is_some() || name == ALERT;
    known.then(|| name.to_owned()).ok_or_else(|| {
        let all: Vec<&str> =
            DerivedType::ALL.iter().map(|kind| kind.name()).chain([ALERT]).collect();
        format!("`{name}` is no type of derived event; there are {}", all.join(", "))
    })
}

pub async fn tail(arguments: TailArguments, settings: &Settings) -> Result<ExitCode> {
    let names = Names::new(&settings.services.prefix)?;
    let url = settings.services.amqp_url()?;
    let patterns = patterns(&arguments);
    let mut outage = Outage::of("the broker");
    let mut shown = 0;
    loop {
        let error = match Tail::open(url, &names, &patterns).await {
            Ok(mut tail) => loop {
                match tail.next().await {
                    Ok(delivery) => {
                        outage.over();
                        say(&line(&delivery.body, arguments.json))?;
                        shown += 1;
                        if arguments.limit.is_some_and(|limit| shown >= limit) {
                            return Ok(ExitCode::SUCCESS);
                        }
                    }
                    Err(error) => break error,
                }
            },
            Err(error) if !error.is_transient() => return Err(error.into()),
            Err(error) => error,
        };
        outage.wait(&error).await;
    }
}

fn patterns(arguments: &TailArguments) -> Vec<String> {
    let seller = arguments
        .seller
        .as_deref()
        .map_or("*".to_owned(), |seller| seller.replace(['.', '*', '#'], "_"));
    match arguments.types.is_empty() {
        true => vec![format!("*.{seller}")],
        false => arguments.types.iter().map(|name| format!("{name}.{seller}")).collect(),
    }
}

/// A published event as a line of the terminal.
pub fn line(body: &[u8], as_json: bool) -> String {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    match parsed {
        Some(event) if as_json => event.to_string(),
        Some(event) => for_people(&event),
        None => "(a message that isn't JSON)".to_owned(),
    }
}

fn for_people(event: &Value) -> String {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or("");
    let data = event.get("data").and_then(Value::as_object);
    let rule = data.and_then(|data| data.get("rule")).and_then(Value::as_str).unwrap_or("");
    let fields: Vec<String> = data
        .into_iter()
        .flatten()
        .filter(|(name, _)| !matches!(name.as_str(), "order_id" | "seller_id" | "rule"))
        .map(|(name, value)| format!("{name}={}", brief(value)))
        .collect();
    let style = if coloured() { style_of(text("type")) } else { Style::new() };
    let (time, kind, subject) = (text("time"), text("type"), text("subject"));
    format!("{time}  {style}{kind:28}{style:#} {subject:24} {rule:3} {}", fields.join(" "))
}

fn brief(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What is to be done is yellow, money magenta, trouble red, good news green.
fn style_of(kind: &str) -> Style {
    let colour = match kind {
        "refund-required" => AnsiColor::Magenta,
        "derived-withdrawn" => AnsiColor::BrightBlack,
        "order-conflict" | ALERT => AnsiColor::Red,
        kind if kind.ends_with("-overdue") || kind.ends_with("-blocked") => AnsiColor::Red,
        kind if kind.ends_with("-required") => AnsiColor::Yellow,
        kind if kind.ends_with("-available") || kind.ends_with("-matched") => AnsiColor::Green,
        _ => AnsiColor::Cyan,
    };
    colour.on_default()
}
