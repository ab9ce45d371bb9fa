//! What can't be taken as it is: each becomes a dead letter, and holds nobody up.

use serde_json::json;

use super::people::{HANAKO, TEA};
use super::{Day, Story};
use crate::contract::Stream;

pub fn stories(day: &mut Day) -> Vec<Story> {
    vec![broken(day), impossible(day), contradicted(day)]
}

fn broken(day: &mut Day) -> Story {
    let title = "Broken messages: half an event, an event without a time, an unknown type";
    let without_time = json!({
        "specversion": "1.0", "id": "no-time", "source": "/marketplace/orders",
        "type": "order-placed", "data": {},
    });
    day.story("1h", title, &TEA, &HANAKO)
        .raw(Stream::Orders, "half", "order-placed", b"{\"specversion\": \"1.0\", \"id\"".to_vec())
        .raw(Stream::Orders, "no-time", "order-placed", without_time.to_string().into_bytes())
        .after("0s", "order-teleported", json!({}))
        .after("1m", "payment-failed", json!({ "attempt_id": "C1", "reason": "declined" }))
        .again(|astray| {
            astray.stream = Stream::Shipments;
            astray.routing_key = "shipments.payment-failed".to_owned();
        })
}

fn impossible(day: &mut Day) -> Story {
    let title = "Impossible messages: minus two bowls, an order from tomorrow, no queue for it";
    let order = day.story("1h", title, &TEA, &HANAKO);
    let tomorrow = order.begin + super::span("25h");
    let id = format!("{}-TOMORROW", order.order);
    order
        .placed(&[("抹茶茶碗", -2, 6_800, 0)], json!({}))
        .event(&id, tomorrow, "cancel-requested", json!({ "actor": "buyer" }))
        .after("1m", "cancel-requested", json!({ "actor": "buyer" }))
        .again(|astray| astray.routing_key = "returns.cancel-requested".to_owned())
}

fn contradicted(day: &mut Day) -> Story {
    let title = "One id, two contents: the first is taken, the second is not";
    day.story("1h", title, &TEA, &HANAKO).placed(&[("茶碗 白", 1, 4_400, 500)], json!({})).again(
        |second| {
            let text = String::from_utf8_lossy(&second.body).replace("4400", "4401");
            second.body = text.into_bytes();
        },
    )
}
