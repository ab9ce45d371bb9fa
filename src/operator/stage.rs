//! Where a demonstration or a benchmark takes place: private servers, or a database and names
//! of its own on servers that were given. What is there already is neither read nor written.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};
use uuid::Uuid;

use crate::broker::{Names, Session, declare, remove};
use crate::config::Settings;
use crate::rules::Policy;
use crate::sandbox::{Options, Sandbox, Server};
use crate::store::database::OwnDatabase;
use crate::{processor, store};

/// The services of one performance. To be cleared in the end; what is private goes even where
/// this process is killed.
pub struct Stage {
    /// Those of the performance: services, prefix and HTTP address are its own.
    pub settings: Settings,
    sandbox: Option<Sandbox>,
    /// On a given database server.
    database: Option<OwnDatabase>,
    /// On a given broker.
    names: Option<Names>,
}

impl Stage {
    /// Starts what isn't given, and sets up the database and the broker.
    pub async fn set(given: &Settings) -> Result<Stage> {
        let services = &given.services;
        let options = Options {
            postgres: services.database_url.is_none(),
            rabbitmq: services.amqp_url.is_none(),
            ..Options::default()
        };
        let sandbox = match options.postgres || options.rabbitmq {
            true => Some(Sandbox::start(options.clone()).await?),
            false => None,
        };
        let mut stage = Stage { settings: own(given)?, sandbox, database: None, names: None };
        match stage.take_place(options).await {
            Ok(()) => Ok(stage),
            Err(error) => {
                // The first failure is told: one of clearing up after it says less.
                let _ = stage.clear().await;
                Err(error)
            }
        }
    }

    /// The process of a private server, under which all its others are.
    pub fn process_id(&self, server: Server) -> Option<u32> {
        let is_given = match server {
            Server::Postgres => self.database.is_some(),
            Server::RabbitMq => self.names.is_some(),
        };
        let sandbox = self.sandbox.as_ref().filter(|_| !is_given)?;
        Some(sandbox.process_id(server))
    }

    async fn take_place(&mut self, private: Options) -> Result<()> {
        if private.postgres {
            let url = self.sandbox.as_ref().map(Sandbox::database_url);
            self.settings.services.database_url = url.map(Into::into);
        } else {
            let given = self.settings.services.database_url()?;
            let database = OwnDatabase::create(given)
                .await
                .context("can't create a database beside the one in DATABASE_URL")?;
            self.settings.services.database_url = Some(database.url().into());
            self.database = Some(database);
        }
        if private.rabbitmq {
            let url = self.sandbox.as_ref().map(Sandbox::amqp_url);
            self.settings.services.amqp_url = url.map(Into::into);
        } else {
            let prefix = format!("own-{}", Uuid::now_v7().simple());
            let outer = std::mem::take(&mut self.settings.services.prefix);
            self.settings.services.prefix = [outer, prefix]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(".");
            self.names = Some(Names::new(&self.settings.services.prefix)?);
        }
        store::migrate(&processor::pool(&self.settings)?).await?;
        self.declare().await
    }

    async fn declare(&self) -> Result<()> {
        let names = Names::new(&self.settings.services.prefix)?;
        let session = Session::open(self.settings.services.amqp_url()?, "stage").await?;
        declare(&session, &names).await?;
        session.close().await;
        Ok(())
    }

    /// Takes away all that was made: on given servers the database, queues and exchanges.
    pub async fn clear(self) -> Result<()> {
        let amqp_url = self.settings.services.amqp_url().map(str::to_owned);
        let broker = async {
            let (Some(names), Ok(url)) = (&self.names, &amqp_url) else { return Ok(()) };
            let session = Session::open(url, "stage").await?;
            remove(&session, names).await?;
            session.close().await;
            anyhow::Ok(())
        };
        let database = async {
            match self.database {
                Some(database) => database.remove().await,
                None => Ok(()),
            }
        };
        let (broker, database) = tokio::join!(broker, database);
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await.context("the private services can't be stopped")?;
        }
        database.context("the demo's database can't be dropped")?;
        broker.context("the demo's queues and exchanges can't be deleted")
    }
}

/// The given settings where they don't decide what the stories come to: those rely on the
/// rules' defaults, and on everything being published.
fn own(given: &Settings) -> Result<Settings> {
    let mut settings = given.clone();
    settings.rules = Policy::default().into();
    settings.pipeline.publish_from = None;
    settings.services.http_addr = free_address()?;
    Ok(settings)
}

/// Nobody listens there now; somebody who takes it until we do is met with a retry.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    listener.local_addr().context("no port is free")
}
