//! The private servers themselves: they work, they can be crashed, and nothing of
//! them stays behind, however their owner ends.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use otodoke::sandbox::{Options, Sandbox, SandboxError, Server};
use sqlx::{Connection as _, PgConnection, PgPool, Row};
use support::wait_until;

const SOON: Duration = Duration::from_secs(20);

async fn amqp(sandbox: &Sandbox) -> Connection {
    let properties = ConnectionProperties::default();
    Connection::connect(sandbox.amqp_url(), properties).await.unwrap()
}

/// Every process that works inside the folder: the servers' working directories are
/// there, and so are those of all that they start.
fn processes_in(folder: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let works_inside = |process: &PathBuf| {
        let directory = fs::read_link(process.join("cwd"));
        directory.is_ok_and(|directory| directory.starts_with(folder))
    };
    processes.filter(works_inside).collect()
}

#[tokio::test]
async fn a_stopped_sandbox_leaves_neither_processes_nor_a_folder() {
    let sandbox = Sandbox::start(Options { management: true, ..Options::default() }).await.unwrap();
    let folder = sandbox.folder().to_owned();
    assert!(!processes_in(&folder).is_empty());

    let pool = PgPool::connect(sandbox.database_url()).await.unwrap();
    let row = sqlx::query("SHOW fsync").fetch_one(&pool).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "on");
    assert!(amqp(&sandbox).await.status().connected());
    let (status, body) =
        support::request(sandbox.management_url().unwrap(), "GET", "/api/whoami", "");
    assert_eq!((status, body.contains("otodoke")), (200, true));

    // With the pool still open: its clients must not hold the server up.
    sandbox.stop().await.unwrap();
    assert_eq!(processes_in(&folder), Vec::<PathBuf>::new());
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_dropped_sandbox_leaves_neither_processes_nor_a_folder() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let folder = sandbox.folder().to_owned();
    drop(sandbox);
    assert_eq!(processes_in(&folder), Vec::<PathBuf>::new());
    assert!(!folder.exists());
}

#[tokio::test]
async fn what_was_confirmed_survives_a_crash_of_the_broker() {
    let options = Options { postgres: false, ..Options::default() };
    let mut sandbox = Sandbox::start(options).await.unwrap();
    let url = sandbox.amqp_url().to_owned();
    declare(&amqp(&sandbox).await).await;
    // RabbitMQ notes a new quorum queue lazily; only its messages are safe at once.
    sandbox.restart(Server::RabbitMq).await.unwrap();
    publish_one(&amqp(&sandbox).await).await;

    sandbox.kill(Server::RabbitMq).await.unwrap();
    assert!(Connection::connect(&url, ConnectionProperties::default()).await.is_err());
    sandbox.restart(Server::RabbitMq).await.unwrap();

    assert_eq!(sandbox.amqp_url(), url);
    // A quorum queue elects its leader after the node has begun to take connections, and
    // until then a question to it may end the connection that asked.
    wait_until(SOON, "the message is there again", async || {
        get_one(&amqp(&sandbox).await).await.is_ok_and(|message| message == Some(b"safe".to_vec()))
    })
    .await;
    sandbox.stop().await.unwrap();
}

async fn declare(connection: &Connection) {
    let channel = connection.create_channel().await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("kept".into(), durable, arguments).await.unwrap();
}

async fn publish_one(connection: &Connection) {
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish("".into(), "kept".into(), options, b"safe", persistent).await;
    assert_eq!(sent.unwrap().await.unwrap(), Confirmation::Ack(None));
}

async fn get_one(connection: &Connection) -> lapin::Result<Option<Vec<u8>>> {
    let channel = connection.create_channel().await?;
    let message = channel.basic_get("kept".into(), BasicGetOptions::default()).await?;
    Ok(message.map(|message| message.delivery.data))
}

#[tokio::test]
async fn what_was_committed_survives_a_crash_of_the_database() {
    let options = Options { rabbitmq: false, ..Options::default() };
    let mut sandbox = Sandbox::start(options).await.unwrap();
    let url = sandbox.database_url().to_owned();
    let pool = PgPool::connect(&url).await.unwrap();
    sqlx::query("CREATE TABLE kept AS SELECT 42 AS answer").execute(&pool).await.unwrap();

    sandbox.kill(Server::Postgres).await.unwrap();
    assert!(PgConnection::connect(&url).await.is_err());
    sandbox.restart(Server::Postgres).await.unwrap();

    let pool = PgPool::connect(&url).await.unwrap();
    let row = sqlx::query("SELECT answer FROM kept").fetch_one(&pool).await.unwrap();
    assert_eq!(row.get::<i32, _>(0), 42);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn an_alarm_can_be_raised_on_the_private_broker() {
    let options = Options { postgres: false, ..Options::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    sandbox.rabbitmqctl(&["set_vm_memory_high_watermark", "absolute", "1MB"]).await.unwrap();
    let refused = sandbox.rabbitmqctl(&["no_such_command"]).await;
    assert!(matches!(refused, Err(SandboxError::Ended { program: "rabbitmqctl", .. })));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn the_command_hands_on_addresses_and_the_exit_code() {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_otodoke"));
    command.args(["sandbox", "--", "sh", "-c", r#"echo "$DATABASE_URL $AMQP_URL"; exit 7"#]);
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(7));
    let printed = String::from_utf8(output.stdout).unwrap();
    let addresses: Vec<&str> = printed.split_whitespace().collect();
    assert!(addresses[0].starts_with("postgres://") && addresses[1].starts_with("amqp://"));
    assert!(PgConnection::connect(addresses[0]).await.is_err(), "the server is stopped");
}

#[tokio::test]
async fn servers_go_when_their_owner_is_killed() {
    // As root the servers run as other users, which have to get in.
    let open = fs::Permissions::from_mode(0o755);
    let base = tempfile::Builder::new().permissions(open).tempdir().unwrap();
    let mut owner = Command::new(env!("CARGO_BIN_EXE_otodoke"))
        .arg("sandbox")
        .env("TMPDIR", base.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first_line = String::new();
    let output = owner.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut first_line).unwrap();
    assert!(first_line.starts_with("export DATABASE_URL=postgres://"), "{first_line}");
    assert!(!processes_in(base.path()).is_empty());

    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_until(SOON, "no process works in the folder", async || {
        processes_in(base.path()).is_empty()
    })
    .await;
    wait_until(SOON, "the folder is empty", async || {
        fs::read_dir(base.path()).unwrap().next().is_none()
    })
    .await;
}
