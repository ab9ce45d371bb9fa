//! Answers that don't come, and the guarantee for those who wait for them.

use serde_json::json;

use super::people::{HANAKO, KENJI, SWEETS, TEA, YUKI};
use super::{Day, Story};

pub fn stories(day: &mut Day) -> Vec<Story> {
    vec![
        answered_late(day),
        never_answered(day),
        claimed(day),
        claimed_too_early(day),
        claimed_unasked(day),
        buyer_is_silent(day),
    ]
}

/// M1, M2, M6; a claim after a late answer is M4's.
fn answered_late(day: &mut Day) -> Story {
    let title = "The shop answers Kenji after three days, which is a day too late";
    by_the_marketplace(day, "4d", title, "わさび茶漬け")
        .message("2h", "buyer", "damaged", "袋が破れていました。", json!({}))
        .message("3d", "seller", "damaged", "代わりをお送りします。", json!({}))
        .after("3d6h", "guarantee-claimed", json!({ "claim_id": "C1", "reason": "damaged" }))
}

/// M3.
fn never_answered(day: &mut Day) -> Story {
    let title = "For two weeks nobody answers Kenji: the guarantee is open to him";
    by_the_marketplace(day, "16d", title, "抹茶 40g").message(
        "1d",
        "buyer",
        "missing-parts",
        "茶さじが入っていません。",
        json!({}),
    )
}

/// M4: refunded.
fn claimed(day: &mut Day) -> Story {
    let title = "Somebody else in his place claims it, and gets the price back";
    by_the_marketplace(day, "17d", title, "番茶 500g")
        .message("1d", "buyer", "damaged", "湿っていました。", json!({}))
        .after("16d", "guarantee-claimed", json!({ "claim_id": "C1", "reason": "damaged" }))
}

/// M4: too early.
fn claimed_too_early(day: &mut Day) -> Story {
    let title = "A claim after a day is too early";
    by_the_marketplace(day, "30h", title, "和紅茶")
        .message("1h", "buyer", "damaged", "箱がつぶれています。", json!({}))
        .after("26h", "guarantee-claimed", json!({ "claim_id": "C1", "reason": "damaged" }))
}

/// M4: nobody was asked before.
fn claimed_unasked(day: &mut Day) -> Story {
    let title = "A claim without a word to the seller before it is refused";
    by_the_marketplace(day, "20h", title, "昆布茶")
        .after("10h", "guarantee-claimed", json!({ "claim_id": "C1", "reason": "not-received" }))
        .after("11h", "return-requested", json!({ "reason": "changed my mind" }))
}

/// M5.
fn buyer_is_silent(day: &mut Day) -> Story {
    let title = "Yuki doesn't say which flavour she wants by the time that the shop has named";
    let story = day
        .story("30h", title, &SWEETS, &YUKI)
        .placed(&[("マカロン 詰め合わせ", 1, 3_456, 500)], json!({}));
    let reply_by = (story.begin + super::span("24h")).to_string();
    let question = "味をお選びください。";
    story.message("1h", "seller", "other", question, json!({ "reply_by": reply_by }))
}

/// Shipped by the marketplace, so that no deadline of shipping disturbs.
fn by_the_marketplace(day: &mut Day, ago: &str, title: &'static str, item: &str) -> Story {
    let buyer = if ago.ends_with('h') { &HANAKO } else { &KENJI };
    let story = day.story(ago, title, &TEA, buyer);
    story.placed(&[(item, 1, 2_592, 0)], json!({ "fulfilled_by": "marketplace" }))
}
