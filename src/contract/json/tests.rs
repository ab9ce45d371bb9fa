use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn depth(text: &str) -> Result<usize, NotJson> {
    scan(text.as_bytes(), 32).map(|scanned| scanned.depth)
}

fn fault(text: &str) -> NotJson {
    scan(text.as_bytes(), 32).expect_err(text)
}

#[test]
fn depth_counts_open_objects_and_lists() {
    for (text, expected) in
        [("1", 0), ("{}", 1), ("[[],{}]", 2), (r#"{"a":[{"b":1}],"c":[]}"#, 3), (" \"x\" \n", 0)]
    {
        assert_eq!(depth(text), Ok(expected), "{text}");
    }
}

#[test]
fn the_first_value_that_is_too_deep_is_named() {
    let scanned = scan(br#"{"a":[1,[2,[3]]],"b":[[[]]]}"#, 2).unwrap();
    assert_eq!(scanned, Scanned { depth: 4, too_deep: Some("/a/1".into()) });
    assert_eq!(scan(b"[[]]", 2).unwrap().too_deep, None);
}

#[test]
fn a_quarter_of_a_mebibyte_of_brackets_overflows_no_stack() {
    let open = "[".repeat(256 * 1024);
    assert_eq!(fault(&open).pointer, None);
    let closed = "[".repeat(128 * 1024) + &"]".repeat(128 * 1024);
    assert_eq!(depth(&closed), Ok(128 * 1024));
    assert!(scan("{\"a\":".repeat(50_000).as_bytes(), 32).is_err());
}

#[test]
fn a_name_that_stands_twice_is_named_however_it_is_escaped() {
    assert_eq!(fault(r#"{"a":{"b":1,"\u0062":2}}"#).pointer.as_deref(), Some("/a/b"));
    assert_eq!(fault(r#"[{"x":1},{"x":1,"y":2,"x":3}]"#).pointer.as_deref(), Some("/1/x"));
    assert_eq!(fault(r#"{"":1,"":2}"#).pointer.as_deref(), Some("/"));
    assert!(depth(r#"[{"x":{"x":1}},{"x":1,"X":2}]"#).is_ok());
}

#[test]
fn a_name_that_stands_twice_is_found_among_very_many() {
    let members: String = (0..20_000).map(|n| format!("\"k{n}\":0,")).collect();
    assert!(depth(&format!("{{{members}\"last\":0}}")).is_ok());
    let doubled = format!("{{{members}\"k7\":0}}");
    assert_eq!(fault(&doubled).pointer.as_deref(), Some("/k7"));
}

#[test]
fn half_a_surrogate_pair_is_no_text() {
    for text in [r#"["\ud800"]"#, r#"["\udc00"]"#, r#"["\ud800\ud800"]"#, r#"["\ud83dx"]"#] {
        assert_eq!(fault(text).pointer.as_deref(), Some("/0"), "{text}");
    }
    assert_eq!(fault(r#"{"a":1,"b":{"c":2,"\ud800":3}}"#).pointer.as_deref(), Some("/b"));
    assert!(depth(r#""\ud83d\ude00 \u0000 \/""#).is_ok());
}

#[test]
fn a_number_that_no_double_can_hold_is_named() {
    let long = format!("{{\"n\":{}}}", "9".repeat(400));
    for text in [r#"{"n":1e400}"#, r#"{"n":-1.5E+309}"#, &long] {
        assert_eq!(fault(text).pointer.as_deref(), Some("/n"), "{text}");
    }
    for text in ["1e308", "1e-400", "0e400", "123456789012345678901234567890", "-0"] {
        assert!(depth(text).is_ok(), "{text}");
    }
}

#[test]
fn what_breaks_the_grammar_has_no_place_in_a_document() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "NaN",
        "Infinity",
        "tru",
        "nul",
        "'a'",
        "\"a",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "1 2",
        "[1 2]",
        "[1}",
        "{\"a\":1]",
        "\u{feff}{}",
        "// c\n1",
        "{\"a\":}",
        "[,]",
        "{,}",
        "\"\\u00\"",
        "\u{a0}1",
        "{\"a\":1}}",
    ] {
        assert_eq!(fault(text).pointer, None, "{text}");
        assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    for bytes in [&b"\"\xff\""[..], b"\xc3", b"\"\xed\xa0\x80\"", b"\xff\xfe{\0}\0"] {
        assert_eq!(scan(bytes, 32).unwrap_err().pointer, None);
    }
}

/// Text made of what JSON is made of, well-formed now and then.
fn nearly_json() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\"a\""),
        Just("\"\\u0061\""),
        Just("\"b\""),
        Just("\"\\ud83d\\ude00\""),
        Just("\"\\ud83d\""),
        Just("\"\\n\""),
        Just("1"),
        Just("-0.5e3"),
        Just("1e400"),
        Just("0e999"),
        Just("01"),
        Just("true"),
        Just("null"),
        Just(" "),
        Just("\n"),
        Just("\"é\""),
        Just("\\"),
    ];
    prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

fn any_document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn depth_of(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth_of).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth_of).max().unwrap_or(0),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn every_document_is_well_formed_and_as_deep_as_it_is(document in any_document()) {
        for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap()] {
            prop_assert_eq!(depth(&text), Ok(depth_of(&document)));
        }
    }

    #[test]
    fn what_is_well_formed_is_so_for_serde_json_too(
        text in prop_oneof![nearly_json(), any::<String>()],
    ) {
        let parsed = serde_json::from_str::<Value>(&text);
        match depth(&text) {
            Ok(depth) => prop_assert_eq!(depth_of(&parsed.unwrap()), depth),
            // A name twice is the one thing that only the scan minds.
            Err(NotJson { pointer: Some(_), sentence }) if sentence.contains("twice") => {}
            Err(_) => prop_assert!(parsed.is_err()),
        }
    }

    #[test]
    fn a_document_cut_or_bent_is_judged_as_serde_json_judges_it(
        document in any_document(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = document.to_string().into_bytes();
        let index = at.index(bytes.len());
        bytes[index] = byte;
        let refused = scan(&bytes, 32);
        let parsed = serde_json::from_slice::<Value>(&bytes);
        let doubled = matches!(&refused, Err(fault) if fault.sentence.contains("twice"));
        prop_assert!(doubled || refused.is_ok() == parsed.is_ok());
    }
}
