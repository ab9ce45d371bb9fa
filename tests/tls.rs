//! TLS to broker and database: who is trusted, who isn't, and what is said of it.

#[path = "support/certificates.rs"]
mod certificates;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use certificates::{Authority, Identity};
use otodoke::sandbox::{Options, Sandbox};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

/// Servers with certificates, and the files of a client.
struct Stage {
    sandbox: Sandbox,
    files: TempDir,
}

impl Stage {
    /// The server's certificate is as `server` makes it.
    async fn set(server: impl Fn(&Authority) -> Identity) -> Stage {
        let authority = Authority::new("authority");
        let tls = Some(authority.server(server(&authority)));
        let sandbox = Sandbox::start(Options { tls, ..Options::default() }).await.unwrap();
        let files = tempfile::tempdir().unwrap();
        let client = authority.vouch("otodoke");
        let write = |name: &str, text: &str| fs::write(files.path().join(name), text).unwrap();
        write("ca.pem", &authority.pem());
        write("other.pem", &Authority::new("stranger").pem());
        write("cert.pem", &client.certificate);
        write("key.pem", &client.key);
        let stage = Stage { sandbox, files };
        stage.demand_certificates().await;
        stage
    }

    /// PostgreSQL takes clients with a certificate only, as RabbitMQ does.
    async fn demand_certificates(&self) {
        let mut conn = PgConnection::connect(self.sandbox.database_url()).await.unwrap();
        let rules: PathBuf = self.sandbox.folder().join("postgres/data/pg_hba.conf");
        let rule = "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";
        fs::write(rules, rule).unwrap();
        conn.execute("SELECT pg_reload_conf()").await.unwrap();
    }

    fn file(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }

    fn broker(&self, authority: &str, has_certificate: bool) -> String {
        let url = self.sandbox.amqps_url().unwrap();
        let own = format!("&certfile={}&keyfile={}", self.file("cert.pem"), self.file("key.pem"));
        let own = if has_certificate { own } else { String::new() };
        format!("{url}?cacertfile={}{own}", self.file(authority))
    }

    fn database(&self, authority: &str, has_certificate: bool) -> String {
        let url = self.sandbox.database_url();
        let own = format!("&sslcert={}&sslkey={}", self.file("cert.pem"), self.file("key.pem"));
        let own = if has_certificate { own } else { String::new() };
        format!("{url}?sslmode=verify-full&sslrootcert={}{own}", self.file(authority))
    }
}

/// The exit code, and what was said on standard error.
fn run(arguments: &[&str], database: &str, broker: &str) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_otodoke"));
    let command = command.args(arguments).env("DATABASE_URL", database).env("AMQP_URL", broker);
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Fails at once, says what to do, and names no password.
fn assert_refused(arguments: &[&str], stage: &Stage, database: &str, broker: &str, says: &str) {
    let (code, said) = run(arguments, database, broker);
    assert_eq!(code, 1, "{arguments:?}: {said}");
    assert!(said.contains(says), "{arguments:?} says {said}");
    for url in [stage.sandbox.database_url(), stage.sandbox.amqp_url()] {
        let password = url.split([':', '@']).nth(2).unwrap();
        assert!(!said.contains(password), "{said}");
    }
}

const MIGRATE: &[&str] = &["migrate"];
const TOPOLOGY: &[&str] = &["topology"];

#[tokio::test]
async fn who_knows_the_authority_is_let_in_and_nobody_else() {
    let stage = Stage::set(|authority| authority.vouch("127.0.0.1")).await;
    let (database, broker) = (stage.database("ca.pem", true), stage.broker("ca.pem", true));
    for command in [MIGRATE, TOPOLOGY, &["status"]] {
        let (code, said) = run(command, &database, &broker);
        assert_eq!(code, 0, "{command:?}: {said}");
    }
    let mut conn = PgConnection::connect(&database).await.unwrap();
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(sqlx::query_scalar::<_, bool>(encrypted).fetch_one(&mut conn).await.unwrap());

    let stranger = (stage.database("other.pem", true), stage.broker("other.pem", true));
    assert_refused(MIGRATE, &stage, &stranger.0, &broker, "sslrootcert=");
    assert_refused(TOPOLOGY, &stage, &database, &stranger.1, "cacertfile=");
    let nameless = (stage.database("ca.pem", false), stage.broker("ca.pem", false));
    assert_refused(MIGRATE, &stage, &nameless.0, &broker, "sslcert=");
    assert_refused(TOPOLOGY, &stage, &database, &nameless.1, "certfile=");
    let missing = broker.replace("ca.pem", "nowhere.pem");
    assert_refused(TOPOLOGY, &stage, &database, &missing, "nowhere.pem can't be read");
    let plain = stage.sandbox.amqp_url().replace("amqp://", "amqps://");
    let plain = format!("{plain}?cacertfile={}", stage.file("ca.pem"));
    assert_refused(TOPOLOGY, &stage, &database, &plain, "5671");
    assert!(Path::new(&stage.file("ca.pem")).exists());
    stage.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let stage = Stage::set(|authority| authority.vouch("broker.example")).await;
    let (database, broker) = (stage.database("ca.pem", true), stage.broker("ca.pem", true));
    assert_refused(MIGRATE, &stage, &database, &broker, "for another name");
    assert_refused(TOPOLOGY, &stage, &database, &broker, "for another name");
    stage.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused() {
    let stage = Stage::set(|authority| authority.vouch_in_the_past("127.0.0.1")).await;
    let (database, broker) = (stage.database("ca.pem", true), stage.broker("ca.pem", true));
    assert_refused(MIGRATE, &stage, &database, &broker, "renewed");
    assert_refused(TOPOLOGY, &stage, &database, &broker, "renewed");
    stage.sandbox.stop().await.unwrap();
}
