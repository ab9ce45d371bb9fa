//! What the broker, or somebody at the broker, does to a processor.

use otodoke::contract::Stream;

use crate::faults::{last, seconds};
use crate::support::generate::Dice;
use crate::world::{Stage, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerFault {
    /// Short of memory: it reads nothing from who publishes.
    MemoryAlarm,
    /// The same, short of disk space.
    DiskAlarm,
    /// Somebody closes all connections.
    ConnectionsClosed,
}

impl BrokerFault {
    pub const ALL: [BrokerFault; 3] =
        [BrokerFault::MemoryAlarm, BrokerFault::DiskAlarm, BrokerFault::ConnectionsClosed];

    pub async fn strike(self, stage: &mut Stage, _world: &mut World, dice: &mut Dice) {
        let control = async |arguments: &[&str]| {
            stage.sandbox.rabbitmqctl(arguments).await.expect("the node answers");
        };
        let long = seconds(dice, 1, 4);
        match self {
            BrokerFault::MemoryAlarm => {
                control(&["set_vm_memory_high_watermark", "absolute", "1MB"]).await;
                last(long).await;
                control(&["set_vm_memory_high_watermark", "absolute", "2GiB"]).await;
            }
            BrokerFault::DiskAlarm => {
                control(&["set_disk_free_limit", "500TB"]).await;
                last(long).await;
                control(&["set_disk_free_limit", "100MB"]).await;
            }
            BrokerFault::ConnectionsClosed => {
                control(&["close_all_connections", "a test of what follows"]).await;
            }
        }
        _ = Stream::ALL;
    }
}
