//! What goes through the broker, as an AsyncAPI document: where each event is published, what
//! it looks like, and which rule it follows from.
//!
//! Made from the types and the names of the topology, as the JSON Schemas are, so that it can't
//! say anything else than the program does.

use serde_json::{Map, Value, json};

use super::Names;
use crate::contract::{
    DerivedType, EventDeadLettered, InputType, Rule, STRUCTURED_MEDIA_TYPE, schema,
};

/// The AsyncAPI document (version 3.0.0) of an installation with these names.
pub fn asyncapi(names: &Names) -> Value {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    let mut messages = Map::new();
    for event in events(names) {
        channels.insert(event.name.to_owned(), event.channel());
        operations.insert(format!("{}-{}", event.way.action(), event.name), event.operation());
        messages.insert(event.name.to_owned(), event.message());
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Otodoke",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": env!("CARGO_PKG_LICENSE")},
            "tags": [
                {"name": "input", "description": "Published by upstream systems."},
                {"name": "derived", "description": "Published by Otodoke, for any subscriber."},
                {"name": "alert", "description": "Published by Otodoke, for whoever runs it."},
            ],
        },
        "defaultContentType": STRUCTURED_MEDIA_TYPE,
        "servers": {"broker": {
            "host": "{host}:5672",
            "protocol": "amqp",
            "protocolVersion": "0-9-1",
            "description": "RabbitMQ, 3.10 to 4.x.",
            "variables": {"host": {"default": "localhost"}},
        }},
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "messageTraits": {"cloud-event": {
                "contentType": STRUCTURED_MEDIA_TYPE,
                "headers": {
                    "type": "object",
                    "properties": {
                        "traceparent": {"type": "string", "description": TRACE},
                        "tracestate": {"type": "string", "description": TRACE},
                    },
                },
            }},
            "schemas": {"storable": shared_schema("storable")},
        },
    })
}

const ABOUT: &str = "\
Takes a marketplace's order, payment, shipment and message events, keeps a read model, and \
publishes what follows from the marketplace's rules.

All events are CloudEvents 1.0 in structured mode. Derived events come at least once, under an id \
that stays the same, and in the order of `sequence` by case (`subject`). One that was published \
and no longer holds is followed by a `derived-withdrawn`, which also carries the routing key of \
what it withdraws: so who binds a type gets its withdrawals.";

const TRACE: &str = "W3C Trace Context, carried from the cause through to what is derived.";

/// One type, and where it is published.
struct Event {
    name: &'static str,
    way: Way,
    exchange: String,
    address: String,
    parameter: Option<(&'static str, &'static str)>,
    rules: &'static [Rule],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Input,
    Derived,
    Alert,
}

impl Way {
    /// What Otodoke does with it.
    fn action(self) -> &'static str {
        if self == Way::Input { "receive" } else { "send" }
    }

    fn tag(self) -> &'static str {
        match self {
            Way::Input => "input",
            Way::Derived => "derived",
            Way::Alert => "alert",
        }
    }
}

fn events(names: &Names) -> Vec<Event> {
    let input = |kind: &InputType| Event {
        name: kind.name(),
        way: Way::Input,
        exchange: names.events(),
        address: format!("{}.{}", kind.stream().name(), kind.name()),
        parameter: None,
        rules: &[],
    };
    let derived = |kind: &DerivedType| Event {
        name: kind.name(),
        way: Way::Derived,
        exchange: names.derived(),
        address: format!("{}.{{seller_id}}", kind.name()),
        parameter: Some(("seller_id", "The seller, with `_` for `.`, `*` and `#`.")),
        rules: kind.rules(),
    };
    let alert = Event {
        name: EventDeadLettered::TYPE,
        way: Way::Alert,
        exchange: names.derived(),
        address: format!("{}.{{stream}}", EventDeadLettered::TYPE),
        parameter: Some(("stream", "orders, payments, shipments, messages, or none.")),
        rules: &[],
    };
    let inputs = InputType::ALL.iter().map(input);
    inputs.chain(DerivedType::ALL.iter().map(derived)).chain([alert]).collect()
}

impl Event {
    fn channel(&self) -> Value {
        let mut channel = json!({
            "address": self.address,
            "messages": {self.name: {"$ref": format!("#/components/messages/{}", self.name)}},
            "servers": [{"$ref": "#/servers/broker"}],
            "bindings": {"amqp": {
                "is": "routingKey",
                "exchange": {
                    "name": self.exchange, "type": "topic", "durable": true,
                    "autoDelete": false, "vhost": "/",
                },
                "bindingVersion": "0.3.0",
            }},
        });
        if let Some((name, description)) = self.parameter {
            channel["parameters"] = json!({name: {"description": description}});
        }
        channel
    }

    fn operation(&self) -> Value {
        let mut amqp = json!({"deliveryMode": 2, "ack": true, "bindingVersion": "0.3.0"});
        if self.name == DerivedType::DerivedWithdrawn.name() {
            amqp["cc"] = json!(["{withdrawn_type}.{seller_id}"]);
        }
        json!({
            "action": self.way.action(),
            "channel": {"$ref": format!("#/channels/{}", self.name)},
            "messages": [{"$ref": format!("#/channels/{}/messages/{}", self.name, self.name)}],
            "bindings": {"amqp": amqp},
        })
    }

    fn message(&self) -> Value {
        let mut payload = schema::document(self.name).expect("every type has a schema");
        let description = payload["description"].take();
        embed(&mut payload);
        let mut message = json!({
            "name": self.name,
            "title": self.name,
            "summary": description,
            "tags": [{"name": self.way.tag()}],
            "traits": [{"$ref": "#/components/messageTraits/cloud-event"}],
            "payload": payload,
            "examples": [{"payload": schema::example(self.name)}],
        });
        if !self.rules.is_empty() && self.rules.len() < Rule::ALL.len() {
            let rule = |rule: &Rule| json!({"id": rule.id(), "title": rule.title()});
            message["x-rules"] = self.rules.iter().map(rule).collect();
        }
        message
    }
}

/// A schema that several documents share.
fn shared_schema(name: &str) -> Value {
    let document = schema::document(InputType::ALL[0].name()).unwrap_or_default();
    let mut shared = document["$defs"][name].clone();
    redirect(&mut shared);
    shared
}

/// A document of its own becomes a part of this one. AsyncAPI reads draft 7, in which nothing
/// counts beside a `$ref`.
fn embed(payload: &mut Value) {
    if let Some(members) = payload.as_object_mut() {
        for name in ["$schema", "$id", "$defs", "description", "title", "examples"] {
            members.remove(name);
        }
    }
    redirect(payload);
    let data = &mut payload["properties"]["data"];
    if let Some(reference) = data.as_object_mut().and_then(|data| data.remove("$ref")) {
        data["allOf"] = json!([{"$ref": reference}]);
    }
}

fn redirect(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str().and_then(|text| text.strip_prefix("#/$defs/")) {
                    Some(shared) if name == "$ref" => {
                        *member = format!("#/components/schemas/{shared}").into();
                    }
                    _ => redirect(member),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(redirect),
        _ => {}
    }
}
