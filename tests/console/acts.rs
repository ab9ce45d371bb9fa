//! Dead letters tried, replayed, stopped and discarded; the ledger and the deadlines.

use std::time::Duration;

use super::Console;
use super::support::wait_until;

const MEND: (&str, &str) = ("repair", "/data/currency=\"JPY\"");
const CODE: (&str, &str) = ("code", "schema-violation");

async fn open_letters(console: &Console) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM dead_letters WHERE status = 'open'")
        .fetch_one(&console.shop.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_group_is_repaired_tried_and_replayed() {
    let console = Console::open().await;
    console.misspell(5).await;
    let tried =
        console.client.post("/dead-letters/replay", &[CODE, MEND, ("act", "try")]).ok().body;
    for told in
        ["id=\"would-accept\">5<", "shipment-required", "rolled back", "value=\"replay\"", "JPY"]
    {
        assert!(tried.contains(told), "{told}: {tried}");
    }
    assert_eq!(open_letters(&console).await, 5, "a dry run changes nothing");

    let wrong = ("repair", "/data/currency=1");
    let refused =
        console.client.post("/dead-letters/replay", &[CODE, wrong, ("act", "replay")]).ok();
    assert!(refused.body.contains("leaves some letters invalid"));

    let sent = console.client.post("/dead-letters/replay", &[CODE, MEND, ("act", "replay")]);
    assert_eq!(sent.status, 303, "{}", sent.body);
    let job = sent.header("location").unwrap().to_owned();
    wait_until(Duration::from_secs(60), "the replay is done", async || {
        console.client.get(&job).ok().body.contains("tag done")
    })
    .await;
    assert_eq!(open_letters(&console).await, 0);
    assert!(console.client.get("/orders/W-4").ok().body.contains("order-placed"));
    let acts = console.acts("replay").await;
    assert_eq!(acts.len(), 1);
    assert_eq!(acts[0].0, "hanako");
    assert!(console.client.get("/replays").ok().body.contains("hanako"));
    let ledger = console.client.get("/ledger?period=all").ok().body;
    assert!(ledger.contains("Everything adds up"), "{ledger}");
}

#[tokio::test]
async fn a_replay_is_paused_resumed_and_ended() {
    let console = Console::open().await;
    console.misspell(40).await;
    let slow = [CODE, MEND, ("rate", "1"), ("act", "replay")];
    let sent = console.client.post("/dead-letters/replay", &slow);
    let job = sent.header("location").unwrap().to_owned();
    let turn = |act: &str| console.client.post(&job, &[("act", act)]);
    assert_eq!(turn("pause").status, 303);
    let page = console.client.get(&job).ok().body;
    assert!(page.contains("tag paused") && page.contains("value=\"resume\""), "{page}");
    assert_eq!(turn("pause").status, 409);
    assert_eq!(turn("resume").status, 303);
    assert_eq!(turn("cancel").status, 303);
    assert!(console.client.get(&job).ok().body.contains("tag cancelled"));
    assert_eq!((turn("nonsense").status, turn("cancel").status), (422, 409));
    assert_eq!(console.acts("pause").await.len(), 1);
    assert_eq!(console.acts("cancel").await[0].0, "hanako");
}

#[tokio::test]
async fn letters_are_discarded_for_a_reason_only() {
    let console = Console::open().await;
    console.misspell(2).await;
    let form = console.client.get("/dead-letters/discard?code=schema-violation").ok().body;
    assert!(form.contains("<b>2</b>"), "{form}");
    let without = console.client.post("/dead-letters/discard", &[CODE, ("reason", " ")]).ok();
    assert!(without.body.contains("A reason is needed") && open_letters(&console).await == 2);
    let done = console.client.post("/dead-letters/discard", &[CODE, ("reason", "a test")]).ok();
    assert!(done.body.contains("2 discarded"), "{}", done.body);
    assert_eq!(console.acts("discard").await.len(), 2);
}

#[tokio::test]
async fn deadlines_are_listed_and_simulated() {
    let console = Console::open().await;
    let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let data = super::order_placed("O-1", "authorized");
    let received = console.shop.received("order-placed", "e1", &now, data);
    let received = otodoke::pipeline::apply::Received {
        judged: {
            let body = received.body.clone();
            let message = otodoke::contract::Message {
                body: &body,
                content_type: Some("application/cloudevents+json"),
                attributes: &[],
                stream: otodoke::contract::Stream::Orders,
            };
            let clock = otodoke::contract::Timestamp::from_chrono(chrono::Utc::now());
            let skew = otodoke::contract::Span::minutes(10);
            otodoke::contract::intake(&message, clock, skew).map_err(|rejection| *rejection)
        },
        ..received
    };
    let batch = otodoke::pipeline::apply::Batch { received: vec![received], ..Default::default() };
    console.shop.door.apply(&batch).await.unwrap();
    let list = console.client.get("/deadlines?rule=S3").ok().body;
    assert!(list.contains("/orders/O-1\"") && list.contains("shipment-overdue"), "{list}");
    assert!(console.client.get("/deadlines?rule=M3").ok().body.contains("Nothing is waited for"));
    let simulated = console.client.get("/deadlines/simulate").ok().body;
    assert!(simulated.contains("shipment-overdue") && simulated.contains("/orders/O-1\""));
    let past = console.client.get("/deadlines/simulate?as_of=2020-01-01").ok().body;
    assert!(past.contains("This moment is past"));
}

#[tokio::test]
async fn what_changes_is_told_and_nothing_else() {
    let console = Console::open().await;
    let first = console.client.events("/live/overview", 1, Duration::from_secs(20));
    assert_eq!(first.len(), 1);
    assert!(first[0]["piece"].as_str().unwrap().contains("<table>"));
    // What has just begun still changes: consumers come, the last slice of time ends.
    wait_until(Duration::from_secs(60), "nothing is told while nothing changes", async || {
        console.client.events("/live/overview", 2, Duration::from_secs(5)).len() == 1
    })
    .await;
    let waiting = {
        let client = console.client.clone();
        tokio::task::spawn_blocking(move || {
            client.events("/live/overview", 2, Duration::from_secs(30))
        })
    };
    console.misspell(1).await;
    let told = waiting.await.unwrap();
    let last = told.last().unwrap()["sentence"].as_str().unwrap().to_owned();
    assert!(last.contains("Open dead letters: 1"), "{last}");
}
