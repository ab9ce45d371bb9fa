//! What breaks, how, and for how long: each fault strikes, lasts a while, and is over when
//! `strike` returns.

use std::process::Command;
use std::time::Duration;

use otodoke::fail_points::FailPoint;
use otodoke::sandbox::Server;

use crate::broker_faults;
use crate::database_faults;
use crate::proxy::{Mode, Proxy};
use crate::run::{RECOVERY, stored};
use crate::support::generate::Dice;
use crate::support::wait_until;
use crate::world::{Stage, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: what the others are compared with.
    Nothing,
    /// A processor is killed, and started again.
    Kill,
    /// A processor dies between two steps, and is started again.
    DieAt(FailPoint),
    /// A processor stops for a while, and goes on as if nothing had been (SIGSTOP, SIGCONT).
    Freeze,
    BrokerKilled,
    DatabaseKilled,
    /// A way between a processor and a server.
    Way(Server, Trouble),
    /// The same of all processors at once.
    AllWays(Server, Trouble),
    Broker(broker_faults::BrokerFault),
    Database(database_faults::DatabaseFault),
}

/// What happens to a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Cut,
    /// Cut, and for a while nobody gets through.
    Away,
    Stalled,
    Delayed,
    /// The server's side is gone, and nobody told the processor.
    HalfOpen,
}

impl Trouble {
    pub const ALL: [Trouble; 5] =
        [Trouble::Cut, Trouble::Away, Trouble::Stalled, Trouble::Delayed, Trouble::HalfOpen];
}

impl Fault {
    pub fn name(self) -> String {
        match self {
            Fault::DieAt(point) => format!("processor dies at {}", point.name()),
            Fault::Way(server, trouble) => format!("one way to {server:?}: {trouble:?}"),
            Fault::AllWays(server, trouble) => format!("all ways to {server:?}: {trouble:?}"),
            Fault::Broker(fault) => format!("broker: {fault:?}"),
            Fault::Database(fault) => format!("database: {fault:?}"),
            fault => format!("{fault:?}"),
        }
    }

    pub fn is_beyond_the_model(self) -> bool {
        false
    }

    /// Before the processors start.
    pub async fn prepare(self, world: &mut World, dice: &mut Dice) {
        if let Fault::DieAt(point) = self {
            let pass = 1 + dice.below(most_passes(point));
            let launch = world.nodes[0].launch.clone();
            let launch = launch.with("OTODOKE_FAIL_POINT", &format!("{}:{pass}", point.name()));
            world.nodes[0].processor = Some(launch.start());
            // Alone: the other must not do all that this one would die of.
            let died = async || !world.has(0);
            wait_until(RECOVERY, "it dies at its fail point", died).await;
            let log = world.logs();
            assert!(log.contains(&format!("fail point {}", point.name())), "{log}");
            world.nodes[0].processor = None;
        }
    }

    pub async fn strike(self, stage: &mut Stage, world: &mut World, dice: &mut Dice) {
        match self {
            Fault::Nothing | Fault::DieAt(_) => {}
            Fault::Kill => kill(world, dice).await,
            Fault::Freeze => freeze(world, dice).await,
            Fault::BrokerKilled => crash(stage, Server::RabbitMq, dice).await,
            Fault::DatabaseKilled => crash(stage, Server::Postgres, dice).await,
            Fault::Way(server, trouble) => {
                let node = dice.below(world.nodes.len());
                let way = way(world, node, server);
                trouble.strike(&[way], dice).await;
            }
            Fault::AllWays(server, trouble) => {
                let ways: Vec<&Proxy> =
                    (0..world.nodes.len()).map(|node| way(world, node, server)).collect();
                trouble.strike(&ways, dice).await;
            }
            Fault::Broker(fault) => fault.strike(stage, world, dice).await,
            Fault::Database(fault) => fault.strike(stage, world, dice).await,
        }
    }
}

/// Every processor passes each place so often, at least, in the smallest workload.
fn most_passes(point: FailPoint) -> usize {
    match point {
        FailPoint::Migrated => 1,
        FailPoint::Declaring => 8,
        FailPoint::Taken => 100,
        FailPoint::BeforeTimer | FailPoint::AfterTimer => 2,
        FailPoint::Publishing => 30,
        _ => 8,
    }
}

fn way(world: &World, node: usize, server: Server) -> &Proxy {
    match server {
        Server::Postgres => &world.nodes[node].to_database,
        Server::RabbitMq => &world.nodes[node].to_broker,
    }
}

impl Trouble {
    async fn strike(self, ways: &[&Proxy], dice: &mut Dice) {
        let long = seconds(dice, 2, 8);
        let set = |mode| ways.iter().for_each(|way| way.set(mode));
        match self {
            Trouble::Cut => ways.iter().for_each(|way| way.cut()),
            Trouble::Away => {
                set(Mode::Refuse);
                ways.iter().for_each(|way| way.cut());
                last(seconds(dice, 1, 4)).await;
            }
            Trouble::Stalled => {
                set(Mode::Stall);
                last(long).await;
            }
            Trouble::Delayed => {
                set(Mode::Delay(Duration::from_millis(20 + dice.below(100) as u64)));
                last(long).await;
            }
            Trouble::HalfOpen => ways.iter().for_each(|way| way.half_open()),
        }
        set(Mode::Pass);
    }
}

async fn kill(world: &mut World, dice: &mut Dice) {
    let node = dice.below(world.nodes.len());
    if let Some(mut processor) = world.nodes[node].processor.take() {
        processor.kill().await;
    }
    last(Duration::from_millis(dice.below(1_500) as u64)).await;
    world.start().await;
}

async fn freeze(world: &mut World, dice: &mut Dice) {
    let node = dice.below(world.nodes.len());
    let id = world.nodes[node].processor.as_ref().map(|processor| processor.id().to_string());
    let signal = |name: &str| {
        let id = id.as_deref().expect("it runs");
        let status = Command::new("kill").args(["-s", name, id]).status();
        assert!(status.is_ok_and(|status| status.success()), "no process for SIG{name}");
    };
    signal("STOP");
    last(seconds(dice, 2, 12)).await;
    signal("CONT");
}

async fn crash(stage: &mut Stage, server: Server, dice: &mut Dice) {
    stage.sandbox.kill(server).await.expect("it runs");
    last(Duration::from_millis(dice.below(2_000) as u64)).await;
    stage.sandbox.restart(server).await.expect("it starts again");
}

/// The time for which a fault lasts: nothing tells its end.
pub async fn last(time: Duration) {
    tokio::time::sleep(time).await;
}

pub fn seconds(dice: &mut Dice, least: u64, most: u64) -> Duration {
    Duration::from_millis(least * 1_000 + dice.below(((most - least) * 1_000) as usize) as u64)
}

/// Some more is stored: the fault that lasts isn't in the way of all.
pub async fn gets_on(world: &World) {
    let before = stored(&world.pool).await;
    let more = async || stored(&world.pool).await > before;
    wait_until(RECOVERY, "it gets on", more).await;
}
