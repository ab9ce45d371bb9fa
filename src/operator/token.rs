//! `otodoke token`: somebody's key to the console.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::output::say;
use crate::contract::{Span, Timestamp};
use crate::http::Roles;
use crate::http::tokens::{Holder, is_name};

/// Make a token with which somebody signs in to the console
///
/// Prints the token, once: it is stored nowhere. What the console knows it by is a line for the
/// file of OTODOKE_CONSOLE_TOKENS, printed to standard error or appended with --to. Who is taken
/// out of that file is out at once. Roles: a viewer looks, an operator replays and discards, a
/// revealer may see personal data, which is recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke token hanako --role operator,revealer --to /etc/otodoke/tokens
  otodoke token dashboard --lasts 90d --to /etc/otodoke/tokens")]
pub struct TokenArguments {
    /// Whose it is, as the audit trail will name it
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// viewer, operator, revealer; divided by commas
    #[arg(long = "role", value_name = "ROLES", default_value = "viewer", value_parser = roles)]
    roles: Roles,
    /// How long it is good; by default until it is taken out of the file
    #[arg(long, value_name = "DURATION")]
    lasts: Option<Span>,
    /// Append its line to this file
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

fn name(text: &str) -> Result<String, String> {
    match is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("a name is 1 to 64 letters, digits, `.`, `_`, `-` and `@`".to_owned()),
    }
}

fn roles(text: &str) -> Result<Roles, String> {
    Roles::read(text).ok_or_else(|| "there are viewer, operator and revealer".to_owned())
}

pub fn token(arguments: &TokenArguments) -> Result<ExitCode> {
    let now = Timestamp::from_chrono(chrono::Utc::now());
    let until = arguments.lasts.map(|lasts| now + lasts);
    let (holder, token) = Holder::issue(&arguments.name, arguments.roles, until)
        .map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    match &arguments.to {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let mut file = file.with_context(|| format!("{} can't be opened", path.display()))?;
            writeln!(file, "{}", holder.line())?;
        }
        None => eprintln!("for the file of OTODOKE_CONSOLE_TOKENS:\n{}", holder.line()),
    }
    say(&token)?;
    Ok(ExitCode::SUCCESS)
}
