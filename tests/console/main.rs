//! The console and its API, as a browser or a program asks them: against the real program, a
//! live database and a live broker.

mod access;
mod acts;
mod api;
mod client;
mod hostile;
mod large;
mod pages;
#[path = "../commands/shop.rs"]
#[allow(dead_code, reason = "the commands' tests use the rest of it")]
mod shop;
#[path = "../support/mod.rs"]
mod support;

use serde_json::json;

use self::client::Client;
use self::shop::{Shop, order_placed};
use self::support::processor::{Launch, Processor};

/// A shop with a processor, and somebody who looks at its console from this machine.
struct Console {
    shop: Shop,
    processor: Processor,
    client: Client,
}

impl Console {
    async fn open() -> Console {
        Console::launched(|launch| launch).await
    }

    /// The same with settings of its own.
    async fn launched(with: impl FnOnce(Launch) -> Launch) -> Console {
        let shop = Shop::open().await;
        let launch = Launch::on(&shop.services).with("OTODOKE_OPERATOR", "hanako");
        let processor = with(launch).ready().await;
        let client = Client::of(&processor.address().expect("it serves HTTP"));
        Console { shop, processor, client }
    }

    /// Orders whose currency is written as the schema doesn't know it.
    async fn misspell(&self, count: usize) {
        for n in 0..count {
            let mut wrong = order_placed(&format!("W-{n}"), "authorized");
            wrong["currency"] = json!("yen");
            self.shop
                .take("order-placed", &format!("wrong-{n}"), "2026-03-01T09:00:00Z", wrong)
                .await;
        }
    }

    async fn acts(&self, act: &str) -> Vec<(String, Option<String>)> {
        sqlx::query_as("SELECT who, target FROM audit WHERE act = $1 ORDER BY id")
            .bind(act)
            .fetch_all(&self.shop.pool)
            .await
            .unwrap()
    }
}
