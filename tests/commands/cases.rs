//! `order show`, `order find`, `order explain` and `rebuild`.

use serde_json::{Value, json};

use crate::shop::{Shop, order_placed};

const DAY_ONE: &str = "2026-03-01T09:00:00+09:00";

#[tokio::test]
async fn an_order_is_shown_with_all_that_belongs_to_it_but_what_messages_say() {
    let shop = Shop::open().await;
    shop.place("O-1", DAY_ONE).await;
    let dispatched = json!({ "order_id": "O-1", "package_id": "PK-1", "carrier": "Yamato" });
    shop.take("shipment-dispatched", "d", "2026-03-01T12:00:00+09:00", dispatched).await;
    let asked = json!({
        "order_id": "O-1", "message_id": "M-1", "thread_id": "T-1", "seller_id": "S1",
        "buyer_id": "B1", "from": "buyer", "topic": "where-is-it", "body": "It is a gift",
    });
    shop.take("message-sent", "m", "2026-03-02T12:00:00+09:00", asked).await;

    let shown = shop.json(&["order", "show", "O-1"]);
    assert_eq!(shown["order"]["status"], "shipped");
    assert_eq!(shown["packages"][0]["package_id"], "PK-1");
    assert_eq!(shown["messages"][0]["message_id"], "M-1");
    assert!(shown["derived_events"].as_array().unwrap().len() > 1);

    let text = shop.run(&["order", "show", "O-1"]);
    assert_eq!(text.code, 0, "{}", text.err);
    for told in ["shipped", "1980", "Tower", "Yamato", "where-is-it", "shipment-required"] {
        assert!(text.out.contains(told), "{told} is missing in {}", text.out);
    }
    assert!(!text.out.contains("gift") && !shown.to_string().contains("gift"));
}

#[tokio::test]
async fn of_an_unknown_order_a_sentence_says_so_and_the_exit_code_is_1() {
    let shop = Shop::open().await;
    for command in [
        ["order", "show", "O-404"],
        ["order", "explain", "O-404"],
        ["order", "explain", "thread:T-404"],
        ["rebuild", "--order", "O-404"],
    ] {
        let ran = shop.run(&command);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{command:?}");
        assert!(ran.err.contains("nothing is known of a"), "{}", ran.err);
    }
    assert_eq!(shop.run(&["order", "show", "not an id"]).code, 2);
    assert_eq!(shop.run(&["order", "find"]).code, 2);
}

#[tokio::test]
async fn what_waits_for_its_order_is_told_before_it_is_placed() {
    let shop = Shop::open().await;
    let paid = json!({ "order_id": "O-1", "attempt_id": "A-1", "amount": 2480 });
    shop.take("payment-authorized", "p", DAY_ONE, paid).await;
    assert!(shop.run(&["order", "show", "O-1"]).out.contains("not placed yet"));
    assert!(shop.run(&["order", "explain", "O-1"]).out.contains("not placed yet"));
}

#[tokio::test]
async fn orders_are_found_by_address_buyer_and_number() {
    let shop = Shop::open().await;
    shop.place("O-1", DAY_ONE).await;
    shop.place("O-2", "2026-03-02T09:00:00+09:00").await;
    let ids = |found: Value| -> Vec<String> {
        let orders = found.as_array().unwrap().iter();
        orders.map(|order| order["order_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        ids(shop.json(&["order", "find", "--email", "K2X9@market.example"])),
        ["O-2", "O-1"]
    );
    assert_eq!(ids(shop.json(&["order", "find", "--buyer", "B1", "--limit", "1"])), ["O-2"]);
    assert_eq!(ids(shop.json(&["order", "find", "--number", "O-1"])), ["O-1"]);
    assert_eq!(ids(shop.json(&["order", "find", "--number", "O"])), [""; 0]);
    assert!(shop.run(&["order", "find", "--buyer", "B1"]).out.contains("1980 JPY"));
}

#[tokio::test]
async fn an_explanation_tells_what_came_late_what_fired_and_what_is_waited_for() {
    let shop = Shop::open().await;
    let paid = json!({ "order_id": "O-1", "attempt_id": "A-1", "amount": 2480 });
    shop.take("payment-authorized", "paid", "2026-03-01T10:00:00Z", paid).await;
    let placed = order_placed("O-1", "pending");
    shop.take("order-placed", "placed", "2026-03-01T09:00:00Z", placed).await;

    let soon = ["order", "explain", "O-1", "--as-of", "2026-03-01T11:00:00Z"];
    let explained = shop.json(&soon);
    let late: Vec<_> =
        explained["history"].as_array().unwrap().iter().map(|e| &e["late"]).collect();
    assert_eq!(late, [&json!(true), &json!(false)]);
    let fired = explained["firings"].as_array().unwrap();
    let released = fired.iter().find(|firing| firing["rule"] == "P2").expect("P2 released it");
    assert_eq!(released["event"]["id"], "paid");
    let wait = &explained["waits"][0];
    assert_eq!((&wait["rule"], &wait["then"]), (&json!("S3"), &json!("shipment-overdue")));
    assert_eq!(wait["until"], "2026-03-03T10:00:00Z");

    let text = shop.run(&soon).out;
    for told in ["unshipped", "late", "released for shipping", "shipment-overdue", "/shop paid"] {
        assert!(text.contains(told), "{told} is missing in {text}");
    }
    assert!(!text.contains("Hanako") && !text.contains("Tower"));
}

#[tokio::test]
async fn as_of_an_earlier_moment_later_events_are_left_out() {
    let shop = Shop::open().await;
    shop.place("O-1", "2026-03-01T09:00:00Z").await;
    let cancelled = json!({ "order_id": "O-1", "actor": "marketplace" });
    shop.take("order-cancelled", "c", "2026-03-05T09:00:00Z", cancelled).await;
    let then = shop.json(&["order", "explain", "O-1", "--as-of", "2026-03-02"]);
    assert_eq!((&then["order"]["status"], &then["left_out"]), (&json!("unshipped"), &json!(1)));
    let now = shop.json(&["order", "explain", "O-1"]);
    assert_eq!((&now["order"]["status"], &now["left_out"]), (&json!("cancelled"), &json!(0)));
}

#[tokio::test]
async fn an_inquiry_without_an_order_is_explained_by_its_thread() {
    let shop = Shop::open().await;
    let asked = json!({
        "message_id": "M-1", "thread_id": "T-1", "seller_id": "S1", "buyer_id": "B9",
        "from": "buyer", "topic": "where-is-it", "body": "It is a gift",
    });
    shop.take("message-sent", "m", DAY_ONE, asked).await;
    let explained = shop.json(&["order", "explain", "thread:T-1"]);
    assert_eq!(explained["case"], "thread:T-1");
    let derived = explained["derived"].as_array().unwrap();
    assert!(derived.iter().any(|derived| derived["type"] == "inquiry-unmatched"), "{derived:?}");
    assert!(!explained.to_string().contains("gift"));
}

#[tokio::test]
async fn a_rebuild_finds_nothing_and_restores_the_rows() {
    let shop = Shop::open().await;
    shop.place("O-1", DAY_ONE).await;
    let due = vec![otodoke::rules::CaseId::from_key("o/O-1").unwrap()];
    shop.door.rebuild(due, true).await.unwrap();
    sqlx::query("DELETE FROM read_model.orders").execute(&shop.pool).await.unwrap();

    let totals = shop.json(&["rebuild"]);
    assert_eq!((&totals["cases"], &totals["derived"]), (&json!(1), &json!(0)));
    assert_eq!(shop.json(&["order", "show", "O-1"])["order"]["status"], "unshipped");
}

#[tokio::test]
async fn a_rebuild_tells_what_would_follow_and_records_it_only_when_asked_to() {
    let shop = Shop::open().await;
    shop.place("O-1", DAY_ONE).await;
    let forget = "DELETE FROM derived_events";
    sqlx::query(forget).execute(&shop.pool).await.unwrap();
    sqlx::query("DELETE FROM outbox").execute(&shop.pool).await.unwrap();
    let changes = |published: &[&str]| -> Vec<Value> {
        let arguments = [&["rebuild", "--order", "O-1", "--json"], published].concat();
        let ran = shop.run(&arguments);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    for published in [&[][..], &["--publish"]] {
        let told = changes(published);
        assert!(told.iter().any(|line| line["type"] == "shipment-required"), "{told:?}");
        assert_eq!(told.last().unwrap()["withdrawn"], 0);
    }
    assert_eq!(changes(&["--publish"]).len(), 1, "only the totals: nothing differs any more");
    let shown = shop.json(&["order", "show", "O-1"]);
    assert_eq!(shown["order"]["order_id"], "O-1");
    assert!(!shown["derived_events"].as_array().unwrap().is_empty());
}
