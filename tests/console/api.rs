//! The API is as it is described.

use serde_json::{Value, json};

use super::Console;

/// Holds an answer against what the description says of it.
fn assert_described(document: &Value, path: &str, method: &str, answer: &Value) {
    let pointer = format!(
        "/paths/{}/{method}/responses/200/content/application~1json/schema",
        path.replace('~', "~0").replace('/', "~1")
    );
    let schema = document.pointer(&pointer).unwrap_or_else(|| panic!("{path} is not described"));
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    whole["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    let validator = jsonschema::validator_for(&whole).unwrap();
    let errors: Vec<String> = validator.iter_errors(answer).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{method} {path}: {errors:?}\n{answer}");
}

#[tokio::test]
async fn every_answer_is_as_it_is_described() {
    let console = Console::open().await;
    console.shop.place("O-1", "2026-03-01T09:00:00Z").await;
    console.misspell(3).await;
    let document = console.client.get("/api/v1/openapi.json").ok().json();
    assert_eq!(document["openapi"], "3.1.0");
    let get = |path: &str| console.client.get(&format!("/api/v1{path}")).ok().json();
    let letters = get("/dead-letters?code=schema-violation&limit=2");
    assert_described(&document, "/api/v1/dead-letters", "get", &letters);
    let id = letters["dead_letters"][0]["id"].as_str().unwrap().to_owned();
    for (path, described) in [
        ("/overview", "/overview"),
        ("/orders?named=O&limit=1", "/orders"),
        ("/orders?status=unshipped", "/orders"),
        ("/orders/O-1", "/orders/{name}"),
        ("/dead-letters/groups", "/dead-letters/groups"),
        (&*format!("/dead-letters/{id}"), "/dead-letters/{id}"),
        ("/replays", "/replays"),
        ("/deadlines?limit=5", "/deadlines"),
        ("/deadlines/simulation", "/deadlines/simulation"),
        ("/ledger?period=all", "/ledger"),
    ] {
        assert_described(&document, &format!("/api/v1{described}"), "get", &get(path));
    }
    let send =
        |path: &str, body: Value| console.client.send(&format!("/api/v1{path}"), &body).ok().json();
    let found = send("/orders/search", json!({ "email": "k2x9@market.example" }));
    assert_eq!(found["orders"][0]["order_id"], "O-1");
    assert_described(&document, "/api/v1/orders/search", "post", &found);
    let revealed = send("/orders/O-1/reveal", json!({}));
    assert_eq!(revealed["order"]["buyer_name"], "Hanako Sato");
    assert_described(&document, "/api/v1/orders/{name}/reveal", "post", &revealed);
    assert_eq!(get("/orders/O-1")["order"]["buyer_name"], "***");

    let mend = json!({ "filters": { "id": id }, "repair": { "data": { "currency": "JPY" } } });
    let trial = send("/dead-letters/trial", mend.clone());
    assert_eq!((&trial["accepted"], &trial["refused"]), (&json!(1), &json!(0)));
    assert_described(&document, "/api/v1/dead-letters/trial", "post", &trial);
    let job = send("/dead-letters/replay", mend);
    assert_described(&document, "/api/v1/dead-letters/replay", "post", &job);
    let job = job["job"].as_str().unwrap();
    assert_described(&document, "/api/v1/replays/{id}", "get", &get(&format!("/replays/{job}")));
    let discarded = send(
        "/dead-letters/discard",
        json!({ "filters": { "code": "schema-violation" }, "reason": "a test" }),
    );
    assert_described(&document, "/api/v1/dead-letters/discard", "post", &discarded);
    let acts = console.acts("replay").await;
    assert_eq!(acts, [("hanako".to_owned(), Some(job.to_owned()))]);
}

#[tokio::test]
async fn pages_follow_one_another() {
    let console = Console::open().await;
    for n in 0..5 {
        console.shop.place(&format!("O-{n}"), "2026-03-01T09:00:00Z").await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = console.client.get(&format!("/api/v1/orders?limit=2{after}")).ok().json();
        let orders = page["orders"].as_array().unwrap();
        seen.extend(orders.iter().map(|order| order["order_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={}", super::client::encoded(next));
    }
    assert_eq!(seen, ["O-4", "O-3", "O-2", "O-1", "O-0"]);
}

#[tokio::test]
async fn errors_are_problems() {
    let console = Console::open().await;
    for (path, status) in [
        ("/orders/O-404", 404),
        ("/nothing", 404),
        ("/orders?limit=0", 422),
        ("/orders?limit=many", 422),
        ("/orders?after=x", 422),
        ("/orders?status=lost", 422),
        ("/dead-letters?code=x", 422),
        ("/dead-letters/x", 400),
        ("/dead-letters/discard", 405),
        ("/deadlines?rule=Z9", 422),
        ("/replays/0197f3a2-1c3e-7d40-9b1a-2f5f6f7a8b9c", 404),
    ] {
        let answer = console.client.get(&format!("/api/v1{path}"));
        let kind = answer.header("content-type").map(str::to_owned);
        assert_eq!(
            (answer.status, kind.as_deref()),
            (status, Some("application/problem+json")),
            "{path}"
        );
        assert_eq!(answer.json()["status"], status, "{path}");
    }
    let all = console.client.send("/api/v1/dead-letters/discard", &json!({ "reason": "x" }));
    assert_eq!(all.status, 422, "without a filter it has to be said");
    assert_eq!(console.client.send("/api/v1/dead-letters/trial", &json!([])).status, 422);
    let elsewhere = console.client.with("Origin", "https://evil.example");
    assert_eq!(elsewhere.send("/api/v1/dead-letters/discard", &json!({})).status, 403);
}
