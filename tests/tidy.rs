//! The structure that ARCHITECTURE.md promises, held by reading the source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Source {
    path: String,
    /// Without the unit tests that stand at a file's end.
    code: String,
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let place = root.join(folder);
    if place.is_dir() {
        collect(&place, &mut found)
    } else {
        found.push(place)
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    assert!(!found.is_empty(), "no source in {folder}");
    found
        .into_iter()
        .filter(|path| !path.ends_with("tests.rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            Source { path: path.strip_prefix(root).unwrap().display().to_string(), code }
        })
        .collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

/// The lines of code, without comments, that hold one of the words.
fn offences(sources: &[Source], words: &[&str]) -> Vec<String> {
    let mut offences = Vec::new();
    for source in sources {
        for (number, line) in source.code.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                offences.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    offences
}

fn assert_none(offences: Vec<String>, promise: &str) {
    assert!(offences.is_empty(), "{promise}, but:\n{}", offences.join("\n"));
}

#[test]
fn contract_and_rules_know_no_service_and_no_clock() {
    let pure: Vec<Source> =
        [sources("src/contract"), sources("src/rules")].into_iter().flatten().collect();
    let impure = [
        "sqlx",
        "lapin",
        "tokio",
        "Utc::now",
        "Instant::now",
        "SystemTime",
        "std::fs",
        "std::env",
        "std::net",
    ];
    assert_none(offences(&pure, &impure), "contract and rules are pure");
}

#[test]
fn no_module_knows_a_later_one() {
    let later: [(&str, &[&str]); 8] = [
        (
            "src/contract",
            &[
                "crate::rules",
                "crate::store",
                "crate::broker",
                "crate::pipeline",
                "crate::operator",
            ],
        ),
        ("src/rules", &["crate::store", "crate::broker", "crate::pipeline", "crate::operator"]),
        (
            "src/store",
            &["crate::broker", "crate::pipeline", "crate::desk", "crate::operator", "crate::http"],
        ),
        (
            "src/broker",
            &["crate::store", "crate::rules", "crate::pipeline", "crate::operator", "crate::http"],
        ),
        ("src/pipeline", &["crate::desk", "crate::http", "crate::processor", "crate::operator"]),
        ("src/desk", &["crate::http", "crate::processor", "crate::operator"]),
        ("src/http", &["crate::processor", "crate::operator"]),
        ("src/processor.rs", &["crate::operator"]),
    ];
    for (folder, words) in later {
        assert_none(offences(&sources(folder), words), "data flows one way");
    }
}

#[test]
fn sql_stands_in_the_store_and_amqp_in_the_broker() {
    let others: Vec<Source> =
        sources("src").into_iter().filter(|s| !s.path.starts_with("src/store/")).collect();
    assert_none(
        offences(&others, &["sqlx::query", "SELECT ", "INSERT INTO", "DELETE FROM"]),
        "SQL stands in src/store only",
    );
    let others: Vec<Source> =
        sources("src").into_iter().filter(|s| !s.path.starts_with("src/broker/")).collect();
    assert_none(offences(&others, &["lapin::"]), "AMQP stands in src/broker only");
}

#[test]
fn nothing_is_unwrapped_or_left_to_do() {
    let words = [".unwrap()", "todo!(", "unimplemented!(", "dbg!("];
    assert_none(
        offences(&sources("src"), &words),
        "errors are handled, or an `expect` states why there is none",
    );
}

#[test]
fn what_breaks_the_program_on_purpose_still_applies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let patches: Vec<PathBuf> = fs::read_dir(root.join("tests/chaos/broken"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!patches.is_empty());
    for patch in patches {
        let mut check = Command::new("git");
        check.current_dir(root).args(["apply", "--check"]).arg(&patch);
        let output = check.output().expect("git is installed");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {text}", patch.display());
    }
}
