//! What a run takes place in: private servers, which several runs share, and for each run a
//! database, names on the broker, two processors behind proxies, and the world around them.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use otodoke::sandbox::{Options, Sandbox};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool};

use crate::proxy::Proxy;
use crate::publisher::Publishing;
use crate::support::marketplace::{Marketplace, Subscriber};
use crate::support::processor::{Launch, Processor};

/// What the processors' user may do is changed by some faults, so it isn't the superuser.
pub const USER: &str = "shop";
const PASSWORD: &str = "private";
/// A dead connection is noticed within twice that many seconds. By default it is 15.
const HEARTBEAT: u16 = 3;

/// The servers.
pub struct Stage {
    pub sandbox: Sandbox,
    /// Where the databases are to be; `None`: where the server has its own.
    pub tablespace: Option<&'static str>,
    worlds: u32,
}

impl Stage {
    pub async fn set() -> Stage {
        let sandbox = Sandbox::start(Options::default()).await.expect("private servers");
        let stage = Stage { sandbox, tablespace: None, worlds: 0 };
        let role = format!("CREATE ROLE {USER} LOGIN CREATEROLE PASSWORD '{PASSWORD}'");
        stage.tell(&role).await;
        stage
    }

    pub async fn clear(self) {
        self.sandbox.stop().await.expect("the servers stop");
    }

    /// A statement of the superuser.
    pub async fn tell(&self, statement: &str) {
        tell(self.sandbox.database_url(), statement).await;
    }
}

/// Runs a statement on a connection of its own.
pub async fn tell(database_url: &str, statement: &str) {
    let options: PgConnectOptions = database_url.parse().expect("a URL");
    let mut connection = options.connect().await.expect("the database answers");
    let told = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await;
    told.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// One run's.
pub struct World {
    /// Of the superuser, past the proxies.
    pub database_url: String,
    pub database: String,
    pub pool: PgPool,
    pub market: Marketplace,
    pub subscriber: Subscriber,
    pub nodes: Vec<Node>,
    /// The systems upstream, while they publish.
    pub publishing: Option<Publishing>,
    /// How many different events are among the first messages, by the number of these.
    pub distinct: Vec<i64>,
}

/// A processor, and its ways to the servers.
pub struct Node {
    pub to_database: Proxy,
    pub to_broker: Proxy,
    pub launch: Launch,
    /// `None`: it was killed.
    pub processor: Option<Processor>,
}

impl World {
    /// With so many processors, which don't run yet.
    pub async fn open(stage: &mut Stage, processors: usize) -> World {
        stage.worlds += 1;
        let database = format!("world_{}", stage.worlds);
        let place = stage.tablespace.map(|name| format!(" TABLESPACE {name}")).unwrap_or_default();
        stage.tell(&format!("CREATE DATABASE {database} OWNER {USER}{place}")).await;
        let (server, amqp_url) = (stage.sandbox.database_url(), stage.sandbox.amqp_url());
        let server: PgConnectOptions = server.parse().expect("a URL");
        let database_url = server.clone().database(&database).to_url_lossy().to_string();
        let market = Marketplace::open(amqp_url, &database).await;
        let subscriber = market.subscribe_for_good(&["#"]).await;
        let options = PgPoolOptions::new().max_connections(4);
        let pool = options.acquire_timeout(Duration::from_secs(5)).connect_lazy(&database_url);
        let mut nodes = Vec::new();
        for _ in 0..processors {
            nodes.push(Node::behind(&server, amqp_url, &database).await);
        }
        let pool = pool.expect("a URL");
        World {
            database_url,
            database,
            pool,
            market,
            subscriber,
            nodes,
            publishing: None,
            distinct: Vec::new(),
        }
    }

    /// Starts those that don't run.
    pub async fn start(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| node.processor.is_none()) {
            node.processor = Some(node.launch.start());
        }
    }

    /// Changes the settings of a processor, for when it starts.
    pub fn alter(&mut self, node: usize, change: impl FnOnce(Launch) -> Launch) {
        let launch = std::mem::take(&mut self.nodes[node].launch);
        self.nodes[node].launch = change(launch);
    }

    pub async fn wait_ready(&self) {
        for processor in self.nodes.iter().filter_map(|node| node.processor.as_ref()) {
            processor.wait_ready().await;
        }
    }

    pub fn has(&mut self, node: usize) -> bool {
        self.nodes[node].processor.as_mut().is_some_and(Processor::is_running)
    }

    /// Sends a processor a signal, named without `SIG`.
    pub fn signal(&self, node: usize, name: &str) {
        let processor = self.nodes[node].processor.as_ref().expect("it runs");
        let id = processor.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.is_ok_and(|status| status.success()), "no process for SIG{name}");
    }

    /// Whether a processor that runs now has had anything to complain about.
    pub fn has_complaints(&self) -> bool {
        let logs = self.logs();
        logs.contains(" WARN ") || logs.contains(" ERROR ")
    }

    /// What all processors have said, for a failure.
    pub fn logs(&self) -> String {
        let logs = self.nodes.iter().filter_map(|node| node.processor.as_ref());
        logs.map(|processor| format!("── processor {}\n{}", processor.id(), processor.log()))
            .collect()
    }

    pub fn pause_upstream(&self, paused: bool) {
        self.publishing.as_ref().expect("it is published").pause(paused);
    }

    pub fn confirmed(&self) -> usize {
        self.publishing.as_ref().map_or(0, Publishing::confirmed)
    }

    /// How many different events are published.
    pub fn distinct_confirmed(&self) -> i64 {
        self.confirmed().checked_sub(1).map_or(0, |last| self.distinct[last])
    }

    /// Ends the connections of the processors to the database, so that what was changed for
    /// their user holds.
    pub async fn terminate_sessions(&self) {
        let statement = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE usename = '{USER}' AND datname = '{}'",
            self.database
        );
        tell(&self.database_url, &statement).await;
    }

    /// Changes a setting of the processors' user in this database, for the sessions to come.
    pub async fn set_for_user(&self, setting: &str) {
        let Self { database, .. } = self;
        let statement = format!("ALTER ROLE {USER} IN DATABASE {database} {setting}");
        tell(&self.database_url, &statement).await;
    }
}

impl Node {
    async fn behind(server: &PgConnectOptions, amqp_url: &str, database: &str) -> Node {
        let to_database = Proxy::to(loopback(server.get_port())).await;
        let broker: SocketAddr = amqp_url
            .rsplit_once('@')
            .and_then(|(_, rest)| rest.split('/').next()?.parse().ok())
            .expect("the sandbox gives an address");
        let to_broker = Proxy::to(broker).await;
        let database_url =
            format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", to_database.port());
        let amqp_url =
            amqp_url.replace(&format!(":{}/", broker.port()), &format!(":{}/", to_broker.port()));
        let launch = Launch::at(&database_url, &format!("{amqp_url}?heartbeat={HEARTBEAT}"))
            .with("OTODOKE_PREFIX", database)
            // Small batches: there is always one under way.
            .with("OTODOKE_BATCH_MAX", "20");
        Node { to_database, to_broker, launch, processor: None }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
