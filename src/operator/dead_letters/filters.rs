//! Which dead letters a command is about.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::config::Settings;
use crate::contract::{Identifier, RejectionCode, Stream};
use crate::desk::period::{self, Limit};
use crate::operator::order::order_id;
use crate::store::dead_letters::Filter;

/// Which dead letters are meant.
#[derive(Debug, clap::Args)]
pub struct Filters {
    /// Refused for this: not-json, schema-violation, …
    #[arg(long, value_name = "CODE", value_parser = code)]
    code: Option<RejectionCode>,
    /// Of this event type, as far as it could be read
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// From this queue: orders, payments, shipments, messages
    #[arg(long, value_name = "STREAM", value_parser = stream)]
    stream: Option<Stream>,
    /// With this order's number anywhere in the message
    #[arg(long, value_name = "ORDER_ID", value_parser = order_id)]
    order: Option<Identifier>,
    /// Last seen on this day (in the setting time-zone) or after this moment
    #[arg(long, value_name = "DATE", value_parser = period::limit)]
    since: Option<Limit>,
    /// Last seen up to the end of this day, or this moment
    #[arg(long, value_name = "DATE", value_parser = period::limit)]
    until: Option<Limit>,
    /// With this text in the reason or in the message's bytes
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// The one with this id, whatever its status
    #[arg(long, value_name = "ID")]
    id: Option<Uuid>,
    /// open, replayed, discarded or all; open unless --id is given
    #[arg(long, value_name = "STATUS", value_enum)]
    status: Option<Status>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Open,
    Replayed,
    Discarded,
    All,
}

fn code(name: &str) -> Result<RejectionCode, String> {
    RejectionCode::from_name(name).ok_or_else(|| {
        let all: Vec<&str> = RejectionCode::ALL.iter().map(|code| code.name()).collect();
        format!("`{name}` is no code; there are {}", all.join(", "))
    })
}

fn stream(name: &str) -> Result<Stream, String> {
    Stream::from_name(name).ok_or_else(|| {
        format!("`{name}` is no stream; there are orders, payments, shipments and messages")
    })
}

impl Filters {
    pub fn filter(&self, settings: &Settings) -> Filter {
        Filter {
            id: self.id,
            code: self.code.map(|code| code.name().to_owned()),
            event_type: self.event_type.clone(),
            stream: self.stream.map(|stream| stream.name().to_owned()),
            status: self.status().map(str::to_owned),
            order: self.order.as_ref().map(ToString::to_string),
            since: self.since.map(|limit| limit.beginning(settings)),
            until: self.until.map(|limit| limit.end(settings)),
            text: self.text.clone(),
            place: None,
            cause: None,
        }
    }

    /// As a job keeps it, for people.
    pub fn describe(&self) -> Value {
        let mut shown = Map::new();
        let mut note = |name: &str, value: Option<String>| {
            shown.extend(value.map(|value| (name.to_owned(), Value::from(value))));
        };
        note("code", self.code.map(|code| code.name().to_owned()));
        note("type", self.event_type.clone());
        note("stream", self.stream.map(|stream| stream.name().to_owned()));
        note("order", self.order.as_ref().map(ToString::to_string));
        note("since", self.since.map(|limit| limit.to_string()));
        note("until", self.until.map(|limit| limit.to_string()));
        // What somebody looked for may be a name.
        note("text", self.text.as_ref().map(|_| "***".to_owned()));
        note("id", self.id.map(|id| id.to_string()));
        note("status", self.status().map(str::to_owned));
        Value::Object(shown)
    }

    /// Whether it is about one letter, which has to be there.
    pub fn names_one(&self) -> bool {
        self.id.is_some()
    }

    /// Whether anything but the status narrows it.
    pub fn is_narrow(&self) -> bool {
        let Filters { code, event_type, stream, order, since, until, text, id, status: _ } = self;
        code.is_some()
            || stream.is_some()
            || order.is_some()
            || id.is_some()
            || [since, until].iter().any(|limit| limit.is_some())
            || [event_type, text].iter().any(|text| text.is_some())
    }

    fn status(&self) -> Option<&'static str> {
        match self.status {
            None if self.id.is_some() => None,
            None | Some(Status::Open) => Some("open"),
            Some(Status::Replayed) => Some("replayed"),
            Some(Status::Discarded) => Some("discarded"),
            Some(Status::All) => None,
        }
    }
}
