//! The JSON Schema (draft 2020-12) of every event, envelope and data together. Made from
//! the types, so that what is published as the contract is what is read and written.
//!
//! A schema says all that one can say. What it can't is left to intake: line ids that are
//! unique, totals within 10^15, a time that isn't ahead, the stream.

use serde_json::{Map, Value, json};

use super::data::STRIPPED;
use super::{DerivedType, EventDeadLettered, InputType, Rule, Text, Timestamp};

/// The names of all types, in the order of the contract.
pub fn names() -> impl Iterator<Item = &'static str> {
    let inputs = InputType::ALL.iter().map(|kind| kind.name());
    let derived = DerivedType::ALL.iter().map(|kind| kind.name());
    inputs.chain(derived).chain([EventDeadLettered::TYPE])
}

/// The `$id` of a type's schema, and the `dataschema` of its events.
pub fn urn(type_name: &str) -> String {
    format!("urn:otodoke:schema:{type_name}")
}

/// The schema of a type's events; `None` where there is no such type.
pub fn document(type_name: &str) -> Option<Value> {
    if let Some(kind) = InputType::from_name(type_name) {
        return Some(input(kind));
    }
    if let Some(kind) = DerivedType::from_name(type_name) {
        let own = without_null(kind.own_schema().to_value());
        return Some(outgoing(type_name, of_case(own), true));
    }
    (type_name == EventDeadLettered::TYPE).then(|| {
        let own = schemars::schema_for!(EventDeadLettered).to_value();
        outgoing(type_name, without_null(own), false)
    })
}

/// An event of this type, for whoever reads its schema.
pub fn example(type_name: &str) -> Option<Value> {
    let (_, text) = EXAMPLES.iter().find(|(name, _)| *name == type_name)?;
    Some(serde_json::from_str(text).expect("the samples are JSON"))
}

macro_rules! examples {
    ($($name:literal)+) => {
        const EXAMPLES: &[(&str, &str)] = &[$((
            $name,
            include_str!(concat!("../../schemas/samples/", $name, "/valid-1.json")),
        ),)+];
    };
}

examples! {
    "order-placed" "change-requested" "cancel-requested" "order-cancelled" "lines-unshippable"
    "payment-authorized" "payment-failed" "payment-refunded" "shipment-dispatched"
    "shipment-updated" "message-sent" "consent-recorded" "return-requested"
    "non-receipt-handled" "guarantee-claimed" "shipment-required" "shipment-overdue"
    "shipment-blocked" "ship-notice-required" "combined-shipping-available" "refund-required"
    "cancellation-required" "cancel-and-reorder-advised" "change-refused" "consent-required"
    "inquiry-matched" "inquiry-ambiguous" "inquiry-unmatched" "buyer-redirected"
    "reply-required" "reply-overdue" "non-receipt-opened" "carrier-inquiry-required"
    "guarantee-risk" "guarantee-eligible" "guarantee-refused" "payment-overdue"
    "order-conflict" "derived-withdrawn" "event-dead-lettered"
}

/// Text without U+0000, which no store of text can be trusted with.
const STORABLE: &str = "^[^\\u0000]*$";

fn input(kind: InputType) -> Value {
    let mut data = kind.data_schema().to_value();
    let description = take_headings(&mut data);
    data["$ref"] = json!("#/$defs/storable");
    let mut properties = incoming_attributes(kind.name());
    properties["data"] = data;
    let required = ["specversion", "id", "source", "type", "time", "data"];
    let mut document = event(kind.name(), description, &required, properties);
    document["$defs"] = json!({"storable": storable()});
    document
}

/// What every document begins with.
fn event(name: &str, description: Option<Value>, required: &[&str], properties: Value) -> Value {
    json!({
        "$schema": DRAFT,
        "$id": urn(name),
        "title": name,
        "description": description,
        "examples": [example(name)],
        "type": "object",
        "required": required,
        "properties": properties,
    })
}

fn incoming_attributes(name: &str) -> Value {
    let trace = json!({
        "description": "W3C Trace Context: carried through, ignored where malformed.",
    });
    json!({
        "specversion": specversion(),
        "id": {
            "description": "Unique within `source`.",
            "type": "string", "minLength": 1, "maxLength": 128, "pattern": STORABLE,
        },
        "source": {
            "description": "The system that publishes it.",
            "type": "string", "format": "uri-reference", "minLength": 1, "maxLength": 256,
        },
        "type": {"const": name},
        "time": described(schema_of_time(), "When it happened in the world."),
        "subject": {
            "description": "What the sender says that it is about; no rule reads it.",
            "type": ["string", "null"],
            "minLength": 1, "maxLength": Text::MAX, "pattern": STORABLE,
        },
        "datacontenttype": {
            "description": "The media type of `data`; its parameters and case don't matter.",
            "type": ["string", "null"], "pattern": APPLICATION_JSON,
        },
        "dataschema": {
            "description": "The schema that the sender followed; nobody reads it.",
            "type": ["string", "null"],
            "format": "uri-reference", "minLength": 1, "maxLength": Text::MAX,
        },
        "traceparent": trace,
        "tracestate": trace,
    })
}

/// The media type with its parameters, in any case: ECMA 262 has no flag for it.
const APPLICATION_JSON: &str = concat!(
    "^\\s*[Aa][Pp][Pp][Ll][Ii][Cc][Aa][Tt][Ii][Oo][Nn]/[Jj][Ss][Oo][Nn]",
    "\\s*(;[^\\u0000]*)?$"
);

/// No U+0000 in any value or name, but for what is stripped before anyone looks.
fn storable() -> Value {
    let stripped: Map<String, Value> =
        STRIPPED.iter().map(|name| ((*name).to_owned(), json!(true))).collect();
    let below = json!({"$ref": "#/$defs/storable"});
    json!({
        "description": "Holds no U+0000. (The fields listed here are stripped before.)",
        "pattern": STORABLE,
        "items": below,
        "propertyNames": {"pattern": STORABLE},
        "properties": stripped,
        "additionalProperties": below,
    })
}

fn outgoing(name: &str, mut data: Value, is_of_case: bool) -> Value {
    let description = take_headings(&mut data);
    let mut properties = outgoing_attributes(name);
    properties["data"] = data;
    let mut required = vec!["specversion", "id", "source", "type", "time", "subject"];
    required.extend(["datacontenttype", "dataschema", "data"]);
    if is_of_case {
        required.push("sequence");
        add_attributes_of_case(&mut properties);
    }
    event(name, description, &required, properties)
}

fn outgoing_attributes(name: &str) -> Value {
    json!({
        "specversion": specversion(),
        "id": {
            "description": "The same however often it is sent or derived again.",
            "type": "string", "format": "uuid",
        },
        "source": {
            "description": "The setting `source`.",
            "type": "string", "format": "uri-reference", "minLength": 1,
        },
        "type": {"const": name},
        "time": described(schema_of_time(), "When it became true in the world."),
        "subject": {"description": "The dead letter's id.", "type": "string", "minLength": 1},
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"const": urn(name)},
        "traceparent": {"description": "W3C Trace Context of the cause.", "type": "string"},
        "tracestate": {"description": "W3C Trace Context of the cause.", "type": "string"},
    })
}

fn add_attributes_of_case(properties: &mut Value) {
    properties["subject"]["description"] =
        json!("The case: an order's id, or `thread:` and a thread's.");
    properties["sequence"] = json!({
        "description": "Rises by case, with gaps.", "type": "string", "pattern": "^[0-9]+$",
    });
    properties["causationid"] = json!({
        "description": "Source, space and id of the input event that made it true; absent \
                        where only time did.",
        "type": "string",
    });
}

/// Adds what the data of every derived event has.
fn of_case(mut own: Value) -> Value {
    let mut identifier = schemars::schema_for!(super::Identifier).to_value();
    take_headings(&mut identifier);
    let mut order_id = identifier.clone();
    order_id["type"] = json!(["string", "null"]);
    let rules: Vec<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    let common = [
        ("order_id", described(order_id, "`null` for an inquiry that no order may be told of.")),
        ("seller_id", described(identifier, "The seller whom it concerns.")),
        ("rule", json!({"description": "The rule that it follows from.", "enum": rules})),
    ];
    if !own["required"].is_array() {
        own["required"] = json!([]);
    }
    for (name, schema) in common {
        own["properties"][name] = schema;
        own["required"].as_array_mut().expect("an array since just now").push(name.into());
    }
    own
}

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

fn specversion() -> Value {
    json!({"description": "The version of CloudEvents.", "const": "1.0"})
}

fn schema_of_time() -> Value {
    let mut schema = schemars::schema_for!(Timestamp).to_value();
    take_headings(&mut schema);
    schema
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

/// Takes off what a document says once, at its top; returns the description.
fn take_headings(schema: &mut Value) -> Option<Value> {
    let members = schema.as_object_mut()?;
    members.remove("$schema");
    members.remove("title");
    members.remove("description")
}

/// What Otodoke writes leaves absent members out, where what it reads may be `null`. The
/// formats of Rust's integers mean nothing to others.
fn without_null(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    members.insert("type".into(), only);
                }
            }
            if members.get("format").is_some_and(|format| format == "int64") {
                members.remove("format");
            }
            if let Some(Value::Array(words)) = members.get_mut("enum") {
                words.retain(|word| !word.is_null());
            }
            for member in members.values_mut() {
                *member = without_null(member.take());
            }
        }
        Value::Array(elements) => {
            for element in elements {
                *element = without_null(element.take());
            }
        }
        _ => {}
    }
    schema
}
