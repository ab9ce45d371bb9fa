//! Every setting: its flag, environment variable, unit, default and range.

mod console;

use std::net::SocketAddr;
use std::path::PathBuf;

use chrono_tz::Tz;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::contract::{Span, Timestamp};
use crate::masking::masked_url;
use crate::rules::Policy;

pub use console::{ConsoleSettings, Network, PublicUrl};

/// What every command takes. A flag wins over its environment variable.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    #[command(flatten)]
    pub services: Services,
    #[command(flatten)]
    pub rules: RuleSettings,
    #[command(flatten)]
    pub pipeline: PipelineSettings,
    #[command(flatten)]
    pub console: ConsoleSettings,
    /// What to log: a level, or filters such as `info,otodoke::pipeline=debug`
    #[arg(
        long,
        global = true,
        env = "OTODOKE_LOG",
        default_value = "info",
        value_name = "FILTER",
        help_heading = "Logging"
    )]
    pub log: String,
    /// How to log: lines for people, or JSON for programs
    #[arg(
        long,
        global = true,
        env = "OTODOKE_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT",
        help_heading = "Logging"
    )]
    pub log_format: LogFormat,
}

/// How log lines are written to standard error.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    Text,
    Json,
}

/// Where the services are, and under which names.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Services")]
pub struct Services {
    /// PostgreSQL, as postgres://user:password@host:port/database
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<SecretString>,
    /// RabbitMQ, as amqp://user:password@host:port/vhost (amqps:// for TLS)
    #[arg(long, global = true, env = "AMQP_URL", hide_env_values = true, value_name = "URL")]
    pub amqp_url: Option<SecretString>,
    /// A file that holds DATABASE_URL: a secret that stands neither in the environment nor in a
    /// list of processes
    #[arg(long, global = true, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
    /// A file that holds AMQP_URL
    #[arg(long, global = true, env = "AMQP_URL_FILE", value_name = "FILE")]
    pub amqp_url_file: Option<PathBuf>,
    /// Put before every name on the broker, with a dot, so that installations can share it
    #[arg(long, global = true, env = "OTODOKE_PREFIX", default_value = "", value_name = "PREFIX")]
    pub prefix: String,
    /// The `source` of derived events
    #[arg(
        long,
        global = true,
        env = "OTODOKE_SOURCE",
        default_value = "/otodoke",
        value_parser = source,
        value_name = "URI"
    )]
    pub source: String,
    /// Where `run` serves the console, /health and /metrics; port 0 takes any free one
    #[arg(
        long,
        global = true,
        env = "OTODOKE_HTTP_ADDR",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS"
    )]
    pub http_addr: SocketAddr,
    /// A collector of traces, by OTLP over HTTP, such as http://localhost:4318: events whose
    /// `traceparent` is sampled are followed from the queue to what is derived from them
    #[arg(long, global = true, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
}

/// What the rules of the marketplace depend on. A case keeps those that it was opened with.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Rules (durations as 60s, 5m, 48h, 14d)")]
pub struct RuleSettings {
    /// How long a buyer may change or cancel an order by himself
    #[arg(
        long,
        global = true,
        env = "OTODOKE_CHANGE_WINDOW",
        default_value = "5m",
        value_name = "DURATION"
    )]
    pub change_window: Span,
    /// The time to ship after authorisation, where the order names none
    #[arg(
        long,
        global = true,
        env = "OTODOKE_SHIP_WITHIN",
        default_value = "48h",
        value_name = "DURATION"
    )]
    pub ship_within: Span,
    /// The time to pay after placing, where the order names none
    #[arg(
        long,
        global = true,
        env = "OTODOKE_PAYMENT_WITHIN",
        default_value = "6d",
        value_name = "DURATION"
    )]
    pub payment_within: Span,
    /// The time to answer a buyer
    #[arg(
        long,
        global = true,
        env = "OTODOKE_REPLY_WITHIN",
        default_value = "48h",
        value_name = "DURATION"
    )]
    pub reply_within: Span,
    /// How long a buyer goes unanswered until the guarantee applies
    #[arg(
        long,
        global = true,
        env = "OTODOKE_GUARANTEE_AFTER",
        default_value = "14d",
        value_name = "DURATION"
    )]
    pub guarantee_after: Span,
    /// How long an inquiry without a known order waits for one
    #[arg(
        long,
        global = true,
        env = "OTODOKE_UNMATCHED_AFTER",
        default_value = "15m",
        value_name = "DURATION"
    )]
    pub unmatched_after: Span,
    /// How far back an inquiry's order is looked for
    #[arg(
        long,
        global = true,
        env = "OTODOKE_LOOKUP_WINDOW",
        default_value = "180d",
        value_name = "DURATION"
    )]
    pub lookup_window: Span,
    /// How long what rests on something missing waits for late arrivals
    #[arg(
        long,
        global = true,
        env = "OTODOKE_SETTLE",
        default_value = "60s",
        value_name = "DURATION"
    )]
    pub settle: Span,
    /// Where a day ends that a message names as its limit
    #[arg(
        long,
        global = true,
        env = "OTODOKE_TIME_ZONE",
        default_value = "Asia/Tokyo",
        value_name = "ZONE"
    )]
    pub time_zone: Tz,
}

impl RuleSettings {
    pub fn policy(&self) -> Policy {
        Policy {
            change_window: self.change_window,
            ship_within: self.ship_within,
            payment_within: self.payment_within,
            reply_within: self.reply_within,
            guarantee_after: self.guarantee_after,
            unmatched_after: self.unmatched_after,
            lookup_window: self.lookup_window,
            settle: self.settle,
            time_zone: self.time_zone,
        }
    }
}

impl From<Policy> for RuleSettings {
    fn from(policy: Policy) -> Self {
        RuleSettings {
            change_window: policy.change_window,
            ship_within: policy.ship_within,
            payment_within: policy.payment_within,
            reply_within: policy.reply_within,
            guarantee_after: policy.guarantee_after,
            unmatched_after: policy.unmatched_after,
            lookup_window: policy.lookup_window,
            settle: policy.settle,
            time_zone: policy.time_zone,
        }
    }
}

/// How the processor works.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Pipeline")]
pub struct PipelineSettings {
    /// How far ahead of the clock an event may be dated
    #[arg(
        long,
        global = true,
        env = "OTODOKE_MAX_CLOCK_SKEW",
        default_value = "10m",
        value_name = "DURATION"
    )]
    pub max_clock_skew: Span,
    /// How long deadlines wait, at most, for a backlog to drain after start or reconnection
    #[arg(
        long,
        global = true,
        env = "OTODOKE_MAX_HOLD",
        default_value = "15m",
        value_name = "DURATION"
    )]
    pub max_hold: Span,
    /// Derived events with an earlier time are recorded, not sent: an RFC 3339 date-time, or a date (UTC)
    #[arg(
        long,
        global = true,
        env = "OTODOKE_PUBLISH_FROM",
        value_parser = moment_or_day,
        value_name = "TIME"
    )]
    pub publish_from: Option<Timestamp>,
    /// The most events in one transaction, 1 to 5000
    #[arg(
        long,
        global = true,
        env = "OTODOKE_BATCH_MAX",
        default_value_t = 250,
        value_parser = clap::value_parser!(u16).range(1..=5000),
        value_name = "EVENTS"
    )]
    pub batch_max: u16,
    /// The most bytes of messages in one transaction, in KiB, 256 to 65536
    #[arg(
        long,
        global = true,
        env = "OTODOKE_BATCH_KIB",
        default_value_t = 4096,
        value_parser = clap::value_parser!(u32).range(256..=65536),
        value_name = "KIB"
    )]
    pub batch_kib: u32,
    /// Transactions at a time, 1 to 32: each order's events go to one of these lanes
    #[arg(
        long,
        global = true,
        env = "OTODOKE_LANES",
        default_value_t = 2,
        value_parser = clap::value_parser!(u8).range(1..=32),
        value_name = "LANES"
    )]
    pub lanes: u8,
    /// The most messages held unacknowledged from each queue, 1 to 20000
    #[arg(
        long,
        global = true,
        env = "OTODOKE_PREFETCH",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u16).range(1..=20000),
        value_name = "MESSAGES"
    )]
    pub prefetch: u16,
    /// Connections to the database beside one for each lane, 4 to 64
    #[arg(
        long,
        global = true,
        env = "OTODOKE_DATABASE_CONNECTIONS",
        default_value_t = 8,
        value_parser = clap::value_parser!(u8).range(4..=64),
        value_name = "CONNECTIONS"
    )]
    pub database_connections: u8,
    /// The folder that `prune` writes archived cases to, and that replays bring them back from
    #[arg(long, global = true, env = "OTODOKE_ARCHIVE", value_name = "DIR")]
    pub archive: Option<PathBuf>,
}

/// A setting that a command needs and nobody gave.
#[derive(Debug, thiserror::Error)]
#[error(
    "{variable} is not set: give the address of {service} in {variable}, with --{flag}, or in a \
     file that {variable}_FILE names\n\
     (`otodoke sandbox -- COMMAND` runs COMMAND with private services)"
)]
pub struct Missing {
    variable: &'static str,
    flag: &'static str,
    service: &'static str,
}

/// A file with an address that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum WrongFile {
    #[error("{variable} and {variable}_FILE are both set: give one")]
    Both { variable: &'static str },
    #[error("{variable}_FILE names {}, which can't be read: {source}", file.display())]
    Unreadable { variable: &'static str, file: PathBuf, source: std::io::Error },
    #[error("{variable}_FILE names {}, which is empty", file.display())]
    Empty { variable: &'static str, file: PathBuf },
}

/// The address in a file, without the line's end.
fn from_file(
    variable: &'static str,
    file: Option<&PathBuf>,
    url: &mut Option<SecretString>,
) -> Result<(), WrongFile> {
    let Some(file) = file.cloned() else { return Ok(()) };
    if url.is_some() {
        return Err(WrongFile::Both { variable });
    }
    let text = std::fs::read_to_string(&file).map_err(|source| WrongFile::Unreadable {
        variable,
        file: file.clone(),
        source,
    })?;
    match text.trim() {
        "" => Err(WrongFile::Empty { variable, file }),
        text => {
            *url = Some(SecretString::from(text));
            Ok(())
        }
    }
}

impl Services {
    /// Takes the addresses that stand in files.
    pub fn read_files(&mut self) -> Result<(), WrongFile> {
        from_file("DATABASE_URL", self.database_url_file.as_ref(), &mut self.database_url)?;
        from_file("AMQP_URL", self.amqp_url_file.as_ref(), &mut self.amqp_url)
    }

    pub fn database_url(&self) -> Result<&str, Missing> {
        let missing =
            Missing { variable: "DATABASE_URL", flag: "database-url", service: "PostgreSQL" };
        self.database_url.as_ref().map(|url| url.expose_secret()).ok_or(missing)
    }

    pub fn amqp_url(&self) -> Result<&str, Missing> {
        let missing = Missing { variable: "AMQP_URL", flag: "amqp-url", service: "RabbitMQ" };
        self.amqp_url.as_ref().map(|url| url.expose_secret()).ok_or(missing)
    }
}

/// A setting as it is in effect, for `otodoke config`. Passwords are masked.
#[derive(Debug, Serialize)]
pub struct Effective {
    pub name: &'static str,
    pub variable: &'static str,
    pub value: String,
}

impl Settings {
    /// Every setting with its effective value, in the order of the help.
    pub fn effective(&self) -> Vec<Effective> {
        let url = |url: &Option<SecretString>| {
            url.as_ref()
                .map_or_else(|| "(not set)".to_owned(), |url| masked_url(url.expose_secret()))
        };
        let (services, rules, pipeline) = (&self.services, &self.rules, &self.pipeline);
        let publish_from = pipeline.publish_from;
        let row = |name, variable, value: String| Effective { name, variable, value };
        let mut rows = vec![
            row("database-url", "DATABASE_URL", url(&services.database_url)),
            row("amqp-url", "AMQP_URL", url(&services.amqp_url)),
            row("prefix", "OTODOKE_PREFIX", services.prefix.clone()),
            row("source", "OTODOKE_SOURCE", services.source.clone()),
            row("http-addr", "OTODOKE_HTTP_ADDR", services.http_addr.to_string()),
            row(
                "otlp-endpoint",
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                services.otlp_endpoint.clone().unwrap_or_else(|| "(not set)".into()),
            ),
            row("change-window", "OTODOKE_CHANGE_WINDOW", rules.change_window.to_string()),
            row("ship-within", "OTODOKE_SHIP_WITHIN", rules.ship_within.to_string()),
            row("payment-within", "OTODOKE_PAYMENT_WITHIN", rules.payment_within.to_string()),
            row("reply-within", "OTODOKE_REPLY_WITHIN", rules.reply_within.to_string()),
            row("guarantee-after", "OTODOKE_GUARANTEE_AFTER", rules.guarantee_after.to_string()),
            row("unmatched-after", "OTODOKE_UNMATCHED_AFTER", rules.unmatched_after.to_string()),
            row("lookup-window", "OTODOKE_LOOKUP_WINDOW", rules.lookup_window.to_string()),
            row("settle", "OTODOKE_SETTLE", rules.settle.to_string()),
            row("time-zone", "OTODOKE_TIME_ZONE", rules.time_zone.to_string()),
            row("max-clock-skew", "OTODOKE_MAX_CLOCK_SKEW", pipeline.max_clock_skew.to_string()),
            row("max-hold", "OTODOKE_MAX_HOLD", pipeline.max_hold.to_string()),
            row(
                "publish-from",
                "OTODOKE_PUBLISH_FROM",
                publish_from.map_or("(not set)".into(), |at| at.to_string()),
            ),
            row("batch-max", "OTODOKE_BATCH_MAX", pipeline.batch_max.to_string()),
            row("batch-kib", "OTODOKE_BATCH_KIB", pipeline.batch_kib.to_string()),
            row("lanes", "OTODOKE_LANES", pipeline.lanes.to_string()),
            row("prefetch", "OTODOKE_PREFETCH", pipeline.prefetch.to_string()),
            row(
                "database-connections",
                "OTODOKE_DATABASE_CONNECTIONS",
                pipeline.database_connections.to_string(),
            ),
            row(
                "archive",
                "OTODOKE_ARCHIVE",
                pipeline
                    .archive
                    .as_ref()
                    .map_or("(not set)".into(), |folder| folder.display().to_string()),
            ),
        ];
        rows.extend(self.console.effective());
        rows.extend([
            row("log", "OTODOKE_LOG", self.log.clone()),
            row(
                "log-format",
                "OTODOKE_LOG_FORMAT",
                format!("{:?}", self.log_format).to_lowercase(),
            ),
        ]);
        rows
    }
}

fn source(text: &str) -> Result<String, String> {
    let fits = (1..=256).contains(&text.chars().count());
    if fits && fluent_uri::UriRef::parse(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err("the source is a URI reference of 1 to 256 characters, such as /otodoke".to_owned())
}

/// A moment; a date is the start of that day in UTC.
pub fn moment_or_day(text: &str) -> Result<Timestamp, String> {
    let wrong = || {
        format!(
            "`{text}` is neither a date-time with an offset (2026-01-31T09:00:00+09:00) nor a date (2026-01-31)"
        )
    };
    let moment = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    moment.parse().map_err(|_| wrong())
}
