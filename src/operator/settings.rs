//! `otodoke config`, `otodoke completions` and `otodoke manual`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;

use super::output::{say, table};
use crate::config::Settings;

/// Show the settings in effect, with passwords masked
#[derive(Debug, clap::Args)]
pub struct ConfigArguments {
    /// A JSON array of the settings
    #[arg(long)]
    json: bool,
}

pub fn config(arguments: &ConfigArguments, settings: &Settings) -> Result<ExitCode> {
    let effective = settings.effective();
    if arguments.json {
        say(&serde_json::to_string_pretty(&effective)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = table(["setting", "variable", "value"]);
    for setting in effective {
        rows.add_row([setting.name, setting.variable, &setting.value]);
    }
    say(&rows.trim_fmt())?;
    Ok(ExitCode::SUCCESS)
}

/// Write a shell's completions to standard output
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  otodoke completions bash > /etc/bash_completion.d/otodoke")]
pub struct CompletionsArguments {
    shell: Shell,
}

pub fn completions(arguments: &CompletionsArguments, mut command: Command) -> ExitCode {
    clap_complete::generate(arguments.shell, &mut command, "otodoke", &mut io::stdout());
    ExitCode::SUCCESS
}

/// Write the manual pages, one for each command, into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  otodoke manual /usr/local/share/man/man1")]
pub struct ManualArguments {
    /// The folder, such as man1; it is made where it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub fn manual(arguments: &ManualArguments, command: Command) -> Result<ExitCode> {
    let folder = &arguments.folder;
    let written = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(command, folder)
    };
    written().with_context(|| format!("can't write manual pages into {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}
