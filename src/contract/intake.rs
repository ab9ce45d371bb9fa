//! The door's judgement of a message: bytes and headers in, an accepted event or a
//! rejection out. Pure, so that a replay judges as the first delivery did.
//!
//! The checks stand in the order of the contract's codes, and each looks at the message
//! as a whole: of several faults the first code names the dead letter.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::code::{Fault, Rejection, RejectionCode};
use super::data::{self, Content};
use super::envelope::{Attributes, Envelope, Header, Message, Mode, malformed};
use super::reader::Reader;
use super::trace::Trace;
use super::{Event, Input, InputType, Span, Timestamp, json, limits};

/// An event that is part of the history from here on.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    pub event: Event,
    /// What the rules read of `data` ([`Input::facts`]), as JSON: it is stored, and no more.
    pub facts: String,
    /// What else was in it, as JSON; see [`data::merge`].
    pub unread: Option<String>,
    pub subject: Option<String>,
    /// The same for the same source and id.
    pub key_digest: [u8; 16],
    /// The same for the same type, time, subject and data.
    pub content_digest: [u8; 16],
    pub traceparent: Option<String>,
    pub tracestate: Option<String>,
}

/// Judges a message that arrived at `now`. An event may be dated ahead by `max_clock_skew`.
pub fn intake(
    message: &Message<'_>,
    now: Timestamp,
    max_clock_skew: Span,
) -> Result<Accepted, Box<Rejection>> {
    let mut names = Names::default();
    let latest = now + max_clock_skew;
    judge(message, latest, &mut names).map_err(|fault| Box::new(names.reject(fault)))
}

fn judge(message: &Message<'_>, latest: Timestamp, names: &mut Names) -> Result<Accepted, Fault> {
    let document = read_body(message, names)?;
    let (attributes, mut data) = take_apart(message, document);
    names.note(|name| attributes.text(name).map(Into::into));
    if let Some(data) = &mut data {
        data::strip(data);
    }
    let input_type = names.event_type.as_deref().and_then(InputType::from_name);
    check_limits(&attributes, data.as_ref(), input_type)?;
    let (envelope, data) = check_envelope(&attributes, data)?;
    let input_type = check_type(input_type, message)?;
    let input = read_data(input_type, &data)?;
    check_time(&envelope, latest)?;
    Ok(accept(envelope, input, &data, trace(&attributes, message)))
}

fn read_body(message: &Message<'_>, names: &mut Names) -> Result<Value, Fault> {
    let binary = Mode::of(message) == Mode::Binary;
    if binary {
        let headers = Attributes::Binary { message: *message };
        names.note(|name| headers.text(name).map(Into::into));
    }
    if message.body.len() > limits::BODY_MAX {
        return Err(Fault::of_message(RejectionCode::TooLarge, "the body is over 256 KiB"));
    }
    let place = |pointer: String| if binary { format!("/data{pointer}") } else { pointer };
    let scanned = json::scan(message.body, limits::NESTING_MAX).map_err(|fault| Fault {
        code: RejectionCode::NotJson,
        pointer: fault.pointer.map(place),
        expectation: fault.sentence,
    });
    let is_unparsed = scanned.as_ref().map_or(true, |scanned| scanned.too_deep.is_some());
    if is_unparsed && !binary {
        names.note_unparsed(message.body);
    }
    if let Some(pointer) = scanned?.too_deep {
        let expectation = format!("objects and lists nest at most {} deep", limits::NESTING_MAX);
        return Err(Fault::at(RejectionCode::TooLarge, place(pointer), expectation));
    }
    // The scan has read it all; a parser that still disagrees must not halt the door.
    serde_json::from_slice(message.body)
        .map_err(|_| Fault::of_message(RejectionCode::NotJson, "the body is not JSON"))
}

/// The attributes, and `data` where it is there.
fn take_apart<'a>(message: &Message<'a>, document: Value) -> (Attributes<'a>, Option<Value>) {
    match (Mode::of(message), document) {
        (Mode::Binary, data) => (Attributes::Binary { message: *message }, Some(data)),
        (Mode::Structured, Value::Object(mut members)) => {
            let data = members.remove("data").filter(|data| !data.is_null());
            (Attributes::Structured { members, content_type: message.content_type }, data)
        }
        (Mode::Structured, _) => (Attributes::None, None),
    }
}

fn check_limits(
    attributes: &Attributes<'_>,
    data: Option<&Value>,
    input_type: Option<InputType>,
) -> Result<(), Fault> {
    for name in ["subject", "dataschema"] {
        attributes.text(name).map_or(Ok(()), |text| limits::check_text(name, &text))?;
    }
    data.map_or(Ok(()), |data| limits::check(data, input_type))
}

fn check_envelope(
    attributes: &Attributes<'_>,
    data: Option<Value>,
) -> Result<(Envelope, Value), Fault> {
    if let Attributes::None = attributes {
        let expectation = "an event is a JSON object";
        return Err(Fault::at(RejectionCode::BadEnvelope, String::new(), expectation));
    }
    let envelope = attributes.envelope()?;
    match data {
        Some(data @ Value::Object(_)) => Ok((envelope, data)),
        Some(_) => Err(malformed("data", "the data of an event is an object")),
        None => Err(malformed("data", "this member is required")),
    }
}

fn check_type(input_type: Option<InputType>, message: &Message<'_>) -> Result<InputType, Fault> {
    let fault = |code, expectation| Fault::at(code, "/type".into(), expectation);
    let Some(input_type) = input_type else {
        let expectation = "this is no type of an input event".to_owned();
        return Err(fault(RejectionCode::UnknownType, expectation));
    };
    if input_type.stream() != message.stream {
        let (name, stream) = (input_type.name(), input_type.stream().name());
        let expectation = format!("{name} belongs to the stream {stream}");
        return Err(fault(RejectionCode::WrongStream, expectation));
    }
    Ok(input_type)
}

fn read_data(input_type: InputType, data: &Value) -> Result<Input, Fault> {
    let violation =
        |pointer, expectation| Fault::at(RejectionCode::SchemaViolation, pointer, expectation);
    let input = input_type
        .read(Reader(data))
        .map_err(|misfit| violation(misfit.pointer(), misfit.expectation))?;
    input
        .check()
        .map_err(|(below, expectation)| violation(format!("/data{below}"), expectation.into()))?;
    match data::find_nul(data) {
        None => Ok(input),
        Some(pointer) => Err(violation(pointer, "data holds no U+0000".into())),
    }
}

fn check_time(envelope: &Envelope, latest: Timestamp) -> Result<(), Fault> {
    if envelope.time <= latest {
        return Ok(());
    }
    let expectation = "the event is dated further ahead than clocks may differ";
    Err(Fault::at(RejectionCode::TimeInFuture, "/time".into(), expectation))
}

/// From the attributes, else from the headers of the same plain names; never mixed.
fn trace(attributes: &Attributes<'_>, message: &Message<'_>) -> Trace {
    let header = |wanted: &str| {
        message.attributes.iter().find_map(|(name, value)| match value {
            Header::Text(text) if *name == wanted => Some(*text),
            _ => None,
        })
    };
    let attribute = |name| attributes.text(name);
    Trace::read(attribute("traceparent").as_deref(), attribute("tracestate").as_deref())
        .or_else(|| Trace::read(header("traceparent"), header("tracestate")))
        .unwrap_or_default()
}

fn accept(envelope: Envelope, mut input: Input, data: &Value, trace: Trace) -> Accepted {
    let facts = input.facts();
    if let Input::MessageSent(message) = &mut input {
        // No rule reads it: of a case with many long messages it isn't to be kept in memory.
        message.body = None;
    }
    let unread = data::unread(data, &facts);
    let content_digest = data::content_digest(&Content {
        event_type: &envelope.event_type,
        time: envelope.time,
        subject: envelope.subject.as_deref(),
        facts: &facts,
        unread: unread.as_ref(),
    });
    Accepted {
        key_digest: data::key_digest(&envelope.key),
        content_digest,
        event: Event { time: envelope.time, key: envelope.key, input },
        facts: facts.to_string(),
        unread: unread.map(|unread| unread.to_string()),
        subject: envelope.subject,
        traceparent: trace.parent,
        tracestate: trace.state,
    }
}

/// What is known of whose message it is, for a rejection.
#[derive(Default)]
struct Names {
    source: Option<String>,
    id: Option<String>,
    event_type: Option<String>,
}

/// Longer than any attribute that is well: not worth a column.
const NAME_MAX: usize = 256;

impl Names {
    fn note(&mut self, find: impl Fn(&str) -> Option<String>) {
        let find = |name| find(name).filter(|text| is_storable(text));
        *self = Names { source: find("source"), id: find("id"), event_type: find("type") };
    }

    /// From a document that can't be parsed as a whole: everything but three members is
    /// skipped, which serde_json does without recursion.
    fn note_unparsed(&mut self, body: &[u8]) {
        #[derive(Deserialize)]
        struct Unparsed<'a> {
            #[serde(borrow)]
            source: Option<&'a RawValue>,
            #[serde(borrow)]
            id: Option<&'a RawValue>,
            #[serde(borrow, rename = "type")]
            event_type: Option<&'a RawValue>,
        }
        let Ok(found) = serde_json::from_slice::<Unparsed<'_>>(body) else { return };
        self.note(|name| {
            let raw = match name {
                "source" => found.source,
                "id" => found.id,
                _ => found.event_type,
            };
            serde_json::from_str(raw?.get()).ok()
        });
    }

    fn reject(self, fault: Fault) -> Rejection {
        Rejection {
            detail: fault.detail(),
            code: fault.code,
            pointer: fault.pointer,
            event_source: self.source,
            event_id: self.id,
            event_type: self.event_type,
        }
    }
}

fn is_storable(text: &str) -> bool {
    text.chars().nth(NAME_MAX).is_none() && !text.contains('\0')
}
