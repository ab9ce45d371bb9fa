//! Least privilege, as `docs/roles` gives it: the processor does its work with it, and nobody can
//! do what isn't theirs.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor, PgConnection, PgPool};
use support::processor::Launch;
use support::{Services, request, wait_until};

const SOON: Duration = Duration::from_secs(60);
const PASSWORD: &str = "p";

/// A database and a virtual host whose owner has set them up, with everybody's users.
struct House {
    services: Services,
    pool: PgPool,
}

impl House {
    async fn open() -> House {
        let services = Services::start().await;
        let pool = services.pool().await;
        otodoke::store::migrate(&pool).await.unwrap();
        let grants = include_str!("../docs/roles/postgresql.sql");
        sqlx::raw_sql(grants).execute(&pool).await.unwrap();
        sqlx::raw_sql(grants).execute(&pool).await.expect("again it changes nothing");
        let house = House { services, pool };
        for role in ["processor", "reader", "operator"] {
            let user = house.user(role);
            house
                .owner(&format!(
                    "CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}' IN ROLE otodoke_{role}"
                ))
                .await;
        }
        for role in ["setup", "processor", "publisher", "subscriber"] {
            let user = json!({ "password": PASSWORD, "tags": "" }).to_string();
            house.api("PUT", &format!("users/{}", house.user(role)), &user);
        }
        house.permit();
        house
    }

    fn user(&self, role: &str) -> String {
        format!("{}_{role}", self.services.name())
    }

    async fn owner(&self, statement: &str) {
        self.pool.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
    }

    fn api(&self, method: &str, path: &str, body: &str) {
        let url = self.services.management_url().expect("run with --management");
        let (status, said) = request(url, method, &format!("/api/{path}"), body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {said}");
    }

    /// Runs the script with a `rabbitmqctl` that only says what it was asked for.
    fn permit(&self) {
        let folder = tempfile::tempdir().unwrap();
        let control = folder.path().join("rabbitmqctl");
        fs::write(&control, "#!/bin/sh\nshift 2; printf '%s\\n' \"$@\"\n").unwrap();
        fs::set_permissions(&control, fs::Permissions::from_mode(0o755)).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/roles/rabbitmq.sh");
        let output = Command::new(script)
            .arg(self.services.name())
            .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
            .envs(
                ["setup", "processor", "publisher", "subscriber"]
                    .map(|r| (r.to_uppercase(), self.user(r))),
            )
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for asked in lines.chunks(5) {
            let [vhost, user, configure, write, read] = asked else { panic!("{asked:?}") };
            let rights = json!({ "configure": configure, "write": write, "read": read });
            self.api("PUT", &format!("permissions/{vhost}/{user}"), &rights.to_string());
        }
    }

    fn database_url(&self, role: &str) -> String {
        as_user(self.services.database_url(), &self.user(role))
    }

    fn amqp_url(&self, role: &str) -> String {
        as_user(self.services.amqp_url(), &self.user(role))
    }

    async fn channel(&self, role: &str) -> Channel {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&self.amqp_url(role), properties).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        channel
    }

    async fn close(self) {
        for role in ["setup", "processor", "publisher", "subscriber"] {
            self.api("DELETE", &format!("users/{}", self.user(role)), "");
        }
        for role in ["processor", "reader", "operator"] {
            self.owner(&format!("DROP ROLE {}", self.user(role))).await;
        }
    }
}

fn as_user(url: &str, user: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, place) = rest.rsplit_once('@').unwrap();
    format!("{scheme}://{user}:{PASSWORD}@{place}")
}

fn otodoke(arguments: &[&str], house: &House, role: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_otodoke"))
        .args(arguments)
        .env("DATABASE_URL", house.database_url("processor"))
        .env("AMQP_URL", house.amqp_url(role))
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn order() -> String {
    let data = json!({
        "order_id": "O-1", "seller_id": "S1", "buyer_id": "B1", "sold_by": "seller",
        "fulfilled_by": "seller", "currency": "JPY", "payment": { "status": "authorized" },
        "lines": [{ "line_id": "L1", "sku": "TEA", "quantity": 1, "unit_price": 990 }],
    });
    let message = json!({
        "message_id": "M1", "thread_id": "T1", "order_id": "O-1", "seller_id": "S1",
        "from": "buyer", "topic": "payment-details", "body": "a secret",
    });
    let event = |id: &str, kind: &str, data| {
        json!({ "specversion": "1.0", "id": id, "source": "/shop", "type": kind,
                "time": "2026-03-01T09:00:00Z", "data": data })
    };
    let (placed, sent) = (event("1", "order-placed", data), event("2", "message-sent", message));
    format!("{placed}\n{placed}\n{sent}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_with_its_own_rights_only_does_all_its_work() {
    let house = House::open().await;
    otodoke(&["topology"], &house, "setup");
    let launch = Launch::at(&house.database_url("processor"), &house.amqp_url("processor"));
    let mut processor = launch.argument("--no-setup").ready().await;

    let channel = house.channel("subscriber").await;
    let queue = house.user("subscriber");
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(queue.as_str().into(), durable, Default::default()).await.unwrap();
    let (exchange, key) = ("marketplace.derived".into(), "#".into());
    channel
        .queue_bind(queue.as_str().into(), exchange, key, Default::default(), Default::default())
        .await
        .unwrap();
    let tag = "".into();
    let mut arriving = channel
        .basic_consume(queue.as_str().into(), tag, Default::default(), Default::default())
        .await
        .unwrap();

    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), order()).unwrap();
    otodoke(&["publish", file.path().to_str().unwrap()], &house, "publisher");
    publish(&house.channel("publisher").await, "marketplace.events", "orders.x", b"ping")
        .await
        .unwrap();

    let mut missing = BTreeSet::from([
        "buyer-redirected",
        "event-dead-lettered",
        "shipment-overdue",
        "shipment-required",
    ]);
    while !missing.is_empty() {
        let delivery = tokio::time::timeout(SOON, arriving.next()).await;
        let delivery = delivery.unwrap_or_else(|_| panic!("{missing:?} don't arrive"));
        missing.remove(delivery.unwrap().unwrap().properties.kind().as_ref().unwrap().as_str());
    }
    let seen = "SELECT (SELECT count(*) FROM read_model.orders) + (SELECT count(*) FROM read_model.messages)
                     + (SELECT count(*) FROM read_model.dead_letters) + (SELECT count(*) FROM publications)";
    let all =
        async || sqlx::query_scalar::<_, i64>(seen).fetch_one(&house.pool).await.unwrap() >= 4;
    wait_until(SOON, "all is recorded", all).await;
    let log = processor.log();
    assert!(!log.contains("42501") && !log.contains(" WARN ") && !log.contains(" ERROR "), "{log}");
    assert!(processor.stop().await.success());
    house.close().await;
}

async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
) -> Result<(), lapin::Error> {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    channel.basic_publish(exchange.into(), key.into(), options, body, properties).await?.await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_do_in_the_database_what_is_not_theirs() {
    let house = House::open().await;
    let attempts: [(&str, &[&str]); 3] = [
        (
            "processor",
            &[
                "DROP TABLE history",
                "CREATE TABLE own (id int)",
                "TRUNCATE cases",
                "ALTER TABLE cases ADD COLUMN own int",
                "SELECT unread FROM history",
                "SELECT * FROM history_default",
                "UPDATE history SET facts = '{}'",
                "SELECT * FROM audit",
                "SELECT * FROM forgettings",
                "DELETE FROM dead_letters",
                "DELETE FROM ledger",
                "SELECT body FROM read_model.messages",
            ],
        ),
        (
            "reader",
            &[
                "SELECT body FROM read_model.messages",
                "SELECT body FROM read_model.dead_letters",
                "SELECT headers FROM read_model.dead_letters",
                "SELECT * FROM history",
                "SELECT * FROM identities",
                "SELECT * FROM audit",
                "DELETE FROM read_model.orders",
                "CREATE TABLE own (id int)",
            ],
        ),
        (
            "operator",
            &[
                "SELECT * FROM history",
                "UPDATE read_model.orders SET status = 'shipped'",
                "DROP VIEW read_model.messages",
            ],
        ),
    ];
    for (role, statements) in attempts {
        let mut conn = PgConnection::connect(&house.database_url(role)).await.unwrap();
        for statement in statements {
            let refused = conn.execute(AssertSqlSafe(statement.to_string())).await;
            let state = refused.as_ref().err().and_then(|error| error.as_database_error()?.code());
            assert_eq!(state.as_deref(), Some("42501"), "{role}: {statement}: {refused:?}");
        }
    }
    for (role, statement) in [
        ("reader", "SELECT * FROM read_model.orders"),
        ("reader", "SELECT message_id, topic FROM read_model.messages"),
        ("operator", "SELECT body FROM read_model.messages"),
        ("operator", "SELECT body, headers FROM read_model.dead_letters"),
    ] {
        let mut conn = PgConnection::connect(&house.database_url(role)).await.unwrap();
        conn.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_do_on_the_broker_what_is_not_theirs() {
    let house = House::open().await;
    otodoke(&["topology"], &house, "setup");
    for (role, exchange) in [
        ("subscriber", "marketplace.events"),
        ("subscriber", "marketplace.derived"),
        ("subscriber", "otodoke.dead"),
        ("subscriber", ""),
        ("publisher", "marketplace.derived"),
        ("publisher", "otodoke.dead"),
        ("publisher", ""),
        ("processor", "marketplace.events"),
        ("processor", ""),
    ] {
        let sent = publish(&house.channel(role).await, exchange, "orders.x", b"{}").await;
        assert_refused(sent, &format!("{role} publishes to `{exchange}`"));
    }
    for (role, queue) in [
        ("publisher", "otodoke.orders"),
        ("publisher", "otodoke.dead"),
        ("subscriber", "otodoke.orders"),
        ("subscriber", "otodoke.dead"),
    ] {
        let channel = house.channel(role).await;
        let consumed = channel
            .basic_consume(queue.into(), "".into(), Default::default(), Default::default())
            .await;
        assert_refused(consumed, &format!("{role} consumes `{queue}`"));
    }
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    for role in ["publisher", "processor", "subscriber"] {
        let channel = house.channel(role).await;
        let made = channel.queue_declare("otodoke.own".into(), durable, Default::default()).await;
        assert_refused(made, &format!("{role} declares a queue"));
    }
    let (channel, own) = (house.channel("subscriber").await, house.user("subscriber"));
    channel.queue_declare(own.as_str().into(), durable, Default::default()).await.unwrap();
    let (inputs, all) = ("marketplace.events".into(), "#".into());
    let bound = channel
        .queue_bind(own.as_str().into(), inputs, all, Default::default(), Default::default())
        .await;
    assert_refused(bound, "subscriber listens to inputs");
    house.close().await;
}

/// The broker's 403.
fn assert_refused<T>(outcome: Result<T, lapin::Error>, what: &str) {
    let Err(error) = outcome else { panic!("{what}") };
    // A confirm is lost with its channel, which the refusal closes.
    let said = error.to_string();
    assert!(said.contains("ACCESS_REFUSED") || said.contains("channel"), "{what}: {said}");
}
