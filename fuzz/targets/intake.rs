//! Any bytes in structured mode: an event or a dead letter, never a panic; and what is accepted
//! can be stored, and read back as the same.

use otodoke::contract::data::{Content, content_digest, merge};
use otodoke::contract::{InputType, Message, Repair, Span, Stream, Timestamp, intake, repair};
use serde_json::Value;

pub fn run(input: &[u8]) {
    let Some((stream, body)) = input.split_first() else { return };
    let stream = Stream::ALL[usize::from(*stream) % Stream::ALL.len()];
    let message = Message { body, content_type: None, attributes: &[], stream };
    let now: Timestamp = "2026-06-01T00:00:00Z".parse().expect("a moment");
    match intake(&message, now, Span::minutes(10)) {
        Ok(accepted) => stored(&accepted),
        Err(rejection) => {
            assert!(!rejection.detail.is_empty());
            assert!(rejection.detail.len() < 2_000, "a sentence, not the message");
        }
    }
    // Whatever it is, an operator may look at it and mend it.
    if let Some(document) = repair::document(&message) {
        let same = Repair::between(&document, &document);
        assert!(same.is_none());
    }
}

fn stored(accepted: &otodoke::contract::Accepted) {
    let kind = accepted.event.input.input_type();
    let facts: Value = serde_json::from_str(&accepted.facts).expect("facts are JSON");
    let read = InputType::from_name(kind.name())
        .expect("a type has a name")
        .read(&mut serde_json::Deserializer::from_str(&accepted.facts))
        .expect("what was accepted is read back");
    assert_eq!(read.facts(), facts, "and is the same");
    assert!(!holds_nul(&facts), "PostgreSQL holds no U+0000");
    let unread: Option<Value> = accepted
        .unread
        .as_ref()
        .map(|unread| serde_json::from_str(unread).expect("what no rule reads is JSON"));
    let whole = merge(&facts, unread.as_ref());
    assert!(whole.is_object() && !holds_nul(&whole));
    let content = Content {
        event_type: kind.name(),
        time: accepted.event.time,
        subject: accepted.subject.as_deref(),
        facts: &facts,
        unread: unread.as_ref(),
    };
    assert_eq!(content_digest(&content), accepted.content_digest, "a repetition is known");
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(elements) => elements.iter().any(holds_nul),
        Value::Object(members) => {
            members.iter().any(|(name, member)| name.contains('\0') || holds_nul(member))
        }
        _ => false,
    }
}
