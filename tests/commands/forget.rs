//! `forget`: nothing personal is left anywhere, and every decision stays as it was.

use std::fs;
use std::path::Path;

use otodoke::contract::Stream;
use otodoke::pipeline::apply::Batch;
use otodoke::rules::CaseId;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, PgPool};
use tempfile::TempDir;

use crate::shop::{Shop, order_placed};

/// What of the buyer must not be found again.
const PERSONAL: [&str; 14] = [
    "Hanako",
    "Taro",
    "k2x9",
    "+81-3-1",
    "100-0001",
    "Chiyoda",
    "Tower",
    "Osaka",
    "530-0001",
    "birthday",
    "moving house",
    "too small",
    "wrapped in red",
    "subject-of-hanako",
];
/// What of another buyer has to stay.
const OTHERS: [&str; 4] = ["Jiro Ito", "j7@market.example", "060-0001", "for Jiro"];

fn order(order: &str, buyer: &str) -> Value {
    let mut placed = order_placed(order, "authorized");
    placed["buyer_id"] = json!(buyer);
    if buyer == "B2" {
        placed["buyer_name"] = json!("Jiro Ito");
        placed["relay_email"] = json!("j7@market.example");
        placed["phone"] = json!("+81-11-2");
        placed["ship_to"] = json!({
            "recipient": "Jiro Ito", "postal_code": "060-0001", "region": "Hokkaido",
            "city": "Sapporo", "address_lines": ["2-2"], "country": "JP",
        });
    }
    placed
}

fn message(id: &str, thread: &str, from: &str, members: Value) -> Value {
    let mut data =
        json!({ "message_id": id, "thread_id": thread, "seller_id": "S1", "from": from });
    data.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    data
}

/// What was woken is decided, and all that was ever derived is published: nothing waits.
async fn settle(shop: &Shop) {
    let woken = "SELECT DISTINCT case_key FROM wake_ups";
    let woken: Vec<String> = sqlx::query_scalar(woken).fetch_all(&shop.pool).await.unwrap();
    if !woken.is_empty() {
        let wake = woken.iter().map(|key| CaseId::from_key(key).unwrap()).collect();
        shop.door.apply(&Batch { wake, ..Batch::default() }).await.unwrap();
    }
    let publish = "WITH sent AS (DELETE FROM outbox RETURNING position)
                   INSERT INTO publications SELECT position, position, now() FROM sent";
    shop.pool.execute(publish).await.unwrap();
}

/// An archived order, two that can be shipped together, an inquiry found by its address, words
/// of all kinds, and dead letters; another buyer beside.
async fn shop() -> (Shop, TempDir) {
    let (shop, folder) = (Shop::open().await, tempfile::tempdir().unwrap());
    let take = async |kind: &str, id: &str, time: &str, data: Value| {
        shop.take(kind, id, time, data).await;
    };
    let mut old = order("O-0", "B1");
    old["gift_note"] = json!("wrapped in red");
    take("order-placed", "p0", "2026-03-01T09:00:00Z", old).await;
    let body = json!({ "order_id": "O-0", "body": "a birthday present" });
    take("message-sent", "m0", "2026-03-01T10:00:00Z", message("M0", "T0", "seller", body)).await;
    settle(&shop).await;
    let to = folder.path().to_str().unwrap();
    let gone = shop.json(&["prune", "--older-than", "0s", "--to", to, "--yes"]);
    assert_eq!(gone["orders"], 1);
    for (number, time) in [("O-1", "2026-03-02T09:00:00Z"), ("O-2", "2026-03-02T10:00:00Z")] {
        take("order-placed", &format!("p{number}"), time, order(number, "B1")).await;
    }
    take("order-placed", "p9", "2026-03-02T11:00:00Z", order("O-9", "B2")).await;
    let mut osaka = order_placed("O-2", "authorized")["ship_to"].clone();
    (osaka["city"], osaka["postal_code"]) = (json!("Osaka"), json!("530-0001"));
    let change = json!({ "order_id": "O-2", "actor": "marketplace", "ship_to": osaka });
    take("change-requested", "c2", "2026-03-02T10:04:00Z", change).await;
    let found = json!({ "relay_email": "K2X9@market.example", "body": "for my birthday" });
    take("message-sent", "m1", "2026-03-02T12:00:00Z", message("M1", "T1", "buyer", found)).await;
    let reply = json!({ "body": "Dear Hanako" });
    take("message-sent", "m2", "2026-03-02T13:00:00Z", message("M2", "T2", "seller", reply)).await;
    let own = json!({ "order_id": "O-1", "buyer_id": "B1", "body": "Hanako here" });
    take("message-sent", "m3", "2026-03-02T14:00:00Z", message("M3", "T2", "buyer", own)).await;
    let other = json!({ "order_id": "O-9", "buyer_id": "B2", "body": "for Jiro" });
    take("message-sent", "m9", "2026-03-02T14:00:00Z", message("M9", "T9", "buyer", other)).await;
    let cancel = json!({ "order_id": "O-1", "actor": "buyer", "reason": "moving house" });
    take("cancel-requested", "r1", "2026-03-02T15:00:00Z", cancel).await;
    let back = json!({ "order_id": "O-1", "thread_id": "T2", "reason": "too small" });
    take("return-requested", "r2", "2026-03-02T16:00:00Z", back).await;
    let subject = json!({
        "specversion": "1.0", "id": "s1", "source": "/shop", "type": "payment-authorized",
        "time": "2026-03-02T17:00:00Z", "subject": "subject-of-hanako",
        "data": { "order_id": "O-1", "attempt_id": "A1", "amount": 2480 },
    });
    shop.deliver(Stream::Payments, subject.to_string().as_bytes()).await;
    for (id, buyer) in [("x1", "B1"), ("x2", "B2")] {
        let mut wrong = order(&format!("X-{buyer}"), buyer);
        wrong["currency"] = json!("yen");
        take("order-placed", id, "2026-03-02T09:00:00Z", wrong).await;
    }
    let headers = "UPDATE dead_letters SET headers = '{}' WHERE event_id = 'x2'";
    shop.pool.execute(headers).await.unwrap();
    shop.deliver(Stream::Orders, br#"{"relay_email": "K2x9@Market.example", "#).await;
    settle(&shop).await;
    (shop, folder)
}

async fn texts(pool: &PgPool, query: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(pool).await.unwrap()
}

/// Every value of every column of every table, bytes as text.
async fn everything(pool: &PgPool) -> String {
    let columns = "
        SELECT format('SELECT %s FROM %I.%I WHERE %I IS NOT NULL',
                      CASE data_type WHEN 'bytea' THEN format('encode(%I, ''escape'')', column_name)
                                     ELSE format('%I::text', column_name) END,
                      table_schema, table_name, column_name)
        FROM information_schema.columns WHERE table_schema IN ('public', 'read_model')";
    let mut all = String::new();
    for statement in texts(pool, columns).await {
        all.push_str(&texts(pool, &statement).await.join("\n"));
        all.push('\n');
    }
    all
}

fn archive(folder: &Path) -> String {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// What was decided.
async fn decisions(pool: &PgPool) -> Vec<String> {
    let rows = "SELECT row_to_json(d)::text FROM derived_events d
        UNION ALL SELECT (to_jsonb(o) - '{buyer_name,relay_email,phone,ship_to,version,updated_at}'::text[])::text
                  FROM read_model.orders o
        UNION ALL SELECT row_to_json(t)::text FROM read_model.threads t
        UNION ALL SELECT row_to_json(r)::text FROM read_model.refunds r
        UNION ALL SELECT row_to_json(m)::text FROM (SELECT message_id, thread_id, order_id, sent_from,
                      topic, sent_at FROM read_model.messages) m";
    let mut rows = texts(pool, rows).await;
    rows.sort();
    rows
}

fn forget(shop: &Shop, folder: &TempDir, arguments: &[&str]) -> Value {
    let ran = run(shop, folder, arguments);
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

fn run(shop: &Shop, folder: &TempDir, arguments: &[&str]) -> crate::shop::Ran {
    let arguments = [&["forget", "--buyer", "B1", "--json"], arguments].concat();
    let variables =
        [("OTODOKE_ARCHIVE", folder.path().to_str().unwrap()), ("OTODOKE_OPERATOR", "Akiko")];
    shop.run_with(&arguments, &variables)
}

const YES: [&str; 3] = ["--reason", "asked for it", "--yes"];

async fn assert_as_before(shop: &Shop, before: &[String]) {
    assert_eq!(decisions(&shop.pool).await, before);
    let rebuilt = shop.run(&["rebuild", "--json"]);
    assert_eq!(rebuilt.code, 0, "{}", rebuilt.err);
    assert_eq!(rebuilt.out.lines().count(), 1, "nothing differs: {}", rebuilt.out);
    assert_eq!(decisions(&shop.pool).await, before, "after a rebuild");
    assert_eq!(shop.json(&["verify"])["adds_up"], true);
    let queued = texts(&shop.pool, "SELECT type FROM outbox").await;
    assert!(queued.is_empty(), "nothing is published: {queued:?}");
}

#[tokio::test]
async fn a_forgotten_buyer_leaves_no_trace_and_every_decision_stands() {
    let (shop, folder) = shop().await;
    let before = decisions(&shop.pool).await;
    let combined = "combined-shipping-available";
    assert!(before.iter().any(|row| row.contains(combined)), "the addresses count");
    assert!(before.iter().any(|row| row.contains("inquiry-ambiguous")), "so does the e-mail");
    let all = everything(&shop.pool).await;
    let dry = forget(&shop, &folder, &[]);
    assert_eq!(
        (&dry["forgotten"], &dry["orders"], &dry["dead_letters"]),
        (&json!(false), &json!(3), &json!(2))
    );
    assert_eq!(everything(&shop.pool).await, all, "a dry run changes nothing");
    for personal in PERSONAL {
        let file = archive(folder.path());
        assert!(all.contains(personal) || file.contains(personal), "{personal} was there");
    }

    let done = forget(&shop, &folder, &YES);
    assert_eq!((&done["forgotten"], &done["archive_files"]), (&json!(true), &json!(1)));
    for number in ["orders", "threads", "events", "dead_letters", "archived_events"] {
        assert_eq!(done[number], dry[number], "the dry run said so: {number}");
    }
    assert_as_before(&shop, &before).await;
    let (all, files) = (everything(&shop.pool).await, archive(folder.path()));
    for personal in PERSONAL {
        assert!(!all.contains(personal), "{personal} is still in the database");
        assert!(!files.contains(personal), "{personal} is still in the archive");
    }
    for other in OTHERS {
        assert!(all.contains(other), "{other} is gone");
    }
    let audit =
        "SELECT who || ' ' || act || ' ' || target || ' ' || (detail ->> 'reason') FROM audit
                 WHERE act = 'forget'";
    assert_eq!(texts(&shop.pool, audit).await, ["Akiko forget B1 asked for it"]);
    let salts = "SELECT encode(salt, 'hex') FROM forgettings WHERE salt IS NOT NULL";
    assert!(texts(&shop.pool, salts).await.is_empty(), "nobody can turn a pseudonym back");

    // What was archived comes back, and is decided as it was.
    shop.run_with(
        &["prune", "--restore", "O-0"],
        &[("OTODOKE_ARCHIVE", folder.path().to_str().unwrap())],
    );
    let restored = decisions(&shop.pool).await;
    assert!(restored.len() > before.len());
    assert_eq!(shop.run(&["rebuild", "--json"]).out.lines().count(), 1);
    let all = everything(&shop.pool).await;
    assert!(!PERSONAL.iter().any(|personal| all.contains(personal)), "it comes back without them");
    let again = forget(&shop, &folder, &YES);
    assert_eq!((&again["events"], &again["dead_letters"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn what_a_processor_remembers_is_not_used_after_a_buyer_is_forgotten() {
    let (shop, folder) = shop().await;
    // The door has just decided O-1, and remembers it.
    let paid = json!({ "order_id": "O-1", "attempt_id": "A2", "amount": 2480 });
    shop.take("payment-authorized", "a2", "2026-03-02T18:00:00Z", paid).await;
    forget(&shop, &folder, &YES);
    let package = json!({ "order_id": "O-1", "package_id": "P1" });
    shop.take("shipment-dispatched", "d1", "2026-03-03T09:00:00Z", package).await;
    let row =
        "SELECT status || ' ' || coalesce(buyer_name, '-') || ' ' || (ship_to ->> 'postal_code')
               FROM read_model.orders WHERE order_id = 'O-1'";
    let row = texts(&shop.pool, row).await.remove(0);
    assert!(row.starts_with("shipped - forgotten-"), "{row}");
    let all = everything(&shop.pool).await;
    assert!(!PERSONAL.iter().any(|personal| all.contains(personal)));
}

#[tokio::test]
async fn one_that_was_interrupted_is_run_again_and_equal_stays_equal() {
    let (shop, folder) = shop().await;
    let (before, all) = (decisions(&shop.pool).await, everything(&shop.pool).await);
    // The last statement of all fails: archives are written, and the database isn't.
    shop.pool
        .execute("ALTER TABLE audit ADD CONSTRAINT no_more CHECK (act <> 'forget')")
        .await
        .unwrap();
    let failed = run(&shop, &folder, &YES);
    assert_eq!(failed.code, 1);
    assert!(!archive(folder.path()).contains("Hanako"), "so far it came");
    let salts = "SELECT encode(salt, 'hex') FROM forgettings";
    let salt = texts(&shop.pool, salts).await.remove(0);
    let now = everything(&shop.pool).await;
    assert!(OTHERS.iter().chain(&["Hanako"]).all(|text| now.contains(text) == all.contains(text)));
    shop.pool.execute("ALTER TABLE audit DROP CONSTRAINT no_more").await.unwrap();
    forget(&shop, &folder, &YES);
    assert_as_before(&shop, &before).await;
    assert!(!salt.is_empty() && !everything(&shop.pool).await.contains(&salt));
    let keys = "SELECT DISTINCT address_key FROM releases WHERE order_id IN ('O-0', 'O-1')";
    let keys = texts(&shop.pool, keys).await;
    assert_eq!(keys.len(), 1, "the same address in the archive and in the database: {keys:?}");
    let pseudonym = keys[0].strip_suffix("forgotten").unwrap();
    assert!(archive(folder.path()).contains(pseudonym));
}

#[tokio::test]
async fn what_cannot_be_reached_is_named_before_anything_is_changed() {
    let (shop, folder) = shop().await;
    let all = everything(&shop.pool).await;
    let no_reason = shop.run(&["forget", "--buyer", "B1", "--yes"]);
    assert_eq!(no_reason.code, 2, "{}", no_reason.err);
    let no_folder = shop.run(&[&["forget", "--buyer", "B1"], &YES[..]].concat());
    assert_eq!(no_folder.code, 1);
    assert!(no_folder.err.contains("OTODOKE_ARCHIVE"), "{}", no_folder.err);
    let elsewhere = tempfile::tempdir().unwrap();
    let missing = run(&shop, &elsewhere, &YES);
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains(".ndjson"), "{}", missing.err);
    let before = everything(&shop.pool).await.replace('\n', "");
    assert!(all.lines().all(|line| before.contains(line)), "all that was there is there");
    let without = [&YES[..], &["--without-archives"]].concat();
    let done = forget(&shop, &elsewhere, &without);
    assert_eq!(done["archives_left_out"], 1);
    assert!(archive(folder.path()).contains("Hanako"));
}

#[tokio::test]
async fn a_letter_that_is_about_to_be_replayed_is_left_to_its_job() {
    let (shop, folder) = shop().await;
    let letters = shop.json(&["dead-letters", "list", "--type", "order-placed"]);
    let waiting = "INSERT INTO replay_jobs (id, submitted_by, submitted_at, filter, letters, canary, max_failures)
                   VALUES ('0197f3a2-1c3e-7d40-9b1a-2f5f6f7a8b9c', 'Akiko', now(), '{}', 2, 0, 0)";
    shop.pool.execute(waiting).await.unwrap();
    for (position, letter) in (1i64..).zip(letters.as_array().unwrap()) {
        let claim = "INSERT INTO replay_letters (job, position, letter)
                     VALUES ('0197f3a2-1c3e-7d40-9b1a-2f5f6f7a8b9c', $1, $2::uuid)";
        let id = letter["id"].as_str().unwrap();
        sqlx::query(claim).bind(position).bind(id).execute(&shop.pool).await.unwrap();
    }
    let refused = run(&shop, &folder, &YES);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("jobs cancel 0197f3a2"), "{}", refused.err);
    assert!(everything(&shop.pool).await.contains("Hanako"), "nothing was changed");
    assert_eq!(
        shop.run(&["dead-letters", "jobs", "cancel", "0197f3a2-1c3e-7d40-9b1a-2f5f6f7a8b9c"]).code,
        0
    );
    forget(&shop, &folder, &YES);
    let open = shop.json(&["dead-letters", "list", "--status", "all"]);
    let emptied = open.as_array().unwrap().iter().filter(|letter| letter["status"] == "discarded");
    assert_eq!(emptied.count(), 2, "{open}");
}

#[tokio::test]
async fn an_address_that_buyers_share_goes_from_both_and_still_finds_both() {
    let (shop, folder) = (Shop::open().await, tempfile::tempdir().unwrap());
    for buyer in ["B1", "B2"] {
        let mut placed = order_placed(&format!("O-{buyer}"), "authorized");
        placed["buyer_id"] = json!(buyer);
        placed["buyer_name"] = json!(format!("name of {buyer}"));
        shop.take("order-placed", buyer, "2026-03-02T09:00:00Z", placed).await;
    }
    let found = json!({ "relay_email": "k2x9@market.example" });
    shop.take("message-sent", "m1", "2026-03-02T12:00:00Z", message("M1", "T1", "buyer", found))
        .await;
    settle(&shop).await;
    let before = decisions(&shop.pool).await;
    assert!(before.iter().any(|row| row.contains("inquiry-ambiguous")));
    let done = forget(&shop, &folder, &YES);
    assert_eq!(done["shared_events"], 1);
    assert_as_before(&shop, &before).await;
    let all = everything(&shop.pool).await.to_lowercase();
    assert!(!all.contains("k2x9") && !all.contains("name of b1") && all.contains("name of b2"));
}
