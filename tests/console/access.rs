//! Who is let in, and who isn't.

use super::Console;
use super::shop::run;
use super::support::processor::Launch;

const EVERYWHERE: &str = "0.0.0.0:0";

fn everywhere(launch: Launch) -> Launch {
    launch.with("OTODOKE_HTTP_ADDR", EVERYWHERE)
}

/// A token by the command, whose line is appended to the file.
fn token(console_folder: &std::path::Path, name: &str, roles: &str) -> String {
    let file = console_folder.join("tokens");
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_otodoke"))
        .args(["token", name, "--role", roles, "--to"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn off_loopback_it_is_closed_until_sign_in_is_set_up() {
    let console = Console::launched(everywhere).await;
    for path in ["/", "/orders", "/sign-in", "/live/overview"] {
        let refused = console.client.get(path);
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.body.contains("OTODOKE_CONSOLE_TOKENS"), "{}", refused.body);
    }
    let api = console.client.get("/api/v1/orders");
    assert_eq!((api.status, api.header("content-type")), (403, Some("application/problem+json")));
    assert_eq!(console.client.get("/health/ready").status, 200);
    assert_eq!(console.client.get("/metrics").status, 200);
    assert!(console.processor.log().contains("the console is closed"));
}

#[tokio::test]
async fn who_has_a_token_signs_in_and_does_what_the_role_allows() {
    let folder = tempfile::tempdir().unwrap();
    let viewer = token(folder.path(), "taro", "viewer");
    let operator = token(folder.path(), "hanako", "operator,revealer");
    let file = folder.path().join("tokens").display().to_string();
    assert!(!std::fs::read_to_string(&file).unwrap().contains(&viewer));
    let console =
        Console::launched(|launch| everywhere(launch).with("OTODOKE_CONSOLE_TOKENS", &file)).await;
    console.shop.place("O-1", "2026-03-01T09:00:00Z").await;
    console.misspell(1).await;

    let asked = console.client.get("/orders?q=O-1");
    assert_eq!(
        (asked.status, asked.header("location")),
        (303, Some("/sign-in?next=%2Forders%3Fq%3DO-1"))
    );
    let client = console.client.clone();
    let sign_in =
        |token: &str| client.post("/sign-in", &[("token", token), ("next", "/orders?q=O-1")]);
    assert_eq!(sign_in("otk_wrong").status, 403);
    let signed_in = sign_in(&viewer);
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/orders?q=O-1")));
    let cookie = signed_in.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Strict") && cookie.contains("Max-Age=43200"));

    let taro = console.client.with("Cookie", &signed_in.cookie());
    assert!(taro.get("/").ok().body.contains("taro"));
    assert!(!taro.get("/dead-letters").ok().body.contains("/dead-letters/replay"));
    assert!(
        !taro.get("/orders/O-1").ok().body.contains("<button class=\"quiet\" aria-describedby")
    );
    let wrong = [("code", "schema-violation"), ("reason", "x"), ("act", "try")];
    for path in ["/dead-letters/replay", "/dead-letters/discard", "/orders/O-1/reveal"] {
        assert_eq!(taro.post(path, &wrong).status, 403, "{path}");
    }
    for path in ["/dead-letters/replay", "/dead-letters/discard"] {
        assert_eq!(taro.get(path).status, 403, "{path}");
    }
    let hanako = console.client.with("Cookie", &sign_in(&operator).cookie());
    hanako.post("/orders/O-1/reveal", &[]).ok();
    assert_eq!(console.acts("reveal").await[0].0, "hanako");

    let out = hanako.post("/sign-out", &[]);
    assert_eq!(out.status, 303);
    assert_eq!(hanako.get("/").status, 303, "the session is over, not only its cookie");

    // Who is taken out of the file is out.
    std::fs::write(&file, "").unwrap();
    let gone = std::time::Duration::from_secs(10);
    super::support::wait_until(gone, "taro is out", async || taro.get("/").status == 303).await;
}

#[tokio::test]
async fn tokens_are_for_programs_too() {
    let folder = tempfile::tempdir().unwrap();
    let viewer = token(folder.path(), "dashboard", "viewer");
    let file = folder.path().join("tokens").display().to_string();
    let console = Console::launched(|launch| launch.with("OTODOKE_CONSOLE_TOKENS", &file)).await;
    let refused = console.client.get("/api/v1/overview");
    assert_eq!((refused.status, refused.json()["status"].as_i64()), (401, Some(401)));
    assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer"));
    let dashboard = console.client.with("Authorization", &format!("Bearer {viewer}"));
    assert_eq!(dashboard.get("/api/v1/overview").ok().json()["database"], true);
    let act = dashboard
        .send("/api/v1/dead-letters/discard", &serde_json::json!({ "all": true, "reason": "x" }));
    assert_eq!(act.status, 403);
    assert!(act.json()["detail"].as_str().unwrap().contains("operator"));
}

#[tokio::test]
async fn who_fails_too_often_has_to_wait() {
    let folder = tempfile::tempdir().unwrap();
    let good = token(folder.path(), "hanako", "viewer");
    let file = folder.path().join("tokens").display().to_string();
    let console = Console::launched(|launch| launch.with("OTODOKE_CONSOLE_TOKENS", &file)).await;
    for _ in 0..5 {
        assert_eq!(console.client.post("/sign-in", &[("token", "otk_guess")]).status, 403);
    }
    let limited = console.client.post("/sign-in", &[("token", &good)]);
    assert_eq!(limited.status, 429, "also with a good one");
    assert!(limited.header("retry-after").unwrap().parse::<u64>().unwrap() <= 60);
}

#[tokio::test]
async fn a_page_from_elsewhere_can_do_nothing() {
    let console = Console::open().await;
    console.misspell(1).await;
    let fields = [("code", "schema-violation"), ("reason", "x")];
    let path = "/dead-letters/discard";
    let elsewhere = console.client.with("Origin", "https://evil.example");
    assert_eq!(elsewhere.post(path, &fields).status, 403);
    let by_site = console.client.with("Sec-Fetch-Site", "cross-site");
    assert_eq!(by_site.post(path, &fields).status, 403);
    let nowhere = console.client.with("Origin", "null");
    assert_eq!(nowhere.post(path, &fields).status, 403);
    assert!(console.acts("discard").await.is_empty());

    // A name that somebody else lets point to this machine.
    let rebound =
        console.client.with("Host", "rebind.example").with("Origin", "http://rebind.example");
    assert_eq!((rebound.get("/").status, rebound.post(path, &fields).status), (421, 421));
    assert_eq!(rebound.get("/api/v1/orders").status, 421);
    assert_eq!(rebound.get("/health/live").status, 200);
    assert_eq!(console.client.with("Host", "localhost:8080").get("/").status, 200);
}

#[tokio::test]
async fn a_trusted_proxy_says_who_it_is() {
    let behind = |launch: Launch| {
        everywhere(launch)
            .with("OTODOKE_CONSOLE_USER_HEADER", "X-Forwarded-User")
            .with("OTODOKE_CONSOLE_ROLES_HEADER", "X-Roles")
            .with("OTODOKE_CONSOLE_PROXIES", "127.0.0.1")
            .with("OTODOKE_CONSOLE_URL", "https://ops.example")
    };
    let console = Console::launched(behind).await;
    console.misspell(1).await;
    let proxied = console.client.with("Host", "ops.example").with("Origin", "https://ops.example");
    assert_eq!(proxied.get("/").status, 403, "nobody is named");
    let taro = proxied.with("X-Forwarded-User", "taro");
    assert!(taro.get("/").ok().body.contains("taro"));
    let fields = [("code", "schema-violation"), ("reason", "x")];
    assert_eq!(taro.post("/dead-letters/discard", &fields).status, 403);
    let hanako = proxied.with("X-Forwarded-User", "hanako").with("X-Roles", "operator");
    assert_eq!(hanako.with("Host", "other.example").get("/").status, 421);
    hanako.post("/dead-letters/discard", &fields).ok();
    assert_eq!(console.acts("discard").await[0].0, "hanako");

    let untrusted =
        Console::launched(|launch| behind(launch).with("OTODOKE_CONSOLE_PROXIES", "192.0.2.7"))
            .await;
    let forged = untrusted.client.with("Host", "ops.example").with("X-Forwarded-User", "root");
    assert_eq!(forged.get("/").status, 403);
}

#[tokio::test]
async fn behind_https_the_cookie_is_for_https_only() {
    let folder = tempfile::tempdir().unwrap();
    let good = token(folder.path(), "hanako", "viewer");
    let file = folder.path().join("tokens").display().to_string();
    let console = Console::launched(|launch| {
        everywhere(launch)
            .with("OTODOKE_CONSOLE_TOKENS", &file)
            .with("OTODOKE_CONSOLE_URL", "https://ops.example")
    })
    .await;
    let client = console.client.with("Host", "ops.example").with("Origin", "https://ops.example");
    let signed_in = client.post("/sign-in", &[("token", &good)]);
    let cookie = signed_in.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-otodoke=") && cookie.contains("; Secure"), "{cookie}");
    client.with("Cookie", &signed_in.cookie()).get("/").ok();
}

#[tokio::test]
async fn a_setting_that_cannot_be_meant_is_refused() {
    let console = Console::open().await;
    let (database, broker) =
        (console.shop.services.database_url(), console.shop.services.amqp_url());
    for wrong in ["--console-proxies=everyone", "--console-url=ops.example"] {
        assert_eq!(
            run(&["config", wrong], database, broker, &console.shop.services).code,
            2,
            "{wrong}"
        );
    }
}
