//! `dead-letters groups`, `replay`, `jobs`, `discard` and `export`.

use otodoke::contract::Stream;
use otodoke::store::ledger;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::shop::{Ran, Shop, order_placed};

const PLACED: &str = "2026-03-01T09:00:00Z";

/// An order whose currency is written in a way that the schema doesn't know.
async fn misspell(shop: &Shop, order: &str, time: &str) {
    let mut wrong = order_placed(order, "authorized");
    wrong["currency"] = json!("yen");
    shop.take("order-placed", &format!("placed-{order}"), time, wrong).await;
}

const MEND: [&str; 2] = ["--set", "/data/currency=\"JPY\""];

async fn count(pool: &PgPool, table: &'static str) -> i64 {
    let statement = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(pool).await.unwrap()
}

/// Everything that a dry run must leave as it was.
async fn picture(pool: &PgPool) -> Value {
    sqlx::query_scalar(
        "SELECT jsonb_build_object(
             'history', (SELECT count(*) FROM history), 'keys', (SELECT count(*) FROM event_keys),
             'orders', (SELECT count(*) FROM read_model.orders), 'cases', (SELECT count(*) FROM cases),
             'derived', (SELECT count(*) FROM derived_events),
             'outbox', (SELECT count(*) FROM outbox), 'ledger', (SELECT count(*) FROM ledger),
             'jobs', (SELECT count(*) FROM replay_jobs),
             'letters', (SELECT jsonb_agg(to_jsonb(d) ORDER BY id) FROM dead_letters d))",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

/// received = history + duplicates + dead letters, each attempt counted.
async fn assert_adds_up(pool: &PgPool) {
    let audit = ledger::audit(&mut pool.acquire().await.unwrap()).await.unwrap();
    let sum = |of: fn(&ledger::Count) -> i64| audit.streams.values().map(of).sum::<i64>();
    assert_eq!(sum(|c| c.received), sum(|c| c.accepted + c.duplicates + c.dead), "{audit:?}");
    assert_eq!(sum(|c| c.accepted), audit.in_history, "{audit:?}");
    assert_eq!(sum(|c| c.dead), audit.dead_letter_attempts, "{audit:?}");
}

fn statuses(shop: &Shop) -> Vec<String> {
    let listed = shop.json(&["dead-letters", "list", "--status", "all"]);
    let mut statuses: Vec<String> =
        listed.as_array().unwrap().iter().map(|l| l["status"].as_str().unwrap().into()).collect();
    statuses.sort();
    statuses
}

fn replay(shop: &Shop, arguments: &[&str]) -> Ran {
    shop.run(&[&["dead-letters", "replay"], arguments].concat())
}

fn object(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out)
        .unwrap_or_else(|error| panic!("{error}: {} {}", ran.out, ran.err))
}

#[tokio::test]
async fn letters_of_one_cause_are_one_group() {
    let shop = Shop::open().await;
    for (order, line) in [("O-1", 0), ("O-2", 1), ("O-3", 1)] {
        let mut wrong = order_placed(order, "authorized");
        let lines = wrong["lines"].as_array_mut().unwrap();
        let mut second = lines[0].clone();
        second["line_id"] = json!("L2");
        lines.push(second);
        lines[line]["quantity"] = json!("two");
        shop.take("order-placed", order, PLACED, wrong).await;
    }
    misspell(&shop, "O-4", PLACED).await;
    shop.deliver(Stream::Payments, b"{").await;
    let groups = shop.json(&["dead-letters", "groups"]);
    let groups = groups.as_array().unwrap();
    assert_eq!(groups.len(), 3, "{groups:?}");
    assert_eq!(groups[0]["count"], 3);
    assert_eq!(groups[0]["pointer"], "/data/lines/*/quantity");
    let example = groups[0]["example"].as_str().unwrap();
    assert!(shop.run(&["dead-letters", "show", example]).out.contains("<-- here"));
    let narrowed = shop.json(&["dead-letters", "groups", "--code", "not-json"]);
    assert_eq!(narrowed.as_array().unwrap().len(), 1);
    let text = shop.run(&["dead-letters", "groups"]);
    assert!(text.err.contains("5 letters in 3 groups"), "{}", text.err);
}

#[tokio::test]
async fn a_dry_run_tells_what_would_differ_and_changes_nothing() {
    let shop = Shop::open().await;
    misspell(&shop, "O-1", PLACED).await;
    let before = picture(&shop.pool).await;

    let as_it_came = replay(&shop, &["--json"]);
    assert_eq!(as_it_came.code, 1, "as it came it would be refused again");
    assert_eq!(object(&as_it_came)["refused"][0]["pointer"], "/data/currency");

    let mended = replay(&shop, &[&MEND[..], &["--json"]].concat());
    assert_eq!(mended.code, 0, "{}", mended.err);
    let told = object(&mended);
    assert_eq!((&told["accepted"], &told["refused"]), (&json!(1), &json!([])));
    let types: Vec<&str> =
        told["derived"].as_array().unwrap().iter().map(|d| d["type"].as_str().unwrap()).collect();
    assert!(types.contains(&"shipment-required"), "{types:?}");
    let text = told.to_string();
    assert!(
        text.contains("read_model") && text.contains("JPY") && !text.contains("Hanako"),
        "{text}"
    );
    let people = replay(&shop, &MEND);
    assert!(
        people.out.contains("shipment-required") && people.err.contains("--yes"),
        "{}",
        people.out
    );
    assert!(!people.out.contains("Hanako") && !people.out.contains("+81"), "{}", people.out);

    assert_eq!(picture(&shop.pool).await, before);
}

#[tokio::test]
async fn a_repaired_letter_is_replayed_and_keeps_what_came() {
    let shop = Shop::open().await;
    misspell(&shop, "O-1", PLACED).await;
    let id = shop.json(&["dead-letters", "list"])[0]["id"].as_str().unwrap().to_owned();
    let ran = replay(&shop, &[&MEND[..], &["--yes"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("1 accepted, 0 duplicates, 0 refused again"), "{}", ran.out);
    assert_eq!(statuses(&shop), ["replayed"]);
    assert_eq!(shop.json(&["order", "show", "O-1"])["order"]["currency"], "JPY");
    assert_adds_up(&shop.pool).await;

    let shown = shop.json(&["dead-letters", "show", &id]);
    assert_eq!(shown["body"]["data"]["currency"], "yen", "what came is kept");
    let since = &shown["since"]["replays"][0];
    assert_eq!(since["outcome"], "accepted");
    let changed = json!({ "pointer": "/data/currency", "before": "yen", "after": "JPY" });
    assert_eq!(since["changes"], json!([changed]));
    let people = shop.run(&["dead-letters", "show", &id]).out;
    assert!(people.contains("/data/currency \"yen\" → \"JPY\""), "{people}");

    let again = replay(&shop, &["--id", &id, "--yes", MEND[0], MEND[1]]);
    assert!(again.err.contains("replayed already"), "{}", again.err);
    assert_eq!(count(&shop.pool, "history").await, 1);
}

#[tokio::test]
async fn a_repair_that_leaves_a_letter_invalid_sends_nothing() {
    let shop = Shop::open().await;
    misspell(&shop, "O-1", PLACED).await;
    let mut worse = order_placed("O-2", "authorized");
    worse["currency"] = json!("yen");
    worse["buyer_id"] = json!("");
    shop.take("order-placed", "worse", PLACED, worse).await;
    let refused = replay(&shop, &[&MEND[..], &["--yes"]].concat());
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("/data/buyer_id") && refused.err.contains("--skip-invalid"),
        "{}",
        refused.err
    );
    assert_eq!(count(&shop.pool, "history").await, 0);
    let skipping = replay(&shop, &[&MEND[..], &["--yes", "--skip-invalid"]].concat());
    assert_eq!(skipping.code, 1, "one is left");
    assert_eq!(statuses(&shop), ["open", "replayed"]);
    assert_adds_up(&shop.pool).await;
}

#[tokio::test]
async fn an_event_in_the_wrong_stream_goes_where_it_belongs() {
    let shop = Shop::open().await;
    let event = json!({
        "specversion": "1.0", "id": "e1", "source": "/shop", "type": "order-placed",
        "time": PLACED, "data": order_placed("O-1", "authorized"),
    });
    shop.deliver(Stream::Payments, event.to_string().as_bytes()).await;
    let ran = replay(&shop, &["--code", "wrong-stream", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(shop.json(&["order", "show", "O-1"])["order"]["status"], "unshipped");
    assert_adds_up(&shop.pool).await;
}

#[tokio::test]
async fn a_late_replay_ends_in_the_state_that_its_own_time_gives() {
    let shop = Shop::open().await;
    // The order is unpaid for days; its payment was refused for a wrong amount.
    let placed = order_placed("O-1", "pending");
    shop.take("order-placed", "placed", "2026-03-01T09:00:00Z", placed).await;
    let payment = json!({ "order_id": "O-1", "attempt_id": "A1", "amount": "2480" });
    shop.take("payment-authorized", "paid", "2026-03-01T10:00:00Z", payment).await;
    let dispatched = json!({ "order_id": "O-1", "package_id": "P1" });
    shop.take("shipment-dispatched", "sent", "2026-03-02T09:00:00Z", dispatched).await;
    let standing = |shop: &Shop| {
        let derived = shop.json(&["order", "explain", "O-1"])["derived"].clone();
        let mut types: Vec<String> = derived
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["type"].as_str().unwrap().to_owned())
            .collect();
        types.sort();
        types
    };
    assert!(standing(&shop).contains(&"shipment-blocked".to_owned()), "{:?}", standing(&shop));
    let ran = replay(&shop, &["--set", "/data/amount=2480", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let withdrawn: Vec<String> = sqlx::query_scalar(
        "SELECT type FROM derived_events WHERE withdrawn_at IS NOT NULL ORDER BY type",
    )
    .fetch_all(&shop.pool)
    .await
    .unwrap();
    assert!(withdrawn.contains(&"shipment-blocked".to_owned()), "{withdrawn:?}");
    let order = &shop.json(&["order", "show", "O-1"])["order"];
    let since = order["authorized_at"].as_str().unwrap();
    assert!(since.starts_with("2026-03-01T10:00:00"), "{since}");
    assert_eq!(order["status"], "shipped");
    assert!(standing(&shop).contains(&"shipment-required".to_owned()), "{:?}", standing(&shop));
    let withdrawals: i64 =
        sqlx::query_scalar("SELECT count(*) FROM outbox WHERE type = 'derived-withdrawn'")
            .fetch_one(&shop.pool)
            .await
            .unwrap();
    assert!(withdrawals >= 1);
}

/// Two letters that only the door can refuse: their events collide with others.
async fn shop_with_collisions(count: usize) -> Shop {
    let shop = Shop::open().await;
    for number in 0..count {
        let order = format!("O-{number}");
        shop.place(&order, PLACED).await;
        shop.take(
            "order-placed",
            &format!("placed-{order}"),
            "2026-03-01T09:00:01Z",
            order_placed(&order, "authorized"),
        )
        .await;
    }
    shop
}

#[tokio::test]
async fn a_canary_that_is_refused_stops_the_job() {
    let shop = shop_with_collisions(3).await;
    let ran = replay(&shop, &["--yes"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("canary") && ran.err.contains("jobs resume"), "{}", ran.err);
    let job = &shop.json(&["dead-letters", "jobs", "list"])[0];
    assert_eq!(
        (&job["state"], &job["refused"], &job["waiting"]),
        (&json!("stopped"), &json!(1), &json!(2))
    );
    let id = job["job"].as_str().unwrap();
    assert_eq!(shop.run(&["dead-letters", "jobs", "resume", id]).code, 0);
    let followed = shop.run(&["dead-letters", "jobs", "show", id, "--follow"]);
    assert_eq!(followed.code, 1, "refused letters are no success");
    assert_eq!(shop.json(&["dead-letters", "jobs", "show", id])["state"], "done");
    let letters = shop.json(&["dead-letters", "list"]);
    assert_eq!(letters[0]["attempts"], 2, "{letters}");
    assert_adds_up(&shop.pool).await;
}

#[tokio::test]
async fn too_many_failures_stop_the_job() {
    let shop = shop_with_collisions(5).await;
    let ran = replay(&shop, &["--yes", "--canary", "0", "--max-failures", "1", "--rate", "1000"]);
    assert_eq!(ran.code, 1);
    let job = &shop.json(&["dead-letters", "jobs", "list"])[0];
    assert_eq!(job["state"], "stopped", "{job}");
    assert!(job["refused"].as_i64().unwrap() >= 2);
}

#[tokio::test]
async fn a_job_rests_while_it_is_paused_and_its_letters_are_free_once_it_is_cancelled() {
    let shop = Shop::open().await;
    misspell(&shop, "O-1", PLACED).await;
    misspell(&shop, "O-2", PLACED).await;
    // No processor runs, so a job that nobody follows waits.
    let submitted = replay(&shop, &[&MEND[..], &["--yes", "--detach", "--json"]].concat());
    let job = object(&submitted)["job"].as_str().unwrap().to_owned();
    assert_eq!(shop.run(&["dead-letters", "jobs", "pause", &job]).code, 0);
    assert_eq!(shop.run(&["dead-letters", "jobs", "pause", &job]).code, 1, "it is paused");

    let second = replay(&shop, &[&MEND[..], &["--yes"]].concat());
    assert_eq!(second.code, 1);
    assert!(second.err.contains(&format!("2 wait in the job {job}")), "{}", second.err);
    let left_alone = shop.run(&["dead-letters", "discard", "--all", "--reason", "test"]);
    assert!(left_alone.out.contains("0 discarded"), "{}", left_alone.out);

    assert_eq!(shop.run(&["dead-letters", "jobs", "cancel", &job]).code, 0);
    assert_eq!(shop.json(&["dead-letters", "jobs", "show", &job])["cancelled"], 2);
    let third = replay(&shop, &[&MEND[..], &["--yes"]].concat());
    assert_eq!(third.code, 0, "{}", third.err);
    assert_eq!(count(&shop.pool, "history").await, 2);
}

#[tokio::test]
async fn two_operators_at_once_replay_each_letter_once() {
    let shop = Shop::open().await;
    for number in 0..40 {
        misspell(&shop, &format!("O-{number}"), PLACED).await;
    }
    let arguments = [&MEND[..], &["--yes", "--json"]].concat();
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| replay(&shop, &arguments));
        let other = scope.spawn(|| replay(&shop, &arguments));
        (one.join().unwrap(), other.join().unwrap())
    });
    let jobs = shop.json(&["dead-letters", "jobs", "list"]);
    let accepted: i64 =
        jobs.as_array().unwrap().iter().map(|job| job["accepted"].as_i64().unwrap()).sum();
    assert_eq!(accepted, 40, "{jobs} {} {}", one.err, other.err);
    assert_eq!(count(&shop.pool, "history").await, 40);
    assert_eq!(count(&shop.pool, "replay_letters WHERE outcome = 'duplicate'").await, 0);
    for ran in [&one, &other] {
        let told = ran.err.contains("wait in the job")
            || ran.err.contains("meanwhile")
            || ran.err.contains("40 letters")
            || ran.err.contains("no dead letter fits");
        assert!(told, "{}", ran.err);
    }
    assert_adds_up(&shop.pool).await;
}

#[tokio::test]
async fn discarding_needs_a_reason_and_is_remembered() {
    let shop = Shop::open().await;
    misspell(&shop, "O-1", PLACED).await;
    let id = shop.json(&["dead-letters", "list"])[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(shop.run(&["dead-letters", "discard", "--id", &id]).code, 2);
    assert_eq!(shop.run(&["dead-letters", "discard", "--id", &id, "--reason", " "]).code, 2);
    let everything = shop.run(&["dead-letters", "discard", "--reason", "x"]);
    assert_eq!(everything.code, 2, "{}", everything.err);
    let ran = shop.run(&["dead-letters", "discard", "--id", &id, "--reason", "a test of ours"]);
    assert_eq!((ran.code, ran.out.trim()), (0, "1 discarded"));
    assert_eq!(statuses(&shop), ["discarded"]);
    let shown = shop.json(&["dead-letters", "show", &id]);
    assert_eq!(shown["since"]["acts"][0]["act"], "discard");
    assert_eq!(shown["since"]["acts"][0]["detail"]["reason"], "a test of ours");
    let after_all = replay(&shop, &[&MEND[..], &["--status", "discarded", "--yes"]].concat());
    assert_eq!(after_all.code, 0, "{}", after_all.err);
    assert_eq!(statuses(&shop), ["replayed"]);
}

#[tokio::test]
async fn one_letter_can_be_repaired_in_an_editor() {
    let shop = Shop::open().await;
    misspell(&shop, "O-1", PLACED).await;
    shop.deliver(Stream::Orders, b"{ \"id\": \"torn").await;
    let id = shop.json(&["dead-letters", "list", "--code", "schema-violation"])[0]["id"].clone();
    let edit = |arguments: &[&str], editor: &str| {
        shop.run_with(&[&["dead-letters", "replay"], arguments].concat(), &[("EDITOR", editor)])
    };
    let several = edit(&["--edit", "--status", "all"], "true");
    assert_eq!(several.code, 2, "{}", several.err);
    let id = id.as_str().unwrap();
    let unchanged = edit(&["--id", id, "--edit", "--yes"], "true");
    assert!(unchanged.err.contains("changed nothing"), "{}", unchanged.err);
    let edited = edit(&["--id", id, "--edit", "--yes"], "sed -i s/yen/JPY/");
    assert_eq!(edited.code, 0, "{}", edited.err);
    assert_eq!(shop.json(&["order", "show", "O-1"])["order"]["currency"], "JPY");
    let acts = &shop.json(&["dead-letters", "show", id])["since"]["acts"];
    assert!(acts.to_string().contains("reveal"), "{acts}");

    let torn = shop.json(&["dead-letters", "list", "--code", "not-json"])[0]["id"].clone();
    let event = json!({
        "specversion": "1.0", "id": "e2", "source": "/shop", "type": "order-placed",
        "time": PLACED, "data": order_placed("O-2", "authorized"),
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), event.to_string()).unwrap();
    let replaced = edit(
        &["--id", torn.as_str().unwrap(), "--edit", "--yes"],
        &format!("cp {}", file.path().display()),
    );
    assert_eq!(replaced.code, 0, "{}", replaced.err);
    assert_adds_up(&shop.pool).await;
}

#[tokio::test]
async fn what_is_no_patch_is_wrong_usage() {
    let shop = Shop::open().await;
    misspell(&shop, "O-1", PLACED).await;
    for arguments in [
        &["--set", "/data/currency=JPY"][..],
        &["--set", "currency=1"],
        &["--set", "/a=1", "--edit"],
        &["--rate", "0"],
        &["--detach"],
    ] {
        assert_eq!(replay(&shop, arguments).code, 2, "{arguments:?}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    for patch in ["{}", "[]", "nonsense"] {
        std::fs::write(path, patch).unwrap();
        let ran = replay(&shop, &["--patch", path]);
        assert_eq!(ran.code, 2, "{patch}: {}", ran.err);
    }
    std::fs::write(path, r#"[{ "op": "replace", "path": "/data/currency", "value": "JPY" }]"#)
        .unwrap();
    assert_eq!(replay(&shop, &["--patch", path, "--yes"]).code, 0);
    let unknown = replay(&shop, &["--id", "0197f3a2-1c3e-7d40-9b1a-2f5f6f7a8b9c"]);
    assert_eq!(unknown.code, 1, "{}", unknown.err);
}

#[tokio::test]
async fn an_export_has_everything_but_personal_data() {
    let shop = Shop::open().await;
    misspell(&shop, "O-1", PLACED).await;
    shop.deliver(Stream::Payments, br#"{"buyer": "Hanako"#).await;
    let exported = shop.run(&["dead-letters", "export"]);
    let letters: Vec<Value> =
        exported.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0]["body"]["data"]["currency"], "yen");
    assert!(!exported.out.contains("Hanako"), "{}", exported.out);
    assert!(shop.run(&["dead-letters", "export", "--reveal"]).out.contains("Hanako"));
    assert_eq!(count(&shop.pool, "audit WHERE act = 'reveal'").await, 1);
}

#[tokio::test]
async fn a_repair_leaks_nothing_that_a_letter_hides() {
    let shop = Shop::open().await;
    let mut event = order_placed("O-1", "authorized");
    event["payment_code"] = json!("27182");
    let event = json!({
        "specversion": "1.0", "id": "e1", "source": "/shop", "type": "order-placed",
        "time": PLACED, "data": event,
    });
    shop.deliver(Stream::Orders, b"{ \"payment_code\": \"27182\", \"buyer_name\": \"Hanako\"")
        .await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), event.to_string()).unwrap();
    // What the editor was given is kept beside.
    let seen = tempfile::NamedTempFile::new().unwrap();
    let script = tempfile::NamedTempFile::new().unwrap();
    let (given, saved) = (seen.path().display(), file.path().display());
    std::fs::write(script.path(), format!("cp \"$1\" {given}; cp {saved} \"$1\"")).unwrap();
    let editor = format!("sh {}", script.path().display());
    let id = shop.json(&["dead-letters", "list"])[0]["id"].as_str().unwrap().to_owned();
    let arguments = ["dead-letters", "replay", "--id", &id, "--edit", "--yes"];
    let ran = shop.run_with(&arguments, &[("EDITOR", &editor)]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!std::fs::read_to_string(seen.path()).unwrap().contains("27182"));
    let jobs = shop.json(&["dead-letters", "jobs"]);
    let job = jobs[0]["job"].as_str().unwrap();
    let shown = shop.run(&["dead-letters", "jobs", "show", job]).out;
    for text in [jobs.to_string(), shown, ran.out] {
        assert!(!text.contains("Hanako") && !text.contains("27182"), "{text}");
    }
    let stored = "SELECT count(*) FROM replay_jobs j WHERE j::text LIKE '%27182%'";
    assert_eq!(sqlx::query_scalar::<_, i64>(stored).fetch_one(&shop.pool).await.unwrap(), 0);
}
