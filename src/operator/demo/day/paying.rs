//! Orders that wait for their money.

use serde_json::json;

use super::people::{HANAKO, KENJI, TEA, YUKI};
use super::{Day, PAYMENT_NUMBER, POINTS_USED, Story};

pub fn stories(day: &mut Day) -> Vec<Story> {
    vec![paid_at_the_store(day), never_paid(day), paid_too_late(day), paid_in_dollars(day)]
}

/// P1, P2, P5, S4, V1, V2.
fn paid_at_the_store(day: &mut Day) -> Story {
    let title =
        "Hanako orders two tea bowls, pays at a convenience store, and has them a day later";
    let pending = json!({
        "payment": {
            "status": "pending", "method": "convenience-store", "payment_number": PAYMENT_NUMBER,
        },
        "points_used": POINTS_USED,
    });
    day.story("20h", title, &TEA, &HANAKO)
        .placed(&[("抹茶茶碗 黒楽", 2, 6_800, 550)], pending)
        .settle()
        .look()
        .after("40m", "payment-authorized", store_payment("C1", 14_150))
        .after("50m", "payment-failed", json!({ "attempt_id": "C2", "reason": "expired" }))
        .settle()
        .look()
        .after("5h", "shipment-dispatched", parcel("P1"))
        .after("19h", "shipment-updated", json!({ "package_id": "P1", "status": "delivered" }))
}

/// P3.
fn never_paid(day: &mut Day) -> Story {
    let title = "Kenji never brings the money for his teapot to the convenience store";
    day.story("8d", title, &TEA, &KENJI).placed(
        &[("常滑焼 急須", 1, 5_400, 600)],
        json!({ "payment": { "status": "pending", "method": "convenience-store" } }),
    )
}

/// P4.
fn paid_too_late(day: &mut Day) -> Story {
    let title = "Yuki pays an hour after the marketplace has cancelled her order";
    day.story("6h", title, &TEA, &YUKI)
        .placed(
            &[("宇治玉露 100g", 3, 2_160, 0)],
            json!({ "payment": { "status": "pending", "method": "convenience-store" } }),
        )
        .after("2h", "order-cancelled", json!({ "actor": "marketplace", "reason": "unpaid" }))
        .after("3h", "payment-authorized", store_payment("C1", 6_480))
}

/// X2; the payment arrives before its order.
fn paid_in_dollars(day: &mut Day) -> Story {
    let title = "A payment in dollars overtakes its order, which is in yen";
    day.story("5h", title, &TEA, &KENJI)
        .placed(
            &[("煎茶 詰め合わせ", 1, 3_240, 400)],
            json!({ "payment": { "status": "pending", "method": "card" } }),
        )
        .after(
            "1m",
            "payment-authorized",
            json!({ "attempt_id": "C1", "amount": 2_400, "currency": "USD" }),
        )
        .swapped()
}

fn store_payment(attempt: &str, amount: i64) -> serde_json::Value {
    json!({
        "attempt_id": attempt, "amount": amount, "currency": "JPY", "method": "convenience-store",
        "confirmation_number": PAYMENT_NUMBER,
    })
}

fn parcel(package: &str) -> serde_json::Value {
    json!({ "package_id": package, "carrier": "Yamato", "tracking_number": "4400-1234-5678" })
}
