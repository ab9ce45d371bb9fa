//! What the database, or somebody at the database, does to a processor.

use crate::faults::{last, seconds};
use crate::support::generate::Dice;
use crate::world::{Stage, World};

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
}

impl DatabaseFault {
    pub const ALL: [DatabaseFault; 5] = [
        DatabaseFault::SessionsEnded,
        DatabaseFault::OutOfConnections,
        DatabaseFault::ReadOnly,
        DatabaseFault::StatementTimeout,
        DatabaseFault::SerializationFailures,
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
        }
    }

    /// A setting of the processors' user, for a while.
    async fn setting(self, world: &World, setting: &str, long: std::time::Duration) {
        world.set_for_user(setting).await;
        world.terminate_sessions().await;
        last(long).await;
        world.set_for_user("RESET ALL").await;
        world.terminate_sessions().await;
    }
}
