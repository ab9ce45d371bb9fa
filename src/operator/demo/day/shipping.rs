//! Parcels: held back, forgotten, put together, miscounted and lost.

use serde_json::{Value, json};

use super::people::{HANAKO, KENJI, KNIVES, SWEETS, TEA, YUKI};
use super::{Day, Story};

pub fn stories(day: &mut Day) -> Vec<Story> {
    let mut stories = vec![shipped_unpaid(day), shipped_cancelled(day), forgotten(day)];
    stories.push(reported_late(day));
    stories.extend(put_together(day));
    stories.extend([miscounted(day), lost(day)]);
    stories
}

/// S1, by a message and by a dispatch.
fn shipped_unpaid(day: &mut Day) -> Story {
    let title = "Kenji presses for his unpaid knife, and the shop gives in too early";
    day.story("9h", title, &KNIVES, &KENJI)
        .placed(
            &[("三徳包丁 165mm", 1, 12_800, 800)],
            json!({ "payment": { "status": "pending", "method": "convenience-store" } }),
        )
        .message("1h", "buyer", "ship-now", "必ず払いますので、先に送ってください。", json!({}))
        .message("90m", "seller", "ship-now", "ご入金後に発送いたします。", json!({}))
        .after("3h", "shipment-dispatched", json!({ "package_id": "P1", "carrier": "Sagawa" }))
}

/// S2, R6.
fn shipped_cancelled(day: &mut Day) -> Story {
    let title = "The shop cancels a paid order, and its warehouse ships it all the same";
    day.story("10h", title, &KNIVES, &YUKI)
        .placed(&[("出刃包丁 180mm", 1, 15_400, 800)], json!({}))
        .after("2h", "order-cancelled", json!({ "actor": "seller", "reason": "out of stock" }))
        .after("3h", "shipment-dispatched", json!({ "package_id": "P1" }))
}

/// S3.
fn forgotten(day: &mut Day) -> Story {
    let title = "An order lies about for four days, and nobody packs it";
    day.story("4d", title, &SWEETS, &HANAKO)
        .placed(&[("白い恋人風クッキー 24枚", 2, 1_944, 0)], json!({}))
}

/// S3 withdrawn: a late arrival.
fn reported_late(day: &mut Day) -> Story {
    let title = "A parcel left in time; the news of it comes late, and takes a reproach back";
    day.story("5d", title, &SWEETS, &KENJI)
        .placed(&[("生チョコレート", 1, 1_296, 350)], json!({}))
        .settle()
        .after("20h", "shipment-dispatched", json!({ "package_id": "P1", "carrier": "Yamato" }))
}

/// S5, S6.
fn put_together(day: &mut Day) -> [Story; 2] {
    let title = "Yuki orders cookies, and soon afterwards caramels, to the same address";
    let first = day
        .story("18h", title, &SWEETS, &YUKI)
        .regular()
        .placed(&[("バタークッキー", 1, 1_620, 700)], json!({}));
    let title = "Both go in one parcel, and what that saves of the shipping goes back to her";
    let second = day
        .story("17h", title, &SWEETS, &YUKI)
        .regular()
        .placed(&[("塩キャラメル", 2, 864, 700)], json!({}));
    let together = |with: &Story| {
        json!({
            "package_id": "P-TOGETHER", "carrier": "Yamato", "combined_with": [with.order],
            "shipping_fee_actual": 400,
        })
    };
    let (with_second, with_first) = (together(&second), together(&first));
    let other = with_other_order(&first, with_second);
    [
        first,
        second.after("4h", "shipment-dispatched", with_first).after(
            "4h",
            "shipment-dispatched",
            other,
        ),
    ]
}

fn with_other_order(story: &Story, data: Value) -> Value {
    super::merged(data, json!({ "order_id": story.order }))
}

/// S7.
fn miscounted(day: &mut Day) -> Story {
    let title = "Three canisters go where two were ordered, with something nobody ordered";
    let lines = json!([{ "line_id": "L1", "quantity": 3 }, { "line_id": "L9", "quantity": 1 }]);
    day.story("12h", title, &TEA, &HANAKO).placed(&[("茶筒", 2, 2_750, 0)], json!({})).after(
        "3h",
        "shipment-dispatched",
        json!({ "package_id": "P1", "lines": lines }),
    )
}

/// S8.
fn lost(day: &mut Day) -> Story {
    let title = "The carrier loses an insured parcel";
    let parcel = json!({
        "package_id": "P1", "carrier": "Yamato", "tracking_number": "4400-8765-4321",
        "insured": true,
    });
    day.story("22h", title, &KNIVES, &KENJI)
        .placed(&[("砥石 #1000", 1, 4_950, 600)], json!({}))
        .after("2h", "shipment-dispatched", parcel)
        .after("20h", "shipment-updated", json!({ "package_id": "P1", "status": "lost" }))
}
