use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::contract::reader::Reader;
use crate::contract::{Input, InputType};

/// Facts and unread of data that is valid, and the data as it was stripped.
fn divide(input_type: InputType, mut data: Value) -> (Value, Option<Value>, Value) {
    strip(&mut data);
    let input: Input = input_type.read(Reader(&data)).expect("the data is valid");
    let facts = input.facts();
    let rest = unread(&data, &facts);
    (facts, rest, data)
}

fn message(extra: &Value) -> Value {
    let mut data = json!({
        "message_id": "M1", "thread_id": "T1", "seller_id": "S1", "from": "buyer",
    });
    let members = extra.as_object().unwrap().clone();
    data.as_object_mut().unwrap().extend(members);
    data
}

fn digest_of(data: Value) -> [u8; 16] {
    let (facts, unread, _) = divide(InputType::MessageSent, data);
    content_digest(&Content {
        event_type: "message-sent",
        time: Timestamp::from_micros(0),
        subject: None,
        facts: &facts,
        unread: unread.as_ref(),
    })
}

#[test]
fn points_and_payment_codes_are_stripped_at_any_depth() {
    let mut data = json!({
        "points_used": 5, "kept": [{"payment_code": "1", "x": {"voucher_url": {}, "y": 1}}],
        "payment_number": null, "confirmation_number": 1, "receipt_number": 2,
        "voucher_number": [3], "Points_used": 1,
    });
    strip(&mut data);
    assert_eq!(data, json!({"kept": [{"x": {"y": 1}}], "Points_used": 1}));
}

#[test]
fn members_that_are_null_are_dropped_and_elements_are_kept() {
    let mut data = json!({"a": null, "b": [null, {"c": null}], "d": {"e": null}});
    strip(&mut data);
    assert_eq!(data, json!({"b": [null, {}], "d": {}}));
}

#[test]
fn unread_is_what_the_rules_do_not_read() {
    let (facts, rest, _) = divide(
        InputType::MessageSent,
        message(&json!({
            "body": "Where is it?", "topic": "weather", "reply_by": "2026-03-01T09:00:00+09:00",
            "channel": "other", "mood": {"angry": true},
        })),
    );
    assert_eq!(facts["topic"], "other");
    assert_eq!(facts["reply_by"], "2026-03-01T00:00:00Z");
    let expected = json!({"body": "Where is it?", "topic": "weather", "mood": {"angry": true}});
    assert_eq!(rest, Some(expected));
}

#[test]
fn of_a_list_only_the_elements_with_something_unread_are_kept() {
    let line = |extra: Value| {
        let mut line = json!({"line_id": "L1", "quantity": 2.0});
        line.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        line
    };
    let (facts, rest, data) = divide(
        InputType::LinesUnshippable,
        json!({"order_id": "O1", "lines": [line(json!({})), line(json!({"bin": ["A", 7]}))]}),
    );
    assert_eq!(rest, Some(json!({"lines": {"1": {"bin": ["A", 7]}}})));
    assert!(says_it_all(&merge(&facts, rest.as_ref()), &data));
}

#[test]
fn data_that_the_rules_read_whole_leaves_nothing_unread() {
    let (_, rest, _) = divide(InputType::MessageSent, message(&json!({"order_id": null})));
    assert_eq!(rest, None);
}

#[test]
fn content_is_compared_as_values() {
    let plain = digest_of(message(&json!({"x": 1500, "reply_by": "2026-03-01T00:00:00Z"})));
    for alike in [
        json!({"x": 1500.0, "reply_by": "2026-03-01T00:00:00Z"}),
        json!({"x": 1.5e3, "reply_by": "2026-03-01T09:00:00+09:00", "topic": null}),
        json!({"reply_by": "2026-02-28T19:00:00.000-05:00", "x": 1500, "points_used": 1}),
    ] {
        assert_eq!(digest_of(message(&alike)), plain, "{alike}");
    }
    for other in [
        json!({"x": 1501, "reply_by": "2026-03-01T00:00:00Z"}),
        json!({"x": "1500", "reply_by": "2026-03-01T00:00:00Z"}),
        json!({"x": 1500, "reply_by": "2026-03-01"}),
        json!({"x": 1500, "reply_by": "2026-03-01T00:00:00Z", "body": ""}),
        json!({"x": 1500, "reply_by": "2026-03-01T00:00:00Z", "topic": "weather"}),
        json!({"x": 1500, "reply_by": "2026-03-01T00:00:00Z", "topic": "other"}),
    ] {
        assert_ne!(digest_of(message(&other)), plain, "{other}");
    }
}

#[test]
fn the_border_between_source_and_id_counts() {
    let key = |source: &str, id: &str| EventRef { source: source.into(), id: id.into() };
    assert_ne!(key_digest(&key("/a", "bc")), key_digest(&key("/ab", "c")));
    assert_eq!(key_digest(&key("/a", "bc")), key_digest(&key("/a", "bc")));
}

#[test]
fn numbers_are_compared_by_value() {
    let one = |text: &str| canonical(&serde_json::from_str(text).unwrap());
    for (left, right) in [
        ("-0", "0"),
        ("1e2", "100"),
        ("0.10", "1e-1"),
        ("1e25", "10000000000000000000000000"),
        ("18446744073709551616", "1.8446744073709551616e19"),
        ("-5.0", "-5"),
    ] {
        assert_eq!(one(left), one(right), "{left} {right}");
    }
    assert_ne!(one("9007199254740993"), one("9007199254740992"));
}

#[test]
fn u_0000_is_found_in_values_and_names() {
    assert_eq!(find_nul(&json!({"a": ["x", "y\0"]})).as_deref(), Some("/data/a/1"));
    assert_eq!(find_nul(&json!({"a": {"b\0": 1}})).as_deref(), Some("/data/a"));
    assert_eq!(find_nul(&json!({"a": {"b": "\u{1}"}})), None);
}

/// Equal up to the form of numbers and times.
fn says_it_all(merged: &Value, data: &Value) -> bool {
    match (merged, data) {
        (Value::Object(merged), Value::Object(data)) => {
            merged.len() == data.len()
                && merged.iter().all(|(name, value)| {
                    data.get(name).is_some_and(|other| says_it_all(value, other))
                })
        }
        (Value::Array(merged), Value::Array(data)) => {
            merged.len() == data.len()
                && merged.iter().zip(data).all(|(value, other)| says_it_all(value, other))
        }
        _ => says_the_same(data, merged),
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f32>().prop_map(|number| Value::from(f64::from(number))),
        "[a-z0-9]{0,4}".prop_map(Value::from),
        Just(json!("2026-03-01T09:00:00+09:00")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            members(inner),
        ]
    })
}

/// Names that no type has, those that are stripped, and indexes.
fn members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let name = prop_oneof!["x[a-c]", "[0-2]", Just("points_used".to_owned())];
    prop::collection::btree_map(name, value, 0..3)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn with(mut base: Value, extra: Value) -> Value {
    if let (Some(base), Value::Object(extra)) = (base.as_object_mut(), extra) {
        base.extend(extra);
    }
    base
}

prop_compose! {
    fn any_order()(
        extra in members(any_value()),
        of_payment in members(any_value()),
        of_address in members(any_value()),
        of_lines in prop::collection::vec(members(any_value()), 1..4),
        method in prop_oneof![
            Just(json!("card")), Just(json!("barter")), Just(json!("other")), Just(Value::Null),
        ],
        price in prop_oneof![Just(json!(1500)), Just(json!(1500.0)), Just(json!(1.5e3))],
        due_at in prop_oneof![
            Just(json!("2026-03-01T09:00:00+09:00")), Just(json!("2026-03-01T00:00:00.5Z")),
        ],
    ) -> Value {
        let lines: Vec<Value> = of_lines.into_iter().enumerate().map(|(index, extra)| with(json!({
            "line_id": format!("L{index}"), "sku": "K", "quantity": 1, "unit_price": price,
        }), extra)).collect();
        with(json!({
            "order_id": "O1", "seller_id": "S1", "buyer_id": "B1", "sold_by": "seller",
            "fulfilled_by": "seller", "currency": "JPY", "lines": lines, "phone": null,
            "payment": with(json!({
                "status": "pending", "method": method, "due_at": due_at,
            }), of_payment),
            "ship_to": with(json!({
                "postal_code": "1", "region": "Tokyo", "address_lines": ["1-2"], "country": "JP",
            }), of_address),
        }), extra)
    }
}

proptest! {
    #[test]
    fn facts_and_unread_together_are_the_stripped_data(data in any_order()) {
        let (facts, rest, stripped) = divide(InputType::OrderPlaced, data);
        let merged = merge(&facts, rest.as_ref());
        prop_assert!(says_it_all(&merged, &stripped), "{merged} is not {stripped}");
    }

    #[test]
    fn what_was_divided_and_merged_divides_the_same(data in any_order()) {
        let (facts, rest, _) = divide(InputType::OrderPlaced, data);
        let (again, rest_again, _) =
            divide(InputType::OrderPlaced, merge(&facts, rest.as_ref()));
        prop_assert_eq!((facts, rest), (again, rest_again));
    }
}
