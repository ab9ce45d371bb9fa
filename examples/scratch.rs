use otodoke::contract::*;
use otodoke::rules::{Policy, world};
use std::collections::BTreeMap;
fn main() {
    let text = std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap();
    let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
    let mut events = vec![];
    for line in text.lines() {
        let v: serde_json::Value = serde_json::from_str(line).unwrap();
        let stream = InputType::from_name(v["type"].as_str().unwrap()).unwrap().stream();
        let m = Message { body: line.as_bytes(), content_type: None, attributes: &[], stream };
        events.push(intake(&m, now, Span::minutes(10)).unwrap().event);
    }
    let t = std::time::Instant::now();
    let w = world::decide_all(&events, &Policy::default(), now);
    println!("{:?}", t.elapsed());
    let mut c: BTreeMap<String, usize> = BTreeMap::new();
    for d in w.cases.values() {
        if let Some(o) = &d.order {
            *c.entry(format!("status {:?}", o.status)).or_default() += 1;
        }
        for e in &d.derived {
            *c.entry(format!("{} {}", e.rule, e.derived_type().name())).or_default() += 1;
        }
    }
    println!("{c:#?}");
    let mut r = events.clone();
    r.reverse();
    assert_eq!(world::decide_all(&r, &Policy::default(), now), w);
}
