//! A database and a virtual host for one test.

use std::env;
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use lapin::{Connection, ConnectionProperties};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool};
use uuid::Uuid;

use super::http;

const HOW_TO: &str = "live tests need PostgreSQL and RabbitMQ: run them with `scripts/test`, \
    or `otodoke sandbox --management -- cargo test`, or set DATABASE_URL and AMQP_URL";
/// Tests run side by side against one server: its connections are for all of them.
const CONNECTIONS: u32 = 10;
const DATABASE_ANSWER: Duration = Duration::from_secs(30);

/// The services of one test. Dropping it drops the database and the virtual host.
///
/// The names are unique, so that what a killed test left behind disturbs nobody.
pub struct Services {
    name: String,
    server: PgConnectOptions,
    database_url: String,
    amqp_url: String,
    prefix: String,
    /// Where the virtual host was made; `None` where a prefix has to keep tests apart.
    management_url: Option<String>,
}

impl Services {
    /// # Panics
    /// When DATABASE_URL or AMQP_URL is not set, or nobody answers there.
    pub async fn start() -> Services {
        let management_url = env::var("OTODOKE_SANDBOX_MANAGEMENT_URL").ok();
        Services::at(&required("DATABASE_URL"), &required("AMQP_URL"), management_url).await
    }

    /// On the servers that these addresses name.
    pub async fn at(
        database_url: &str,
        amqp_url: &str,
        management_url: Option<String>,
    ) -> Services {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let server = PgConnectOptions::from_str(database_url).expect("DATABASE_URL is a URL");
        let services = Services {
            database_url: with_path(database_url, &name),
            amqp_url: match management_url {
                Some(_) => with_path(amqp_url, &name),
                None => amqp_url.to_owned(),
            },
            prefix: if management_url.is_some() { String::new() } else { name.clone() },
            name,
            server,
            management_url,
        };
        services.create_virtual_host();
        execute(&services.server, format!("CREATE DATABASE {}", services.name)).await;
        services
    }

    /// Of a database without any tables.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    pub fn amqp_url(&self) -> &str {
        &self.amqp_url
    }

    /// For the setting `OTODOKE_PREFIX`: empty where the virtual host is the test's own,
    /// else a unique one.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The management API, where there is one, for tests that look into the broker.
    pub fn management_url(&self) -> Option<&str> {
        self.management_url.as_deref()
    }

    /// The name of the virtual host where it is the test's own; also of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A pool of its own on the test's database.
    pub async fn pool(&self) -> PgPool {
        let options = PgPoolOptions::new().max_connections(CONNECTIONS);
        let pool = options.acquire_timeout(DATABASE_ANSWER).connect(&self.database_url).await;
        pool.expect("the test's database takes connections")
    }

    /// A plain connection to the test's virtual host.
    pub async fn amqp(&self) -> Connection {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&self.amqp_url, properties).await;
        connection.expect("the test's virtual host takes connections")
    }

    fn create_virtual_host(&self) {
        if let Some(url) = &self.management_url {
            let (status, body) = http::request(url, "PUT", &self.virtual_host_path(), "{}");
            assert_eq!(status, 201, "the broker made no virtual host: {body}");
        }
    }

    fn remove_virtual_host(&self) {
        if let Some(url) = &self.management_url {
            let (status, body) = http::request(url, "DELETE", &self.virtual_host_path(), "");
            assert!(matches!(status, 204 | 404), "the virtual host stays: {status} {body}");
        }
    }

    fn virtual_host_path(&self) -> String {
        format!("/api/vhosts/{}", self.name)
    }
}

impl Drop for Services {
    /// A test that fails anyway, for instance since the broker is gone, must not abort
    /// the run by a second panic.
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropped = block_on(async move {
            execute(&server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        });
        let removed = std::thread::scope(|scope| scope.spawn(|| self.remove_virtual_host()).join());
        if (dropped.is_err() || removed.is_err()) && !std::thread::panicking() {
            panic!("the test's database or virtual host could not be removed");
        }
    }
}

fn required(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set; {HOW_TO}"))
}

/// The same server, another database or virtual host.
fn with_path(url: &str, name: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
    let (address, query) = rest.split_once('?').map_or((rest, None), |(a, q)| (a, Some(q)));
    let place = address.split('/').next().expect("splitting gives at least one part");
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{place}/{name}{query}")
}

async fn execute(server: &PgConnectOptions, statement: String) {
    let connection = server.connect().await;
    let mut connection =
        connection.unwrap_or_else(|error| panic!("no PostgreSQL: {error}; {HOW_TO}"));
    sqlx::query(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .expect("the database user may create and drop databases");
}

/// On a thread of its own: `drop` may run inside the test's runtime.
fn block_on(work: impl Future<Output = ()> + Send + 'static) -> std::thread::Result<()> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime for one query").block_on(work);
    };
    std::thread::spawn(run).join()
}
