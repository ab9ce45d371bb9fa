//! What of a refused message may be shown. Its fields may be anything, so only what the
//! schemas know to be harmless is; points and payment codes (rule V2) never are.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

use crate::contract::data::STRIPPED;
use crate::contract::{InputType, schema};

/// Whether personal data is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Personal {
    Shown,
    Hidden,
}

const MASK: &str = "***";

/// Members of the schemas that say who somebody is, or what a person wrote.
const PERSONAL: [&str; 8] = [
    "buyer_name",
    "relay_email",
    "phone",
    "ship_to",
    "recipient",
    "address_lines",
    "body",
    "reason",
];

/// Members that hold others. A text in their place may be anything, such as a whole event.
const CONTAINERS: [&str; 3] = ["data", "lines", "payment"];

/// Every name that a schema has, but for the personal ones.
static HARMLESS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut names = BTreeSet::new();
    for kind in InputType::ALL {
        collect(&schema::document(kind.name()).unwrap_or_default(), &mut names);
    }
    names.retain(|name| !PERSONAL.contains(&name.as_str()));
    names
});

fn collect(schema: &Value, names: &mut BTreeSet<String>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    names.extend(properties.into_iter().flatten().map(|(name, _)| name.clone()));
    match schema {
        Value::Object(members) => members.values().for_each(|member| collect(member, names)),
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, names)),
        _ => {}
    }
}

/// The body with what may not be seen replaced by `***`. Names of members stay.
pub fn value(body: Value, personal: Personal) -> Value {
    if personal == Personal::Hidden { container(body, personal) } else { members(body, personal) }
}

/// Shows what is inside of objects, and nothing that stands where one should be.
fn container(value: Value, personal: Personal) -> Value {
    match value {
        Value::Object(_) => members(value, personal),
        Value::Array(elements) => {
            elements.into_iter().map(|element| container(element, personal)).collect()
        }
        other => masked(other),
    }
}

fn members(value: Value, personal: Personal) -> Value {
    match value {
        Value::Object(members) => {
            let shown = members.into_iter().map(|(name, value)| {
                let value = member(&name, value, personal);
                (name, value)
            });
            Value::Object(shown.collect())
        }
        Value::Array(elements) => {
            elements.into_iter().map(|element| members(element, personal)).collect()
        }
        other => other,
    }
}

fn member(name: &str, value: Value, personal: Personal) -> Value {
    let is_secret = STRIPPED.contains(&name);
    let is_unknown = personal == Personal::Hidden && !HARMLESS.contains(name);
    match (is_secret || is_unknown, personal) {
        (true, _) => masked(value),
        (false, Personal::Hidden) if CONTAINERS.contains(&name) => container(value, personal),
        (false, _) => members(value, personal),
    }
}

/// Objects and lists keep their form, so that what is missing in them can be seen.
fn masked(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name, masked(value))).collect())
        }
        Value::Array(elements) => elements.into_iter().map(masked).collect(),
        Value::Null => Value::Null,
        _ => MASK.into(),
    }
}

/// The value of a column of the read model, or of a member of an event by its name.
pub fn column(name: &str, value: Value, personal: Personal) -> Value {
    let is_hidden = STRIPPED.contains(&name)
        || (personal == Personal::Hidden && PERSONAL.contains(&name) && name != "reason");
    if is_hidden { masked(value) } else { value }
}

/// A JSON Patch: what it puts where is shown as it would be there.
pub fn patch(patch: &Value, personal: Personal) -> Value {
    let shown = |operation: &Value| {
        let mut operation = operation.clone();
        let path = operation["path"].as_str().unwrap_or_default().to_owned();
        let name = path.rsplit('/').next().unwrap_or_default();
        if let Some(put) = operation.get_mut("value") {
            *put = match put.take() {
                whole if path.is_empty() => value(whole, personal),
                part => member(name, part, personal),
            };
        }
        operation
    };
    patch.as_array().into_iter().flatten().map(shown).collect()
}

/// A header that carries an attribute of a binary event.
pub fn is_attribute(header: &str) -> bool {
    ["cloudEvents_", "cloudEvents:"].iter().any(|prefix| header.starts_with(prefix))
}

/// Headers: the broker's own, the event's attributes, and those of the trace are shown.
pub fn headers(headers: &Value, personal: Personal) -> Value {
    let known = |name: &str| {
        name.starts_with("x-") || is_attribute(name) || matches!(name, "traceparent" | "tracestate")
    };
    let members = headers.as_object().into_iter().flatten();
    let shown = members.map(|(name, value)| {
        let is_hidden = personal == Personal::Hidden && !known(name);
        let value = match is_hidden || STRIPPED.contains(&name.as_str()) {
            true => masked(value.clone()),
            false => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(shown.collect())
}

/// A text that isn't JSON, with what looks like the value of a payment's field replaced.
pub fn text(text: &str) -> String {
    STRIPPED.iter().fold(text.to_owned(), |text, name| mask_after(&text, name))
}

/// Masks from each place of the name up to the next comma, bracket, line's end or the end.
fn mask_after(text: &str, name: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, after) = rest.split_at(at + name.len());
        shown.push_str(before);
        let end = after.find([',', '}', ']', '\n', '&']).unwrap_or(after.len());
        if end > 0 {
            shown.push_str(MASK);
        }
        rest = &after[end..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({
            "id": "e1", "type": "order-placed", "surprise": "Hanako",
            "data": {
                "order_id": "O1", "buyer_name": "Hanako", "points_used": 300,
                "ship_to": { "recipient": "Hanako", "postal_code": "100-0001" },
                "lines": [{ "line_id": "L1", "quantity": "two", "voucher_url": "https://x" }],
                "nested": { "order_id": "Hanako" },
            },
        })
    }

    #[test]
    fn what_says_who_somebody_is_and_what_nobody_knows_is_hidden() {
        let shown = value(event(), Personal::Hidden);
        assert!(!shown.to_string().contains("Hanako"), "{shown}");
        assert!(!shown.to_string().contains("100-0001"), "{shown}");
        assert_eq!(shown["data"]["order_id"], "O1");
        assert_eq!(shown["data"]["lines"][0]["quantity"], "two");
    }

    #[test]
    fn a_text_where_an_object_should_be_is_hidden() {
        let encoded = json!({ "data": "{\"buyer_name\": \"Hanako\"}", "lines": ["Hanako"] });
        assert_eq!(value(encoded, Personal::Hidden), json!({ "data": MASK, "lines": [MASK] }));
        assert_eq!(value(json!("Hanako"), Personal::Hidden), json!(MASK));
    }

    #[test]
    fn points_and_payment_codes_are_hidden_whoever_asks() {
        let shown = value(event(), Personal::Shown);
        assert_eq!(shown["data"]["buyer_name"], "Hanako");
        assert_eq!(shown["data"]["points_used"], MASK);
        assert_eq!(shown["data"]["lines"][0]["voucher_url"], MASK);
        let broken = r#"{"payment_code": "123-456", "order_id": "O1", "points_used":300"#;
        let shown = text(broken);
        assert_eq!(shown, r#"{"payment_code***, "order_id": "O1", "points_used***"#);
    }

    #[test]
    fn a_patch_shows_no_more_than_the_event() {
        let given = json!([
            { "op": "replace", "path": "", "value": event() },
            { "op": "add", "path": "/data/buyer_name", "value": "Hanako" },
            { "op": "add", "path": "/data/currency", "value": "JPY" },
            { "op": "remove", "path": "/data/phone" },
        ]);
        let shown = patch(&given, Personal::Hidden);
        assert!(!shown.to_string().contains("Hanako"), "{shown}");
        assert_eq!((&shown[2], &shown[3]), (&given[2], &given[3]));
        assert!(patch(&given, Personal::Shown).to_string().contains("Hanako"));
        assert!(!patch(&given, Personal::Shown).to_string().contains("300"));
    }

    #[test]
    fn of_headers_only_the_known_are_shown() {
        let given = json!({ "x-death": [1], "cloudEvents_id": "e1", "customer": "Hanako" });
        let shown = headers(&given, Personal::Hidden);
        assert_eq!(shown, json!({ "x-death": [1], "cloudEvents_id": "e1", "customer": MASK }));
        assert_eq!(headers(&given, Personal::Shown), given);
    }
}
