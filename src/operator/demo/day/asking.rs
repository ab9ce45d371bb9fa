//! Buyers ask.

use serde_json::{Value, json};

use super::people::{HANAKO, KENJI, KNIVES, SWEETS, TEA, YUKI};
use super::{Day, Story};

pub fn stories(day: &mut Day) -> Vec<Story> {
    vec![
        which_order(day),
        which_of_several(day),
        no_such_order(day),
        another_sellers(day),
        not_received(day),
        wait_a_little(day),
        fulfilled_elsewhere(day),
        breakdown(day),
        receipt(day),
        change_in_time(day),
        change_too_late(day),
    ]
}

/// Q1: one order fits the address that the mail came from.
fn which_order(day: &mut Day) -> Story {
    let title = "A mail without an order number finds the one order that it can mean";
    let placed_with = json!({ "relay_email": "k.sato@relay.marketplace.example" });
    let mail = json!({
        "order_id": null, "buyer_id": null, "channel": "email",
        "relay_email": "K.Sato@relay.marketplace.example",
    });
    day.story("16h", title, &TEA, &KENJI)
        .placed(&[("茶漉し", 1, 770, 200)], placed_with)
        .message("2h", "buyer", "unknown-order", "いつ届きますか。", mail)
        .message("3h", "seller", "other", "明日お届けします。", json!({ "order_id": null }))
}

/// Q1: several; the orders are those that went in one parcel.
fn which_of_several(day: &mut Day) -> Story {
    let title = "Another could mean Yuki's cookies or her caramels: nobody guesses";
    let nameless = json!({ "order_id": null });
    day.story("2h", title, &SWEETS, &YUKI).regular().message(
        "0s",
        "buyer",
        "unknown-order",
        "注文の件で質問があります。",
        nameless,
    )
}

/// Q2.
fn no_such_order(day: &mut Day) -> Story {
    let title = "Somebody asks the knife shop about an order that nobody has heard of";
    day.story("3h", title, &KNIVES, &YUKI).message(
        "0s",
        "buyer",
        "other",
        "テレビが届きません。",
        json!({ "order_id": "503-0000000-0000000" }),
    )
}

/// Q3: the sweets' order, the tea shop's message.
fn another_sellers(day: &mut Day) -> Story {
    let title = "Hanako asks the tea shop about cookies that she bought elsewhere";
    let story =
        day.story("6h", title, &SWEETS, &HANAKO).placed(&[("サブレ 12枚", 1, 1_512, 0)], json!({}));
    story.message("1h", "buyer", "other", "賞味期限はいつですか。", json!({ "seller_id": TEA.id }))
}

/// Q4, Q5 by the carrier.
fn not_received(day: &mut Day) -> Story {
    let title = "Kenji's parcel is overdue; the shop asks the carrier";
    shipped(day, title)
        .message("20h", "buyer", "not-received", "まだ届いていません。", json!({}))
        .handled("21h", "contact-carrier")
        .message("21h30m", "seller", "not-received", "配送業者に確認します。", json!({}))
}

/// Q4, Q5 by waiting.
fn wait_a_little(day: &mut Day) -> Story {
    let title = "Another shop asks for patience, and runs the risk of the guarantee";
    shipped(day, title)
        .message("20h", "buyer", "where-is-it", "今どこにありますか。", json!({}))
        .handled("21h", "ask-to-wait")
}

fn shipped(day: &mut Day, title: &'static str) -> Story {
    let story = day.story("23h", title, &KNIVES, &KENJI);
    let parcel = json!({
        "package_id": "P1", "carrier": "Sagawa", "tracking_number": "5000-1111-2222",
    });
    story.placed(&[("まな板 檜", 1, 5_280, 700)], json!({})).after(
        "2h",
        "shipment-dispatched",
        parcel,
    )
}

/// Q4: the marketplace's own warehouse.
fn fulfilled_elsewhere(day: &mut Day) -> Story {
    let title = "What the marketplace's warehouse has shipped, its support answers for";
    day.story("21h", title, &TEA, &YUKI)
        .placed(&[("水出し煎茶", 1, 1_296, 0)], json!({ "fulfilled_by": "marketplace" }))
        .after("2h", "shipment-dispatched", json!({ "package_id": "P1" }))
        .message("19h", "buyer", "where-is-it", "まだですか。", json!({}))
}

/// Q6.
fn breakdown(day: &mut Day) -> Story {
    let title = "Yuki wants to know what her total is made of";
    day.story("5h", title, &KNIVES, &YUKI)
        .placed(&[("包丁研ぎ器", 1, 3_850, 550), ("布巾", 3, 440, 0)], json!({}))
        .message("1h", "buyer", "price-breakdown", "内訳を教えてください。", json!({}))
}

/// Q7.
fn receipt(day: &mut Day) -> Story {
    let title = "Receipts, points and payments are the marketplace's to explain";
    day.story("4h", title, &TEA, &KENJI)
        .placed(&[("急須 白磁", 1, 4_180, 500)], json!({}))
        .message("1h", "buyer", "receipt", "領収書をお願いします。", json!({}))
        .message("2h", "buyer", "points", "ポイントの付与はいつですか。", json!({}))
        .message("3h", "buyer", "payment-details", "請求額が違うようです。", json!({}))
}

/// Q8, inside the window.
fn change_in_time(day: &mut Day) -> Story {
    let title = "Three minutes after ordering Hanako can still change it herself";
    changed(day, title, "3m")
}

/// Q8, after it.
fn change_too_late(day: &mut Day) -> Story {
    let title = "Thirty minutes after ordering she can only cancel and order anew";
    changed(day, title, "30m")
}

fn changed(day: &mut Day, title: &'static str, after: &str) -> Story {
    let no_reply: Value = json!({});
    day.story("2h", title, &KNIVES, &HANAKO)
        .placed(&[("キッチンばさみ", 1, 2_750, 300)], json!({}))
        .message(after, "buyer", "change-order", "色を変更できますか。", no_reply)
}
