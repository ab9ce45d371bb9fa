//! A database whose setting up was interrupted.

use sqlx::AssertSqlSafe;
use sqlx::migrate::Migrator;

use crate::run::RECOVERY;
use crate::support::wait_until;
use crate::world::{Stage, USER, World};

/// As many migrations as there were once.
const EARLIER: usize = 6;

/// Some of the migrations are applied, and one was noted as begun, which needs a person.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_is_half_applied() {
    let mut stage = Stage::set().await;
    let mut world = World::open(&mut stage, 1).await;
    let mut conn = world.pool.acquire().await.expect("the database answers");
    let owner = format!("SET ROLE {USER}");
    sqlx::query(AssertSqlSafe(owner)).execute(&mut *conn).await.expect("it may be that");
    let earlier =
        Migrator::with_migrations(sqlx::migrate!().iter().take(EARLIER).cloned().collect());
    earlier.run(&mut *conn).await.expect("the earlier migrations apply");
    let noted = "UPDATE _sqlx_migrations SET success = false
                 WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
    sqlx::query(noted).execute(&mut *conn).await.expect("it is noted");
    world.start().await;
    wait_until(RECOVERY, "it stops, and says why", async || !world.has(0)).await;
    let log = world.logs();
    assert!(log.contains("partially applied"), "{log}");

    // A person has looked, and the rest is applied by whoever starts first.
    let mended = "UPDATE _sqlx_migrations SET success = true";
    sqlx::query(mended).execute(&mut *conn).await.expect("it is noted");
    world.nodes[0].processor = None;
    world.start().await;
    world.wait_ready().await;
    let migrated = "SELECT count(*) FROM _sqlx_migrations WHERE success";
    let applied: i64 = sqlx::query_scalar(migrated).fetch_one(&mut *conn).await.expect("a count");
    assert_eq!(applied, sqlx::migrate!().iter().count() as i64);
    drop((conn, world));
    stage.clear().await;
}
