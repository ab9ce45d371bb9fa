//! `deadlines list` and `deadlines simulate`.

use otodoke::pipeline::apply::Batch;
use otodoke::rules::CaseId;
use serde_json::{Value, json};

use crate::shop::{Shop, order_placed};

const DAY_ONE: &str = "2026-03-01T09:00:00Z";

/// Takes an order that is to be shipped by then.
async fn place(shop: &Shop, order: &str, ship_by: &str) {
    let mut placed = order_placed(order, "authorized");
    placed["latest_ship_at"] = ship_by.into();
    placed["buyer_id"] = order.into();
    shop.take("order-placed", &format!("placed-{order}"), DAY_ONE, placed).await;
}

/// Three orders to be shipped and one to be paid, all of it far ahead.
async fn shop() -> Shop {
    let shop = Shop::open().await;
    place(&shop, "O-3", "2090-01-03T00:00:00Z").await;
    place(&shop, "O-1", "2090-01-01T00:00:00Z").await;
    place(&shop, "O-2", "2090-01-02T00:00:00Z").await;
    let mut pending = order_placed("O-4", "pending");
    pending["payment"]["due_at"] = "2090-01-01T12:00:00Z".into();
    shop.take("order-placed", "placed-4", DAY_ONE, pending).await;
    shop
}

/// An order that should have been shipped in March: its deadline is past, and nobody has
/// looked since.
async fn place_overdue(shop: &Shop) {
    place(shop, "O-0", "2026-03-05T00:00:00Z").await;
    for statement in [
        "DELETE FROM outbox WHERE type = 'shipment-overdue'",
        "DELETE FROM derived_events WHERE type = 'shipment-overdue'",
        // A new version: what is remembered of it is out of date.
        "UPDATE cases SET next_at = '2026-03-05T00:01:00Z', version = version + 1
         WHERE key = 'o/O-0'",
    ] {
        let done = sqlx::query(statement).execute(&shop.pool).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{statement}");
    }
}

fn cases(deadlines: &Value) -> Vec<&str> {
    deadlines.as_array().unwrap().iter().map(|d| d["case"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn deadlines_are_listed_by_time_with_what_follows() {
    let shop = shop().await;
    let all = shop.json(&["deadlines", "list"]);
    assert_eq!(cases(&all), ["O-1", "O-4", "O-2", "O-3"]);
    assert_eq!(
        (&all[0]["rule"], &all[0]["then"], &all[0]["until"], &all[0]["due"]),
        (&"S3".into(), &"shipment-overdue".into(), &"2090-01-01T00:00:00Z".into(), &false.into())
    );
    assert_eq!((&all[1]["rule"], &all[1]["then"]), (&"P3".into(), &"payment-overdue".into()));

    let of = |arguments: &[&str]| -> Vec<String> {
        let listed = shop.json(&[&["deadlines", "list"], arguments].concat());
        cases(&listed).into_iter().map(str::to_owned).collect()
    };
    assert_eq!(of(&["--rule", "p3"]), ["O-4"]);
    assert_eq!(of(&["--before", "2090-01-02T00:00:00Z"]), ["O-1", "O-4"]);
    assert_eq!(of(&["--before", "2090-01-02T00:00:01Z", "--rule", "S3"]), ["O-1", "O-2"]);
    assert_eq!(of(&["--order", "O-2"]), ["O-2"]);
    assert_eq!(of(&["--limit", "3"]), ["O-1", "O-4", "O-2"]);
    let text = shop.run(&["deadlines", "list", "--limit", "1"]);
    assert!(text.out.contains("O-1") && !text.out.contains("O-4"), "{}", text.out);
    assert!(text.out.contains("ship promptly") && text.out.contains("shipment-overdue"));
    assert!(text.err.contains("there are more than 1"), "{}", text.err);
    assert_eq!(shop.run(&["deadlines", "list", "--rule", "X9"]).code, 2);
    let unknown = shop.run(&["deadlines", "list", "--order", "thread:T-404"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (1, ""));
    assert!(unknown.err.contains("nothing is known of a thread"), "{}", unknown.err);
}

#[tokio::test]
async fn pages_of_cases_are_gone_through_until_the_nearest_are_certain() {
    let shop = Shop::open().await;
    // Due in the order of their numbers, in several pages.
    for number in 0..230 {
        let ship_by = format!("2090-01-01T{:02}:{:02}:00Z", number / 60, number % 60);
        place(&shop, &format!("O-{number}"), &ship_by).await;
    }
    let all = shop.json(&["deadlines", "list", "--limit", "1000"]);
    let expected: Vec<String> = (0..230).map(|number| format!("O-{number}")).collect();
    assert_eq!(cases(&all), expected);
    let some = shop.json(&["deadlines", "list", "--limit", "120"]);
    assert_eq!(cases(&some), expected[..120]);
    let ran = shop.run(&["deadlines", "simulate", "--as-of", "2090-01-01T03:00:30Z", "--json"]);
    let totals: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    // The one of 02:59 has settled by 03:00, the next hasn't.
    assert_eq!((&totals["cases"], &totals["derived"]), (&json!(180), &json!(180)));
}

#[tokio::test]
async fn what_is_due_and_not_derived_yet_is_listed_as_such() {
    let shop = shop().await;
    place_overdue(&shop).await;
    let all = shop.json(&["deadlines", "list"]);
    assert_eq!(cases(&all)[0], "O-0");
    assert_eq!((&all[0]["due"], &all[0]["then"]), (&true.into(), &"shipment-overdue".into()));
    assert!(shop.run(&["deadlines", "list"]).out.contains("due"));
}

#[tokio::test]
async fn a_simulation_tells_what_would_be_derived_and_changes_nothing() {
    let shop = shop().await;
    place_overdue(&shop).await;
    let before = rows(&shop).await;
    let simulated = |arguments: &[&str]| -> Vec<Value> {
        let ran = shop.run(&[&["deadlines", "simulate", "--json", "--as-of"], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let told = simulated(&["2090-01-02T00:00:30Z"]);
    let (totals, events) = told.split_last().unwrap();
    let cases: Vec<_> = events.iter().map(|event| event["case"].as_str().unwrap()).collect();
    assert_eq!(cases, ["O-0", "O-1", "O-4"], "O-2 is not settled by then");
    assert!(events.iter().all(|event| event["change"] == "derived" && event["sent"] == true));
    assert_eq!((&totals["derived"], &totals["withdrawn"]), (&json!(3), &json!(0)));
    assert_eq!(totals["by_type"]["shipment-overdue"]["derived"], 2);
    assert_eq!(simulated(&["2090-01-05", "--order", "O-3"]).len(), 2);
    let text = shop.run(&["deadlines", "simulate", "--as-of", "2090-01-05"]).out;
    assert!(text.contains("payment-overdue") && text.contains("5 events are derived"), "{text}");
    assert_eq!(rows(&shop).await, before);
    let past = shop.run(&["deadlines", "simulate", "--as-of", "2026-03-01"]);
    assert_eq!((past.code, past.out.as_str()), (2, ""));
    assert!(past.err.contains("is past"), "{}", past.err);

    // What was foreseen is what comes, to the id.
    let wake = vec![CaseId::from_key("o/O-0").unwrap()];
    shop.door.apply(&Batch { wake, ..Batch::default() }).await.unwrap();
    let id = "SELECT event_id::text FROM derived_events WHERE type = 'shipment-overdue'";
    let id: String = sqlx::query_scalar(id).fetch_one(&shop.pool).await.unwrap();
    assert_eq!(events[0]["id"], id.as_str());
}

async fn rows(shop: &Shop) -> Vec<String> {
    let all = "SELECT d::text FROM derived_events d UNION ALL SELECT o::text FROM outbox o
               UNION ALL SELECT c::text FROM cases c UNION ALL SELECT r::text FROM policies r
               UNION ALL SELECT o::text FROM read_model.orders o ORDER BY 1";
    sqlx::query_scalar(all).fetch_all(&shop.pool).await.unwrap()
}

#[tokio::test]
async fn a_simulation_tells_what_would_be_withdrawn_and_what_can_t_be_decided() {
    let shop = shop().await;
    // As if an earlier version had derived what this one doesn't.
    let other = "UPDATE derived_events SET key = 'other'
                 WHERE type = 'shipment-required' AND case_key = 'o/O-1'";
    sqlx::query(other).execute(&shop.pool).await.unwrap();
    let broken = "UPDATE history SET facts = '{}' WHERE case_key = 'o/O-2'";
    sqlx::query(broken).execute(&shop.pool).await.unwrap();
    let ran = shop.run(&["deadlines", "simulate", "--as-of", "2090-01-05", "--json"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("can't be decided"), "{}", ran.err);
    let told: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let withdrawn: Vec<&Value> =
        told.iter().filter(|event| event["change"] == "withdrawn").collect();
    assert_eq!(withdrawn.len(), 1);
    assert_eq!((&withdrawn[0]["case"], &withdrawn[0]["about"]), (&json!("O-1"), &json!("other")));
    let totals = told.last().unwrap();
    assert_eq!((&totals["undecided"], &totals["withdrawn"]), (&json!(1), &json!(1)));
    let listed = shop.run(&["deadlines", "list"]);
    assert_eq!(listed.code, 0);
    assert!(!listed.out.contains("O-2") && listed.err.contains("left out: 1"), "{}", listed.err);
}
