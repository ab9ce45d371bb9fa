//! Which dead letters are meant, as an address or a form writes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::period;
use crate::config::Settings;
use crate::contract::{Identifier, RejectionCode, Stream};
use crate::store::dead_letters::Filter;

/// Which dead letters are meant. What is empty doesn't narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Filters {
    /// Refused for this: not-json, schema-violation, …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// Of this event type, as far as it could be read
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub event_type: String,
    /// From this queue: orders, payments, shipments, messages
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stream: String,
    /// With this order's number anywhere in the message
    #[serde(skip_serializing_if = "String::is_empty")]
    pub order: String,
    /// Last seen on this day (in the setting time-zone) or after this moment
    #[serde(skip_serializing_if = "String::is_empty")]
    pub since: String,
    /// Last seen up to the end of this day, or this moment
    #[serde(skip_serializing_if = "String::is_empty")]
    pub until: String,
    /// With this text in the reason or in the message's bytes
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The one with this id, whatever its status
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// open, replayed, discarded or all; open unless id is given
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// Of a group: its place
    #[serde(skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// Of a group: its cause
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cause: String,
}

/// The place of a group that has none.
pub const NO_PLACE: &str = "-";

/// A filter that can't be meant: its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` can't be meant so")]
pub struct Unfit(pub &'static str);

fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

impl Filters {
    pub fn of_one(id: Uuid) -> Filters {
        Filters { id: id.to_string(), ..Filters::default() }
    }

    pub fn read(&self, settings: &Settings) -> Result<Filter, Unfit> {
        let limit = |text: &str, name| match given(text) {
            Some(text) => period::limit(text).map(Some).map_err(|_| Unfit(name)),
            None => Ok(None),
        };
        let id = given(&self.id).map(str::parse).transpose().map_err(|_| Unfit("id"))?;
        let code = given(&self.code).map(|code| RejectionCode::from_name(code).ok_or("code"));
        let stream = given(&self.stream).map(|stream| Stream::from_name(stream).ok_or("stream"));
        let order = given(&self.order).map(|order| Identifier::new(order).ok_or("order"));
        let code = code.transpose().map_err(Unfit)?;
        let stream = stream.transpose().map_err(Unfit)?;
        let place = given(&self.place).map(|place| if place == NO_PLACE { "" } else { place });
        Ok(Filter {
            id,
            code: code.map(|code| code.name().to_owned()),
            event_type: given(&self.event_type).map(str::to_owned),
            stream: stream.map(|stream| stream.name().to_owned()),
            status: self.status(id.is_some())?.map(str::to_owned),
            order: order.transpose().map_err(Unfit)?.map(|order| order.to_string()),
            since: limit(&self.since, "since")?.map(|limit| limit.beginning(settings)),
            until: limit(&self.until, "until")?.map(|limit| limit.end(settings)),
            text: given(&self.text).map(|text| text.replace('\0', "")),
            place: place.map(str::to_owned),
            cause: given(&self.cause).map(str::to_owned),
        })
    }

    fn status(&self, names_one: bool) -> Result<Option<&'static str>, Unfit> {
        match self.status.as_str() {
            "" if names_one => Ok(None),
            "" | "open" => Ok(Some("open")),
            "replayed" => Ok(Some("replayed")),
            "discarded" => Ok(Some("discarded")),
            "all" => Ok(None),
            _ => Err(Unfit("status")),
        }
    }

    /// Whether anything but the status narrows it.
    pub fn is_narrow(&self) -> bool {
        self.pairs().iter().any(|(name, _)| *name != "status")
    }

    /// Names and values of what narrows.
    pub fn pairs(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("code", &self.code),
            ("type", &self.event_type),
            ("stream", &self.stream),
            ("order", &self.order),
            ("since", &self.since),
            ("until", &self.until),
            ("text", &self.text),
            ("id", &self.id),
            ("status", &self.status),
            ("place", &self.place),
            ("cause", &self.cause),
        ];
        all.into_iter().filter_map(|(name, text)| Some((name, given(text)?))).collect()
    }

    /// As a job and the audit trail keep it. What somebody looked for may be a name.
    pub fn describe(&self) -> Value {
        let pairs = self.pairs().into_iter().map(|(name, text)| {
            let text = if name == "text" { "***" } else { text };
            (name.to_owned(), Value::from(text))
        });
        let mut shown: Map<String, Value> = pairs.collect();
        if self.id.is_empty() {
            shown.entry("status").or_insert_with(|| "open".into());
        }
        Value::Object(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_looked_for_is_not_kept() {
        let filters =
            Filters { text: "Hanako".into(), code: "not-json".into(), ..Filters::default() };
        let kept = filters.describe();
        assert_eq!(
            kept,
            serde_json::json!({ "code": "not-json", "text": "***", "status": "open" })
        );
        assert!(filters.is_narrow());
        assert!(!Filters { status: "all".into(), ..Filters::default() }.is_narrow());
    }
}
