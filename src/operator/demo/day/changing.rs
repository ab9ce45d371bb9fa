//! Changes, cancellations, and orders that are announced twice.

use serde_json::{Value, json};

use super::people::{HANAKO, KENJI, KNIVES, SWEETS, TEA, YUKI};
use super::{Day, Story};

pub fn stories(day: &mut Day) -> Vec<Story> {
    vec![in_time(day), too_late(day), not_the_sellers(day), marketplaces_own(day), twice(day)]
}

/// K1: a change, then a cancellation with the money back (R6).
fn in_time(day: &mut Day) -> Story {
    let title = "Kenji makes it three knives within two minutes, then thinks better of it";
    day.story("11h", title, &KNIVES, &KENJI)
        .placed(&[("果物ナイフ", 1, 3_300, 400)], json!({}))
        .after("2m", "change-requested", quantity("buyer", 3))
        .after("4m", "cancel-requested", json!({ "actor": "buyer" }))
}

/// K2.
fn too_late(day: &mut Day) -> Story {
    let title = "An hour later is too late: Hanako is advised to cancel and order anew";
    day.story("8h", title, &KNIVES, &HANAKO)
        .placed(&[("菜切包丁", 1, 9_900, 600)], json!({}))
        .after("1h", "change-requested", quantity("buyer", 2))
        .after("2h", "cancel-requested", json!({ "actor": "buyer" }))
}

/// K3.
fn not_the_sellers(day: &mut Day) -> Story {
    let title = "A shop tries to change an order, which isn't its to change";
    day.story("7h", title, &SWEETS, &YUKI)
        .placed(&[("プリン 6個", 1, 2_484, 900)], json!({}))
        .after("1m", "change-requested", quantity("seller", 2))
}

/// K4.
fn marketplaces_own(day: &mut Day) -> Story {
    let title = "The marketplace corrects a quantity hours later, and may";
    day.story("13h", title, &TEA, &YUKI).placed(&[("玄米茶 300g", 2, 918, 0)], json!({})).after(
        "6h",
        "change-requested",
        quantity("marketplace", 1),
    )
}

/// X1, and a duplicate that changes nothing.
fn twice(day: &mut Day) -> Story {
    let title = "An order is announced by two systems, and by one of them twice in the same words";
    day.story("3h", title, &TEA, &HANAKO)
        .placed(&[("茶杓", 1, 1_650, 250)], json!({}))
        .again(|_| {})
        .again(|second| {
            let text = String::from_utf8_lossy(&second.body);
            let moved = text.replace("/marketplace/orders", "/marketplace/orders-backup");
            second.body = moved.into_bytes();
        })
}

fn quantity(actor: &str, quantity: i64) -> Value {
    json!({ "actor": actor, "lines": [{ "line_id": "L1", "quantity": quantity }] })
}
