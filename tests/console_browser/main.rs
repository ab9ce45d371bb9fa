//! The console in a browser: headless Chromium against the real program. What it looks like is
//! written to the folder that `OTODOKE_SCREENSHOTS` names, where it names one.

#[path = "../console/client.rs"]
#[allow(dead_code, reason = "the console's tests use the rest of it")]
mod client;
mod driver;
#[path = "../commands/shop.rs"]
#[allow(dead_code, reason = "the commands' tests use the rest of it")]
mod shop;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use otodoke::contract::Stream;
use serde_json::{Value, json};

use self::driver::{Browser, Page};
use self::shop::{Shop, order_placed};
use self::support::processor::{Launch, Processor};

struct Stage {
    shop: Shop,
    processor: Processor,
    page: Page,
    address: String,
}

impl Stage {
    async fn open() -> Stage {
        Stage::launched(|launch| launch).await
    }

    async fn launched(with: impl FnOnce(Launch) -> Launch) -> Stage {
        let shop = Shop::open().await;
        let launch = Launch::on(&shop.services).with("OTODOKE_OPERATOR", "hanako");
        let processor = with(launch).ready().await;
        let port = processor.address().unwrap().rsplit(':').next().unwrap().to_owned();
        let address = format!("http://127.0.0.1:{port}");
        Stage { shop, processor, page: Browser::start().page(), address }
    }

    fn go(&mut self, path: &str) {
        let address = format!("{}{path}", self.address);
        self.page.go(&address);
    }

    async fn misspell(&self, count: usize) {
        for n in 0..count {
            let mut wrong = order_placed(&format!("250-{n:07}"), "authorized");
            wrong["currency"] = json!("yen");
            self.shop.take("order-placed", &format!("w-{n}"), "2026-03-01T09:00:00Z", wrong).await;
        }
    }

    /// A day of an order: placed, shipped, asked about, come back.
    async fn story(&self, order: &str) {
        let at = |hour: u32| format!("2026-03-0{}T0{}:00:00Z", hour / 10, hour % 10);
        self.shop.place(order, &at(11)).await;
        let events = [
            ("payment-authorized", json!({ "attempt_id": "A1", "amount": 2480, "captured": true })),
            (
                "shipment-dispatched",
                json!({ "package_id": "PK-1", "carrier": "Yamato", "tracking_number": "4312-0001" }),
            ),
            (
                "message-sent",
                json!({
                    "message_id": "M-1", "thread_id": "TH-1", "seller_id": "S1", "buyer_id": "B1",
                    "from": "buyer", "topic": "where-is-it", "body": "いつ届きますか",
                }),
            ),
            (
                "shipment-updated",
                json!({ "package_id": "PK-1", "status": "returned", "reason": "refused" }),
            ),
        ];
        for (n, (kind, mut data)) in events.into_iter().enumerate() {
            data["order_id"] = json!(order);
            let id = format!("{order}-{n}");
            self.shop.take(kind, &id, &at(12 + n as u32 * 10), data).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_found_and_read_by_keyboard_alone() {
    let mut stage = Stage::open().await;
    stage.story("250-1234567-0000001").await;
    stage.go("/orders");
    let page = &mut stage.page;
    page.press("Tab");
    assert_eq!(page.text("document.activeElement.className"), "skip");
    assert!(page.truth("getComputedStyle(document.activeElement).outlineStyle !== 'none'"));
    page.press("Enter");
    page.until("document.activeElement.id === 'main'");
    page.press("Tab");
    assert_eq!(page.text("document.activeElement.id"), "q");
    page.type_in("250-1234567-0000001");
    page.press("Enter");
    page.until("location.search.includes('q=250')");
    page.tab_to("document.activeElement.matches('tbody a')");
    page.press("Enter");
    page.until("document.querySelector('.timeline') !== null");
    let told = page.text("document.querySelector('.timeline').innerText");
    for part in ["order-placed", "refund-required", "R1", "returned"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!page.text("document.body.innerText").contains("Hanako"));
    page.tab_to("document.activeElement.matches('.reveal button')");
    page.press("Enter");
    page.until("document.body.innerText.includes('Hanako Sato')");
    assert!(page.text("document.body.innerText").contains("いつ届きますか"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_repaired_and_its_replay_seen_to_its_end() {
    let mut stage = Stage::open().await;
    stage.misspell(6).await;
    stage.go("/dead-letters");
    let page = &mut stage.page;
    page.click(".cards .button:not(.quiet)");
    page.until("document.querySelector('#repair') !== null");
    page.run("document.querySelector('#repair').focus()");
    page.type_in("/data/currency=\"JPY\"");
    page.run("document.querySelector('#rate').focus()");
    page.type_in("3");
    page.click("button[value=try]");
    page.until("document.querySelector('#would-accept') !== null");
    assert_eq!(page.text("document.querySelector('#would-accept').innerText"), "6");
    page.click("button[value=replay]");
    page.until("document.querySelector('#job-state') !== null");
    // Nobody asks for the page again: it is told.
    page.run("window.stayed = true");
    page.until("document.querySelector('#job-state').innerText === 'done'");
    assert!(page.truth("window.stayed === true"));
    assert_eq!(page.text("document.querySelector('#job-progress').value + ''"), "6");
    page.until("document.querySelector('#live-sentence').innerText.includes('Accepted: 6')");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_sees_what_the_role_allows() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens").display().to_string();
    let made = assert_cmd::Command::new(env!("CARGO_BIN_EXE_otodoke"))
        .args(["token", "taro", "--to", &file])
        .output()
        .unwrap();
    let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let mut stage = Stage::launched(|launch| {
        launch.with("OTODOKE_HTTP_ADDR", "0.0.0.0:0").with("OTODOKE_CONSOLE_TOKENS", &file)
    })
    .await;
    stage.misspell(1).await;
    stage.go("/dead-letters");
    let page = &mut stage.page;
    page.until("document.activeElement.id === 'token'");
    page.type_in("otk_wrong");
    page.press("Enter");
    page.until("document.querySelector('[role=alert]') !== null");
    page.until("document.activeElement.id === 'token'");
    page.type_in(&token);
    page.press("Enter");
    page.until("location.pathname === '/dead-letters'");
    assert!(page.truth("document.querySelector('.who').innerText.includes('taro')"));
    assert!(page.truth("document.querySelector('a[href^=\"/dead-letters/replay\"]') === null"));
    assert_eq!(page.text("document.cookie"), "", "no script reads the session");
    page.click(".who form[action='/sign-out'] button");
    page.until("location.pathname === '/sign-in'");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_data_runs_nothing() {
    let mut stage = Stage::open().await;
    let bad =
        "\"><script>window.hacked=1</script><img src=x onerror=\"window.hacked=1\">\u{202e}gnp";
    let mut placed = order_placed("O-1", "authorized");
    placed["lines"][0]["title"] = json!(bad);
    placed["lines"][0]["sku"] = json!(bad);
    placed["buyer_name"] = json!(bad);
    stage.shop.take("order-placed", bad, "2026-03-01T09:00:00Z", placed.clone()).await;
    placed["currency"] = json!(bad);
    stage.shop.take("order-placed", bad, "2026-03-01T09:00:00Z", placed).await;
    for path in ["/orders/O-1", "/dead-letters", "/dead-letters/list", "/"] {
        stage.go(path);
        assert!(stage.page.truth("window.hacked === undefined"), "{path}");
        assert!(
            stage.page.truth("document.scripts.length === 1 && !document.querySelector('img')")
        );
    }
    stage.go("/dead-letters/list");
    stage.page.click("tbody a");
    stage.page.until("document.querySelector('pre.body') !== null");
    assert!(stage.page.truth("window.hacked === undefined"));
    // Nothing runs either if something of it once became markup.
    stage.page.run("const s = document.createElement('div'); s.innerHTML = '<img src=x onerror=\"window.hacked=1\">'; document.body.append(s)");
    stage.page.until("document.querySelector('div > img') !== null");
    assert!(stage.page.truth("window.hacked === undefined"));
}

const AXE: &str = include_str!("../console/axe/axe.min.js");

/// What is wrong for who can't see, hear or point; by the rules of WCAG 2.2 and good practice.
fn assert_accessible(page: &mut Page, what: &str) {
    page.run(AXE);
    let found = page.value(
        "axe.run(document, { resultTypes: ['violations'] }).then((found) => \
         found.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 200))]))",
    );
    assert_eq!(found, json!([]), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_for_everybody_wide_and_narrow_light_and_dark() {
    let mut stage = Stage::open().await;
    stage.story("250-1234567-0000001").await;
    for n in 2..9 {
        stage.shop.place(&format!("250-1234567-000000{n}"), "2026-03-01T09:00:00Z").await;
    }
    stage.misspell(4).await;
    stage.shop.deliver(Stream::Payments, br#"{"buyer": "Hanako", "payment_code": "27182"#).await;
    let client = client::Client::of(&stage.address);
    let fields = [
        ("code", "schema-violation"),
        ("repair", "/data/currency=\"JPY\""),
        ("rate", "1"),
        ("act", "replay"),
    ];
    let job = client.post("/dead-letters/replay", &fields).header("location").unwrap().to_owned();
    client.post(&job, &[("act", "pause")]);
    let letters = client.get("/api/v1/dead-letters?code=schema-violation").json();
    let letter = format!("/dead-letters/{}", letters["dead_letters"][0]["id"].as_str().unwrap());
    let pages = [
        ("overview", "/"),
        ("orders", "/orders"),
        ("order", "/orders/250-1234567-0000001"),
        ("dead-letters", "/dead-letters"),
        ("dead-letter-list", "/dead-letters/list"),
        ("dead-letter", letter.as_str()),
        ("repair", "/dead-letters/replay?code=schema-violation"),
        ("discard", "/dead-letters/discard?code=not-json"),
        ("replays", "/replays"),
        ("replay", job.as_str()),
        ("deadlines", "/deadlines"),
        ("simulation", "/deadlines/simulate"),
        ("ledger", "/ledger?period=all"),
    ];
    for (width, size) in [(1280, "wide"), (360, "narrow")] {
        for scheme in ["light", "dark"] {
            stage.page.look(width, 800, scheme);
            for (name, path) in pages {
                stage.go(path);
                let what = format!("{name}, {size}, {scheme}");
                let wide = stage.page.value("document.documentElement.scrollWidth");
                assert!(wide.as_i64().unwrap() <= i64::from(width), "{what}: {wide} px");
                assert_accessible(&mut stage.page, &what);
                stage.page.picture(&format!("{name}-{size}-{scheme}"));
            }
        }
    }
    japanese(&mut stage, &pages);
    assert!(stage.processor.is_running());
}

fn japanese(stage: &mut Stage, pages: &[(&str, &str)]) {
    stage.page.look(1280, 800, "light");
    stage.go("/");
    stage.page.click("button[value=ja]");
    stage.page.until("document.documentElement.lang === 'ja'");
    for (name, path) in pages {
        stage.go(path);
        assert_accessible(&mut stage.page, &format!("{name}, in Japanese"));
        if matches!(*name, "overview" | "order" | "dead-letter") {
            stage.page.picture(&format!("{name}-japanese"));
        }
    }
}

/// What a test may wait for.
const SOON: Duration = Duration::from_secs(60);

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
