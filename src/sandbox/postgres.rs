//! A private PostgreSQL cluster: its data folder, its server, its one database.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use uuid::Uuid;

use super::account::{Account, create_private_folder, write_private_file};
use super::home::Home;
use super::installed::{POSTGRES, postgres_programs};
use super::ports::free_ports;
use super::process::{Process, Profile};
use super::{Certificates, SandboxError};

/// The database, and its superuser.
const NAME: &str = "otodoke";
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(10);

/// A PostgreSQL server that listens on loopback only, and keeps its promises:
/// `fsync` stays on, a commit is durable.
#[derive(Debug)]
pub(super) struct Postgres {
    installation: Installation,
    server: Process,
    url: String,
}

/// All that starting the server needs, the first time and again.
#[derive(Debug)]
struct Installation {
    programs: PathBuf,
    folder: PathBuf,
    account: Option<Account>,
    port: u16,
    password: String,
    has_tls: bool,
}

impl Postgres {
    /// The process under which all its others are.
    pub fn process_id(&self) -> u32 {
        self.server.id()
    }

    /// Creates the cluster in `home`, starts it, and creates the database.
    pub async fn start(home: &Home, tls: Option<&Certificates>) -> Result<Postgres, SandboxError> {
        let installation = Installation::create(home, tls)?;
        installation.initialise(home).await?;
        let server = installation.serve(home).await?;
        installation.create_database(home).await?;
        let Installation { password, port, .. } = &installation;
        let url = format!("postgres://{NAME}:{password}@{}:{port}/{NAME}", Ipv4Addr::LOCALHOST);
        Ok(Postgres { installation, server, url })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// An immediate shutdown: the server's next start recovers from its log.
    pub async fn kill(&mut self) -> Result<(), SandboxError> {
        self.server.kill().await
    }

    pub async fn restart(&mut self, home: &Home) -> Result<(), SandboxError> {
        self.stop().await?;
        self.server = self.installation.serve(home).await?;
        Ok(())
    }

    /// A fast shutdown: open transactions are rolled back, a checkpoint is written.
    pub async fn stop(&mut self) -> Result<(), SandboxError> {
        self.server.stop("INT", STOP).await
    }
}

impl Installation {
    fn create(home: &Home, tls: Option<&Certificates>) -> Result<Installation, SandboxError> {
        let programs = postgres_programs()?;
        let folder = home.path().join("postgres");
        let account = Account::for_server("postgres", home.path())?;
        create_private_folder(&folder, account)?;
        let [port] = free_ports().map_err(SandboxError::Ports)?;
        let password = Uuid::now_v7().simple().to_string();
        for (name, text) in tls.into_iter().flat_map(Certificates::files) {
            write_private_file(&folder.join(name), text, account)?;
        }
        Ok(Installation { programs, folder, account, port, password, has_tls: tls.is_some() })
    }

    async fn initialise(&self, home: &Home) -> Result<(), SandboxError> {
        let password_file = self.folder.join("password");
        write_private_file(&password_file, &self.password, self.account)?;
        let mut command = self.command("initdb");
        command.args(["--pgdata=data", "--pwfile=password", "--username", NAME]);
        command.args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]);
        // Spares only the flush of the empty cluster; the server flushes every commit.
        command.arg("--no-sync");
        self.run(home, "initdb.log", command).await
    }

    async fn serve(&self, home: &Home) -> Result<Process, SandboxError> {
        let mut command = self.command("postgres");
        command.args(["-D", "data"]);
        let settings = [
            format!("listen_addresses={}", Ipv4Addr::LOCALHOST),
            format!("port={}", self.port),
            // A socket's path holds 107 bytes, and a temporary folder may be deep.
            "unix_socket_directories=".to_owned(),
            "shared_buffers=256MB".to_owned(),
            "max_connections=200".to_owned(),
            "log_min_messages=warning".to_owned(),
        ];
        // From the data folder, which the server works in.
        let tls = [
            "ssl=on",
            "ssl_ca_file=../ca.pem",
            "ssl_cert_file=../cert.pem",
            "ssl_key_file=../key.pem",
        ];
        let tls = tls.iter().filter(|_| self.has_tls).map(|setting| (*setting).to_owned());
        for setting in settings.into_iter().chain(tls) {
            command.args(["-c", &setting]);
        }
        let mut server = Process::spawn(home, self.profile(), &self.folder, "server.log", command)?;
        server.wait_until(START, async || self.answers().await).await?;
        Ok(server)
    }

    async fn answers(&self) -> bool {
        let mut command = tokio::process::Command::from(self.command("pg_isready"));
        command.args(["--quiet", "--host", "127.0.0.1", "--port", &self.port.to_string()]);
        matches!(command.status().await, Ok(status) if status.success())
    }

    async fn create_database(&self, home: &Home) -> Result<(), SandboxError> {
        let mut command = self.command("createdb");
        command.args(["--host", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--username", NAME, "--no-password", NAME]);
        command.env("PGPASSWORD", &self.password);
        self.run(home, "createdb.log", command).await
    }

    /// Runs one of PostgreSQL's own tools to its end.
    async fn run(&self, home: &Home, log: &str, command: Command) -> Result<(), SandboxError> {
        let mut process = Process::spawn(home, self.profile(), &self.folder, log, command)?;
        match process.wait(START).await? {
            Some(true) => Ok(()),
            _ => Err(process.ended_early()),
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", &self.folder);
        command.env("LANG", "C.UTF-8").env("TZ", "UTC");
        command
    }

    fn profile(&self) -> Profile {
        Profile { product: POSTGRES, abrupt_signal: "QUIT", account: self.account }
    }
}
