//! A document and a patch for it, with a line feed in between: applied, or refused whole.

use otodoke::contract::{Message, Repair, Span, Stream, Timestamp, intake, repair};
use serde_json::Value;

pub fn run(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (patch, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    // A pointer with a `~` of its own is refused by the second.
    if let Ok(text) = std::str::from_utf8(patch)
        && let Ok(one) = repair::assignment(text)
        && let Ok(made) = Repair::from_assignments(&[one])
    {
        apply(&made, body);
    }
    let Ok(patch) = serde_json::from_slice::<Value>(patch) else { return };
    if let Ok(made) = Repair::from_json(patch) {
        let stripped = made.clone().stripped();
        assert!(stripped.is_none_or(|stripped| !stripped.to_json().to_string().is_empty()));
        apply(&made, body);
    }
}

fn apply(repair: &Repair, body: &[u8]) {
    let message = Message { body, content_type: None, attributes: &[], stream: Stream::Orders };
    let Some(document) = repair::document(&message) else { return };
    let mut mended = document.clone();
    if repair.apply(&mut mended).is_err() {
        assert_eq!(mended, document, "all of it, or nothing");
        return;
    }
    if let Some(between) = Repair::between(&document, &mended) {
        let mut again = document;
        between.apply(&mut again).expect("the difference fits");
        assert_eq!(again, mended);
    }
    let body = mended.to_string().into_bytes();
    let now: Timestamp = "2026-06-01T00:00:00Z".parse().expect("a moment");
    let message =
        Message { body: &body, content_type: None, attributes: &[], stream: Stream::Orders };
    let _ = intake(&message, now, Span::minutes(10));
}
