//! Broker and database are away at the start, and crash in the middle: the processor says
//! so, waits, goes on by itself, and nothing is lost.

mod support;

use std::time::Duration;

use otodoke::sandbox::{Options, Sandbox, Server};
use otodoke::store::ledger;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use support::history::{distinct, history};
use support::marketplace::Marketplace;
use support::model::{assert_equals_model, settled};
use support::processor::{Launch, Processor};
use support::record::assert_lawful;
use support::wait_until;

const LONG: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_services_that_are_away_and_loses_nothing_when_they_crash() {
    let mut sandbox = Sandbox::start(Options::default()).await.expect("private servers");
    let (database_url, amqp_url) =
        (sandbox.database_url().to_owned(), sandbox.amqp_url().to_owned());
    for server in [Server::Postgres, Server::RabbitMq] {
        sandbox.kill(server).await.expect("it runs");
    }
    let processor = Launch::at(&database_url, &amqp_url).start();
    says_that_it_misses(&processor, "broker and the database").await;
    sandbox.restart(Server::Postgres).await.expect("it starts again");
    says_that_it_misses(&processor, "connection to the broker").await;
    sandbox.restart(Server::RabbitMq).await.expect("it starts again");
    processor.wait_ready().await;

    let market = Marketplace::open(&amqp_url, "").await;
    let mut subscriber = market.subscribe(&["#"]).await;
    let pool = PgPoolOptions::new().connect_lazy(&database_url).expect("a URL");
    let events = history(7, 6_000);
    let (first, rest) = events.split_at(1_000);
    let (second, third) = rest.split_at(2_500);
    market.publish_events(first).await;
    settled(&pool, LONG, distinct(first)).await;

    market.publish_events(second).await;
    gets_on(&pool, distinct(first)).await;
    sandbox.kill(Server::RabbitMq).await.expect("it runs");
    says_that_it_misses(&processor, "connection to the broker").await;
    sandbox.restart(Server::RabbitMq).await.expect("it starts again");
    processor.wait_ready().await;

    market.publish_events(third).await;
    gets_on(&pool, 1_500).await;
    sandbox.kill(Server::Postgres).await.expect("it runs");
    says_that_it_misses(&processor, "connection to the database").await;
    sandbox.restart(Server::Postgres).await.expect("it starts again");

    settled(&pool, LONG, distinct(&events)).await;
    processor.wait_ready().await;
    let mut processor = processor;
    assert!(processor.stop().await.success());
    assert_eq!(market.backlog().await, 0);
    assert_equals_model(&pool, &events).await;
    assert_lawful(&pool, subscriber.arrived().await).await;
    pool.close().await;
    sandbox.stop().await.expect("it stops");
}

async fn says_that_it_misses(processor: &Processor, what: &str) {
    let says = async || {
        if !processor.serves() {
            return false;
        }
        let (status, text) = processor.get("/health/ready");
        status == 503 && text.contains(what)
    };
    wait_until(LONG, &format!("/health/ready misses the {what}"), says).await;
}

/// Some of what was published is stored, most is not.
async fn gets_on(pool: &PgPool, before: usize) {
    let stored = async || match pool.acquire().await {
        Ok(mut conn) => {
            ledger::audit(&mut conn).await.is_ok_and(|audit| audit.keys > before as i64)
        }
        Err(_) => false,
    };
    wait_until(LONG, "it gets on", stored).await;
}
