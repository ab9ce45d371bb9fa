//! What intake accepts its JSON Schema accepts, and the other way round, but for what no schema
//! can say. Valid samples, with members replaced, removed or added as the input's bytes say.

use std::sync::LazyLock;

use otodoke::contract::{InputType, Message, Span, Timestamp, intake, schema};
use serde_json::{Value, json};

struct Kind {
    kind: InputType,
    validator: jsonschema::Validator,
    example: Value,
    pointers: Vec<String>,
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    InputType::ALL
        .iter()
        .map(|kind| {
            let document = schema::document(kind.name()).expect("every type has a schema");
            let example = schema::example(kind.name()).expect("every type has an example");
            let mut pointers = Vec::new();
            collect(&example, String::new(), &mut pointers);
            Kind {
                kind: *kind,
                validator: jsonschema::draft202012::options()
                    .should_validate_formats(true)
                    .build(&document)
                    .expect("the schema is one"),
                example,
                pointers,
            }
        })
        .collect()
});

fn collect(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, member)| collect(member, format!("{at}/{name}"), pointers)),
        Value::Array(elements) => elements
            .iter()
            .enumerate()
            .for_each(|(index, element)| collect(element, format!("{at}/{index}"), pointers)),
        _ => {}
    }
    pointers.push(at);
}

/// The bytes of the input, one after the other.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<usize> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(*byte))
    }

    fn text(&mut self) -> String {
        let length = self.next().unwrap_or(0).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }
}

fn replacement(bytes: &mut Bytes<'_>) -> Value {
    match bytes.next().unwrap_or(0) % 20 {
        0 => Value::Null,
        1 => json!(bytes.text()),
        2 => serde_json::from_str(&bytes.text()).unwrap_or_default(),
        3 => json!(bytes.next().unwrap_or(0)),
        4 => json!(-1),
        5 => json!(1500.0),
        6 => json!(0.5),
        7 => json!(1_000_000_000_000i64),
        8 => json!(1_000_000_000_001i64),
        9 => json!([]),
        10 => json!({}),
        11 => json!(true),
        12 => json!(""),
        13 => json!("2026-02-30T00:00:00Z"),
        14 => json!("2026-02-28T23:59:60Z"),
        15 => json!("2026-02-28T23:59:59.123456789-00:00"),
        16 => json!("a".repeat(bytes.next().unwrap_or(0))),
        17 => json!("2026-02-28"),
        18 => json!("2026-02-28t23:59:59z"),
        _ => json!(1e300),
    }
}

pub fn run(input: &[u8]) {
    let mut bytes = Bytes(input);
    let Some(kind) = bytes.next().map(|byte| &KINDS[byte % KINDS.len()]) else { return };
    let mut event = kind.example.clone();
    while let Some(byte) = bytes.next() {
        let pointer = &kind.pointers[byte % kind.pointers.len()];
        let how = bytes.next().unwrap_or(0) % 4;
        let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", ""));
        if how == 3 {
            if let Some(Value::Object(members)) = event.pointer_mut(parent) {
                members.remove(name);
            }
        } else if how == 2 {
            let (name, value) = (bytes.text(), replacement(&mut bytes));
            if let Some(Value::Object(members)) = event.pointer_mut(parent) {
                members.insert(name, value);
            }
        } else if let Some(place) = event.pointer_mut(pointer) {
            *place = replacement(&mut bytes);
        }
    }
    let body = event.to_string().into_bytes();
    let message =
        Message { body: &body, content_type: None, attributes: &[], stream: kind.kind.stream() };
    let now: Timestamp = "2100-01-01T00:00:00Z".parse().expect("a moment");
    let judged = intake(&message, now, Span::minutes(10));
    let fault = kind.validator.iter_errors(&event).next().map(|error| error.to_string());
    match (judged, fault) {
        (Ok(_), Some(fault)) => panic!("the schema refuses what intake accepts: {fault}\n{event}"),
        (Err(rejection), None) => {
            let code = rejection.code.name();
            let can_be_said = matches!(
                code,
                "bad-envelope" | "schema-violation" | "unknown-type" | "wrong-stream"
            );
            let is_known =
                ["total", "twice", "U+0000"].iter().any(|word| rejection.detail.contains(word));
            assert!(
                !can_be_said || is_known,
                "intake refuses what the schema accepts: {code} {}\n{event}",
                rejection.detail
            );
        }
        _ => {}
    }
}
