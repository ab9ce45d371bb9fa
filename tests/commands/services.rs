//! `status`: what answers and what doesn't.

use otodoke::contract::Stream;

use crate::shop::{Shop, run};

#[tokio::test]
async fn the_status_tells_of_queues_tables_and_connections() {
    let shop = Shop::open().await;
    assert_eq!(shop.run(&["topology"]).code, 0);
    shop.place("O-1", "2026-03-01T09:00:00Z").await;
    shop.deliver(Stream::Orders, b"no JSON").await;
    let status = shop.json(&["status"]);
    assert_eq!(status["connections"]["broker"]["answers"], true);
    assert_eq!(status["connections"]["database"]["answers"], true);
    assert_eq!(status["queues"].as_array().unwrap().len(), 5);
    assert_eq!(
        (&status["queues"][0]["ready"], &status["queues"][0]["consumers"]),
        (&0.into(), &0.into())
    );
    assert_eq!(status["dead_letters"]["not-json"], 1);
    assert!(status["outbox"].as_i64().unwrap() > 0);
    assert!(status["oldest_unpublished_seconds"].as_f64().unwrap() > 0.0);
    let text = shop.run(&["status"]);
    assert_eq!(text.code, 0, "{}", text.err);
    assert!(text.out.contains("otodoke.orders") && text.out.contains("not-json"), "{}", text.out);
}

#[tokio::test]
async fn parked_cases_are_shown_with_their_reason() {
    let shop = Shop::open().await;
    shop.place("O-1", "2026-03-01T09:00:00Z").await;
    let park = "UPDATE cases SET parked_until = now(), next_at = now(), parked_attempts = 2,
                parked_error = 'the decision failed: no line 7'";
    sqlx::query(park).execute(&shop.pool).await.unwrap();
    assert_eq!(shop.json(&["status"])["parked"][0]["error"], "the decision failed: no line 7");
    assert!(shop.run(&["status"]).out.contains("no line 7"));
}

#[tokio::test]
async fn where_one_service_is_away_the_other_is_still_shown() {
    let shop = Shop::open().await;
    let (database, broker) = (shop.services.database_url(), shop.services.amqp_url());
    let away = run(&["status", "--json"], database, "amqp://127.0.0.1:1", &shop.services);
    assert_eq!(away.code, 1);
    let status: serde_json::Value = serde_json::from_str(&away.out).unwrap();
    assert_eq!(status["connections"]["broker"]["answers"], false);
    assert_eq!(status["outbox"], 0);

    let nowhere = "postgres://user:secret@127.0.0.1:1/none";
    let away = run(&["status"], nowhere, broker, &shop.services);
    assert_eq!(away.code, 1);
    assert!(away.out.contains("database  does not answer"), "{}", away.out);
    assert!(away.out.contains("otodoke.orders") && !away.out.contains("secret"), "{}", away.out);
}
