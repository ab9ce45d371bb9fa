//! What the pages show.

use otodoke::contract::Stream;

use super::Console;
use super::client::encoded;

/// Every page that needs no id.
pub const PAGES: [&str; 11] = [
    "/",
    "/orders",
    "/orders?status=unshipped",
    "/dead-letters",
    "/dead-letters/list",
    "/dead-letters/replay?code=schema-violation",
    "/dead-letters/discard?code=schema-violation",
    "/replays",
    "/deadlines",
    "/deadlines/simulate",
    "/ledger",
];

#[tokio::test]
async fn every_page_is_small_and_needs_nothing_inline_or_from_elsewhere() {
    let console = Console::open().await;
    console.shop.place("O-1", "2026-03-01T09:00:00Z").await;
    console.misspell(3).await;
    for path in PAGES.into_iter().chain(["/orders/O-1"]) {
        let page = console.client.get(path).ok();
        assert!(page.body.len() < 50_000, "{path} has {} bytes", page.body.len());
        for inline in [" style=", "<style", "onclick", "javascript:", "http-equiv"] {
            assert!(!page.body.contains(inline), "{inline} in {path}");
        }
        assert!(!page.body.contains("src=\"http"), "{path}");
        for landmark in ["<main", "<nav", "<h1", "class=\"skip\"", "<html lang=\"en\""] {
            assert!(page.body.contains(landmark), "no {landmark} in {path}");
        }
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("cache-control"), Some("no-store"), "{path}");
    }
    let style = console.client.get("/assets/console.css").ok();
    assert!(style.header("cache-control").unwrap().contains("immutable"));
    assert_eq!(console.client.get("/nothing").status, 404);
    assert_eq!(console.client.get("/assets/../Cargo.toml").status, 404);
    assert_eq!(console.client.get("/health/ready").status, 200);
}

#[tokio::test]
async fn the_language_is_that_of_the_browser_until_one_is_chosen() {
    let console = Console::open().await;
    let japanese = console.client.with("Accept-Language", "ja,en;q=0.5");
    let page = japanese.get("/orders").ok();
    assert!(page.body.contains("<html lang=\"ja\"") && page.body.contains("注文を探す"));
    let chosen = japanese.post("/language", &[("lang", "en"), ("next", "/orders?q=O")]);
    assert_eq!((chosen.status, chosen.header("location")), (303, Some("/orders?q=O")));
    let english = japanese.with("Cookie", &chosen.cookie());
    assert!(english.get("/orders").ok().body.contains("Find orders"));
    let elsewhere = japanese.post("/language", &[("lang", "en"), ("next", "//evil.example")]);
    assert_eq!(elsewhere.header("location"), Some("/"));
}

#[tokio::test]
async fn an_order_is_found_by_all_that_a_buyer_says() {
    let console = Console::open().await;
    for n in 0..60 {
        console.shop.place(&format!("250-{n:03}"), &format!("2026-03-01T09:00:{n:02}Z")).await;
    }
    let find = |q: &str| console.client.get(&format!("/orders?q={}", encoded(q))).ok().body;
    assert!(find("250-007").contains("/orders/250-007\""));
    assert!(find("250-00").contains("/orders/250-009\"") && !find("250-00").contains("250-010"));
    assert!(find("B1").contains("/orders/250-059\""));
    assert!(find("nobody").contains("No order fits"));

    let by_mail =
        console.client.post("/orders", &[("q", "K2X9@market.example"), ("status", "")]).ok();
    assert!(by_mail.body.contains("/orders/250-059\"") && !by_mail.body.contains("K2X9"));
    let by_number = console.client.post("/orders", &[("q", "250-001"), ("status", "")]);
    assert_eq!(by_number.header("location"), Some("/orders?q=250-001"));

    let first = console.client.get("/orders").ok().body;
    assert!(first.contains("/orders/250-059\"") && !first.contains("/orders/250-009\""));
    let (_, rest) = first.split_once("rel=\"next\"").map_or(("", first.as_str()), |(a, _)| ("", a));
    let next = rest.rsplit("href=\"").next().unwrap().split('"').next().unwrap();
    let second = console.client.get(&next.replace("&amp;", "&").replace("&#38;", "&")).ok().body;
    assert!(second.contains("/orders/250-009\"") && !second.contains("/orders/250-059\""));
    assert!(console.client.get("/orders?status=shipped").ok().body.contains("No order fits"));
}

#[tokio::test]
async fn an_orders_page_tells_its_story() {
    let console = Console::open().await;
    console.shop.place("O-1", "2026-03-01T09:00:00Z").await;
    let page = console.client.get("/orders/O-1").ok().body;
    for told in [
        "order-placed",
        "shipment-required",
        "released for shipping",
        "<b>P2</b>",
        "1980 JPY",
        "2026-03-01 18:00:00 JST",
        "Tea\tset",
        "ship promptly",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let japanese = console.client.with("Accept-Language", "ja");
    assert!(japanese.get("/orders/O-1").ok().body.contains("出荷の開始"));
    let unknown = console.client.get("/orders/O-404");
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.contains("Nothing is known of this order"));
}

#[tokio::test]
async fn personal_data_is_hidden_until_it_is_revealed() {
    let console = Console::open().await;
    console.shop.place("O-1", "2026-03-01T09:00:00Z").await;
    console
        .shop
        .deliver(Stream::Payments, br#"{"buyer": "Hanako Sato", "payment_code": "27182"#)
        .await;
    let personal = ["Hanako Sato", "Taro", "k2x9", "+81", "Chiyoda"];
    let page = console.client.get("/orders/O-1").ok().body;
    for hidden in personal {
        assert!(!page.contains(hidden), "{hidden}");
    }
    assert!(page.contains("Personal data is hidden"));
    assert_eq!(console.client.get("/orders/O-1/reveal").status, 405);
    let revealed = console.client.post("/orders/O-1/reveal", &[]).ok().body;
    for shown in personal {
        assert!(revealed.contains(shown), "{shown}");
    }
    assert_eq!(console.acts("reveal").await, [("hanako".to_owned(), Some("O-1".to_owned()))]);

    let list = console.client.get("/dead-letters/list").ok().body;
    let (_, rest) = list.split_once("row\"><a href=\"").unwrap();
    let letter = rest.split('"').next().unwrap();
    let page = console.client.get(letter).ok().body;
    assert!(page.contains("hidden as a whole") && !page.contains("Hanako"));
    let revealed = console.client.post(&format!("{letter}/reveal"), &[]).ok().body;
    // Points and payment codes are shown to nobody.
    assert!(revealed.contains("Hanako") && !revealed.contains("27182"), "{revealed}");
    assert_eq!(console.acts("reveal").await.len(), 2);
}

#[tokio::test]
async fn the_fault_is_marked_in_the_body() {
    let console = Console::open().await;
    console.misspell(1).await;
    let groups = console.client.get("/dead-letters").ok().body;
    assert!(groups.contains("/data/currency"), "{groups}");
    let (_, rest) = groups.split_once("quiet\" href=\"").unwrap();
    let page = console.client.get(rest.split('"').next().unwrap()).ok().body;
    let (_, marked) = page.split_once("<mark").expect("something is marked");
    let marked = marked.split("</mark>").next().unwrap();
    assert!(marked.contains("currency") && marked.contains("yen"), "{marked}");
}
