//! Private PostgreSQL and RabbitMQ servers for a demo, a test run or a benchmark.
//!
//! Owns one temporary folder and every process that works in it. Never reads,
//! writes or disturbs anything else: each listener is on a loopback port of its
//! own, RabbitMQ has its own epmd, cookie and settings, and a system-wide server
//! on the same machine notices nothing. Needs Linux; as root the servers drop to
//! their packages' users, since PostgreSQL refuses to be root.
//!
//! However the owner ends, nothing stays behind: `stop` is the graceful way,
//! dropping the sandbox ends the servers at once, and when the owner is killed a
//! keeper process sees its pipe close and clears away.

mod account;
mod error;
mod home;
mod installed;
mod plugins;
mod ports;
mod postgres;
mod process;
mod rabbitmq;

pub use error::SandboxError;
pub(crate) use process::send_signal;

use home::Home;
use postgres::Postgres;
use rabbitmq::RabbitMq;

/// How often the sandbox tries other ports when somebody took one that was free.
const TRIES: u32 = 3;

const POSTGRES: &str = "the options asked for PostgreSQL";
const RABBITMQ: &str = "the options asked for RabbitMQ";

/// What a server shows, and whom it asks for; each in PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// Of whoever vouches for clients.
    pub authority: String,
    pub certificate: String,
    pub key: String,
}

impl Certificates {
    /// As servers find them in their folders.
    fn files(&self) -> [(&'static str, &str); 3] {
        [("ca.pem", &self.authority), ("cert.pem", &self.certificate), ("key.pem", &self.key)]
    }
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    pub postgres: bool,
    pub rabbitmq: bool,
    /// With RabbitMQ's management API; its start takes about a second longer.
    pub management: bool,
    /// With TLS as well: RabbitMQ on a port of its own, which takes clients with a certificate
    /// only; PostgreSQL on the same.
    pub tls: Option<Certificates>,
}

impl Default for Options {
    fn default() -> Self {
        Options { postgres: true, rabbitmq: true, management: false, tls: None }
    }
}

/// One of the two servers, to do something to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Postgres,
    RabbitMq,
}

/// Running servers. Dropping it ends them and removes their data.
#[derive(Debug)]
pub struct Sandbox {
    postgres: Option<Postgres>,
    rabbitmq: Option<RabbitMq>,
    // Last: the folder goes when nobody works in it any more.
    home: Home,
}

impl Sandbox {
    /// Starts the servers side by side and returns once they answer.
    pub async fn start(options: Options) -> Result<Sandbox, SandboxError> {
        for _ in 1..TRIES {
            match Sandbox::try_start(&options).await {
                Err(SandboxError::PortTaken { .. }) => {}
                outcome => return outcome,
            }
        }
        Sandbox::try_start(&options).await
    }

    async fn try_start(options: &Options) -> Result<Sandbox, SandboxError> {
        let home = Home::create()?;
        let postgres = async {
            if options.postgres {
                Postgres::start(&home, options.tls.as_ref()).await.map(Some)
            } else {
                Ok(None)
            }
        };
        let rabbitmq = async {
            if !options.rabbitmq {
                return Ok(None);
            }
            RabbitMq::start(&home, options).await.map(Some)
        };
        let (postgres, rabbitmq) = tokio::try_join!(postgres, rabbitmq)?;
        Ok(Sandbox { postgres, rabbitmq, home })
    }

    /// `postgres://…` of an empty database whose user may do everything.
    ///
    /// # Panics
    /// When the options left PostgreSQL out.
    pub fn database_url(&self) -> &str {
        self.postgres.as_ref().expect(POSTGRES).url()
    }

    /// `amqp://…/%2f` of an empty broker whose user may do everything.
    ///
    /// # Panics
    /// When the options left RabbitMQ out.
    pub fn amqp_url(&self) -> &str {
        self.rabbitmq.as_ref().expect(RABBITMQ).amqp_url()
    }

    /// `amqps://…/%2f`, if TLS was asked for.
    pub fn amqps_url(&self) -> Option<&str> {
        self.rabbitmq.as_ref()?.amqps_url()
    }

    /// `http://user:password@127.0.0.1:port` of the management API, if it was asked for.
    pub fn management_url(&self) -> Option<&str> {
        self.rabbitmq.as_ref()?.management_url()
    }

    /// The folder that holds everything, also the servers' logs.
    pub fn folder(&self) -> &std::path::Path {
        self.home.path()
    }

    /// The process of a server, under which all its others are.
    pub fn process_id(&self, server: Server) -> u32 {
        match server {
            Server::Postgres => self.postgres.as_ref().expect(POSTGRES).process_id(),
            Server::RabbitMq => self.rabbitmq.as_ref().expect(RABBITMQ).process_id(),
        }
    }

    /// Crashes one server: SIGKILL for RabbitMQ; for PostgreSQL an immediate
    /// shutdown, which leaves the rest to recovery. Its data stays, but RabbitMQ 3.10
    /// notes a new quorum queue lazily: one declared a moment before doesn't come back
    /// to life (what is confirmed later is safe).
    pub async fn kill(&mut self, server: Server) -> Result<(), SandboxError> {
        match server {
            Server::Postgres => self.postgres.as_mut().expect(POSTGRES).kill().await,
            Server::RabbitMq => self.rabbitmq.as_mut().expect(RABBITMQ).kill().await,
        }
    }

    /// Starts one server again on its own data and ports. One that still runs is
    /// stopped gracefully first.
    pub async fn restart(&mut self, server: Server) -> Result<(), SandboxError> {
        let Sandbox { postgres, rabbitmq, home } = self;
        match server {
            Server::Postgres => postgres.as_mut().expect(POSTGRES).restart(home).await,
            Server::RabbitMq => rabbitmq.as_mut().expect(RABBITMQ).restart(home).await,
        }
    }

    /// Runs `rabbitmqctl` on the private node, for instance to raise an alarm, and
    /// returns what it printed.
    pub async fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String, SandboxError> {
        self.rabbitmq.as_ref().expect(RABBITMQ).control(arguments).await
    }

    /// Stops both servers gracefully, by force where that takes too long, and
    /// removes the folder.
    pub async fn stop(mut self) -> Result<(), SandboxError> {
        let postgres = async {
            match &mut self.postgres {
                Some(postgres) => postgres.stop().await,
                None => Ok(()),
            }
        };
        let rabbitmq = async {
            match &mut self.rabbitmq {
                Some(rabbitmq) => rabbitmq.stop().await,
                None => Ok(()),
            }
        };
        let (postgres, rabbitmq) = tokio::join!(postgres, rabbitmq);
        postgres.and(rabbitmq)?;
        self.home.remove()
    }
}
