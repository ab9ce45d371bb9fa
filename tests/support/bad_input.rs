//! Every kind of input that must become a dead letter, with the code and the pointer that
//! it must get. Shared by the test of intake and by the tests against real services, which
//! send the same messages between good ones.

use otodoke::contract::{Header, RejectionCode, Stream};
use serde_json::{Value, json};

use RejectionCode::*;

/// A message that is refused.
#[derive(Clone, Debug)]
pub struct BadInput {
    pub name: &'static str,
    pub body: Vec<u8>,
    pub content_type: Option<&'static str>,
    pub headers: Vec<(&'static str, Header<'static>)>,
    pub stream: Stream,
    pub code: RejectionCode,
    pub pointer: Option<&'static str>,
}

/// All of them, no two with the same bytes, headers and stream.
pub fn bad_inputs() -> Vec<BadInput> {
    [not_json(), too_large(), bad_envelope(), binary(), of_type(), of_data(), several()].concat()
}

/// A good order, to be spoiled.
pub fn order() -> Value {
    json!({
        "specversion": "1.0",
        "id": "bad-input",
        "source": "/test",
        "type": "order-placed",
        "time": "2026-03-01T10:00:00+09:00",
        "data": order_data(),
    })
}

pub fn order_data() -> Value {
    json!({
        "order_id": "BAD-1",
        "seller_id": "SELLER",
        "buyer_id": "BUYER",
        "sold_by": "seller",
        "fulfilled_by": "seller",
        "currency": "JPY",
        "payment": {"status": "pending", "due_at": "2026-03-05T10:00:00+09:00"},
        "ship_to": {
            "postal_code": "1", "region": "Tokyo", "address_lines": ["1-2"], "country": "JP",
        },
        "lines": [
            {"line_id": "L1", "sku": "K1", "quantity": 1, "unit_price": 1500},
            {"line_id": "L2", "sku": "K2", "quantity": 2, "unit_price": 980, "tax": 178},
        ],
    })
}

/// A good message, to be spoiled.
pub fn message() -> Value {
    json!({
        "specversion": "1.0",
        "id": "bad-message",
        "source": "/test",
        "type": "message-sent",
        "time": "2026-03-01T10:00:00+09:00",
        "data": {"message_id": "M1", "thread_id": "T1", "seller_id": "SELLER", "from": "buyer"},
    })
}

/// The order with one member set.
pub fn order_with(pointer: &str, value: impl Into<Value>) -> Value {
    with(order(), pointer, value)
}

/// The document with one member set.
pub fn with(mut document: Value, pointer: &str, value: impl Into<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer to a member");
    match document.pointer_mut(parent).expect("the parent is there") {
        Value::Object(members) => drop(members.insert(name.into(), value.into())),
        Value::Array(elements) => elements[name.parse::<usize>().unwrap()] = value.into(),
        _ => panic!("{parent} has no members"),
    }
    document
}

/// The order without one member.
pub fn order_without(pointer: &str) -> Value {
    let mut document = order();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer to a member");
    let parent = document.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.and_then(|members| members.remove(name)).expect("the member is there");
    document
}

/// Lists inside one another, so many.
pub fn nested(depth: usize) -> Value {
    (1..depth).fold(json!([]), |inner, _| json!([inner]))
}

/// So many lines, all well.
pub fn lines(count: usize) -> Value {
    let line = |n| json!({"line_id": format!("L{n}"), "sku": "K", "quantity": 1, "unit_price": 1});
    (0..count).map(line).collect()
}

/// The order, filled up with white space to so many bytes.
pub fn order_of_bytes(count: usize) -> Vec<u8> {
    let mut body = order().to_string().into_bytes();
    body.resize(count, b' ');
    body
}

/// The headers of a good order in binary mode.
pub fn order_headers() -> Vec<(&'static str, Header<'static>)> {
    vec![
        ("cloudEvents_specversion", Header::Text("1.0")),
        ("cloudEvents_id", Header::Text("bad-input")),
        ("cloudEvents_source", Header::Text("/test")),
        ("cloudEvents_type", Header::Text("order-placed")),
        ("cloudEvents_time", Header::Text("2026-03-01T10:00:00+09:00")),
    ]
}

/// The same with one header replaced or added.
pub fn order_headers_with(
    name: &'static str,
    value: Header<'static>,
) -> Vec<(&'static str, Header<'static>)> {
    let mut headers = order_headers();
    headers.retain(|(header, _)| *header != name);
    headers.push((name, value));
    headers
}

/// A name, a body, and where its fault is.
type Case = (&'static str, Vec<u8>, Option<&'static str>);

/// A body, and where its fault is.
type Spoiled = (Vec<u8>, Option<&'static str>);

fn structured(code: RejectionCode, cases: Vec<Case>) -> Vec<BadInput> {
    let bad = |(name, body, pointer)| BadInput {
        name,
        body,
        content_type: Some("application/cloudevents+json"),
        headers: vec![],
        stream: Stream::Orders,
        code,
        pointer,
    };
    cases.into_iter().map(bad).collect()
}

fn bytes(document: Value) -> Vec<u8> {
    document.to_string().into_bytes()
}

/// The order as text, with a piece of it replaced by what no `Value` can hold.
fn order_text(from: &str, to: &str) -> Vec<u8> {
    let text = order().to_string();
    assert!(text.contains(from), "{from} is not in {text}");
    text.replacen(from, to, 1).into_bytes()
}

fn not_json() -> Vec<BadInput> {
    let cut = &bytes(order())[..100];
    let twice = r#""order_id":"BAD-1","order\u005fid":"BAD-2""#;
    structured(
        NotJson,
        vec![
            ("an empty body", b"".to_vec(), None),
            ("white space only", b" \n".to_vec(), None),
            ("a body cut short", cut.to_vec(), None),
            ("no JSON at all", b"<order id=\"BAD-1\"/>".to_vec(), None),
            ("something behind the document", [&bytes(order())[..], b"{}"].concat(), None),
            ("a comma behind the last member", order_text("}]", ",}]"), None),
            ("a number with a leading zero", order_text("1500", "01500"), None),
            ("a word that only JavaScript has", order_text("1500", "NaN"), None),
            ("a control character in a text", order_text("BUYER", "BU\nYER"), None),
            ("a byte order mark", [&b"\xef\xbb\xbf"[..], &bytes(order())].concat(), None),
            (
                "Shift_JIS",
                order_text("Tokyo", "?")
                    .iter()
                    .map(|b| if *b == b'?' { 0x93 } else { *b })
                    .collect(),
                None,
            ),
            ("brackets without end", vec![b'['; 200_000], None),
            ("half a surrogate pair", order_text("Tokyo", "\\ud83d"), Some("/data/ship_to/region")),
            ("a member twice", order_text("\"order_id\":\"BAD-1\"", twice), Some("/data/order_id")),
            ("an attribute twice", order_text("\"id\":", "\"id\":\"x\",\"id\":"), Some("/id")),
            (
                "a number beyond every double",
                order_text("1500", "1e400"),
                Some("/data/lines/0/unit_price"),
            ),
            (
                "such a number where nobody reads",
                order_text("\"sku\":\"K1\"", "\"sku\":\"K1\",\"x\":[-1e999]"),
                Some("/data/lines/0/x/0"),
            ),
        ],
    )
}

fn too_large() -> Vec<BadInput> {
    let long = "長".repeat(20_001);
    let mut cases = structured(
        TooLarge,
        vec![
            ("a body one byte over 256 KiB", order_of_bytes(256 * 1024 + 1), None),
            ("a body over 256 KiB that is no JSON", vec![b'x'; 300_000], None),
            (
                "33 objects and lists inside one another",
                bytes(order_with("/data/x", nested(31))),
                Some("/data/x/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0"),
            ),
            ("501 lines", bytes(order_with("/data/lines", lines(501))), Some("/data/lines")),
            (
                "501 lines that are no lines",
                bytes(order_with("/data/lines", vec![0; 501])),
                Some("/data/lines"),
            ),
            (
                "a name of 20,001 characters",
                bytes(order_with("/data/buyer_name", long.clone())),
                Some("/data/buyer_name"),
            ),
            (
                "a title of 20,001 characters",
                bytes(order_with("/data/lines/1/title", long.clone())),
                Some("/data/lines/1/title"),
            ),
            (
                "an address line of 20,001 characters",
                bytes(order_with("/data/ship_to/address_lines/0", long.clone())),
                Some("/data/ship_to/address_lines/0"),
            ),
            (
                "an unknown word of 20,001 characters",
                bytes(order_with("/data/payment/method", long.clone())),
                Some("/data/payment/method"),
            ),
            (
                "a subject of 20,001 characters",
                bytes(order_with("/subject", long.clone())),
                Some("/subject"),
            ),
        ],
    );
    cases.push(BadInput {
        stream: Stream::Messages,
        ..structured(
            TooLarge,
            vec![(
                "a message of 20,001 characters",
                bytes(with(message(), "/data/body", long)),
                Some("/data/body"),
            )],
        )
        .remove(0)
    });
    cases
}

fn bad_envelope() -> Vec<BadInput> {
    let set = |pointer: &'static str, value: Value| bytes(order_with(pointer, value));
    let without = |pointer: &'static str| bytes(order_without(pointer));
    let mut cases = structured(
        BadEnvelope,
        vec![
            ("a list of events", bytes(json!([order()])), Some("")),
            ("a text", b"\"order-placed\"".to_vec(), Some("")),
            ("null", b"null".to_vec(), Some("")),
            ("no specversion", without("/specversion"), Some("/specversion")),
            ("an older specversion", set("/specversion", json!("0.3")), Some("/specversion")),
            (
                "a specversion that is a number",
                set("/specversion", json!(1.0)),
                Some("/specversion"),
            ),
            ("no id", without("/id"), Some("/id")),
            ("an empty id", set("/id", json!("")), Some("/id")),
            ("an id that is a number", set("/id", json!(5)), Some("/id")),
            ("an id of 129 characters", set("/id", json!("é".repeat(129))), Some("/id")),
            ("an id with U+0000", set("/id", json!("a\0")), Some("/id")),
            ("no source", without("/source"), Some("/source")),
            ("a source that is null", set("/source", Value::Null), Some("/source")),
            ("a source of 257 characters", set("/source", json!("/".repeat(257))), Some("/source")),
            (
                "a source that is no URI reference",
                set("/source", json!("my shop")),
                Some("/source"),
            ),
            ("no type", without("/type"), Some("/type")),
            ("an empty type", set("/type", json!("")), Some("/type")),
            ("a type that is a list", set("/type", json!(["order-placed"])), Some("/type")),
            ("no time", without("/time"), Some("/time")),
            ("a time without an offset", set("/time", json!("2026-03-01T10:00:00")), Some("/time")),
            ("a time that is a number", set("/time", json!(1_772_000_000)), Some("/time")),
            (
                "a time that no calendar has",
                set("/time", json!("2026-02-30T10:00:00Z")),
                Some("/time"),
            ),
            ("a time with a space", set("/time", json!("2026-03-01 10:00:00Z")), Some("/time")),
            ("a subject that is a number", set("/subject", json!(1)), Some("/subject")),
            ("an empty subject", set("/subject", json!("")), Some("/subject")),
            (
                "data that is XML",
                set("/datacontenttype", json!("text/xml")),
                Some("/datacontenttype"),
            ),
            (
                "a dataschema that is no URI reference",
                set("/dataschema", json!("a b")),
                Some("/dataschema"),
            ),
            ("no data", without("/data"), Some("/data")),
            ("data that is null", set("/data", Value::Null), Some("/data")),
            ("data that is a text", set("/data", json!("{}")), Some("/data")),
            ("data that is a list", set("/data", json!([1])), Some("/data")),
            (
                "data in base 64",
                {
                    let mut event = order_without("/data");
                    event["data_base64"] = json!("e30=");
                    bytes(event)
                },
                Some("/data"),
            ),
        ],
    );
    for (name, content_type) in [
        ("plain text by its content type", "text/plain"),
        ("JSON by its content type, without headers", "application/json"),
        ("a batch by its content type", "application/cloudevents-batch+json"),
    ] {
        let bad = structured(BadEnvelope, vec![(name, bytes(order()), None)]).remove(0);
        cases.push(BadInput { content_type: Some(content_type), ..bad });
    }
    cases
}

fn binary() -> Vec<BadInput> {
    let bad = |name, headers, code, pointer| BadInput {
        name,
        body: bytes(order_data()),
        content_type: Some("application/json"),
        headers,
        stream: Stream::Orders,
        code,
        pointer,
    };
    let without = |wanted: &str| {
        let mut headers = order_headers();
        headers.retain(|(name, _)| *name != wanted);
        headers
    };
    let set = order_headers_with;
    let good = || bad("", order_headers(), NotJson, None);
    vec![
        bad(
            "binary: no specversion",
            without("cloudEvents_specversion"),
            BadEnvelope,
            Some("/specversion"),
        ),
        bad("binary: no id", without("cloudEvents_id"), BadEnvelope, Some("/id")),
        bad("binary: no time", without("cloudEvents_time"), BadEnvelope, Some("/time")),
        bad(
            "binary: an id that isn't UTF-8",
            set("cloudEvents_id", Header::NotUtf8),
            BadEnvelope,
            Some("/id"),
        ),
        bad(
            "binary: an id that is a number",
            set("cloudEvents_id", Header::Other),
            BadEnvelope,
            Some("/id"),
        ),
        bad(
            "binary: an id that is a timestamp",
            set("cloudEvents_id", Header::Timestamp(5)),
            BadEnvelope,
            Some("/id"),
        ),
        bad(
            "binary: a time after all years",
            set("cloudEvents_time", Header::Timestamp(u64::MAX)),
            BadEnvelope,
            Some("/time"),
        ),
        bad(
            "binary: two ids",
            set("cloudEvents:id", Header::Text("other")),
            BadEnvelope,
            Some("/id"),
        ),
        bad(
            "binary: an unknown type",
            set("cloudEvents_type", Header::Text("order-eaten")),
            UnknownType,
            Some("/type"),
        ),
        bad(
            "binary: a time ahead",
            set("cloudEvents_time", Header::Timestamp(220_000_000_000)),
            TimeInFuture,
            Some("/time"),
        ),
        BadInput {
            name: "binary: data that is text",
            content_type: Some("text/plain"),
            code: BadEnvelope,
            pointer: Some("/datacontenttype"),
            ..good()
        },
        BadInput { name: "binary: an empty body", body: vec![], ..good() },
        BadInput {
            name: "binary: data that is a list",
            body: b"[]".to_vec(),
            code: BadEnvelope,
            pointer: Some("/data"),
            ..good()
        },
        BadInput {
            name: "binary: a member twice",
            body: br#"{"a":1,"a":2}"#.to_vec(),
            pointer: Some("/data/a"),
            ..good()
        },
        BadInput {
            name: "binary: a missing member",
            body: b"{}".to_vec(),
            code: SchemaViolation,
            pointer: Some("/data/order_id"),
            ..good()
        },
        BadInput {
            name: "binary: 501 lines",
            body: bytes(json!({"lines": lines(501)})),
            code: TooLarge,
            pointer: Some("/data/lines"),
            ..good()
        },
    ]
}

fn of_type() -> Vec<BadInput> {
    let at_type = Some("/type");
    let mut cases = structured(
        UnknownType,
        vec![
            ("a type that nobody knows", bytes(order_with("/type", "order-eaten")), at_type),
            ("a type in another case", bytes(order_with("/type", "Order-Placed")), at_type),
            ("a derived type", bytes(order_with("/type", "refund-required")), at_type),
        ],
    );
    cases.extend(structured(
        WrongStream,
        vec![
            ("a type of another stream", bytes(message()), at_type),
            (
                "a type of another stream, its data wrong for both",
                bytes(order_with("/type", "payment-failed")),
                at_type,
            ),
        ],
    ));
    cases.extend(structured(
        TimeInFuture,
        vec![(
            "an event far ahead",
            bytes(order_with("/time", "9000-01-01T00:00:00Z")),
            Some("/time"),
        )],
    ));
    cases
}

fn of_data() -> Vec<BadInput> {
    let set =
        |pointer: &'static str, value: Value| (bytes(order_with(pointer, value)), Some(pointer));
    let without = |pointer: &'static str| (bytes(order_without(pointer)), Some(pointer));
    let price = 1_000_000_000_000i64;
    let dear = json!([
        {"line_id": "L1", "sku": "K", "quantity": 1_000, "unit_price": price},
        {"line_id": "L2", "sku": "K", "quantity": 1, "unit_price": 1},
    ]);
    let named: Vec<(&str, Spoiled)> = vec![
        ("no order id", without("/data/order_id")),
        ("an order id that is null", set("/data/order_id", Value::Null)),
        ("an order id that is a number", set("/data/order_id", json!(503))),
        ("an order id of 65 characters", set("/data/order_id", json!("1".repeat(65)))),
        ("an order id with a slash", set("/data/order_id", json!("a/b"))),
        ("an order id that begins with a dash", set("/data/order_id", json!("-1"))),
        ("an order id with a line break behind", set("/data/order_id", json!("a\n"))),
        ("a seller that is neither", set("/data/sold_by", json!("courier"))),
        ("a currency in small letters", set("/data/currency", json!("jpy"))),
        ("a payment that is a text", set("/data/payment", json!("pending"))),
        ("a payment without a status", without("/data/payment/status")),
        ("a payment method that is a number", set("/data/payment/method", json!(1))),
        ("a limit without an offset", set("/data/payment/due_at", json!("2026-03-05T10:00:00"))),
        ("an address without a region", without("/data/ship_to/region")),
        ("an address line that is null", set("/data/ship_to/address_lines/0", Value::Null)),
        ("no lines", without("/data/lines")),
        ("an empty list of lines", set("/data/lines", json!([]))),
        ("lines that are an object", set("/data/lines", json!({"0": {}}))),
        ("a line that is null", set("/data/lines/1", Value::Null)),
        ("a line without a sku", without("/data/lines/1/sku")),
        ("a line id twice", set("/data/lines/1/line_id", json!("L1"))),
        ("a quantity of zero", set("/data/lines/0/quantity", json!(0))),
        ("a quantity over a million", set("/data/lines/0/quantity", json!(1_000_001))),
        ("half a piece", set("/data/lines/0/quantity", json!(0.5))),
        ("a quantity that is a text", set("/data/lines/0/quantity", json!("1"))),
        ("a negative amount", set("/data/lines/0/unit_price", json!(-1))),
        ("a fraction of a yen", set("/data/lines/0/unit_price", json!(1500.5))),
        ("an amount that is a text", set("/data/lines/0/unit_price", json!("1500"))),
        ("an amount over 10^12", set("/data/lines/0/unit_price", json!(price + 1))),
        ("an amount of 1e300", set("/data/lines/0/unit_price", json!(1e300))),
        ("an amount that is true", set("/data/lines/0/tax", json!(true))),
        ("a total over 10^15", (bytes(order_with("/data/lines", dear)), Some("/data/lines"))),
        ("U+0000 in a name", set("/data/buyer_name", json!("a\0b"))),
        ("U+0000 where nobody reads", set("/data/lines/1/x", json!("\0"))),
        (
            "U+0000 in a member's name",
            (bytes(order_with("/data/ship_to/x\0", 1)), Some("/data/ship_to")),
        ),
        (
            "U+0000 in the name of a member that is null",
            (bytes(order_with("/data/ship_to/y\0", Value::Null)), Some("/data/ship_to")),
        ),
    ];
    let cases = named.into_iter().map(|(name, (body, pointer))| (name, body, pointer)).collect();
    structured(SchemaViolation, cases)
}

/// Two faults at once: the first code of the contract's order wins.
fn several() -> Vec<BadInput> {
    let both = |pointer: &str, value: Value, other: &str, second: Value| {
        bytes(with(order_with(pointer, value), other, second))
    };
    let long = json!("x".repeat(20_001));
    let ahead = json!("9000-01-01T00:00:00Z");
    let mut cases = structured(
        NotJson,
        vec![
            (
                "deeper than 32, and cut short",
                {
                    let mut body = bytes(order_with("/data/x", nested(40)));
                    body.pop();
                    body
                },
                None,
            ),
            ("no object, and a member twice", br#"[{"a":1,"a":2}]"#.to_vec(), Some("/0/a")),
        ],
    );
    cases.extend(structured(
        TooLarge,
        vec![
            (
                "501 lines, and no source",
                both("/data/lines", lines(501), "/source", Value::Null),
                Some("/data/lines"),
            ),
            (
                "501 lines, and dated ahead",
                both("/data/lines", lines(501), "/time", ahead.clone()),
                Some("/data/lines"),
            ),
            (
                "text too long, and an unknown type",
                both("/data/buyer_name", long.clone(), "/type", json!("order-eaten")),
                Some("/data/buyer_name"),
            ),
            (
                "an identifier too long for any text",
                both("/data/order_id", long, "/id", json!("long")),
                Some("/data/order_id"),
            ),
            (
                "nested in a list that is no event",
                bytes(nested(33)),
                Some("/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0"),
            ),
        ],
    ));
    cases.extend(structured(
        BadEnvelope,
        vec![
            (
                "no time, and an unknown type",
                both("/time", Value::Null, "/type", json!("order-eaten")),
                Some("/time"),
            ),
            (
                "no data, and a type of another stream",
                both("/data", Value::Null, "/type", json!("message-sent")),
                Some("/data"),
            ),
            (
                "a fault in data, and an empty id",
                both("/data/order_id", Value::Null, "/id", json!("")),
                Some("/id"),
            ),
        ],
    ));
    cases.extend(structured(
        UnknownType,
        vec![(
            "an unknown type, and dated ahead",
            both("/type", json!("x"), "/time", ahead.clone()),
            Some("/type"),
        )],
    ));
    cases.extend(structured(
        WrongStream,
        vec![(
            "another stream, and dated ahead",
            both("/type", json!("message-sent"), "/time", ahead.clone()),
            Some("/type"),
        )],
    ));
    cases.extend(structured(
        SchemaViolation,
        vec![(
            "a fault in data, and dated ahead",
            both("/data/currency", json!(1), "/time", ahead),
            Some("/data/currency"),
        )],
    ));
    cases
}
