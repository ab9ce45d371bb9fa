//! The operators' manual: every command in it, in the order in which it stands.

use std::path::Path;

use otodoke::contract::Stream;
use serde_json::json;

use crate::shop::{Shop, order_placed};

const MANUAL: &str = include_str!("../../docs/operators.md");
const ORDER: &str = "250-1234567-1234567";

/// The commands, without the prompt.
fn commands() -> Vec<&'static str> {
    MANUAL.lines().filter_map(|line| line.strip_prefix("$ ")).collect()
}

/// A shop in which every command of the manual has something to do.
async fn shop() -> Shop {
    let shop = Shop::open().await;
    shop.place(ORDER, "2026-03-01T09:00:00Z").await;
    for number in 1..=3 {
        let mut wrong = order_placed(&format!("O-{number}"), "authorized");
        wrong["currency"] = json!("yen");
        shop.take("order-placed", &format!("e{number}"), "2026-03-01T09:00:00Z", wrong).await;
    }
    let astray = json!({
        "specversion": "1.0", "id": "astray", "source": "/shop", "type": "consent-recorded",
        "time": "2026-03-01T10:00:00Z", "data": { "order_id": ORDER, "granted": true },
    });
    shop.deliver(Stream::Payments, astray.to_string().as_bytes()).await;
    shop.deliver(Stream::Orders, b"ping").await;
    shop
}

async fn declare_queue(shop: &Shop) -> String {
    let connection = lapin::Connection::connect(
        shop.services.amqp_url(),
        lapin::ConnectionProperties::default(),
    );
    let channel = connection.await.unwrap().create_channel().await.unwrap();
    let name = format!("late-{}", uuid::Uuid::now_v7());
    let options = lapin::options::QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(name.as_str().into(), options, Default::default()).await.unwrap();
    name
}

#[tokio::test]
async fn every_command_of_the_manual_does_what_it_says() {
    let shop = shop().await;
    let letter = shop.json(&["dead-letters", "list"])[0]["id"].as_str().unwrap().to_owned();
    let queue = declare_queue(&shop).await;
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.tsv");
    let binary = Path::new(env!("CARGO_BIN_EXE_otodoke"));
    let path =
        std::env::join_paths([binary.parent().unwrap(), Path::new("/usr/bin"), Path::new("/bin")]);
    assert!(commands().len() > 27, "the manual has lost its commands");
    for command in commands() {
        // What the commands before have made.
        let jobs = shop.json(&["dead-letters", "jobs", "list"]);
        std::fs::write(&report, shop.run(&["report", "orders", "--seller", "S1"]).out).unwrap();
        let line = command
            .replace("LETTER", &letter)
            .replace("JOB", jobs[0]["job"].as_str().unwrap_or("JOB"))
            .replace("ORDER", ORDER)
            .replace("QUEUE", &queue)
            .replace("REPORT", report.to_str().unwrap())
            .replace("=ARCHIVE", &format!("={}", folder.path().display()))
            .replace("--to ARCHIVE", &format!("--to {}", folder.path().display()));
        let ran = shop.shell(&line, path.as_ref().unwrap());
        assert_eq!(ran.code, 0, "$ {line}\n{}{}", ran.out, ran.err);
        let shows_letters = command.contains("dead-letters");
        for personal in ["Hanako", "+81", "k2x9"].iter().filter(|_| shows_letters) {
            assert!(!ran.out.contains(*personal), "$ {line} shows {personal}: {}", ran.out);
        }
    }
    let open = shop.json(&["dead-letters", "list"]);
    assert_eq!(open, json!([]), "the manual leaves nothing open");
}
