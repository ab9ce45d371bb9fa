//! Help, wrong usage and `schema`: what needs no service.

use assert_cmd::Command;
use serde_json::Value;

use crate::shop::Ran;

fn run(arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_otodoke"));
    command.args(arguments).env_remove("DATABASE_URL").env_remove("AMQP_URL");
    command.output().unwrap().into()
}

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let list = help.split("Commands:\n").nth(1).unwrap_or("");
    let lines = list.lines().take_while(|line| !line.trim().is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Asks every command below for its help; tells how many there are.
fn ask(path: &[&str]) -> usize {
    let ran = run(&[path, &["--help"]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{path:?}");
    assert!(ran.out.contains("Usage: otodoke"), "{path:?}: {}", ran.out);
    let below = commands(&ran.out).into_iter().filter(|name| name != "help");
    1 + below.map(|name| ask(&[path, &[&name]].concat())).sum::<usize>()
}

#[test]
fn every_command_has_a_help_text() {
    assert!(ask(&[]) > 20);
}

#[test]
fn a_setting_that_is_missing_is_wrong_usage() {
    for command in [&["order", "show", "O-1"][..], &["status"], &["rebuild"]] {
        let ran = run(command);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{command:?}");
        assert!(ran.err.contains("DATABASE_URL is not set"), "{}", ran.err);
    }
}

#[test]
fn schemas_are_printed_one_by_one_and_all_together() {
    let one: Value = serde_json::from_str(&run(&["schema", "order-placed"]).out).unwrap();
    assert_eq!(one["title"], "order-placed");
    let all: Value = serde_json::from_str(&run(&["schema", "--all"]).out).unwrap();
    assert_eq!(all["order-placed"], one);
    let listed: Value = serde_json::from_str(&run(&["schema", "--json"]).out).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), all.as_object().unwrap().len());
    assert!(run(&["schema"]).out.contains("refund-required"));
    let unknown = run(&["schema", "order-misplaced"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (2, ""));
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let ran = run(&["manual", pages.to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    for command in commands(&run(&["--help"]).out).iter().filter(|name| *name != "help") {
        let page = std::fs::read_to_string(pages.join(format!("otodoke-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = run(&["manual", file.to_str().unwrap()]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("can't write manual pages into"), "{}", refused.err);
}

#[test]
fn the_catalogue_has_the_names_of_an_installation() {
    let catalogue = run(&["schema", "--asyncapi", "--prefix", "shop"]).out;
    assert!(catalogue.starts_with("asyncapi: 3.0.0"), "{catalogue:.60}");
    assert!(catalogue.contains("name: shop.marketplace.derived"));
}
