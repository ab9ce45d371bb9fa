//! A dead letter judged anew, as it came or repaired: pure.

use serde_json::Value;

use crate::contract::repair::{self, Repair, RepairError};
use crate::contract::{
    Accepted, Header, InputType, Message, Rejection, RejectionCode, STRUCTURED_MEDIA_TYPE, Span,
    Stream, Timestamp, intake,
};
use crate::pipeline::apply::{Claim, Received};

/// What is stored of a refused message.
#[derive(Clone, Debug)]
pub struct Letter {
    pub stream: Option<String>,
    pub routing_key: String,
    pub content_type: Option<String>,
    pub event_type: Option<String>,
    pub headers: Value,
    pub body: Vec<u8>,
}

impl Letter {
    fn attributes(&self) -> Vec<(&str, Header<'_>)> {
        let members = self.headers.as_object().into_iter().flatten();
        members.map(|(name, value)| (name.as_str(), header(value))).collect()
    }

    /// The stream that its type belongs to, else the one that it came from. It is upon the
    /// event where it belongs, not upon whoever sent it elsewhere.
    fn belongs_to(&self, event_type: Option<&str>) -> Option<Stream> {
        let of_type = event_type.and_then(InputType::from_name).map(InputType::stream);
        of_type.or_else(|| self.stream.as_deref().and_then(Stream::from_name))
    }
}

/// As `broker::headers` wrote them: bytes that are no text are an object.
fn header(value: &Value) -> Header<'_> {
    match value {
        Value::String(text) => Header::Text(text),
        Value::Object(members) if members.contains_key("hex") => Header::NotUtf8,
        _ => Header::Other,
    }
}

/// The event as one document, which repairs are meant for; `None` where it can't be read.
pub fn document(letter: &Letter) -> Option<Value> {
    let attributes = letter.attributes();
    let content_type = letter.content_type.as_deref();
    // Any stream: it has no part in it.
    let stream = Stream::Orders;
    repair::document(&Message { body: &letter.body, content_type, attributes: &attributes, stream })
}

/// Judges a letter, repaired where there is a repair, at `now`.
pub fn judge(letter: Letter, repair: Option<&Repair>, now: Timestamp, skew: Span) -> Received {
    let letter = match repair.map(|repair| mended(&letter, repair)) {
        None => letter,
        Some(Ok(body)) => Letter {
            event_type: text_of(&body, "type"),
            body: body.to_string().into_bytes(),
            content_type: Some(STRUCTURED_MEDIA_TYPE.to_owned()),
            headers: without_attributes(&letter.headers),
            ..letter
        },
        Some(Err(error)) => return received(letter, None, Err(unfit(&error))),
    };
    let attributes = letter.attributes();
    let read = document(&letter).and_then(|document| text_of(&document, "type"));
    let said = read.as_deref().or(letter.event_type.as_deref());
    let judged = |stream| {
        let content_type = letter.content_type.as_deref();
        let message = Message { body: &letter.body, content_type, attributes: &attributes, stream };
        intake(&message, now, skew)
    };
    let stream = letter.belongs_to(said);
    let judged = judged(stream.unwrap_or(Stream::Orders)).map_err(|rejection| *rejection);
    drop(attributes);
    received(letter, stream, judged)
}

fn mended(letter: &Letter, repair: &Repair) -> Result<Value, RepairError> {
    let mut document = match document(letter) {
        Some(document) => document,
        None if repair.replaces_all() => Value::Null,
        None => {
            return Err(RepairError::new("the body is no JSON that a patch could be applied to"));
        }
    };
    repair.apply(&mut document)?;
    Ok(document)
}

fn text_of(document: &Value, name: &str) -> Option<String> {
    document.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// The repaired document holds the attributes of a binary event.
fn without_attributes(headers: &Value) -> Value {
    let is_attribute = |name: &str| name.starts_with("cloudEvents");
    let members = headers.as_object().into_iter().flatten();
    let rest = members.filter(|(name, _)| !is_attribute(name));
    Value::Object(rest.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn unfit(error: &RepairError) -> Rejection {
    Rejection {
        code: RejectionCode::NotJson,
        pointer: None,
        detail: error.to_string(),
        event_source: None,
        event_id: None,
        event_type: None,
    }
}

fn received(
    letter: Letter,
    stream: Option<Stream>,
    judged: Result<Accepted, Rejection>,
) -> Received {
    Received {
        stream: stream.or_else(|| letter.stream.as_deref().and_then(Stream::from_name)),
        routing_key: letter.routing_key,
        content_type: letter.content_type,
        headers: letter.headers,
        body: letter.body,
        judged,
        claim: None,
    }
}

impl Received {
    /// For a job: what becomes of it is recorded there.
    pub fn claimed(self, claim: Claim) -> Received {
        Received { claim: Some(claim), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn judged(letter: Letter, repair: Option<&Repair>) -> Result<Accepted, Box<Rejection>> {
        let now = at("2026-03-02T00:00:00Z");
        judge(letter, repair, now, Span::minutes(10)).judged.map_err(Box::new)
    }

    fn consent(granted: Value) -> Value {
        json!({
            "specversion": "1.0", "id": "e1", "source": "/shop", "type": "consent-recorded",
            "time": "2026-03-01T00:00:00Z", "data": { "order_id": "O1", "granted": granted },
        })
    }

    fn letter(stream: Option<&str>, body: Value) -> Letter {
        Letter {
            stream: stream.map(str::to_owned),
            routing_key: "orders.x".into(),
            content_type: Some(STRUCTURED_MEDIA_TYPE.into()),
            event_type: text_of(&body, "type"),
            headers: json!({}),
            body: body.to_string().into_bytes(),
        }
    }

    #[test]
    fn a_letter_goes_where_its_type_belongs() {
        let fine = consent(json!(true));
        for came_from in [Some("messages"), Some("orders"), None] {
            assert!(judged(letter(came_from, fine.clone()), None).is_ok(), "{came_from:?}");
        }
    }

    #[test]
    fn a_repaired_letter_is_judged_as_repaired() {
        let wrong = letter(Some("messages"), consent(json!("yes")));
        let refused = judged(wrong.clone(), None).unwrap_err();
        assert_eq!(refused.pointer.as_deref(), Some("/data/granted"));
        let assignments = [("/data/granted".to_owned(), json!(true))];
        let repair = Repair::from_assignments(&assignments).unwrap();
        assert!(judged(wrong, Some(&repair)).is_ok());
    }

    #[test]
    fn a_binary_letter_is_repaired_too() {
        let binary = Letter {
            content_type: Some("application/json".into()),
            headers: json!({
                "cloudEvents_specversion": "1.0", "cloudEvents_id": "e1",
                "cloudEvents_source": "/shop", "cloudEvents_type": "consent-recorded",
                "cloudEvents_time": "2026-03-01T00:00:00Z",
            }),
            body: br#"{"order_id": "O1", "granted": "yes"}"#.to_vec(),
            ..letter(Some("messages"), consent(json!(true)))
        };
        assert!(judged(binary.clone(), None).is_err());
        let assignments = [("/data/granted".to_owned(), json!(true))];
        let repair = Repair::from_assignments(&assignments).unwrap();
        assert_eq!(
            judged(binary, Some(&repair)).map(|accepted| accepted.event.key.id),
            Ok("e1".into())
        );
    }

    #[test]
    fn what_is_no_json_can_only_be_replaced() {
        let torn = Letter { body: b"{".to_vec(), ..letter(None, json!({})) };
        let assignments = [("/data/granted".to_owned(), json!(true))];
        let repair = Repair::from_assignments(&assignments).unwrap();
        let refused = judged(torn.clone(), Some(&repair)).unwrap_err();
        assert_eq!(refused.code, RejectionCode::NotJson);
        assert!(judged(torn, Some(&Repair::replacement(consent(json!(true))))).is_ok());
    }
}
