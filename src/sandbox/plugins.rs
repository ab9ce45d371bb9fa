//! Which of RabbitMQ's applications a node needs.
//!
//! A node loads every module of every application that it finds, to look for boot
//! steps. With the 72 folders of Debian's package that is half of its boot, so the
//! sandbox shows it only those that it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folders of `wanted` and of all that they depend on. Applications that aren't
/// in `plugins` are Erlang's own, and found elsewhere.
pub(super) fn needed_folders(plugins: &Path, wanted: &[&str]) -> BTreeSet<PathBuf> {
    let applications = applications(plugins);
    let mut todo: Vec<String> = wanted.iter().map(|&name| name.to_owned()).collect();
    let mut folders = BTreeSet::new();
    while let Some(name) = todo.pop() {
        let Some(application) = applications.get(&name) else { continue };
        if folders.insert(application.folder.clone()) {
            todo.extend(application.needs.iter().cloned());
        }
    }
    folders
}

struct Application {
    folder: PathBuf,
    needs: Vec<String>,
}

/// Every application in the folder, by name, from its `ebin/<name>.app`.
fn applications(plugins: &Path) -> BTreeMap<String, Application> {
    let folders = fs::read_dir(plugins).into_iter().flatten().flatten().map(|entry| entry.path());
    folders.filter_map(read_application).collect()
}

fn read_application(folder: PathBuf) -> Option<(String, Application)> {
    let files = fs::read_dir(folder.join("ebin")).ok()?;
    let file = files
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "app"))?;
    let name = file.file_stem()?.to_str()?.to_owned();
    let needs = named_applications(&fs::read_to_string(&file).ok()?);
    Some((name, Application { folder, needs }))
}

/// The names in `{applications, [a, b]}` of an application's description, also in
/// its `included_` and `optional_` lists.
fn named_applications(description: &str) -> Vec<String> {
    let lists = description.match_indices("applications,").filter_map(|(at, word)| {
        let list = description[at + word.len()..].trim_start().strip_prefix('[')?;
        list.split(']').next()
    });
    lists
        .flat_map(|list| list.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_of_applications_is_read() {
        let description = "{application, 'rabbit', [{registered, [rabbit_sup]},\n\
            {applications, [kernel,\n  'ra', rabbit_common]}, {optional_applications,[osiris]}]}.";
        assert_eq!(named_applications(description), ["kernel", "ra", "rabbit_common", "osiris"]);
    }
}
