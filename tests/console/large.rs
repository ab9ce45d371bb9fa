//! How long pages take on a database that has grown. `OTODOKE_CONSOLE_ORDERS=1000000` makes it a
//! large one; what was measured is printed.

use std::time::{Duration, Instant};

use otodoke::store::filling::{self, Filling};
use sqlx::Connection;

use super::Console;

const LETTERS: &str = "100000";

fn setting(name: &str, normally: &str) -> i64 {
    std::env::var(name).unwrap_or(normally.to_owned()).parse().expect("a number")
}

/// The middle one of several tries, in milliseconds.
fn time_of(console: &Console, path: &str) -> (f64, usize) {
    let mut times = Vec::new();
    let mut size = 0;
    for _ in 0..9 {
        let begun = Instant::now();
        size = console.client.get(path).ok().body.len();
        times.push(begun.elapsed());
        // The overview remembers what it saw for a second.
        if path == "/" {
            std::thread::sleep(Duration::from_millis(1_050));
        }
    }
    times.sort();
    (times[times.len() / 2].as_secs_f64() * 1_000.0, size)
}

#[tokio::test]
async fn pages_stay_small_and_fast_on_a_large_database() {
    let orders = setting("OTODOKE_CONSOLE_ORDERS", "2000");
    let is_large = orders >= 100_000;
    let letters = setting("OTODOKE_CONSOLE_LETTERS", if is_large { LETTERS } else { "500" });
    let limit = setting("OTODOKE_CONSOLE_MILLIS", if is_large { "100" } else { "2000" });
    let console = Console::open().await;
    let filling = Filling { history: orders * 6, deadlines: orders / 10, dead_letters: letters };
    let mut conn = sqlx::PgConnection::connect(console.shop.services.database_url()).await.unwrap();
    filling::fill(&mut conn, &filling, |_| ()).await.unwrap();
    let (order, letter): (String, uuid::Uuid) = sqlx::query_as(
        "SELECT (SELECT max(order_id) FROM read_model.orders), (SELECT id FROM dead_letters LIMIT 1)",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap();
    let pages = [
        "/".to_owned(),
        "/orders".to_owned(),
        "/orders?status=shipped".to_owned(),
        "/orders?status=pending".to_owned(),
        format!("/orders?q={order}"),
        "/orders?q=F-0000".to_owned(),
        "/orders?q=FILLED7".to_owned(),
        format!("/orders/{order}"),
        "/dead-letters".to_owned(),
        "/dead-letters/list".to_owned(),
        "/dead-letters/list?stream=orders".to_owned(),
        format!("/dead-letters/{letter}"),
        "/dead-letters/discard?code=schema-violation".to_owned(),
        "/replays".to_owned(),
        "/deadlines".to_owned(),
        "/ledger".to_owned(),
    ];
    let mut slow = Vec::new();
    eprintln!("{orders} orders, {letters} dead letters");
    for path in pages {
        let (millis, size) = time_of(&console, &path);
        eprintln!("{millis:8.1} ms {size:7} bytes  {path}");
        assert!(size < 50_000, "{path} has {size} bytes");
        if millis > limit as f64 {
            slow.push(path);
        }
    }
    assert!(slow.is_empty(), "over {limit} ms: {slow:?}");
}
