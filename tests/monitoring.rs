//! What `docs/monitoring.md`, the alert rules and the dashboard speak of is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use otodoke::pipeline::{BatchCounts, Levels, Metrics};
use serde_json::Value;

fn doc(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The metrics as they are served once something has happened, by the names that queries use.
fn served() -> BTreeSet<String> {
    let metrics = Metrics::default();
    metrics.received("orders");
    metrics.published("shipment-required", true);
    metrics.connected("broker", true);
    let counts = BatchCounts {
        dead: vec![("not-json", 1)],
        queued: vec![("shipment-required", 1)],
        ..BatchCounts::default()
    };
    metrics.batch(&counts, 1, Duration::ZERO);
    metrics.levels(&Levels {
        backlog: vec![("orders", 1)],
        paused: vec![("shipment-required", 1)],
        dead_letters: vec![("not-json", 1)],
        ..Levels::default()
    });
    let text = metrics.text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            if kind == "counter" { format!("{name}_total") } else { name.to_owned() }
        })
        .collect()
}

/// The metrics that a text names; a histogram's parts count as the histogram.
fn named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("otodoke_"))
        .map(|word| word.strip_suffix("_bucket").unwrap_or(word).to_owned())
        .collect()
}

fn alerts() -> Vec<Value> {
    let rules: Value = yaml_serde::from_str(&doc("monitoring/alerts.yaml")).unwrap();
    rules["groups"][0]["rules"].as_array().unwrap().clone()
}

#[test]
fn every_metric_is_explained_and_no_other() {
    let table: String = doc("monitoring.md")
        .lines()
        .filter(|line| line.starts_with("| `otodoke_"))
        .map(|line| line.split('`').nth(1).unwrap().to_owned() + "\n")
        .collect();
    assert_eq!(named(&table), served());
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_are_served() {
    let served = served();
    for alert in alerts() {
        let expression = alert["expr"].as_str().unwrap();
        let names = named(expression);
        assert!(names.is_subset(&served), "{names:?}");
        assert!(!names.is_empty() || expression.contains("up{"), "{expression}");
    }
    let dashboard: Value = serde_json::from_str(&doc("monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let shown: BTreeSet<String> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .flat_map(|target| named(target["expr"].as_str().unwrap()))
        .collect();
    assert_eq!(shown, served, "the dashboard shows every metric");
}

#[test]
fn every_alert_has_its_entry_in_the_runbook() {
    let manual = doc("monitoring.md");
    let entries: BTreeSet<&str> =
        manual.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let alerts = alerts();
    let names: BTreeSet<&str> =
        alerts.iter().map(|alert| alert["alert"].as_str().unwrap()).collect();
    assert_eq!(entries, names);
    for alert in &alerts {
        let name = alert["alert"].as_str().unwrap();
        let link = format!("docs/monitoring.md#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook"], link, "{name}");
        assert!(alert["annotations"]["summary"].is_string(), "{name}");
        assert!(["page", "ticket"].map(Value::from).contains(&alert["labels"]["severity"]));
    }
}
