//! What becomes of an event's `data`: what may not be stored is stripped, what the
//! rules read (facts) is told from the rest (unread), and both together from other
//! content.
//!
//! Facts and unread together are always the stripped `data`, up to the form of its
//! numbers and times and members that were `null`: nothing else is ever lost here.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::pointer::{Step, pointer};
use super::{EventRef, Timestamp};

/// Stripped from `data` at any depth before anything looks at it (rule V2).
pub const STRIPPED: [&str; 7] = [
    "points_used",
    "payment_code",
    "payment_number",
    "confirmation_number",
    "receipt_number",
    "voucher_number",
    "voucher_url",
];

/// Takes out what may not be stored, and members that are `null`, which read as absent. A name
/// that holds U+0000 stays, whatever it names: `data` may hold it nowhere.
pub fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, member| {
                let is_kept = !member.is_null() || name.contains('\0');
                is_kept && !STRIPPED.contains(&name.as_str())
            });
            members.values_mut().for_each(strip);
        }
        Value::Array(elements) => elements.iter_mut().for_each(strip),
        _ => {}
    }
}

/// What of `data` the facts don't hold; `None` where they hold it all. An object of what
/// differs, by name; of a list that both have, an object of its elements by index.
pub fn unread(data: &Value, facts: &Value) -> Option<Value> {
    match (data, facts) {
        (Value::Object(data), Value::Object(facts)) => {
            collect(data.iter().filter_map(|(name, value)| {
                let rest = match facts.get(name) {
                    Some(fact) => unread(value, fact)?,
                    None => value.clone(),
                };
                Some((name.clone(), rest))
            }))
        }
        (Value::Array(data), Value::Array(facts)) => collect(
            (0..).zip(data.iter().zip(facts)).filter_map(|(index, (value, fact)): (usize, _)| {
                Some((index.to_string(), unread(value, fact)?))
            }),
        ),
        _ if says_the_same(data, facts) => None,
        _ => Some(data.clone()),
    }
}

fn collect(rest: impl Iterator<Item = (String, Value)>) -> Option<Value> {
    let rest: Map<String, Value> = rest.collect();
    (!rest.is_empty()).then_some(Value::Object(rest))
}

/// Facts write numbers and times in one form, and an unknown word as `other`: only the
/// last loses something.
fn says_the_same(data: &Value, fact: &Value) -> bool {
    match (data, fact) {
        (Value::Number(data), Value::Number(fact)) => canonical(data) == canonical(fact),
        (Value::String(data), Value::String(fact)) if data != fact => {
            fact.parse::<Timestamp>().is_ok_and(|moment| data.parse() == Ok(moment))
        }
        _ => data == fact,
    }
}

/// The stripped `data` again, from what [`unread`] made of it.
pub fn merge(facts: &Value, unread: Option<&Value>) -> Value {
    match (facts, unread) {
        (_, None) => facts.clone(),
        (Value::Object(facts), Some(Value::Object(unread))) => {
            let mut merged = facts.clone();
            for (name, rest) in unread {
                let whole = match facts.get(name) {
                    Some(fact) => merge(fact, Some(rest)),
                    None => rest.clone(),
                };
                merged.insert(name.clone(), whole);
            }
            Value::Object(merged)
        }
        (Value::Array(facts), Some(Value::Object(unread))) => (0..)
            .zip(facts)
            .map(|(index, fact): (usize, _)| merge(fact, unread.get(&index.to_string())))
            .collect(),
        (_, Some(unread)) => unread.clone(),
    }
}

/// Where in `data` U+0000 stands, in a value or a name, if anywhere.
pub(super) fn find_nul(data: &Value) -> Option<String> {
    let mut steps = vec![Step::Member("data")];
    holds_nul(data, &mut steps).then(|| pointer(steps))
}

fn holds_nul<'a>(value: &'a Value, steps: &mut Vec<Step<'a>>) -> bool {
    let mut below = |step, value| {
        steps.push(step);
        let found =
            matches!(step, Step::Member(name) if name.contains('\0')) || holds_nul(value, steps);
        if !found {
            steps.pop();
        }
        found
    };
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(elements) => {
            (0..).zip(elements).any(|(index, element)| below(Step::Element(index), element))
        }
        Value::Object(members) => {
            members.iter().any(|(name, member)| below(Step::Member(name), member))
        }
        _ => false,
    }
}

/// By what a duplicate is recognised: 16 bytes of a digest of `source` and `id`.
pub fn key_digest(key: &EventRef) -> [u8; 16] {
    let mut digest = Canonical::default();
    digest.text(&key.source);
    digest.text(&key.id);
    digest.cut()
}

/// What an event says, apart from what names it.
pub struct Content<'a> {
    pub event_type: &'a str,
    pub time: Timestamp,
    pub subject: Option<&'a str>,
    pub facts: &'a Value,
    pub unread: Option<&'a Value>,
}

/// By what a duplicate is told from a collision: 16 bytes of a digest of the content, the
/// same for all ways to write it (numbers by value, times as instants, names in any order).
pub fn content_digest(content: &Content<'_>) -> [u8; 16] {
    let mut digest = Canonical::default();
    digest.text(content.event_type);
    digest.number(&content.time.micros().to_string());
    digest.optional(content.subject.map(|text| Value::String(text.into())).as_ref());
    digest.value(content.facts);
    digest.optional(content.unread);
    digest.cut()
}

/// Hashes values so that no two that differ are fed alike: each begins with what it is
/// and how long it is.
#[derive(Default)]
struct Canonical(Sha256);

impl Canonical {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.0.update(b"n"),
            Value::Bool(value) => self.0.update(if *value { b"t" } else { b"f" }),
            Value::Number(number) => self.number(&canonical(number)),
            Value::String(text) => self.text(text),
            Value::Array(elements) => {
                self.tag(b'a', elements.len());
                elements.iter().for_each(|element| self.value(element));
            }
            Value::Object(members) => self.object(members),
        }
    }

    fn object(&mut self, members: &Map<String, Value>) {
        // Sorted here, since a cargo feature of serde_json decides whether its map is.
        let mut members: Vec<_> = members.iter().collect();
        members.sort_unstable_by_key(|(name, _)| *name);
        self.tag(b'o', members.len());
        for (name, member) in members {
            self.text(name);
            self.value(member);
        }
    }

    fn text(&mut self, text: &str) {
        self.tag(b's', text.len());
        self.0.update(text);
    }

    fn number(&mut self, number: &str) {
        self.tag(b'#', number.len());
        self.0.update(number);
    }

    fn optional(&mut self, value: Option<&Value>) {
        self.tag(b'?', usize::from(value.is_some()));
        value.into_iter().for_each(|value| self.value(value));
    }

    fn tag(&mut self, kind: u8, length: usize) {
        self.0.update([kind]);
        self.0.update((length as u64).to_be_bytes());
    }

    fn cut(self) -> [u8; 16] {
        let mut cut = [0; 16];
        cut.copy_from_slice(&self.0.finalize()[..16]);
        cut
    }
}

/// One form for each value: whole numbers in digits (1500 = 1500.0 = 1.5e3), others as
/// the shortest text that is the same double.
fn canonical(number: &serde_json::Number) -> String {
    match number.as_f64() {
        _ if number.is_i64() || number.is_u64() => number.to_string(),
        Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e21 => (whole as i128).to_string(),
        Some(other) => format!("{other:e}"),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests;
