//! Passwords come from where nobody sees them, and are shown nowhere.

mod support;

use std::fs;
use std::process::{Command, Output};

use support::Services;
use support::processor::Launch;

const LOUD: &str = "trace,lapin=trace,lapin::io_loop=trace,amq_protocol=trace,tcp_stream=trace,\
                    sqlx=trace,sqlx::query=trace,sqlx_postgres=trace";

fn otodoke(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_otodoke"));
    command.env_remove("DATABASE_URL").env_remove("AMQP_URL").env("OTODOKE_LOG", LOUD);
    command.args(arguments).envs(variables.iter().copied()).output().unwrap()
}

fn all_that_was_said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said)).concat()
}

fn password(url: &str) -> &str {
    url.split_once("://").unwrap().1.rsplit_once('@').unwrap().0.split_once(':').unwrap().1
}

#[test]
fn no_command_shows_a_password_whatever_goes_wrong() {
    let (database, broker) =
        ("postgres://app:s3cr3t@127.0.0.1:1/shop", "amqp://app:s3cr3t@127.0.0.1:1/shop");
    let other = "postgres://127.0.0.1:1/shop?user=app&password=s3cr3t";
    for database in [database, other, "postgres://app:s3cr3t@[::1/shop", "s3cr3t://app:s3cr3t@host"]
    {
        for arguments in [
            &["config"][..],
            &["config", "--json"],
            &["status"],
            &["migrate"],
            &["topology"],
            &["tail"],
        ] {
            let broker = broker.replace(":1/", if arguments[0] == "tail" { ":x/" } else { ":1/" });
            let variables = [("DATABASE_URL", database), ("AMQP_URL", broker.as_str())];
            let said = all_that_was_said(&otodoke(arguments, &variables));
            let said = said.replace("s3cr3t://", "");
            assert!(!said.contains("s3cr3t"), "{arguments:?} with {database}: {said}");
        }
    }
}

#[test]
fn an_address_stands_in_a_file_or_in_a_variable_and_not_in_both() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let path = file.to_str().unwrap();
    fs::write(&file, "postgres://app:s3cr3t@db.example/shop\n").unwrap();
    let shown = otodoke(&["config"], &[("DATABASE_URL_FILE", path)]);
    let said = all_that_was_said(&shown);
    assert!(said.contains("postgres://app:***@db.example/shop"), "{said}");
    let both = [("DATABASE_URL_FILE", path), ("DATABASE_URL", "postgres://db.example/shop")];
    for (variables, says) in [
        (&both[..], "both set"),
        (&[("AMQP_URL_FILE", "/nowhere/url")], "/nowhere/url, which can't be read"),
        (&[("AMQP_URL_FILE", "/dev/null")], "empty"),
    ] {
        let refused = otodoke(&["config"], variables);
        assert_eq!(refused.status.code(), Some(2));
        let said = all_that_was_said(&refused);
        assert!(said.contains(says) && !said.contains("s3cr3t"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loudest_log_of_a_processor_holds_no_password() {
    let services = Services::start().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, url: &str| {
        let file = folder.path().join(name);
        fs::write(&file, url).unwrap();
        file.display().to_string()
    };
    let launch = Launch::default()
        .with("DATABASE_URL_FILE", &write("database", services.database_url()))
        .with("AMQP_URL_FILE", &write("broker", services.amqp_url()))
        .with("OTODOKE_PREFIX", services.prefix())
        .with("OTODOKE_HTTP_ADDR", "127.0.0.1:0")
        .with("OTODOKE_LOG", LOUD);
    let mut processor = launch.ready().await;
    assert!(processor.stop().await.success());
    let log = processor.log();
    for url in [services.database_url(), services.amqp_url()] {
        assert!(!log.contains(password(url)), "a password is in the log");
    }
}
