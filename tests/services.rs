//! The services that live tests are given: each test's own, and gone with it.

mod support;

use sqlx::Row;
use support::Services;

#[tokio::test]
async fn each_test_has_a_database_and_a_broker_of_its_own() {
    let one = Services::start().await;
    let other = Services::start().await;
    assert_ne!(one.database_url(), other.database_url());
    assert_ne!((one.amqp_url(), one.prefix()), (other.amqp_url(), other.prefix()));
    assert!(one.amqp().await.status().connected());
    assert!(other.pool().await.acquire().await.is_ok());
}

#[tokio::test]
async fn a_tests_database_is_dropped_even_while_it_is_in_use() {
    let keeper = Services::start().await;
    let gone = Services::start().await;
    let name = gone.name().to_owned();
    let pool = gone.pool().await;
    drop(gone);

    let count = "SELECT count(*) FROM pg_database WHERE datname = $1";
    let row = sqlx::query(count).bind(name).fetch_one(&keeper.pool().await).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 0);
    assert!(pool.acquire().await.is_err());
}
