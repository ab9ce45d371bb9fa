//! `otodoke schema`: what an event must look like, as JSON Schema.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::output::{say, table};
use crate::broker::{Names, asyncapi};
use crate::config::Settings;
use crate::contract::{InputType, schema};

/// Print the JSON Schema of an event type, or list the types
///
/// The schemas (draft 2020-12) are of the whole event, envelope and data. They are made from
/// what this version reads and writes, so validating against them is what the queue does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke schema                           all types, and who publishes them
  otodoke schema order-placed
  otodoke schema --all > schemas.json      one object, by type
  otodoke schema --asyncapi > asyncapi.yaml")]
pub struct SchemaArguments {
    /// The type, such as order-placed or refund-required; none lists them all
    #[arg(value_name = "TYPE", value_parser = type_name)]
    type_name: Option<String>,
    /// All schemas as one JSON object, by type
    #[arg(long, conflicts_with_all = ["type_name", "json"])]
    all: bool,
    /// The whole catalogue as an AsyncAPI document (3.0.0, YAML): exchanges, routing keys, schemas,
    /// examples, and the rules that events follow from
    #[arg(long, conflicts_with_all = ["type_name", "json", "all"])]
    asyncapi: bool,
    /// The list as a JSON array
    #[arg(long)]
    json: bool,
}

fn type_name(name: &str) -> Result<String, String> {
    let known = schema::names().any(|known| known == name);
    known
        .then(|| name.to_owned())
        .ok_or_else(|| format!("there is no type `{name}`; `otodoke schema` lists them"))
}

pub fn schema(arguments: &SchemaArguments, settings: &Settings) -> Result<ExitCode> {
    match &arguments.type_name {
        None if arguments.asyncapi => {
            let names = Names::new(&settings.services.prefix)?;
            say(yaml_serde::to_string(&asyncapi(&names))?.trim_end())?;
        }
        Some(name) => say(&serde_json::to_string_pretty(&schema::document(name))?)?,
        None if arguments.all => {
            let documents: Map<String, Value> = schema::names()
                .filter_map(|name| Some((name.to_owned(), schema::document(name)?)))
                .collect();
            say(&serde_json::to_string_pretty(&documents)?)?;
        }
        None => list(arguments.json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(as_json: bool) -> Result<()> {
    let types = schema::names().map(|name| (name, way(name), description(name)));
    if as_json {
        let types: Vec<Value> = types
            .map(|(name, way, text)| json!({ "type": name, "way": way, "description": text }))
            .collect();
        return Ok(say(&serde_json::to_string_pretty(&types)?)?);
    }
    let mut rows = table(["type", "way", "what it says"]);
    for (name, way, text) in types {
        rows.add_row([name, &way, &text]);
    }
    Ok(say(&rows.trim_fmt())?)
}

/// Whether events of this type come in, and on which stream, or go out.
fn way(name: &str) -> String {
    InputType::from_name(name)
        .map_or_else(|| "out".to_owned(), |kind| format!("in, {}", kind.stream().name()))
}

fn description(name: &str) -> String {
    let document = schema::document(name).unwrap_or_default();
    document["description"].as_str().unwrap_or_default().replace('\n', " ")
}
