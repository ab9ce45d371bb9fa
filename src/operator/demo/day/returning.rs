//! What comes back, and what can't be shipped.

use serde_json::json;

use super::people::{HANAKO, KENJI, KNIVES, SWEETS, TEA, YUKI};
use super::{Day, Story};

pub fn stories(day: &mut Day) -> Vec<Story> {
    vec![came_back(day), delivered_and_back(day), rest_shipped(day), rest_declined(day)]
}

/// R1, R7.
fn came_back(day: &mut Day) -> Story {
    let title = "Nobody was at home: a parcel comes back, and the money is returned";
    let update =
        |status: &str| json!({ "package_id": "P1", "status": status, "reason": "undeliverable" });
    let story = day
        .story("23h", title, &TEA, &KENJI)
        .placed(&[("ほうじ茶 200g", 2, 1_080, 500)], json!({}))
        .after("1h", "shipment-dispatched", json!({ "package_id": "P1", "carrier": "Yamato" }))
        .after("10h", "shipment-updated", update("returning"))
        .after("20h", "shipment-updated", update("returned"));
    let settles = format!("{}/R1/P1", story.order);
    let refund = json!({
        "refund_id": "RF1", "amount": 2_660, "currency": "JPY", "settles": settles,
    });
    story.after("22h", "payment-refunded", refund)
}

/// R2.
fn delivered_and_back(day: &mut Day) -> Story {
    let title = "One parcel is reported both as delivered and as refused at the door";
    let update = |status: &str| json!({ "package_id": "P1", "status": status });
    day.story("22h", title, &SWEETS, &HANAKO)
        .placed(&[("どら焼き 10個", 1, 2_376, 0)], json!({}))
        .after("1h", "shipment-dispatched", json!({ "package_id": "P1", "carrier": "Sagawa" }))
        .after("15h", "shipment-updated", update("delivered"))
        .after(
            "16h",
            "shipment-updated",
            json!({ "package_id": "P1", "status": "returned", "reason": "refused" }),
        )
}

/// R3, R4.
fn rest_shipped(day: &mut Day) -> Story {
    let title = "A whetstone is sold out; Yuki agrees to have the knife alone";
    day.story("15h", title, &KNIVES, &YUKI)
        .placed(&[("ペティナイフ", 1, 8_800, 500), ("仕上げ砥石", 1, 6_600, 300)], json!({}))
        .after("1h", "lines-unshippable", json!({ "lines": [{ "line_id": "L2" }] }))
        .after("2h", "consent-recorded", json!({ "granted": true }))
        .after("5h", "shipment-dispatched", json!({ "package_id": "P1", "carrier": "Yamato" }))
}

/// R3, R5.
fn rest_declined(day: &mut Day) -> Story {
    let title = "Hanako wants both boxes or none; one of them leaves before she has said so";
    day.story("14h", title, &SWEETS, &HANAKO)
        .placed(&[("羊羹 小倉", 1, 2_160, 350), ("羊羹 抹茶", 1, 2_160, 350)], json!({}))
        .after("1h", "lines-unshippable", json!({ "lines": [{ "line_id": "L2" }] }))
        .after("2h", "shipment-dispatched", json!({ "package_id": "P1" }))
        .after("3h", "consent-recorded", json!({ "granted": false }))
}
