//! What breaks, how, and for how long: each fault strikes, lasts a while, and is over when
//! `strike` returns.

use std::process::Command;
use std::time::Duration;

use otodoke::fail_points::FailPoint;
use otodoke::sandbox::Server;

use crate::broker_faults::BrokerFault;
use crate::database_faults::DatabaseFault;
use crate::proxy::{Mode, Proxy};
use crate::run::RECOVERY;
use crate::support::generate::Dice;
use crate::support::processor::Launch;
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
    Broker(BrokerFault),
    Database(DatabaseFault),
    /// The processors' clocks are hours ahead, and hours behind.
    WrongClocks,
    /// All are stopped, and started again with other rules.
    ChangedPolicy,
    /// The processors don't agree about the rules, nor about how to work.
    DifferentSettings,
    /// Two at once: a way is stalled while the other fault lasts.
    StalledWhile(Server, &'static Fault),
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

    /// Whether it is tried in the short mode too.
    pub fn is_telling(self) -> bool {
        match self {
            Fault::Kill | Fault::BrokerKilled | Fault::DatabaseKilled => true,
            Fault::DieAt(point) => [
                FailPoint::BeforeCommit,
                FailPoint::BeforeAck,
                FailPoint::Publishing,
                FailPoint::BeforeConfirm,
                FailPoint::AfterTimer,
            ]
            .contains(&point),
            Fault::AllWays(_, trouble) => trouble == Trouble::HalfOpen,
            Fault::Broker(fault) => [
                BrokerFault::MemoryAlarm,
                BrokerFault::ConsumerTimeout,
                BrokerFault::QueueDeleted,
                BrokerFault::DerivedExchangeDeleted,
            ]
            .contains(&fault),
            Fault::Database(fault) => [
                DatabaseFault::OutOfConnections,
                DatabaseFault::ReadOnly,
                DatabaseFault::Deadlocks,
                DatabaseFault::DiskFull,
            ]
            .contains(&fault),
            Fault::WrongClocks | Fault::DifferentSettings => true,
            _ => false,
        }
    }

    /// Whether cases have several policies in the end.
    pub fn is_beyond_the_model(self) -> bool {
        matches!(self, Fault::ChangedPolicy | Fault::DifferentSettings)
    }

    /// Whether derived events go out while the subscriber's binding is gone.
    pub fn leaves_somebody_untold(self) -> bool {
        self == Fault::Broker(BrokerFault::DerivedExchangeDeleted)
    }

    /// Before the processors start.
    pub async fn prepare(self, world: &mut World, dice: &mut Dice) {
        match self {
            Fault::DieAt(point) => self.die_at(point, world, dice).await,
            Fault::WrongClocks => {
                world.alter(0, |launch| wrong_clock(launch, 5 * 3_600));
                world.alter(1, |launch| wrong_clock(launch, -7 * 3_600));
            }
            Fault::DifferentSettings => {
                world.alter(1, other_policy);
                world.alter(1, |launch| launch.with("OTODOKE_LANES", "4"));
            }
            _ => {}
        }
    }

    async fn die_at(self, point: FailPoint, world: &mut World, dice: &mut Dice) {
        {
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

    /// Whether anything happened only now.
    pub async fn strike(self, stage: &mut Stage, world: &mut World, dice: &mut Dice) -> bool {
        match self {
            Fault::Nothing | Fault::DieAt(_) | Fault::WrongClocks | Fault::DifferentSettings => {
                return false;
            }
            Fault::ChangedPolicy => {
                for node in &mut world.nodes {
                    let mut processor = node.processor.take().expect("it runs");
                    assert!(processor.stop().await.success(), "{}", processor.log());
                }
                (0..world.nodes.len()).for_each(|node| world.alter(node, other_policy));
                world.start().await;
            }
            Fault::StalledWhile(server, fault) => {
                let node = dice.below(world.nodes.len());
                way(world, node, server).set(Mode::Stall);
                Box::pin(fault.strike(stage, world, dice)).await;
                way(world, node, server).set(Mode::Pass);
            }
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
        true
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

/// Rules under which other events are derived, at other times.
fn other_policy(launch: Launch) -> Launch {
    launch
        .with("OTODOKE_SHIP_WITHIN", "12h")
        .with("OTODOKE_CHANGE_WINDOW", "30m")
        .with("OTODOKE_REPLY_WITHIN", "6h")
        .with("OTODOKE_GUARANTEE_AFTER", "3d")
}

/// The library is made for the occasion: nothing else shifts the clock of one process only.
fn wrong_clock(launch: Launch, by_seconds: i64) -> Launch {
    let library = concat!(env!("CARGO_TARGET_TMPDIR"), "/wrong_clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos/wrong_clock.c");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o", library, source]).status();
    assert!(made.is_ok_and(|made| made.success()), "cc makes a library, as for every Rust build");
    launch.with("LD_PRELOAD", library).with("WRONG_BY_SECONDS", &by_seconds.to_string())
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
    world.signal(node, "STOP");
    last(seconds(dice, 2, 12)).await;
    world.signal(node, "CONT");
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
