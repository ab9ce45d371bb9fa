//! `prune`: what goes, what stays, and how it comes back.

use std::path::Path;

use otodoke::contract::RejectionCode;
use otodoke::pipeline::apply::{Batch, Outcome};
use otodoke::rules::CaseId;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, PgPool};
use tempfile::TempDir;

use crate::shop::{Ran, Shop, order_placed};

/// What was woken is decided, and all that was ever derived is published: nothing waits.
async fn settle(shop: &Shop) {
    let pool = &shop.pool;
    let woken = "SELECT DISTINCT case_key FROM wake_ups";
    let woken: Vec<String> = sqlx::query_scalar(woken).fetch_all(pool).await.unwrap();
    if !woken.is_empty() {
        let wake = woken.iter().map(|key| CaseId::from_key(key).unwrap()).collect();
        shop.door.apply(&Batch { wake, ..Batch::default() }).await.unwrap();
    }
    let publish = "WITH sent AS (DELETE FROM outbox RETURNING position)
                   INSERT INTO publications SELECT position, position, now() FROM sent";
    pool.execute(publish).await.unwrap();
}

/// Two orders that are over, one of them shipped.
async fn shop() -> (Shop, TempDir) {
    let shop = Shop::open().await;
    shop.place("O-1", "2026-03-01T09:00:00Z").await;
    shop.place("O-2", "2026-03-02T09:00:00Z").await;
    let package = json!({ "order_id": "O-1", "package_id": "P1" });
    shop.take("shipment-dispatched", "d1", "2026-03-02T09:00:00Z", package).await;
    settle(&shop).await;
    (shop, tempfile::tempdir().unwrap())
}

fn path(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

fn prune(shop: &Shop, folder: &Path) -> Value {
    shop.json(&["prune", "--older-than", "0s", "--to", folder.to_str().unwrap(), "--yes"])
}

fn replay(shop: &Shop, folder: &str, arguments: &[&str]) -> Ran {
    let arguments = [&["dead-letters", "replay", "--code", "case-pruned"], arguments].concat();
    shop.run_with(&arguments, &[("OTODOKE_ARCHIVE", folder)])
}

/// A package of O-1 has arrived.
async fn deliver_late(shop: &Shop) -> Outcome {
    let delivered = json!({ "order_id": "O-1", "package_id": "P1", "status": "delivered" });
    shop.take("shipment-updated", "late", "2026-03-05T09:00:00Z", delivered).await
}

async fn number(pool: &PgPool, query: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(pool).await.unwrap()
}

const TABLES: [(&str, &str); 11] = [
    ("cases", "key"),
    ("history", "case_key"),
    ("event_keys", "encode(key, 'hex')"),
    ("derived_events", "case_key"),
    ("threads", "case_key"),
    ("read_model.orders", "order_id"),
    ("read_model.order_lines", "order_id"),
    ("read_model.packages", "order_id"),
    ("read_model.refunds", "order_id"),
    ("read_model.guarantees", "order_id"),
    ("identities", "order_id"),
];

/// Everything that is stored of all cases, to the letter.
async fn picture(pool: &PgPool) -> Vec<String> {
    let mut rows = Vec::new();
    for (table, _) in TABLES {
        let statement = format!("SELECT '{table} ' || row_to_json(t)::text FROM {table} t");
        let found: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(statement)).fetch_all(pool).await.unwrap();
        rows.extend(found);
    }
    rows.sort();
    rows
}

#[tokio::test]
async fn what_is_over_is_archived_and_comes_back_to_the_letter() {
    let (shop, folder) = shop().await;
    let wrong =
        "UPDATE history SET unread = '{ \"n\": 1.50,  \"big\": 123456789012345678901234567890 }'
                 WHERE event_id = 'd1'";
    shop.pool.execute(wrong).await.unwrap();
    let before = picture(&shop.pool).await;
    let dry = shop.json(&["prune", "--older-than", "0s"]);
    assert_eq!(
        (&dry["archived"], &dry["orders"], &dry["events"]),
        (&json!(false), &json!(2), &json!(3))
    );
    assert_eq!(picture(&shop.pool).await, before, "a dry run changes nothing");
    let recent = shop.json(&["prune", "--older-than", "1d"]);
    assert_eq!((&recent["orders"], &recent["stay"]), (&json!(0), &json!({})));

    let done = prune(&shop, folder.path());
    assert_eq!(
        (&done["archived"], &done["orders"], &done["events"]),
        (&json!(true), &json!(2), &json!(3))
    );
    for (table, column) in
        TABLES.iter().filter(|(table, _)| !["event_keys", "identities"].contains(table))
    {
        let left = format!("SELECT count(*) FROM {table} WHERE {column} LIKE '%O-1'");
        assert_eq!(number(&shop.pool, &left).await, 0, "{table}");
    }
    let file = done["files"][0].as_str().unwrap();
    assert!(folder.path().join(file).is_file());
    let found = shop.json(&["verify"]);
    assert_eq!(
        (&found["adds_up"], &found["history"], &found["archived"]),
        (&json!(true), &json!(0), &json!(3))
    );
    assert!(shop.run(&["verify"]).out.contains("archived"));
    let since = shop.run(&["verify", "--since", "2020-01-01"]);
    assert_eq!(since.code, 1);
    assert!(since.err.contains("is archived"), "{}", since.err);
    assert_eq!(shop.run(&["verify", "--since", "2999-01-01"]).code, 0);
    for command in [
        &["order", "show", "O-1"][..],
        &["order", "explain", "O-1"],
        &["rebuild", "--order", "O-1"],
    ] {
        let ran = shop.run(command);
        assert_eq!(ran.code, 1, "{command:?}");
        assert!(ran.err.contains(file) && ran.err.contains("prune --restore O-1"), "{}", ran.err);
    }

    let unfound = shop.run(&["order", "find", "--number", "O-1"]);
    assert!(unfound.code == 0 && unfound.err.contains(file), "{}", unfound.err);

    let restore = |folder: &str| {
        shop.run_with(&["prune", "--restore", "O-1", "O-2"], &[("OTODOKE_ARCHIVE", folder)])
    };
    let ran = restore(path(&folder));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains(&format!("O-1 restored from {file}")), "{}", ran.out);
    assert_eq!(picture(&shop.pool).await, before);
    assert_eq!(shop.json(&["verify"])["archived"], 0);
    let again = restore(path(&folder));
    assert_eq!((again.code, again.err.contains("not archived")), (0, true), "{}", again.err);
    assert_eq!(
        number(&shop.pool, "SELECT count(*) FROM outbox").await,
        0,
        "nothing goes out twice"
    );
    let rebuilt = shop.json(&["rebuild"]);
    assert_eq!((&rebuilt["derived"], &rebuilt["withdrawn"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn what_comes_late_is_a_dead_letter_whose_replay_restores_the_order() {
    let (shop, folder) = shop().await;
    let derived = "SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY sequence), '[]')
                   FROM derived_events d WHERE case_key = 'o/O-1'";
    let standing =
        async || -> Value { sqlx::query_scalar(derived).fetch_one(&shop.pool).await.unwrap() };
    let before = standing().await;
    assert!(!before.as_array().unwrap().is_empty());
    let file = prune(&shop, folder.path())["files"][0].as_str().unwrap().to_owned();

    let repeated = shop.place("O-1", "2026-03-01T09:00:00Z");
    repeated.await;
    assert_eq!(
        number(&shop.pool, "SELECT duplicates FROM ledger ORDER BY id DESC LIMIT 1").await,
        1
    );
    let late = deliver_late(&shop).await;
    assert_eq!((late.accepted, late.dead), (0, [(RejectionCode::CasePruned, 1)].into()));
    assert_eq!(number(&shop.pool, "SELECT count(*) FROM cases").await, 0, "no case is opened");
    let again = deliver_late(&shop).await;
    assert_eq!((again.duplicates, again.dead.len()), (0, 1), "its key was not kept");
    let letter = shop.json(&["dead-letters", "list"])[0].clone();
    assert_eq!((&letter["pointer"], &letter["attempts"]), (&json!("/data/order_id"), &json!(2)));
    assert!(letter["detail"].as_str().unwrap().contains(&file), "{letter}");
    assert_eq!(shop.json(&["verify"])["adds_up"], true);

    let dry = replay(&shop, path(&folder), &[]);
    assert_eq!(dry.code, 0, "{}{}", dry.out, dry.err);
    assert!(dry.out.contains(&format!("restores O-1 from {file}")), "{}", dry.out);
    assert_eq!(number(&shop.pool, "SELECT count(*) FROM cases").await, 0);
    let ran = replay(&shop, path(&folder), &["--yes"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(standing().await, before, "the same events stand, under the same ids");
    assert_eq!(number(&shop.pool, "SELECT count(*) FROM outbox WHERE derived").await, 0);
    assert_eq!(shop.json(&["order", "show", "O-1"])["packages"][0]["status"], "delivered");
    assert_eq!(number(&shop.pool, "SELECT count(*) FROM pruned_cases").await, 1, "O-2 stays");
    let found = shop.json(&["verify"]);
    assert_eq!(
        (&found["adds_up"], &found["history"], &found["archived"]),
        (&json!(true), &json!(3), &json!(1))
    );
}

#[tokio::test]
async fn a_replay_that_finds_no_archive_names_it_and_can_be_tried_again() {
    let (shop, folder) = shop().await;
    let file = prune(&shop, folder.path())["files"][0].as_str().unwrap().to_owned();
    deliver_late(&shop).await;
    let untold = shop.run(&["dead-letters", "replay", "--code", "case-pruned"]);
    assert_eq!(untold.code, 1);
    assert!(untold.err.contains("OTODOKE_ARCHIVE"), "{}", untold.err);
    let elsewhere = tempfile::tempdir().unwrap();
    let lost = replay(&shop, path(&elsewhere), &["--yes"]);
    assert_eq!(lost.code, 1, "{}{}", lost.out, lost.err);
    let detail = shop.json(&["dead-letters", "list"])[0]["detail"].clone();
    let named = elsewhere.path().join(&file).display().to_string();
    assert!(detail.as_str().unwrap().contains(&named), "{detail}");
    let by_hand =
        shop.run_with(&["prune", "--restore", "O-1"], &[("OTODOKE_ARCHIVE", path(&elsewhere))]);
    assert!(by_hand.code == 1 && by_hand.err.contains(&named), "{}", by_hand.err);
    let mut changed = std::fs::read(folder.path().join(&file)).unwrap();
    let place = changed.windows(4).position(|bytes| bytes == b"990,").unwrap();
    changed[place] = b'1';
    std::fs::write(elsewhere.path().join(&file), changed).unwrap();
    let forged = replay(&shop, path(&elsewhere), &["--yes"]);
    assert_eq!(forged.code, 1);
    let detail = shop.json(&["dead-letters", "list"])[0]["detail"].clone();
    assert!(detail.as_str().unwrap().contains("was changed"), "{detail}");
    assert_eq!(replay(&shop, path(&folder), &["--yes"]).code, 0);
    assert_eq!(shop.json(&["verify"])["adds_up"], true);
}

#[tokio::test]
async fn what_is_open_stays() {
    let shop = Shop::open().await;
    // Of several buyers: none of them looks at another.
    let place = async |order: &str| {
        let mut placed = order_placed(order, "authorized");
        placed["buyer_id"] = json!(order);
        if order == "O-deadline" {
            placed["latest_ship_at"] = json!("2199-01-01T00:00:00Z");
        }
        shop.take("order-placed", order, "2026-03-01T09:00:00Z", placed).await;
    };
    for order in ["O-refund", "O-letter", "O-parked", "O-deadline"] {
        place(order).await;
    }
    let package = json!({ "order_id": "O-refund", "package_id": "P1" });
    shop.take("shipment-dispatched", "d1", "2026-03-02T09:00:00Z", package).await;
    let returned = json!({ "order_id": "O-refund", "package_id": "P1", "status": "returned" });
    shop.take("shipment-updated", "r1", "2026-03-03T09:00:00Z", returned).await;
    let wrong = json!({ "order_id": "O-letter", "granted": "yes" });
    shop.take("consent-recorded", "c1", "2026-03-03T09:00:00Z", wrong).await;
    settle(&shop).await;
    let park = "UPDATE cases SET parked_until = now(), next_at = now(), parked_attempts = 1,
                parked_error = 'x' WHERE key = 'o/O-parked'";
    shop.pool.execute(park).await.unwrap();
    place("O-unpublished").await;
    place("O-woken").await;
    let publish = "WITH sent AS (
                       DELETE FROM outbox WHERE case_key = 'o/O-woken' RETURNING position)
                   INSERT INTO publications SELECT position, position, now() FROM sent";
    shop.pool.execute(publish).await.unwrap();
    let wake =
        "INSERT INTO wake_ups (case_key, announce, due_at) VALUES ('o/O-woken', false, now())";
    shop.pool.execute(wake).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let found = prune(&shop, folder.path());
    let expected = json!({
        "deadline": 1, "refund": 1, "dead-letter": 1, "parked": 1, "unpublished": 1, "woken-up": 1,
    });
    assert_eq!((&found["orders"], &found["stay"]), (&json!(0), &expected));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no empty file is written");

    let issued = json!({ "order_id": "O-refund", "refund_id": "R1", "amount": 2480 });
    shop.take("payment-refunded", "i1", "2026-03-04T09:00:00Z", issued).await;
    settle(&shop).await;
    let text = shop.run(&["prune", "--older-than", "0s"]);
    assert!(text.out.contains("a deadline is to come"), "{}", text.out);
    assert_eq!(prune(&shop, folder.path())["orders"], 3, "the refund is issued, and all is sent");
}

#[tokio::test]
async fn when_the_case_is_not_deleted_after_the_file_was_written_nothing_is_lost_and_nothing_twice()
{
    let (shop, folder) = shop().await;
    let before = picture(&shop.pool).await;
    for statement in [
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'died'; END $$",
        "CREATE TRIGGER die BEFORE DELETE ON cases FOR EACH ROW EXECUTE FUNCTION die()",
    ] {
        shop.pool.execute(statement).await.unwrap();
    }
    let died = shop.run(&["prune", "--older-than", "0s", "--to", path(&folder), "--yes"]);
    assert_eq!(died.code, 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the file is there");
    assert_eq!(picture(&shop.pool).await, before, "and so are the cases");
    assert_eq!(shop.json(&["verify"])["adds_up"], true);

    shop.pool.execute("DROP TRIGGER die ON cases").await.unwrap();
    let done = prune(&shop, folder.path());
    assert_eq!(
        (&done["orders"], std::fs::read_dir(folder.path()).unwrap().count()),
        (&json!(2), 2)
    );
    deliver_late(&shop).await;
    assert_eq!(replay(&shop, path(&folder), &["--yes"]).code, 0);
    assert_eq!(shop.json(&["verify"])["adds_up"], true);
}

#[tokio::test]
async fn where_nothing_can_be_written_nothing_is_deleted() {
    let (shop, folder) = shop().await;
    let before = picture(&shop.pool).await;
    let nowhere = shop.run(&["prune", "--older-than", "0s", "--to", "/nonexistent", "--yes"]);
    assert!(nowhere.code == 1 && nowhere.err.contains("make it first"), "{}", nowhere.err);
    let untold = shop.run(&["prune", "--older-than", "0s", "--yes"]);
    assert!(untold.code == 2 && untold.err.contains("--to"), "{}", untold.err);
    // As on a disk that is full: nothing can be written to a file.
    let full = format!(
        "trap '' XFSZ; ulimit -f 0; exec '{}' prune --older-than 0s --to '{}' --yes",
        env!("CARGO_BIN_EXE_otodoke"),
        path(&folder)
    );
    let full = shop.shell(&full, &std::env::var_os("PATH").unwrap());
    assert!(full.code == 1 && full.err.contains("nothing of it was deleted"), "{}", full.err);
    assert!(full.err.contains("can't be written"), "{}", full.err);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(picture(&shop.pool).await, before);
}

#[tokio::test]
async fn one_prune_runs_at_a_time() {
    let (shop, folder) = shop().await;
    let mut other = shop.pool.acquire().await.unwrap();
    assert!(otodoke::store::pruning::try_lease(&mut other).await.unwrap());
    let second = shop.run(&["prune", "--older-than", "0s", "--to", path(&folder), "--yes"]);
    assert!(second.code == 1 && second.err.contains("another `otodoke prune`"), "{}", second.err);
}

fn message(id: &str, thread: &str, order: Option<&str>) -> Value {
    json!({
        "message_id": id, "thread_id": thread, "order_id": order, "seller_id": "S1",
        "buyer_id": "B1", "from": "buyer", "topic": "other", "automatic": true, "body": "…",
    })
}

#[tokio::test]
async fn an_order_and_its_threads_go_together_or_not_at_all() {
    let (shop, folder) = shop().await;
    shop.take("message-sent", "m1", "2026-03-06T09:00:00Z", message("M1", "T1", Some("O-1"))).await;
    shop.take("message-sent", "m2", "2026-03-07T09:00:00Z", message("M2", "T1", None)).await;
    let wrong = json!({ "message_id": "M9", "thread_id": "T1" });
    shop.take("message-sent", "m9", "2026-03-08T09:00:00Z", wrong).await;
    settle(&shop).await;
    let found = prune(&shop, folder.path());
    assert_eq!((&found["orders"], &found["stay"]), (&json!(1), &json!({ "dead-letter": 2 })));
    shop.pool.execute("UPDATE dead_letters SET status = 'discarded'").await.unwrap();
    let found = prune(&shop, folder.path());
    assert_eq!(
        (&found["orders"], &found["threads"], &found["events"]),
        (&json!(1), &json!(1), &json!(4))
    );

    let late =
        shop.take("message-sent", "m3", "2026-03-09T09:00:00Z", message("M3", "T1", None)).await;
    assert_eq!(late.dead, [(RejectionCode::CasePruned, 1)].into());
    let letter = shop.json(&["dead-letters", "list", "--code", "case-pruned"])[0].clone();
    assert_eq!(letter["pointer"], "/data/thread_id");
    let explained = shop.run(&["order", "explain", "thread:T1"]);
    assert!(explained.err.contains("a thread T1 was archived"), "{}", explained.err);
    assert_eq!(replay(&shop, path(&folder), &["--yes"]).code, 0);
    assert_eq!(shop.json(&["order", "show", "O-1"])["messages"].as_array().unwrap().len(), 3);
    assert_eq!(shop.json(&["verify"])["adds_up"], true);
}

#[tokio::test]
async fn an_inquiry_that_finds_an_archived_order_waits_for_its_return() {
    let shop = Shop::open().await;
    let folder = tempfile::tempdir().unwrap();
    shop.place("O-1", "2026-03-01T09:00:00Z").await;
    settle(&shop).await;
    prune(&shop, folder.path());
    // Its thread is new, and it names no order: the lookup finds the one that is archived.
    let mut asks = message("M1", "T9", None);
    asks["automatic"] = json!(false);
    let asks = shop.received("message-sent", "m1", "2026-03-10T09:00:00Z", asks);
    let batch = Batch { received: vec![asks], ..Batch::default() };
    let outcome = shop.door.apply_isolating(batch).await.unwrap();
    assert_eq!(outcome.dead, [(RejectionCode::CasePruned, 1)].into());
    let letter = shop.json(&["dead-letters", "list"])[0].clone();
    assert_eq!(letter["pointer"], Value::Null, "{letter}");
    let dry = replay(&shop, path(&folder), &[]);
    assert!(dry.out.contains("restores O-1 from"), "{}{}", dry.out, dry.err);
    let ran = replay(&shop, path(&folder), &["--yes"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(shop.json(&["order", "show", "O-1"])["messages"][0]["message_id"], "M1");
    assert_eq!(shop.json(&["verify"])["adds_up"], true);
}

#[tokio::test]
async fn an_order_that_an_archived_thread_asked_for_waits_for_its_return() {
    let shop = Shop::open().await;
    let folder = tempfile::tempdir().unwrap();
    let mut asks = message("M1", "T1", None);
    asks["automatic"] = json!(false);
    shop.take("message-sent", "m1", "2026-03-10T09:00:00Z", asks).await;
    settle(&shop).await;
    assert_eq!(prune(&shop, folder.path())["threads"], 1);
    let placed = order_placed("O-1", "authorized");
    let placed = shop.received("order-placed", "p1", "2026-03-09T09:00:00Z", placed);
    let batch = Batch { received: vec![placed], ..Batch::default() };
    let outcome = shop.door.apply_isolating(batch).await.unwrap();
    assert_eq!(outcome.dead, [(RejectionCode::CasePruned, 1)].into());
    let ran = replay(&shop, path(&folder), &["--yes"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    // As the timers of a processor would.
    let wake = vec![CaseId::from_key("t/T1").unwrap()];
    shop.door.apply(&Batch { wake, ..Batch::default() }).await.unwrap();
    assert_eq!(shop.json(&["order", "show", "O-1"])["messages"][0]["message_id"], "M1");
    assert_eq!(shop.json(&["verify"])["adds_up"], true);
}

#[tokio::test]
async fn the_history_has_a_table_for_each_month_and_empty_ones_go() {
    let (shop, folder) = shop().await;
    let tables = "SELECT array_to_json(array(SELECT DISTINCT tableoid::regclass::text FROM history
                  ORDER BY 1))";
    let tables =
        async || -> Value { sqlx::query_scalar(tables).fetch_one(&shop.pool).await.unwrap() };
    let this_month = number(&shop.pool, "SELECT count(*) FROM history_default").await;
    assert_eq!(this_month, 0, "the month at hand has a table");
    // Opened long ago, and its month has no table.
    shop.pool.execute("UPDATE cases SET opened_at = '2019-05-31T23:00:00Z'").await.unwrap();
    shop.pool.execute("UPDATE history SET opened = '2019-05-01'").await.unwrap();
    assert_eq!(tables().await, json!(["history_default"]));
    let noted = json!({ "order_id": "O-1", "package_id": "P1", "status": "in-transit" });
    shop.take("shipment-updated", "u1", "2026-03-03T09:00:00Z", noted).await;
    otodoke::store::migrate(&shop.pool).await.unwrap();
    assert_eq!(tables().await, json!(["history_2019_05"]), "what stood astray was moved");
    shop.take(
        "shipment-updated",
        "u2",
        "2026-03-04T09:00:00Z",
        json!({ "order_id": "O-1", "package_id": "P1", "status": "out-for-delivery" }),
    )
    .await;
    assert_eq!(shop.json(&["order", "show", "O-1"])["packages"][0]["status"], "out-for-delivery");
    settle(&shop).await;
    assert_eq!(prune(&shop, folder.path())["dropped_months"], json!(["2019-05"]));
    deliver_late(&shop).await;
    assert_eq!(replay(&shop, path(&folder), &["--yes"]).code, 0);
    assert_eq!(tables().await, json!(["history_default"]));
    assert_eq!(shop.json(&["order", "show", "O-1"])["packages"][0]["status"], "delivered");
}

#[tokio::test]
async fn a_message_that_moves_to_another_case_moves_to_its_month() {
    let shop = Shop::open().await;
    let mut asks = message("M1", "T1", None);
    asks["automatic"] = json!(false);
    shop.take("message-sent", "m1", "2026-03-10T09:00:00Z", asks).await;
    shop.pool.execute("UPDATE cases SET opened_at = '2019-05-31T23:00:00Z'").await.unwrap();
    shop.pool.execute("UPDATE history SET opened = '2019-05-01'").await.unwrap();
    shop.place("O-1", "2026-03-09T09:00:00Z").await;
    let wake = vec![CaseId::from_key("t/T1").unwrap()];
    shop.door.apply(&Batch { wake, ..Batch::default() }).await.unwrap();
    let astray = "SELECT count(*) FROM history h JOIN cases c ON c.key = h.case_key
                  WHERE h.opened <> date_trunc('month', c.opened_at AT TIME ZONE 'UTC')";
    assert_eq!(number(&shop.pool, astray).await, 0);
    let at_home = "SELECT count(*) FROM history WHERE case_key = 'o/O-1'";
    assert_eq!(number(&shop.pool, at_home).await, 2);
    assert_eq!(number(&shop.pool, "SELECT count(*) FROM history_default").await, 0);
}
