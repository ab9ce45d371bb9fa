//! Binary mode: any headers, and any bytes as `data`. The input is lines `name=value` up to an
//! empty one, then the body.

use otodoke::contract::{Header, Message, Span, Stream, Timestamp, intake, repair};

pub fn run(input: &[u8]) {
    let end = input.windows(2).position(|two| two == b"\n\n").unwrap_or(input.len());
    let (head, body) = (&input[..end], input.get(end + 2..).unwrap_or_default());
    let mut attributes = Vec::new();
    let mut content_type = None;
    for line in head.split(|byte| *byte == b'\n').take(40) {
        let at = line.iter().position(|byte| *byte == b'=').unwrap_or(line.len());
        let value = line.get(at + 1..).unwrap_or_default();
        let Ok(name) = std::str::from_utf8(&line[..at]) else { continue };
        if name == "content-type" {
            content_type = std::str::from_utf8(value).ok();
            continue;
        }
        let header = match (value.first(), std::str::from_utf8(value)) {
            (Some(b'#'), Ok(text)) => text[1..].parse().map_or(Header::Other, Header::Timestamp),
            (Some(b'!'), _) => Header::Other,
            (_, Ok(text)) => Header::Text(text),
            (_, Err(_)) => Header::NotUtf8,
        };
        attributes.push((name, header));
    }
    let stream = Stream::ALL[input.len() % Stream::ALL.len()];
    let message = Message { body, content_type, attributes: &attributes, stream };
    let now: Timestamp = "2026-06-01T00:00:00Z".parse().expect("a moment");
    let judged = intake(&message, now, Span::minutes(10));
    // In structured mode the same event is judged alike, but for what only a header can be.
    let plain = attributes.iter().all(|(_, header)| matches!(header, Header::Text(_)));
    let Some(document) = repair::document(&message).filter(|_| plain && judged.is_ok()) else {
        return;
    };
    let body = document.to_string().into_bytes();
    let whole = Message { body: &body, content_type: None, attributes: &[], stream };
    let accepted = judged.expect("it was accepted");
    if let Ok(again) = intake(&whole, now, Span::minutes(10)) {
        assert_eq!(again.content_digest, accepted.content_digest);
        assert_eq!(again.key_digest, accepted.key_digest);
    } else {
        // The envelope counts towards the limit of the body.
        assert!(body.len() > 200_000, "accepted in binary mode only");
    }
}
