//! A private RabbitMQ node: its epmd, its settings, its server.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::account::{Account, create_private_folder, run_as, write_private_file};
use super::home::Home;
use super::installed::{EPMD, RABBITMQ, rabbitmq_scripts};
use super::plugins::needed_folders;
use super::ports::free_ports;
use super::process::{Process, Profile};
use super::{Certificates, Options, SandboxError};

const USER: &str = "otodoke";
/// Erlang's distribution stays on loopback, for the node and for its tools.
const LOOPBACK_ONLY: &str = "-kernel inet_dist_use_interface {127,0,0,1}";
const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(30);

/// A RabbitMQ node that listens on loopback only and knows no other node.
#[derive(Debug)]
pub(super) struct RabbitMq {
    // First, so that it ends before its epmd.
    server: Process,
    epmd: Process,
    installation: Installation,
    amqp_url: String,
    amqps_url: Option<String>,
    management_url: Option<String>,
}

/// All that starting the node needs, the first time and again.
#[derive(Debug)]
struct Installation {
    scripts: PathBuf,
    folder: PathBuf,
    account: Option<Account>,
    ports: Ports,
    management: bool,
    has_tls: bool,
    password: String,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    amqp: u16,
    amqps: u16,
    management: u16,
    distribution: u16,
    epmd: u16,
}

impl RabbitMq {
    /// The process under which all its others are.
    pub fn process_id(&self) -> u32 {
        self.server.id()
    }

    /// Writes the node's settings into `home` and starts it.
    pub async fn start(home: &Home, options: &Options) -> Result<RabbitMq, SandboxError> {
        let management = options.management;
        let installation = Installation::create(home, management, options.tls.as_ref())?;
        let epmd = installation.start_epmd(home).await?;
        let server = installation.serve(home).await?;
        let Installation { password, ports, .. } = &installation;
        let place = format!("{USER}:{password}@{}", Ipv4Addr::LOCALHOST);
        let amqp_url = format!("amqp://{place}:{}/%2f", ports.amqp);
        let amqps_url =
            options.tls.is_some().then(|| format!("amqps://{place}:{}/%2f", ports.amqps));
        let management_url = management.then(|| format!("http://{place}:{}", ports.management));
        Ok(RabbitMq { server, epmd, installation, amqp_url, amqps_url, management_url })
    }

    pub fn amqp_url(&self) -> &str {
        &self.amqp_url
    }

    pub fn amqps_url(&self) -> Option<&str> {
        self.amqps_url.as_deref()
    }

    pub fn management_url(&self) -> Option<&str> {
        self.management_url.as_deref()
    }

    /// SIGKILL: what was confirmed must survive it.
    pub async fn kill(&mut self) -> Result<(), SandboxError> {
        self.server.kill().await
    }

    pub async fn restart(&mut self, home: &Home) -> Result<(), SandboxError> {
        self.stop_server().await?;
        self.server = self.installation.serve(home).await?;
        Ok(())
    }

    pub async fn stop(&mut self) -> Result<(), SandboxError> {
        self.stop_server().await?;
        self.epmd.kill().await
    }

    pub async fn control(&self, arguments: &[&str]) -> Result<String, SandboxError> {
        self.installation.control(arguments).await
    }

    async fn stop_server(&mut self) -> Result<(), SandboxError> {
        self.server.stop("TERM", STOP).await
    }
}

impl Installation {
    fn create(
        home: &Home,
        management: bool,
        tls: Option<&Certificates>,
    ) -> Result<Installation, SandboxError> {
        let scripts = rabbitmq_scripts()?;
        let folder = home.path().join("rabbitmq");
        let account = Account::for_server("rabbitmq", home.path())?;
        create_private_folder(&folder, account)?;
        let [amqp, amqps, management_port, distribution, epmd] =
            free_ports().map_err(SandboxError::Ports)?;
        let ports = Ports { amqp, amqps, management: management_port, distribution, epmd };
        for (name, text) in tls.into_iter().flat_map(Certificates::files) {
            write_private_file(&folder.join(name), text, account)?;
        }
        let has_tls = tls.is_some();
        let password = Uuid::now_v7().simple().to_string();
        let installation =
            Installation { scripts, folder, account, ports, management, has_tls, password };
        installation.write_settings()?;
        installation.link_needed_plugins()?;
        Ok(installation)
    }

    fn write_settings(&self) -> Result<(), SandboxError> {
        let plugins = if self.management { "[rabbitmq_management].\n" } else { "[].\n" };
        let files = [
            ("rabbitmq.conf", self.settings()),
            ("advanced.config", "[].\n".to_owned()),
            ("rabbitmq-env.conf", String::new()),
            ("enabled_plugins", plugins.to_owned()),
            (".erlang.cookie", Uuid::now_v7().simple().to_string()),
        ];
        for (name, text) in files {
            write_private_file(&self.folder.join(name), &text, self.account)?;
        }
        Ok(())
    }

    fn settings(&self) -> String {
        let Ports { amqp, management, .. } = self.ports;
        let management = match self.management {
            true => format!("management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n"),
            false => String::new(),
        };
        let tls = if self.has_tls { self.tls_settings() } else { String::new() };
        format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\n\
             {management}{tls}\
             default_user = {USER}\n\
             default_pass = {}\n\
             loopback_users = none\n\
             log.console = false\n\
             log.file.level = info\n\
             vm_memory_high_watermark.absolute = 2GiB\n\
             disk_free_limit.absolute = 100MB\n\
             raft.wal_max_size_bytes = 64000000\n",
            self.password
        )
    }

    fn tls_settings(&self) -> String {
        let file = |name: &str| self.folder.join(name).display().to_string();
        format!(
            "listeners.ssl.1 = 127.0.0.1:{}\n\
             ssl_options.cacertfile = {}\n\
             ssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\n\
             ssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = true\n",
            self.ports.amqps,
            file("ca.pem"),
            file("cert.pem"),
            file("key.pem"),
        )
    }

    /// A RabbitMQ home of links, which holds only what the node needs: `home/sbin` is
    /// the installation's, and the scripts look for `plugins` and `escript` beside it.
    fn link_needed_plugins(&self) -> Result<(), SandboxError> {
        let real = self.scripts.parent().unwrap_or(Path::new("/"));
        let home = self.folder.join("home");
        let plugins = home.join("plugins");
        fs::create_dir_all(&plugins).map_err(SandboxError::file("create", &plugins))?;
        let mut wanted = vec!["rabbit", "rabbitmq_prelaunch"];
        wanted.extend(self.management.then_some("rabbitmq_management"));
        for folder in needed_folders(&real.join("plugins"), &wanted) {
            let name = folder.file_name().expect("a folder found by listing has a name");
            link(&folder, &plugins.join(name))?;
        }
        link(&real.join("escript"), &home.join("escript"))?;
        link(&self.scripts, &home.join("sbin"))
    }

    async fn start_epmd(&self, home: &Home) -> Result<Process, SandboxError> {
        let mut command = self.command(Path::new("epmd"));
        // In the foreground: the daemon that a node starts by itself outlives it.
        command.args(["-address", "127.0.0.1", "-port", &self.ports.epmd.to_string()]);
        let profile = Profile { product: EPMD, ..self.profile() };
        let mut epmd = Process::spawn(home, profile, &self.folder, "epmd.log", command)?;
        epmd.wait_until(START, async || accepts_connections(self.ports.epmd).await).await?;
        Ok(epmd)
    }

    async fn serve(&self, home: &Home) -> Result<Process, SandboxError> {
        let command = self.command(&self.scripts.join("rabbitmq-server"));
        let mut server = Process::spawn(home, self.profile(), &self.folder, "server.log", command)?;
        server.wait_until(START, async || self.answers().await).await?;
        Ok(server)
    }

    async fn answers(&self) -> bool {
        speaks_amqp(self.ports.amqp).await.unwrap_or(false)
            && (!self.management || accepts_connections(self.ports.management).await)
    }

    async fn control(&self, arguments: &[&str]) -> Result<String, SandboxError> {
        let mut command = self.command(&self.scripts.join("rabbitmqctl"));
        command.args(arguments).current_dir(&self.folder);
        run_as(&mut command, self.account);
        let mut command = tokio::process::Command::from(command);
        let output = command.kill_on_drop(true).output().await;
        let output =
            output.map_err(|source| SandboxError::Spawn { program: "rabbitmqctl", source })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(SandboxError::Ended { program: "rabbitmqctl", log: text(&output.stderr) }),
        }
    }

    /// The whole environment of the node, its epmd and its tools: what isn't set here
    /// they would look for under /etc/rabbitmq and /var/lib/rabbitmq.
    fn command(&self, program: &Path) -> Command {
        let file = |name: &str| self.folder.join(name);
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/bin:/bin";
        let mut command = Command::new(program);
        command.env_clear();
        command.env("PATH", path).env("LANG", "C.UTF-8").env("HOME", &self.folder);
        command.env("ERL_EPMD_ADDRESS", "127.0.0.1");
        command.env("ERL_EPMD_PORT", self.ports.epmd.to_string());
        // Else a crash dump would be written, for seconds.
        command.env("ERL_CRASH_DUMP_SECONDS", "0");
        // The script then becomes the node instead of watching over it, so that a
        // signal reaches the node itself.
        command.env("RUNNING_UNDER_SYSTEMD", "true");
        command.env("RABBITMQ_NODENAME", "otodoke@localhost");
        command.env("RABBITMQ_DIST_PORT", self.ports.distribution.to_string());
        command.env("RABBITMQ_SCRIPTS_DIR", file("home/sbin"));
        command.env("RABBITMQ_PLUGINS_DIR", file("home/plugins"));
        command.env("RABBITMQ_CONF_ENV_FILE", file("rabbitmq-env.conf"));
        command.env("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf"));
        command.env("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced.config"));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins"));
        command.env("RABBITMQ_MNESIA_BASE", file("data"));
        command.env("RABBITMQ_LOG_BASE", file("log"));
        command.env("RABBITMQ_PID_FILE", file("pid"));
        command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", LOOPBACK_ONLY);
        command.env("RABBITMQ_CTL_ERL_ARGS", LOOPBACK_ONLY);
        command
    }

    fn profile(&self) -> Profile {
        Profile { product: RABBITMQ, abrupt_signal: "KILL", account: self.account }
    }
}

fn link(target: &Path, at: &Path) -> Result<(), SandboxError> {
    symlink(target, at).map_err(SandboxError::file("create", at))
}

async fn accepts_connections(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
}

/// A node answers the protocol header only when its boot is complete.
async fn speaks_amqp(port: u16) -> std::io::Result<bool> {
    const METHOD_FRAME: u8 = 1;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    Ok(stream.read_u8().await? == METHOD_FRAME)
}
