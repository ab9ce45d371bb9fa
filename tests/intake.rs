//! What the door lets in and what it refuses, by which code, where.

#[path = "support/bad_input.rs"]
mod bad_input;

use std::collections::HashSet;

use bad_input::{
    bad_inputs, lines, message, nested, order, order_data, order_headers, order_headers_with,
    order_of_bytes, order_with, order_without, with,
};
use otodoke::contract::{
    Accepted, Header, Input, InputType, Message, Rejection, RejectionCode, Span, Stream, Timestamp,
    data, intake, schema,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn now() -> Timestamp {
    "2026-03-01T02:00:00Z".parse().unwrap()
}

fn judge(message: &Message<'_>) -> Result<Accepted, Box<Rejection>> {
    intake(message, now(), Span::minutes(10))
}

fn structured(body: &[u8], stream: Stream) -> Message<'_> {
    Message { body, content_type: Some("application/cloudevents+json"), attributes: &[], stream }
}

fn judge_event(event: &Value) -> Result<Accepted, Box<Rejection>> {
    let kind = event["type"].as_str().and_then(InputType::from_name);
    let stream = kind.map_or(Stream::Orders, InputType::stream);
    judge(&structured(event.to_string().as_bytes(), stream))
}

fn accept(event: &Value) -> Accepted {
    judge_event(event).unwrap_or_else(|rejection| panic!("{rejection} in {event}"))
}

fn judge_binary(
    data: &Value,
    attributes: &[(&str, Header<'_>)],
) -> Result<Accepted, Box<Rejection>> {
    let body = data.to_string();
    let content_type = Some("application/json");
    judge(&Message { body: body.as_bytes(), content_type, attributes, stream: Stream::Orders })
}

#[test]
fn every_bad_input_is_refused_by_its_code_at_its_place() {
    for bad in bad_inputs() {
        let message = Message {
            body: &bad.body,
            content_type: bad.content_type,
            attributes: &bad.headers,
            stream: bad.stream,
        };
        let rejection = judge(&message).expect_err(bad.name);
        let found = (rejection.code, rejection.pointer.as_deref());
        assert_eq!(found, (bad.code, bad.pointer), "{}: {rejection}", bad.name);
    }
}

#[test]
fn no_two_bad_inputs_are_the_same_message() {
    let inputs = bad_inputs();
    let messages: HashSet<String> = inputs
        .iter()
        .map(|bad| {
            format!("{:?} {:?} {:?} {:?}", bad.body, bad.content_type, bad.headers, bad.stream)
        })
        .collect();
    assert_eq!(messages.len(), inputs.len());
    let names: HashSet<&str> = inputs.iter().map(|bad| bad.name).collect();
    assert_eq!(names.len(), inputs.len());
    assert!(inputs.len() > 100, "{}", inputs.len());
}

#[test]
fn the_schema_refuses_what_intake_refuses_wherever_a_schema_can() {
    let beyond_schemas = ["a line id twice", "a total over 10^15", "an event far ahead"];
    for bad in bad_inputs() {
        let Ok(event) = serde_json::from_slice::<Value>(&bad.body) else { continue };
        let Some(kind) = event["type"].as_str().and_then(InputType::from_name) else { continue };
        let is_of_event = matches!(
            bad.code,
            RejectionCode::BadEnvelope | RejectionCode::SchemaViolation | RejectionCode::TooLarge
        );
        let by_document = bad.pointer.is_some_and(|pointer| !pointer.contains("/x/0/0"));
        if !is_of_event || !by_document || beyond_schemas.contains(&bad.name) {
            continue;
        }
        let document = schema::document(kind.name()).unwrap();
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        assert!(!options.build(&document).unwrap().is_valid(&event), "{}", bad.name);
    }
}

#[test]
fn a_rejection_says_in_a_sentence_what_was_expected_and_where() {
    for (pointer, value, detail) in [
        (
            "/data/lines/0/quantity",
            json!(0),
            "`/data/lines/0/quantity`: a quantity is a whole number, 1 to 1,000,000",
        ),
        ("/data/order_id", Value::Null, "`/data/order_id`: this member is required"),
        (
            "/data/sold_by",
            json!("courier"),
            "`/data/sold_by`: expected one of the words `seller`, `marketplace`",
        ),
        ("/data/payment", json!([]), "`/data/payment`: expected an object"),
        ("/type", json!("message-sent"), "`/type`: message-sent belongs to the stream messages"),
    ] {
        let body = order_with(pointer, value).to_string();
        let rejection = judge(&structured(body.as_bytes(), Stream::Orders)).unwrap_err();
        assert_eq!(rejection.detail, detail);
    }
}

#[test]
fn no_rejection_quotes_a_value_of_data() {
    let secret = "zq7secret";
    let document = order();
    for pointer in places(&document["data"], "/data") {
        for value in [json!(secret), json!([secret]), json!({secret: secret}), json!(734_512_345.5)]
        {
            let Err(rejection) = judge_event(&order_with(&pointer, value)) else { continue };
            let told = format!("{rejection:?}");
            assert!(!told.contains(secret) && !told.contains("734512345"), "{told}");
        }
    }
}

/// The pointers of all members of a document.
fn places(value: &Value, place: &str) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(n, v)| (n.clone(), v)).collect(),
        Value::Array(elements) => {
            elements.iter().enumerate().map(|(n, v)| (n.to_string(), v)).collect()
        }
        _ => vec![],
    };
    below
        .into_iter()
        .flat_map(|(name, value)| {
            let place = format!("{place}/{name}");
            let mut found = places(value, &place);
            found.push(place);
            found
        })
        .collect()
}

#[test]
fn a_rejection_names_its_event_as_far_as_it_is_known() {
    let names = |rejection: Box<Rejection>| {
        (rejection.event_source, rejection.event_id, rejection.event_type)
    };
    let all = || {
        let name = |text: &str| Some(text.to_owned());
        (name("/test"), name("bad-input"), name("order-placed"))
    };
    assert_eq!(names(judge_event(&order_without("/data/order_id")).unwrap_err()), all());
    assert_eq!(names(judge_event(&order_without("/time")).unwrap_err()), all());
    assert_eq!(names(judge_event(&order_with("/data/x", nested(200))).unwrap_err()), all());
    let headers = order_headers();
    let broken =
        Message { body: b"{", content_type: None, attributes: &headers, stream: Stream::Orders };
    assert_eq!(names(judge(&broken).unwrap_err()), all());
    let nobody = names(judge(&structured(b"{", Stream::Orders)).unwrap_err());
    assert_eq!(nobody, (None, None, None));
}

#[test]
fn a_name_that_no_table_could_take_is_left_out() {
    for id in ["a\0".to_owned(), "x".repeat(257)] {
        let rejection = judge_event(&order_with("/id", id)).unwrap_err();
        assert_eq!(rejection.event_id, None);
        assert!(rejection.event_source.is_some());
    }
}

#[test]
fn what_is_exactly_at_a_limit_is_accepted() {
    let longest = "長".repeat(20_000);
    accept(&order_with("/data/lines", lines(500)));
    accept(&order_with("/data/buyer_name", longest.clone()));
    accept(&order_with("/data/payment/method", longest.clone()));
    accept(&order_with("/subject", longest.clone()));
    accept(&with(message(), "/data/body", longest));
    accept(&order_with("/data/x", nested(30)));
    accept(&order_with("/id", "é".repeat(128)));
    accept(&order_with("/source", "/".repeat(256)));
    accept(&order_with("/data/order_id", "1".repeat(64)));
    accept(&order_with("/data/lines/0/quantity", 1_000_000));
    accept(&order_with("/data/lines/0/unit_price", 1_000_000_000_000i64));
    let body = order_of_bytes(256 * 1024);
    assert!(judge(&structured(&body, Stream::Orders)).is_ok());
    let dear = json!([{
        "line_id": "L1", "sku": "K", "quantity": 1_000, "unit_price": 1_000_000_000_000i64,
    }]);
    accept(&order_with("/data/lines", dear));
}

#[test]
fn an_event_may_be_ahead_by_just_the_skew() {
    accept(&order_with("/time", "2026-03-01T02:10:00Z"));
    let rejection = judge_event(&order_with("/time", "2026-03-01T02:10:00.000001Z")).unwrap_err();
    assert_eq!(rejection.code, RejectionCode::TimeInFuture);
    assert_eq!(rejection.pointer.as_deref(), Some("/time"));
}

fn facts(accepted: &Accepted) -> Value {
    serde_json::from_str(&accepted.facts).unwrap()
}

fn unread(accepted: &Accepted) -> Option<Value> {
    accepted.unread.as_deref().map(|unread| serde_json::from_str(unread).unwrap())
}

#[test]
fn unknown_fields_are_kept_however_large_and_whatever_they_hold() {
    let extra = json!({"notes": "x".repeat(30_000), "tags": vec![1; 600], "n": 0.1});
    let accepted = accept(&order_with("/data/extra", extra.clone()));
    assert_eq!(unread(&accepted), Some(json!({"extra": extra})));
    // `lines` and `body` are fields of other types than this one.
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/test", "type": "payment-failed",
        "time": "2026-03-01T00:00:00Z",
        "data": {
            "order_id": "O1", "attempt_id": "P1", "reason": "declined",
            "lines": vec![0; 501], "body": "x".repeat(20_001),
        },
    });
    accept(&event);
}

#[test]
fn fields_that_may_not_be_kept_are_gone_before_anything_is_checked() {
    let mut event = order_with("/data/points_used", json!({"a": "\0"}));
    event["data"]["lines"][0]["voucher_number"] = json!("x".repeat(25_000));
    let accepted = accept(&event);
    assert_eq!(accepted.unread, None);
    assert_eq!(accepted.content_digest, accept(&order()).content_digest);
}

#[test]
fn null_is_absent() {
    let mut event = order_with("/data/phone", Value::Null);
    event["subject"] = Value::Null;
    event["datacontenttype"] = Value::Null;
    event["data"]["lines"][0]["tax"] = Value::Null;
    event["data"]["unknown"] = json!({"deep": null});
    event["data"]["lines"][0]["also"] = Value::Null;
    let accepted = accept(&event);
    assert_eq!(unread(&accepted), Some(json!({"unknown": {}})));
}

#[test]
fn facts_are_what_the_rules_read_and_read_again() {
    let accepted = accept(&order_with("/data/payment/method", "barter"));
    let facts = facts(&accepted);
    let again = InputType::OrderPlaced.read(&facts).unwrap();
    assert_eq!(accepted.event.input.facts(), facts);
    assert_eq!(again, accepted.event.input);
    assert_eq!(unread(&accepted), Some(json!({"payment": {"method": "barter"}})));
    let merged = data::merge(&facts, unread(&accepted).as_ref());
    assert_eq!(merged["payment"]["method"], "barter");
}

#[test]
fn the_body_of_a_message_is_no_fact() {
    let accepted = accept(&with(message(), "/data/body", "Where is it?"));
    assert_eq!(facts(&accepted).get("body"), None);
    assert_eq!(unread(&accepted), Some(json!({"body": "Where is it?"})));
    let Input::MessageSent(sent) = &accepted.event.input else { panic!("a message") };
    assert_eq!(sent.body, None, "rules don't read it");
}

#[test]
fn both_modes_say_the_same() {
    let structured = accept(&order());
    let binary = judge_binary(&order_data(), &order_headers()).unwrap();
    assert_eq!(structured, binary);
    let with_colons = [
        ("cloudEvents:specversion", Header::Text("1.0")),
        ("cloudEvents:id", Header::Text("bad-input")),
        ("cloudEvents:source", Header::Text("/test")),
        ("cloudEvents:type", Header::Text("order-placed")),
        ("cloudEvents:time", Header::Timestamp(1_772_326_800)),
        ("x-other", Header::NotUtf8),
    ];
    assert_eq!(judge_binary(&order_data(), &with_colons).unwrap(), structured);
}

#[test]
fn a_content_type_may_be_absent_or_have_parameters() {
    let body = order().to_string();
    for content_type in [
        None,
        Some(""),
        Some("application/cloudevents+json; charset=UTF-8"),
        Some("Application/CloudEvents+JSON"),
    ] {
        let message = Message { content_type, ..structured(body.as_bytes(), Stream::Orders) };
        assert!(judge(&message).is_ok(), "{content_type:?}");
    }
    let (data, headers) = (order_data().to_string(), order_headers());
    for content_type in [None, Some(""), Some("application/json;charset=utf-8")] {
        let stream = Stream::Orders;
        let message = Message { body: data.as_bytes(), content_type, attributes: &headers, stream };
        assert!(judge(&message).is_ok(), "{content_type:?}");
    }
    for datacontenttype in ["application/json", "APPLICATION/JSON; charset=utf-8"] {
        accept(&order_with("/datacontenttype", datacontenttype));
    }
}

#[test]
fn a_structured_event_is_one_whatever_its_headers_say() {
    let headers = order_headers_with("cloudEvents_id", Header::Text("another"));
    let body = order().to_string();
    let message = Message { attributes: &headers, ..structured(body.as_bytes(), Stream::Orders) };
    assert_eq!(judge(&message).unwrap().event.key.id, "bad-input");
}

#[test]
fn a_trace_comes_from_the_attributes_or_else_from_plain_headers() {
    let (one, other) = (
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
    );
    let headers = [("traceparent", Header::Text(other)), ("tracestate", Header::Text("a=1"))];
    let traced = |event: Value| {
        let body = event.to_string();
        let message =
            Message { attributes: &headers, ..structured(body.as_bytes(), Stream::Orders) };
        let accepted = judge(&message).unwrap();
        (accepted.traceparent, accepted.tracestate)
    };
    let found = |parent: &str, state: Option<&str>| (Some(parent.into()), state.map(Into::into));
    assert_eq!(traced(order_with("/traceparent", one)), found(one, None));
    assert_eq!(traced(order()), found(other, Some("a=1")));
    for malformed in [json!("01"), json!(7), json!("x\0")] {
        assert_eq!(traced(order_with("/traceparent", malformed)), found(other, Some("a=1")));
    }
    let binary = judge_binary(
        &order_data(),
        &order_headers_with("cloudEvents_traceparent", Header::Text(one)),
    );
    assert_eq!(binary.unwrap().traceparent.as_deref(), Some(one));
}

#[test]
fn leap_seconds_and_unknown_offsets_are_valid_times() {
    let time = |text: &str| accept(&order_with("/time", text)).event.time.to_string();
    assert_eq!(time("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00Z");
    assert_eq!(time("2026-03-01T00:00:00-00:00"), "2026-03-01T00:00:00Z");
}

#[test]
fn content_is_the_same_however_it_is_written() {
    let plain = accept(&order());
    let mut other = order_with("/time", "2026-03-01T01:00:00.000Z");
    other["data"]["lines"][0]["unit_price"] = json!(1.5e3);
    other["data"]["payment"]["due_at"] = json!("2026-03-05T01:00:00Z");
    other["data"]["phone"] = Value::Null;
    other["dataschema"] = json!("urn:x");
    other["data"]["receipt_number"] = json!("7");
    assert_eq!(accept(&other).content_digest, plain.content_digest);
    for (pointer, value) in [
        ("/time", json!("2026-03-01T01:00:01Z")),
        ("/subject", json!("BAD-1")),
        ("/data/lines/0/unit_price", json!(1501)),
        ("/data/payment/method", json!("barter")),
        ("/data/lines/1/unknown", json!(1)),
    ] {
        let changed = accept(&order_with(pointer, value));
        assert_ne!(changed.content_digest, plain.content_digest, "{pointer}");
        assert_eq!(changed.key_digest, plain.key_digest, "{pointer}");
    }
    let named = accept(&order_with("/id", "other"));
    assert_ne!(named.key_digest, plain.key_digest);
    assert_eq!(named.content_digest, plain.content_digest);
}

proptest! {
    #[test]
    fn no_bytes_make_intake_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = judge(&structured(&bytes, Stream::Messages));
    }

    #[test]
    fn no_order_with_one_byte_changed_makes_intake_panic(
        at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut body = order().to_string().into_bytes();
        let index = at.index(body.len());
        body[index] = byte;
        if let Err(rejection) = judge(&structured(&body, Stream::Orders)) {
            prop_assert!(!rejection.detail.is_empty() && !rejection.detail.contains('\0'));
        }
    }
}
