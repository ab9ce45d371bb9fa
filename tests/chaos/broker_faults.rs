//! What the broker, or somebody at the broker, does to a processor.

use std::time::Duration;

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};
use otodoke::contract::Stream;

use crate::database_faults::hold_table;
use crate::faults::{last, seconds};
use crate::run::{RECOVERY, stored};
use crate::support::generate::Dice;
use crate::support::wait_until;
use crate::world::{Stage, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerFault {
    /// Short of memory: it reads nothing from who publishes.
    MemoryAlarm,
    /// The same, short of disk space.
    DiskAlarm,
    /// Somebody closes all connections.
    ConnectionsClosed,
    /// A message was not acknowledged in time: the channel is closed with 406.
    ConsumerTimeout,
    /// Somebody deletes a queue, which cancels its consumers.
    QueueDeleted,
    /// Somebody deletes the exchange that upstream systems publish to.
    EventsExchangeDeleted,
    /// Somebody deletes the exchange that derived events go to, and with it all bindings.
    DerivedExchangeDeleted,
}

impl BrokerFault {
    pub const ALL: [BrokerFault; 7] = [
        BrokerFault::MemoryAlarm,
        BrokerFault::DiskAlarm,
        BrokerFault::ConnectionsClosed,
        BrokerFault::ConsumerTimeout,
        BrokerFault::QueueDeleted,
        BrokerFault::EventsExchangeDeleted,
        BrokerFault::DerivedExchangeDeleted,
    ];

    pub async fn strike(self, stage: &mut Stage, world: &mut World, dice: &mut Dice) {
        let control = async |arguments: &[&str]| {
            stage.sandbox.rabbitmqctl(arguments).await.expect("the node answers");
        };
        let long = seconds(dice, 1, 4);
        let names = world.market.names.clone();
        match self {
            BrokerFault::MemoryAlarm => {
                control(&["set_vm_memory_high_watermark", "absolute", "1MB"]).await;
                last(long).await;
                control(&["set_vm_memory_high_watermark", "absolute", "2GiB"]).await;
            }
            BrokerFault::DiskAlarm => {
                control(&["set_disk_free_limit", "5000GB"]).await;
                last(long).await;
                control(&["set_disk_free_limit", "100MB"]).await;
            }
            BrokerFault::ConnectionsClosed => {
                control(&["close_all_connections", "a test of what follows"]).await;
            }
            BrokerFault::ConsumerTimeout => {
                // So that there is something to be taken while the table is locked.
                world.pause_upstream(true);
                control(&["eval", &patience(1_000, 500)]).await;
                // Those of now looked at the settings when they were opened.
                control(&["close_all_connections", "a test of what follows"]).await;
                world.pause_upstream(false);
                hold_table(world, Duration::from_secs(8)).await;
                control(&["eval", &patience(1_800_000, 60_000)]).await;
                control(&["close_all_connections", "a test of what follows"]).await;
            }
            BrokerFault::QueueDeleted => {
                // With all that is in it, or in hand: so only when that is nothing.
                world.pause_upstream(true);
                last(Duration::from_millis(500)).await;
                let taken = async || stored(&world.pool).await >= world.distinct_confirmed();
                wait_until(RECOVERY, "all that is published is stored", taken).await;
                let queue = names.queue(*dice.pick(&Stream::ALL));
                delete(stage.sandbox.amqp_url(), &queue, "").await;
                world.pause_upstream(false);
            }
            BrokerFault::EventsExchangeDeleted => {
                delete(stage.sandbox.amqp_url(), "", &names.events()).await;
            }
            BrokerFault::DerivedExchangeDeleted => {
                delete(stage.sandbox.amqp_url(), "", &names.derived()).await;
            }
        }
    }
}

/// How long a delivery may stay unacknowledged, and how often that is looked at; milliseconds.
fn patience(timeout: u32, look: u32) -> String {
    format!(
        "application:set_env(rabbit, consumer_timeout, {timeout}),
         application:set_env(rabbit, channel_tick_interval, {look})."
    )
}

/// Deletes a queue, or an exchange; an empty name is none.
async fn delete(amqp_url: &str, queue: &str, exchange: &str) {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await;
    let connection = connection.expect("the broker takes connections");
    let channel = connection.create_channel().await.expect("the broker takes channels");
    if !queue.is_empty() {
        let options = QueueDeleteOptions::default();
        channel.queue_delete(queue.into(), options).await.expect("the queue is deleted");
    }
    if !exchange.is_empty() {
        let options = ExchangeDeleteOptions::default();
        channel.exchange_delete(exchange.into(), options).await.expect("the exchange is deleted");
    }
}
