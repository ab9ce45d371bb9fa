//! An explanation told: as tables for people, as one object for programs. Of the events
//! only what holds no personal data.

use serde_json::{Value, json};

use crate::contract::{EventRef, Timestamp};
use crate::desk::story::about;
use crate::operator::output::table;
use crate::pipeline::apply::{Explanation, Told};
use crate::rules::{CaseId, Decision, Firing, Wait};

pub fn for_people(explanation: &Explanation) -> String {
    let mut text = heading(explanation);
    text.push_str(&history(explanation));
    if let Ok(decision) = &explanation.decision {
        text.push_str(&firings(decision));
        text.push_str(&waits(decision, explanation.as_of));
    }
    text
}

fn heading(explanation: &Explanation) -> String {
    let (case, as_of) = (&explanation.case, explanation.as_of);
    let kind = if case.order_id().is_some() { "order " } else { "" };
    format!("{kind}{case} as at {as_of}: {}\n", standing(explanation))
}

/// Where it stands, in a few words.
fn standing(explanation: &Explanation) -> String {
    let (Ok(decision), Some(_)) = (&explanation.decision, explanation.case.order_id()) else {
        let count = explanation.history.len();
        return format!("{count} event{}", if count == 1 { "" } else { "s" });
    };
    match &decision.order {
        None => "not placed yet; its events wait for that".to_owned(),
        Some(order) => {
            format!("{}, payment {}", word(&order.status), word(&order.payment_status))
        }
    }
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| Some(v.as_str()?.to_owned())).unwrap_or_default()
}

fn history(explanation: &Explanation) -> String {
    let mut rows = table(["time", "", "event", "what it is about", "source and id", "accepted"]);
    for told in &explanation.history {
        rows.add_row([
            told.event.time.to_string(),
            if told.is_late { "late" } else { "" }.to_owned(),
            told.event.input.input_type().name().to_owned(),
            about_in_words(told, &explanation.case),
            named(&told.event.key),
            told.received_at.to_string(),
        ]);
    }
    let left_out = match explanation.left_out {
        0 => String::new(),
        1 => "1 event is dated later, and left out\n".to_owned(),
        count => format!("{count} events are dated later, and left out\n"),
    };
    format!("\nhistory\n{}\n{left_out}", rows.trim_fmt())
}

fn firings(decision: &Decision) -> String {
    if decision.firings.is_empty() {
        return "\nno rule has fired\n".to_owned();
    }
    let mut rows = table(["time", "rule", "", "what came of it", "made by"]);
    for firing in &decision.firings {
        let cause = firing.event.as_ref().map_or("time alone".to_owned(), named);
        let time = firing.time.to_string();
        let (rule, title) = (firing.rule.id().to_owned(), firing.rule.title().to_owned());
        rows.add_row([time, rule, title, firing.outcome.clone(), cause]);
    }
    format!("\nrules that fired\n{}\n", rows.trim_fmt())
}

fn waits(decision: &Decision, as_of: Timestamp) -> String {
    if decision.waits.is_empty() {
        return "\nit waits for nothing: only an event can change it\n".to_owned();
    }
    let mut rows = table(["until", "rule", "", "what follows then", "about"]);
    for wait in &decision.waits {
        let passed = if wait.until <= as_of { " (settling)" } else { "" };
        rows.add_row([
            format!("{}{passed}", wait.until),
            wait.rule.id().to_owned(),
            wait.rule.title().to_owned(),
            wait.then.to_owned(),
            wait.about.clone().unwrap_or_default(),
        ]);
    }
    format!("\nif nothing else arrives\n{}\n", rows.trim_fmt())
}

fn named(key: &EventRef) -> String {
    format!("{} {}", key.source, key.id)
}

fn about_in_words(told: &Told, case: &CaseId) -> String {
    let mut words: Vec<String> = about(told)
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect();
    if told.home != *case {
        words.push(format!("belongs to {}", told.home));
    }
    words.join(" ")
}

pub fn for_programs(explanation: &Explanation) -> Value {
    let decision = explanation.decision.as_ref().ok();
    let list = |of: fn(&Decision) -> Vec<Value>| decision.map(of);
    json!({
        "case": explanation.case.subject(),
        "as_of": explanation.as_of,
        "order": decision.and_then(|decision| decision.order.as_ref()).map(|order| json!({
            "status": order.status, "payment_status": order.payment_status,
        })),
        "history": explanation.history.iter().map(told).collect::<Vec<_>>(),
        "left_out": explanation.left_out,
        "firings": list(|decision| decision.firings.iter().map(firing).collect()),
        "waits": list(|decision| decision.waits.iter().map(wait).collect()),
        "derived": list(|decision| decision.derived.iter().map(derived).collect()),
        "next_at": decision.and_then(|decision| decision.next_at),
        "problem": explanation.decision.as_ref().err(),
    })
}

fn told(told: &Told) -> Value {
    json!({
        "time": told.event.time,
        "accepted_at": told.received_at,
        "late": told.is_late,
        "type": told.event.input.input_type().name(),
        "source": told.event.key.source,
        "id": told.event.key.id,
        "case": told.home.subject(),
        "about": about(told).collect::<std::collections::BTreeMap<_, _>>(),
    })
}

fn firing(firing: &Firing) -> Value {
    let event = firing.event.as_ref();
    json!({
        "time": firing.time,
        "rule": firing.rule.id(),
        "title": firing.rule.title(),
        "outcome": firing.outcome,
        "event": event.map(|event| json!({ "source": event.source, "id": event.id })),
    })
}

fn wait(wait: &Wait) -> Value {
    json!({
        "until": wait.until,
        "rule": wait.rule.id(),
        "title": wait.rule.title(),
        "then": wait.then,
        "about": wait.about,
    })
}

fn derived(derived: &crate::contract::Derived) -> Value {
    json!({
        "type": derived.derived_type().name(),
        "key": derived.key,
        "time": derived.time,
        "data": derived.data(),
    })
}
