//! Data that means to do harm, in every field that takes a text.

use otodoke::contract::Stream;
use serde_json::{Value, json};

use super::Console;
use super::pages::PAGES;
use super::shop::order_placed;

const SCRIPT: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'{{7*7}}";
const TURNED: &str = "\u{202e}gnp.exe\u{2066}";

fn poison() -> String {
    format!("{SCRIPT}{TURNED}{}", "長".repeat(3_000))
}

fn hostile_order(order: &str) -> Value {
    let mut placed = order_placed(order, "authorized");
    let bad = poison();
    for name in ["buyer_name", "relay_email", "phone"] {
        placed[name] = json!(bad);
    }
    for name in ["recipient", "postal_code", "region", "city", "country"] {
        placed["ship_to"][name] = json!(bad);
    }
    placed["ship_to"]["address_lines"] = json!([bad, bad]);
    placed["lines"][0]["sku"] = json!(bad);
    placed["lines"][0]["title"] = json!(bad);
    placed
}

async fn poisoned() -> Console {
    let console = Console::open().await;
    let bad = poison();
    let time = "2026-03-01T09:00:00Z";
    let outcome = console.shop.take("order-placed", SCRIPT, time, hostile_order("O-1")).await;
    assert_eq!(outcome.accepted, 1, "{outcome:?}");
    let dispatched = json!({
        "order_id": "O-1", "package_id": "P-1", "carrier": bad, "tracking_number": bad,
    });
    console.shop.take("shipment-dispatched", "d", "2026-03-02T09:00:00Z", dispatched).await;
    let message = json!({
        "order_id": "O-1", "message_id": "M-1", "thread_id": "T-1", "seller_id": "S1",
        "buyer_id": "B1", "from": "buyer", "topic": "where-is-it", "body": bad,
    });
    console.shop.take("message-sent", "m", "2026-03-03T09:00:00Z", message).await;

    let mut wrong = hostile_order("O-2");
    wrong["currency"] = json!(SCRIPT);
    wrong[SCRIPT] = json!({ SCRIPT: SCRIPT });
    console.shop.take("order-placed", SCRIPT, time, wrong).await;
    let strange = json!({
        "specversion": "1.0", "id": SCRIPT, "source": "/x", "type": bad, "time": time, "data": {},
    });
    console.shop.deliver(Stream::Orders, strange.to_string().as_bytes()).await;
    console.shop.deliver(Stream::Orders, format!("{{ {SCRIPT}").as_bytes()).await;
    console
}

fn assert_harmless(path: &str, body: &str) {
    for harm in ["<script>alert", "<img src=x", "onerror=alert(1)>"] {
        assert!(!body.contains(harm), "{harm} in {path}: {body}");
    }
    assert!(!body.contains(">49"), "a template ran in {path}");
    assert!(body.len() < 50_000, "{path} has {} bytes", body.len());
}

fn links(body: &str, start: &str) -> Vec<String> {
    let mut found: Vec<String> = body
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|link| link.starts_with(start))
        .map(|link| link.replace("&#38;", "&").replace("&amp;", "&"))
        .collect();
    found.dedup();
    found
}

#[tokio::test]
async fn nothing_that_came_in_becomes_markup() {
    let console = poisoned().await;
    for path in PAGES.into_iter().chain(["/orders/O-1", "/orders?q=B1"]) {
        assert_harmless(path, &console.client.get(path).ok().body);
    }
    let revealed = console.client.post("/orders/O-1/reveal", &[]).ok().body;
    assert!(revealed.contains("&lt;script&gt;") || revealed.contains("&#60;script"), "{revealed}");
    assert_harmless("/orders/O-1/reveal", &revealed);

    let list = console.client.get("/dead-letters/list").ok().body;
    let letters = links(&list, "/dead-letters/0");
    assert_eq!(letters.len(), 3, "{letters:?}");
    for letter in letters {
        assert_harmless(&letter, &console.client.get(&letter).ok().body);
        let revealed = console.client.post(&format!("{letter}/reveal"), &[]).ok().body;
        assert_harmless(&letter, &revealed);
    }
    // Links that the page itself makes of what came in.
    let groups = console.client.get("/dead-letters").ok().body;
    for link in links(&groups, "/dead-letters/replay")
        .into_iter()
        .chain(links(&groups, "/dead-letters/list"))
    {
        assert_harmless(&link, &console.client.get(&link).ok().body);
    }
}

#[tokio::test]
async fn what_somebody_types_does_no_harm() {
    let console = poisoned().await;
    let bad = super::client::encoded(SCRIPT);
    for path in
        ["/orders?q=", "/dead-letters?text=", "/dead-letters/list?type=", "/dead-letters?cause="]
    {
        assert_harmless(path, &console.client.get(&format!("{path}{bad}")).ok().body);
    }
    for path in [
        "/orders?status=",
        "/orders?after=",
        "/dead-letters?since=",
        "/deadlines?rule=",
        "/deadlines?order=",
        "/orders/",
    ] {
        let answer = console.client.get(&format!("{path}{bad}"));
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        assert_harmless(path, &answer.body);
    }
    let tried = console.client.post(
        "/dead-letters/replay",
        &[("code", "schema-violation"), ("repair", SCRIPT), ("act", "try")],
    );
    assert_harmless("replay", &tried.ok().body);
    let reason = [("code", "not-json"), ("reason", SCRIPT)];
    assert_harmless("discard", &console.client.post("/dead-letters/discard", &reason).ok().body);
    let list = console.client.get("/dead-letters/list?status=discarded").ok().body;
    let letter = links(&list, "/dead-letters/0").remove(0);
    let page = console.client.get(&letter).ok().body;
    assert!(page.contains("&#60;script&#62;") || page.contains("&lt;script&gt;"));
    assert_harmless(&letter, &page);
}
