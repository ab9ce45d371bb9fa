//! One connection to the database, for a command that asks it something.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

use crate::config::Settings;

/// How long a command waits for the database to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects, or says at once what is in the way: nobody waits for a database here.
pub async fn connect(settings: &Settings) -> Result<PgConnection> {
    let options: PgConnectOptions = settings
        .services
        .database_url()?
        .parse()
        .context("the database's address can't be understood")?;
    // What takes its time was asked for by somebody who waits for it: that is no warning.
    let options = options.application_name("otodoke").disable_statement_logging();
    match tokio::time::timeout(PATIENCE, options.connect()).await {
        Ok(connected) => connected.context("the database can't be reached"),
        Err(_) => bail!("the database doesn't answer within {} s", PATIENCE.as_secs()),
    }
}
