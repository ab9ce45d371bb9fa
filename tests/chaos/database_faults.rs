//! What the database, or somebody at the database, does to a processor.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::Connection;

use crate::faults::{last, seconds};
use crate::run::RECOVERY;
use crate::support::generate::Dice;
use crate::support::wait_until;
use crate::world::{Stage, USER, World, tell};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseFault {
    /// An administrator ends all sessions.
    SessionsEnded,
    /// No connection is left, and those that were are gone.
    OutOfConnections,
    /// It can only be read: a standby, or a failover that is under way.
    ReadOnly,
    /// Every statement is cut off after a moment.
    StatementTimeout,
    /// Every transaction is serializable, and so fails where others were in its way.
    SerializationFailures,
    /// Somebody locks cases in another order.
    Deadlocks,
    /// Somebody has a table locked for a while.
    TableLocked,
    /// The processors' user may not do what it must, and they stop.
    RightsRevoked,
    /// The disk is full. Only where the stage has a small one.
    DiskFull,
}

impl DatabaseFault {
    /// Those that every stage can have.
    pub const ALL: [DatabaseFault; 8] = [
        DatabaseFault::SessionsEnded,
        DatabaseFault::OutOfConnections,
        DatabaseFault::ReadOnly,
        DatabaseFault::StatementTimeout,
        DatabaseFault::SerializationFailures,
        DatabaseFault::Deadlocks,
        DatabaseFault::TableLocked,
        DatabaseFault::RightsRevoked,
    ];

    pub async fn strike(self, stage: &mut Stage, world: &mut World, dice: &mut Dice) {
        let long = seconds(dice, 1, 4);
        match self {
            DatabaseFault::SessionsEnded => world.terminate_sessions().await,
            DatabaseFault::OutOfConnections => {
                let limit = |limit: i32| {
                    format!("ALTER DATABASE {} CONNECTION LIMIT {limit}", world.database)
                };
                stage.tell(&limit(2)).await;
                world.terminate_sessions().await;
                last(long).await;
                stage.tell(&limit(-1)).await;
            }
            DatabaseFault::ReadOnly => {
                self.setting(world, "SET default_transaction_read_only = on", long).await;
            }
            DatabaseFault::StatementTimeout => {
                self.setting(world, "SET statement_timeout = '3ms'", long).await;
            }
            DatabaseFault::SerializationFailures => {
                let setting = "SET default_transaction_isolation = 'serializable'";
                self.setting(world, setting, long).await;
            }
            DatabaseFault::Deadlocks => lock_backwards(world, long).await,
            DatabaseFault::TableLocked => hold_table(world, long).await,
            DatabaseFault::RightsRevoked => revoke_and_give_back(world).await,
            DatabaseFault::DiskFull => {
                let ballast = small_disk(stage).join("ballast");
                fill(&ballast);
                last(long).await;
                std::fs::remove_file(ballast).expect("the ballast goes");
            }
        }
    }

    /// A setting of the processors' user, for a while.
    async fn setting(self, world: &World, setting: &str, long: Duration) {
        world.set_for_user(setting).await;
        world.terminate_sessions().await;
        last(long).await;
        world.set_for_user("RESET ALL").await;
        world.terminate_sessions().await;
    }
}

/// Locks all cases from the last to the first, again and again. It lets itself be rolled back later
/// than the processors do, so that these are the ones that are.
async fn lock_backwards(world: &World, long: Duration) {
    let begun = Instant::now();
    let mut connection = world.pool.acquire().await.expect("the database answers");
    while begun.elapsed() < long {
        let statement = "SET LOCAL deadlock_timeout = '10s';
            DO $$ DECLARE one text; BEGIN
                FOR one IN SELECT key FROM cases ORDER BY key DESC LIMIT 200 LOOP
                    PERFORM FROM cases WHERE key = one FOR UPDATE;
                    PERFORM pg_sleep(0.002);
                END LOOP;
            END $$";
        let mut transaction = connection.begin().await.expect("the database answers");
        match sqlx::raw_sql(statement).execute(&mut *transaction).await {
            Ok(_) => transaction.commit().await.expect("the database answers"),
            // A processor that has waited for longer than its timeout doesn't look again.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("40P01") => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Nothing comes into the history meanwhile.
pub async fn hold_table(world: &World, long: Duration) {
    let mut connection = world.pool.acquire().await.expect("the database answers");
    let mut transaction = connection.begin().await.expect("the database answers");
    let lock = sqlx::raw_sql("LOCK TABLE event_keys IN ACCESS EXCLUSIVE MODE");
    lock.execute(&mut *transaction).await.expect("the table is locked");
    last(long).await;
    transaction.rollback().await.expect("the database answers");
}

/// Waiting wouldn't help: the processors say so and stop, and an operator starts them again.
async fn revoke_and_give_back(world: &mut World) {
    tell(&world.database_url, "ALTER TABLE event_keys OWNER TO otodoke").await;
    for node in 0..world.nodes.len() {
        let stopped = async || !world.has(node);
        wait_until(RECOVERY, "it stops", stopped).await;
        let log = world.nodes[node].processor.take().expect("it ran").log();
        assert!(log.contains("this user may not do that"), "{log}");
    }
    tell(&world.database_url, &format!("ALTER TABLE event_keys OWNER TO {USER}")).await;
    world.start().await;
}

/// The folder of a small disk, which the server's user may write to.
pub fn small_disk(stage: &Stage) -> PathBuf {
    stage.sandbox.folder().join("small")
}

fn fill(ballast: &Path) {
    let mut file = std::fs::File::create(ballast).expect("there is room for a name");
    let chunk = vec![0; 64 * 1024];
    while file.write_all(&chunk).is_ok() {}
    _ = file.write_all(&chunk[..4096]);
}
