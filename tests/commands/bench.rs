//! `bench`: that each measurement comes to an end and says what it should, on next to nothing.

use serde_json::Value;

use crate::shop::Shop;

fn bench(shop: &Shop, arguments: &[&str]) -> Value {
    shop.json(&[&["bench"], arguments].concat())
}

#[tokio::test]
async fn throughput_is_measured_and_held_against_the_rules() {
    let shop = Shop::open().await;
    let said = bench(&shop, &["throughput", "--events", "400", "--runs", "1"]);
    assert!(said["median"]["events_per_second"].as_f64().unwrap() > 0.0, "{said}");
    assert!(said["median"]["peak_mib"].as_f64().unwrap() > 1.0, "{said}");
    let ran =
        shop.run(&["bench", "throughput", "--events", "50", "--runs", "1", "--memory-limit", "1"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("over the limit of 1 MiB"), "{}", ran.err);
}

#[tokio::test]
async fn latency_counts_what_follows_at_once() {
    let shop = Shop::open().await;
    let said = bench(&shop, &["latency", "--rate", "100", "--seconds", "3"]);
    assert!(said["derived"].as_u64().unwrap() > 10, "{said}");
    let milliseconds = &said["milliseconds"];
    let (p50, max) = (milliseconds["p50"].as_f64().unwrap(), milliseconds["max"].as_f64().unwrap());
    assert!(0.0 < p50 && p50 <= max, "{said}");
}

#[tokio::test]
async fn a_soak_looks_again_and_again_and_draws_what_it_saw() {
    let shop = Shop::open().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("soak.svg");
    let (file, hold) = (file.to_str().unwrap(), "--hold-transaction");
    let short = ["soak", "--minutes", "0.1", "--rate", "50", "--every", "1", hold, "--svg", file];
    let said = bench(&shop, &short);
    let samples = said["samples"].as_array().unwrap();
    assert!(samples.len() >= 4, "{said}");
    assert!(samples.iter().any(|sample| sample["transaction_held"] == true), "{said}");
    assert!(samples[0]["tables"]["history"]["bytes"].as_i64().unwrap() > 0, "{said}");
    assert!(std::fs::read_to_string(file).unwrap().contains("<polyline"));
}

#[tokio::test]
async fn growth_fills_a_database_and_compares() {
    let shop = Shop::open().await;
    let small = ["growth", "--history", "600", "--deadlines", "100", "--dead-letters", "20"];
    let said = bench(&shop, &[&small[..], &["--events", "200", "--runs", "1"]].concat());
    assert!(said["throughput_ratio"]["median"].as_f64().unwrap() > 0.0, "{said}");
    assert_eq!(said["full"].as_array().unwrap().len(), 1);
}
