//! `otodoke migrate` and `otodoke topology`: the database and the broker made ready.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;

use super::output::say;
use crate::broker::{Names, Session, declare};
use crate::config::Settings;
use crate::{processor, store};

/// Bring the database's schema up to date
///
/// Creates what is missing and changes what is old; run again it changes nothing. `run` does
/// it too, unless --no-setup: this is for those whose processor may not change a schema.
#[derive(Debug, clap::Args)]
pub struct MigrateArguments {}

pub async fn migrate(_: MigrateArguments, settings: &Settings) -> Result<ExitCode> {
    let pool = processor::pool(settings)?;
    store::migrate(&pool).await.context("the database can't be set up")?;
    say("the database is up to date")?;
    Ok(ExitCode::SUCCESS)
}

/// Declare the exchanges, queues and bindings on the broker
///
/// What exists already with other arguments is used as it is, and named.
#[derive(Debug, clap::Args)]
pub struct TopologyArguments {
    /// A JSON array of what exists with other arguments
    #[arg(long)]
    json: bool,
}

pub async fn topology(arguments: TopologyArguments, settings: &Settings) -> Result<ExitCode> {
    let names = Names::new(&settings.services.prefix)?;
    let session = Session::open(settings.services.amqp_url()?, "topology").await?;
    let differences = declare(&session, &names).await?;
    session.close().await;
    if arguments.json {
        let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
        say(&json!({ "differences": texts }).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    for difference in &differences {
        eprintln!("otodoke: {difference}");
    }
    say("the topology is declared")?;
    Ok(ExitCode::SUCCESS)
}
