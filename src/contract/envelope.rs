//! The CloudEvents 1.0 envelope of what comes in: found in a structured event's body or
//! a binary one's headers, and checked attribute by attribute.
//!
//! Pointers are always as in structured mode: a header `cloudEvents_id` is `/id`.

use std::borrow::Cow;

use fluent_uri::UriRef;
use serde_json::{Map, Value};

use super::code::{Fault, RejectionCode};
use super::pointer::{Step, pointer};
use super::{EventRef, Stream, Timestamp};

/// A message as the broker delivers it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub body: &'a [u8],
    /// The property `content-type`; empty is as good as absent.
    pub content_type: Option<&'a str>,
    /// The headers.
    pub attributes: &'a [(&'a str, Header<'a>)],
    /// Whose queue it came from.
    pub stream: Stream,
}

/// The value of an AMQP header, as far as an envelope needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header<'a> {
    Text(&'a str),
    /// A text that isn't UTF-8.
    NotUtf8,
    /// In seconds since 1970.
    Timestamp(u64),
    Other,
}

/// What the header of a binary event begins with, before the attribute's name.
const PREFIXES: [&str; 2] = ["cloudEvents_", "cloudEvents:"];

/// The media type of an event in structured mode.
pub const STRUCTURED_MEDIA_TYPE: &str = "application/cloudevents+json";
const JSON: &str = "application/json";

/// How a message carries its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// All of it in the body.
    Structured,
    /// Attributes in headers, `data` in the body.
    Binary,
}

impl Mode {
    pub fn of(message: &Message<'_>) -> Mode {
        let says_structured = media_type(message.content_type.unwrap_or(""))
            .get(..STRUCTURED_MEDIA_TYPE.len() - "+json".len())
            .is_some_and(|start| start.eq_ignore_ascii_case("application/cloudevents"));
        let has_attributes = message.attributes.iter().any(|(name, _)| attribute(name).is_some());
        if has_attributes && !says_structured { Mode::Binary } else { Mode::Structured }
    }
}

/// The attribute that a header carries.
pub(super) fn attribute(header: &str) -> Option<&str> {
    PREFIXES.into_iter().find_map(|prefix| header.strip_prefix(prefix))
}

/// A media type without its parameters.
fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or("").trim()
}

/// An envelope whose attributes are all well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub key: EventRef,
    pub event_type: String,
    pub time: Timestamp,
    pub subject: Option<String>,
}

/// The attributes of an event, not yet checked.
pub(super) enum Attributes<'a> {
    Structured {
        members: Map<String, Value>,
        content_type: Option<&'a str>,
    },
    Binary {
        message: Message<'a>,
    },
    /// A structured event whose document is no object.
    None,
}

/// An attribute's value as it was found.
enum Found<'v> {
    Absent,
    Text(Cow<'v, str>),
    Seconds(u64),
    /// Neither a text nor, in a header, a timestamp.
    Malformed(&'static str),
}

impl Attributes<'_> {
    /// The attribute where it is a text, however malformed.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.find(name) {
            Found::Text(text) => Some(text),
            _ => None,
        }
    }

    fn find(&self, name: &str) -> Found<'_> {
        match self {
            Attributes::Structured { members, .. } => match members.get(name) {
                None | Some(Value::Null) => Found::Absent,
                Some(Value::String(text)) => Found::Text(Cow::Borrowed(text)),
                Some(_) => Found::Malformed("an attribute is a text"),
            },
            Attributes::Binary { message } => find_header(message, name),
            Attributes::None => Found::Absent,
        }
    }

    /// Checks all attributes, in the order of the contract's table.
    pub fn envelope(&self) -> Result<Envelope, Fault> {
        self.check_content_type()?;
        if self.required("specversion")? != "1.0" {
            return Err(malformed("specversion", "the version of CloudEvents is the text 1.0"));
        }
        let id = self.required("id")?;
        check_length("id", &id, 128)?;
        let source = self.required("source")?;
        check_length("source", &source, 256)?;
        check_uri("source", &source)?;
        let event_type = self.required("type")?;
        let time = self.time()?;
        let subject = self.optional("subject")?;
        self.check_content_type_of_data()?;
        if let Some(schema) = self.optional("dataschema")? {
            check_uri("dataschema", &schema)?;
        }
        Ok(Envelope {
            key: EventRef { source: source.into_owned(), id: id.into_owned() },
            event_type: event_type.into_owned(),
            time,
            subject: subject.map(Cow::into_owned),
        })
    }

    fn required(&self, name: &str) -> Result<Cow<'_, str>, Fault> {
        self.optional(name)?.ok_or_else(|| malformed(name, "this attribute is required"))
    }

    fn optional(&self, name: &str) -> Result<Option<Cow<'_, str>>, Fault> {
        let text = match self.find(name) {
            Found::Absent => return Ok(None),
            Found::Text(text) => text,
            Found::Seconds(_) => return Err(malformed(name, "an attribute is a text")),
            Found::Malformed(expectation) => return Err(malformed(name, expectation)),
        };
        if text.is_empty() {
            return Err(malformed(name, "an attribute that is given is not empty"));
        }
        if text.contains('\0') {
            return Err(malformed(name, "an attribute holds no U+0000"));
        }
        Ok(Some(text))
    }

    fn time(&self) -> Result<Timestamp, Fault> {
        let wrong = || malformed("time", "a time is an RFC 3339 date-time with an offset");
        if let Found::Seconds(seconds) = self.find("time") {
            return Timestamp::from_seconds(seconds).ok_or_else(wrong);
        }
        self.required("time")?.parse().map_err(|_| wrong())
    }

    /// Of the message: in binary mode it is the data's.
    fn check_content_type(&self) -> Result<(), Fault> {
        let Attributes::Structured { content_type, .. } = self else { return Ok(()) };
        let Some(content_type) = content_type.filter(|given| !given.is_empty()) else {
            return Ok(());
        };
        if media_type(content_type).eq_ignore_ascii_case(STRUCTURED_MEDIA_TYPE) {
            return Ok(());
        }
        let expectation = "the content type of an event is application/cloudevents+json; with \
                           attributes in headers (cloudEvents_…) it is application/json";
        Err(Fault::of_message(RejectionCode::BadEnvelope, expectation))
    }

    fn check_content_type_of_data(&self) -> Result<(), Fault> {
        let is_json = |given: &str| media_type(given).eq_ignore_ascii_case(JSON);
        let property = match self {
            Attributes::Binary { message } => {
                message.content_type.filter(|given| !given.is_empty())
            }
            _ => None,
        };
        let attribute = self.optional("datacontenttype")?;
        if property.is_none_or(is_json) && attribute.is_none_or(|given| is_json(&given)) {
            return Ok(());
        }
        Err(malformed("datacontenttype", "the data of an event is application/json"))
    }
}

fn find_header<'m>(message: &Message<'m>, name: &str) -> Found<'m> {
    let mut found = Found::Absent;
    for (header, value) in message.attributes {
        if attribute(header) != Some(name) {
            continue;
        }
        let next = match *value {
            Header::Text(text) => Found::Text(Cow::Borrowed(text)),
            Header::Timestamp(seconds) => Found::Seconds(seconds),
            Header::NotUtf8 => Found::Malformed("an attribute is UTF-8"),
            Header::Other => Found::Malformed("an attribute is a text"),
        };
        found = match (&found, &next) {
            (Found::Absent, _) => next,
            (Found::Text(one), Found::Text(other)) if one == other => next,
            _ => return Found::Malformed("two headers give this attribute two values"),
        };
    }
    found
}

pub(super) fn malformed(name: &str, expectation: impl Into<String>) -> Fault {
    Fault::at(RejectionCode::BadEnvelope, pointer([Step::Member(name)]), expectation)
}

fn check_length(name: &str, text: &str, most: usize) -> Result<(), Fault> {
    if text.chars().count() <= most {
        return Ok(());
    }
    Err(malformed(name, format!("this attribute is 1 to {most} characters")))
}

fn check_uri(name: &str, text: &str) -> Result<(), Fault> {
    match UriRef::parse(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(malformed(name, "this attribute is a URI reference (RFC 3986)")),
    }
}
