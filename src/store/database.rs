//! Whole databases: one is made for a demonstration on a given server, and dropped after.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use uuid::Uuid;

use super::Result;

/// A database of its own on a server that has others.
#[derive(Clone, Debug)]
pub struct OwnDatabase {
    server: PgConnectOptions,
    name: String,
}

impl OwnDatabase {
    /// Creates it beside the database of `url`, whose user must be allowed to.
    pub async fn create(url: &str) -> Result<OwnDatabase> {
        let name = format!("otodoke_own_{}", Uuid::now_v7().simple());
        let own = OwnDatabase { server: url.parse()?, name };
        own.tell("CREATE DATABASE").await?;
        Ok(own)
    }

    pub fn url(&self) -> String {
        self.server.clone().database(&self.name).to_url_lossy().to_string()
    }

    /// Drops it, whoever is still connected.
    pub async fn remove(self) -> Result<()> {
        self.tell("DROP DATABASE").await
    }

    async fn tell(&self, what: &str) -> Result<()> {
        let force = if what.starts_with("DROP") { " WITH (FORCE)" } else { "" };
        // The name is made of letters and digits, here.
        let statement = AssertSqlSafe(format!("{what} {}{force}", self.name));
        self.server.connect().await?.execute(statement).await.map(drop)
    }
}
