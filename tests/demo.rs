//! `otodoke demo --once`: every rule at work, and nothing left behind.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use otodoke::contract::Rule;
use serde_json::Value;

fn demo() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_otodoke"));
    command.args(["demo", "--once"]);
    command
}

#[test]
fn on_private_services_every_rule_is_at_work_and_nothing_stays_behind() {
    // As root the servers run as other users, which have to get in.
    let open = Permissions::from_mode(0o755);
    let folder = tempfile::Builder::new().permissions(open).tempdir().unwrap();
    let output = demo()
        .env_remove("DATABASE_URL")
        .env_remove("AMQP_URL")
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    let named = |rule: &Rule| {
        text.lines()
            .any(|line| line.trim_start().starts_with(rule.id()) && line.contains(rule.title()))
    };
    let unnamed: Vec<&Rule> = Rule::ALL.iter().filter(|rule| !named(rule)).collect();
    assert!(unnamed.is_empty(), "{unnamed:?} not in\n{text}");
    assert!(!text.contains('\u{1b}'), "no colours where nobody looks");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn on_given_services_it_leaves_their_own_database_alone() {
    let services = support::Services::start().await;
    let output = demo()
        .arg("--json")
        .env("DATABASE_URL", services.database_url())
        .env("AMQP_URL", services.amqp_url())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let summary: Value = serde_json::from_slice(&output.stdout).expect(&errors);
    assert_eq!(summary["ok"], true, "{summary:#}");
    let pool = services.pool().await;
    let tables: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'read_model')",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(tables, 0);
}
