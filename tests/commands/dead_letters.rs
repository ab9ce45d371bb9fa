//! `dead-letters list` and `dead-letters show`.

use otodoke::contract::Stream;
use serde_json::{Value, json};

use crate::shop::{Shop, order_placed};

/// A shop that has refused an order with a wrong quantity, and something that isn't JSON.
async fn shop_with_dead_letters() -> Shop {
    let shop = Shop::open().await;
    let mut wrong = order_placed("O-1", "authorized");
    wrong["lines"][0]["quantity"] = json!("two");
    wrong["points_used"] = json!(31_415);
    shop.take("order-placed", "e1", "2026-03-01T09:00:00Z", wrong).await;
    shop.deliver(Stream::Payments, br#"{"buyer": "Hanako", "payment_code": "27182"#).await;
    shop
}

fn ids(listed: &Value) -> Vec<String> {
    let letters = listed.as_array().unwrap().iter();
    letters.map(|letter| letter["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_list_is_narrowed_by_each_filter() {
    let shop = shop_with_dead_letters().await;
    let listed =
        |filters: &[&str]| ids(&shop.json(&[&["dead-letters", "list"], filters].concat())).len();
    assert_eq!(listed(&[]), 2);
    for (filters, count) in [
        (["--code", "schema-violation"], 1),
        (["--type", "order-placed"], 1),
        (["--stream", "payments"], 1),
        (["--order", "O-1"], 1),
        (["--order", "O-2"], 0),
        (["--text", "Hanako"], 2),
        (["--since", "2026-01-01"], 2),
        (["--until", "2026-01-01"], 0),
        (["--status", "discarded"], 0),
        (["--status", "all"], 2),
    ] {
        assert_eq!(listed(&filters), count, "{filters:?}");
    }
    let ran = shop.run(&["dead-letters", "list", "--code", "nonsense"]);
    assert_eq!(ran.code, 2);
    let text = shop.run(&["dead-letters", "list"]).out;
    assert!(text.contains("/data/lines/0/quantity") && !text.contains("Hanako"), "{text}");
}

#[tokio::test]
async fn only_open_ones_are_listed_unless_one_is_named() {
    let shop = shop_with_dead_letters().await;
    let id = ids(&shop.json(&["dead-letters", "list", "--stream", "orders"])).remove(0);
    sqlx::query("UPDATE dead_letters SET status = 'discarded' WHERE stream = 'orders'")
        .execute(&shop.pool)
        .await
        .unwrap();
    assert_eq!(ids(&shop.json(&["dead-letters", "list"])).len(), 1);
    assert_eq!(ids(&shop.json(&["dead-letters", "list", "--id", &id])), [id]);
}

#[tokio::test]
async fn pages_follow_one_another() {
    let shop = shop_with_dead_letters().await;
    let first = shop.run(&["dead-letters", "list", "--limit", "1", "--json"]);
    let (_, place) = first.err.trim().split_once("--after ").expect("a page names the next");
    let next = shop.json(&["dead-letters", "list", "--limit", "1", "--after", place]);
    let first = serde_json::from_str(&first.out).unwrap();
    let mut seen = [ids(&first), ids(&next)].concat();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn a_dead_letter_is_shown_with_its_fault_and_without_personal_data() {
    let shop = shop_with_dead_letters().await;
    let id = ids(&shop.json(&["dead-letters", "list", "--stream", "orders"])).remove(0);
    let shown = shop.run(&["dead-letters", "show", &id]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.contains("\"quantity\": \"two\",   <-- here"), "{}", shown.out);
    let json = shop.json(&["dead-letters", "show", &id]);
    assert_eq!(json["body"]["data"]["order_id"], "O-1");
    for hidden in ["Hanako", "Taro", "k2x9", "+81", "100-0001", "Tower", "31415"] {
        assert!(!shown.out.contains(hidden), "{hidden} is seen in {}", shown.out);
        assert!(!json.to_string().contains(hidden), "{hidden} is seen in {json}");
    }
    let revealed = shop.run(&["dead-letters", "show", &id, "--reveal"]).out;
    assert!(revealed.contains("Hanako Sato") && !revealed.contains("31415"), "{revealed}");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_hidden_as_a_whole() {
    let shop = shop_with_dead_letters().await;
    let id = ids(&shop.json(&["dead-letters", "list", "--stream", "payments"])).remove(0);
    let shown = shop.run(&["dead-letters", "show", &id]);
    assert!(!shown.out.contains("Hanako") && !shown.out.contains("27182"), "{}", shown.out);
    let revealed = shop.run(&["dead-letters", "show", &id, "--reveal"]);
    assert!(revealed.out.contains("Hanako") && !revealed.out.contains("27182"), "{}", revealed.out);
    assert_eq!(shop.json(&["dead-letters", "show", &id])["body"], Value::Null);
}

#[tokio::test]
async fn an_unknown_dead_letter_is_an_error() {
    let shop = Shop::open().await;
    let ran = shop.run(&["dead-letters", "show", "0197f3a2-1c3e-7d40-9b1a-2f5f6f7a8b9c"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("there is no dead letter"), "{}", ran.err);
    assert_eq!(shop.run(&["dead-letters", "show", "7"]).code, 2);
}
