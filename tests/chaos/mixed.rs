//! Faults of every kind, one after another, and some at once.

use otodoke::sandbox::Server;

use crate::broker_faults::BrokerFault;
use crate::database_faults::DatabaseFault;
use crate::faults::{Fault, Trouble};
use crate::run::{seeds, survive_all};
use crate::support::generate::Dice;
use crate::world::Stage;

/// Faults in one run.
const FAULTS: usize = 3;

/// What can be had in the midst of a run, on servers that others use later.
const KINDS: [Fault; 16] = [
    Fault::Kill,
    Fault::Freeze,
    Fault::BrokerKilled,
    Fault::DatabaseKilled,
    Fault::Broker(BrokerFault::MemoryAlarm),
    Fault::Broker(BrokerFault::ConnectionsClosed),
    Fault::Broker(BrokerFault::QueueDeleted),
    Fault::Broker(BrokerFault::EventsExchangeDeleted),
    Fault::Database(DatabaseFault::SessionsEnded),
    Fault::Database(DatabaseFault::OutOfConnections),
    Fault::Database(DatabaseFault::ReadOnly),
    Fault::Database(DatabaseFault::StatementTimeout),
    Fault::Database(DatabaseFault::SerializationFailures),
    Fault::Database(DatabaseFault::TableLocked),
    Fault::StalledWhile(Server::Postgres, &Fault::Kill),
    Fault::StalledWhile(Server::RabbitMq, &Fault::DatabaseKilled),
];

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_every_kind_mixed() {
    let mut stage = Stage::set().await;
    let faults = |dice: &mut Dice| (0..FAULTS).map(|_| any(dice)).collect();
    survive_all(&mut stage, "mixed", &faults, seeds(1, 60)).await;
    stage.clear().await;
}

fn any(dice: &mut Dice) -> Fault {
    let server = *dice.pick(&[Server::Postgres, Server::RabbitMq]);
    let trouble = *dice.pick(&Trouble::ALL);
    match dice.below(4) {
        0 => Fault::Way(server, trouble),
        1 => Fault::AllWays(server, trouble),
        _ => *dice.pick(&KINDS),
    }
}
