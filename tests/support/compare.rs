//! What a scenario expects against what the rules gave, told so that a reader
//! sees the difference at once.

use std::collections::BTreeMap;

use otodoke::contract::DerivedType;
use otodoke::rules::{CaseId, Decision};
use serde::Serialize;
use serde_json::{Value, json};

use crate::scenario::Expect;
use crate::shorthand::{Fields, spell_out, spell_out_fields};

pub type Cases = BTreeMap<CaseId, Decision>;

/// A derived event as one flat object: type, time, case, key and the fields of `data`.
pub fn flat(cases: &Cases) -> Vec<Value> {
    let rows = |(case, decision): (&CaseId, &Decision)| {
        let case = case.subject();
        let flat = move |derived: &otodoke::contract::Derived| {
            let mut row = derived.data();
            row["type"] = derived.derived_type().name().into();
            row["time"] = derived.time.to_string().into();
            row["case"] = case.clone().into();
            row["key"] = derived.key.clone().into();
            row
        };
        decision.derived.iter().map(flat).collect::<Vec<_>>()
    };
    cases.iter().flat_map(rows).collect()
}

/// Everything that differs, one text each.
pub fn differences(expect: &Expect, cases: &Cases, before: &[Value]) -> Vec<String> {
    let mut found = Findings::default();
    found.derived(expect, &flat(cases), before);
    found.states(expect, cases);
    for (subject, expect) in &expect.cases {
        let own: Cases = cases
            .iter()
            .filter(|(case, _)| case.subject() == *subject)
            .map(|(case, decision)| (case.clone(), decision.clone()))
            .collect();
        let mut inner = Findings { of: format!("case {subject}: "), ..Findings::default() };
        inner.derived(expect, &flat(&own), &[]);
        inner.states(expect, &own);
        found.texts.extend(inner.texts);
    }
    if !expect.cases.is_empty() {
        let others: Vec<Value> = flat(cases)
            .into_iter()
            .filter(|row| !expect.cases.contains_key(row["case"].as_str().unwrap_or_default()))
            .collect();
        found.exactly("derived in cases that aren't named", &[], &others);
    }
    found.texts
}

#[derive(Default)]
struct Findings {
    of: String,
    texts: Vec<String>,
}

impl Findings {
    fn say(&mut self, text: String) {
        self.texts.push(format!("{}{text}", self.of));
    }

    fn derived(&mut self, expect: &Expect, now: &[Value], before: &[Value]) {
        if let Some(wanted) = &expect.derived {
            self.exactly("derived", wanted, now);
        }
        if let Some(wanted) = &expect.published {
            self.exactly("published", wanted, &missing_from(before, now));
        }
        if let Some(wanted) = &expect.withdrawn {
            self.exactly("withdrawn", wanted, &missing_from(now, before));
        }
        let stands = self.in_full(&expect.stands);
        let (missing, _) = pair_up(&stands, now);
        for wanted in missing {
            self.say(format!("should stand and doesn't:\n  - {wanted}\n{}", listed("stands", now)));
        }
        for unwanted in self.in_full(&expect.never) {
            for row in now.iter().filter(|row| fits(&unwanted, row)) {
                self.say(format!("should not stand:\n  + {}", brief(row)));
            }
        }
    }

    fn in_full(&mut self, short: &[Fields]) -> Vec<Value> {
        let spelled: Vec<_> = short.iter().map(entry).collect();
        spelled
            .into_iter()
            .filter_map(|entry| entry.map_err(|fault| self.say(fault)).ok())
            .collect()
    }

    fn exactly(&mut self, what: &str, wanted: &[Fields], got: &[Value]) {
        let wanted = self.in_full(wanted);
        let (missing, extra) = pair_up(&wanted, got);
        if missing.is_empty() && extra.is_empty() {
            return;
        }
        let mut text = format!("{what}, - expected and + got:");
        let common = got.iter().filter(|row| !extra.contains(row)).map(|row| ("  ", brief(row)));
        let lost = missing.iter().map(|row| ("- ", row.to_string()));
        let more = extra.iter().map(|row| ("+ ", brief(row)));
        for (sign, row) in common.chain(lost).chain(more) {
            text += &format!("\n  {sign}{row}");
        }
        self.say(text);
    }

    fn states(&mut self, expect: &Expect, cases: &Cases) {
        self.order(expect, cases);
        let of = |rows: fn(&Decision) -> Vec<Value>| -> Vec<Value> {
            cases.values().flat_map(rows).collect()
        };
        let lines = |d: &Decision| d.order.iter().flat_map(|o| values(&o.lines)).collect();
        self.rows("lines", &["line_id"], &expect.lines, &of(lines));
        self.rows("packages", &["package_id"], &expect.packages, &of(|d| values(&d.packages)));
        self.rows("threads", &["thread_id"], &expect.threads, &of(|d| values(&d.threads)));
        self.rows("refunds", &["refund_key"], &expect.refunds, &of(|d| values(&d.refunds)));
        self.rows("guarantees", &["thread_id"], &expect.guarantees, &of(|d| values(&d.guarantees)));
        if let Some(wanted) = &expect.next {
            let next = cases.values().filter_map(|decision| decision.next_at).min();
            let next = next.map_or(Value::Null, |moment| moment.to_string().into());
            match spell_out(wanted) {
                Ok(wanted) if wanted == next => {}
                wanted => self.say(format!("next: expected {wanted:?}, got {next}")),
            }
        }
    }

    fn order(&mut self, expect: &Expect, cases: &Cases) {
        let Some(wanted) = &expect.order else { return };
        let id = wanted.get("order_id").and_then(Value::as_str).unwrap_or("O1");
        let row = cases
            .values()
            .filter_map(|decision| decision.order.as_ref())
            .find(|order| expect_single(cases) || order.order_id.as_str() == id);
        match (wanted, row) {
            (Value::Null, None) => {}
            (Value::Object(wanted), Some(row)) => {
                let row = json!(row);
                self.row("order", wanted, &[&row]);
            }
            (wanted, row) => self.say(format!("order: expected {wanted}, got {}", json!(row))),
        }
    }

    fn rows(&mut self, what: &str, id: &[&str], wanted: &Option<Vec<Fields>>, got: &[Value]) {
        let Some(wanted) = wanted else { return };
        if wanted.is_empty() && !got.is_empty() {
            self.say(format!("{what}: expected none, got {}", json!(got)));
        }
        for row in wanted {
            let same_id = |got: &&Value| {
                id.iter().all(|column| row.get(*column).is_none_or(|id| *id == got[*column]))
            };
            let candidates: Vec<&Value> = got.iter().filter(same_id).collect();
            self.row(what, row, &candidates);
        }
    }

    fn row(&mut self, what: &str, wanted: &Fields, candidates: &[&Value]) {
        let wanted = match spell_out_fields(wanted) {
            Ok(wanted) => Value::Object(wanted),
            Err(fault) => return self.say(fault),
        };
        for column in wanted.as_object().into_iter().flat_map(|row| row.keys()) {
            if candidates.iter().any(|row| row.get(column).is_none()) {
                return self.say(format!("{what} has no column `{column}`"));
            }
        }
        if !candidates.iter().any(|row| fits(&wanted, row)) {
            let columns = |row: &&Value| {
                let picked = wanted.as_object().into_iter().flat_map(|wanted| wanted.keys());
                picked.map(|column| (column.clone(), row[column].clone())).collect::<Fields>()
            };
            let got: Vec<Fields> = candidates.iter().map(columns).collect();
            self.say(format!("{what}:\n  - {wanted}\n  + {}", json!(got)));
        }
    }
}

fn expect_single(cases: &Cases) -> bool {
    cases.len() == 1
}

fn values<T: Serialize>(rows: &[T]) -> Vec<Value> {
    rows.iter().map(|row| json!(row)).collect()
}

/// An entry in full; a field that its type doesn't have is a slip of the scenario.
fn entry(short: &Fields) -> Result<Value, String> {
    let entry = spell_out_fields(short)?;
    if let Some(name) = entry.get("type").and_then(Value::as_str) {
        let kind = DerivedType::from_name(name).ok_or_else(|| format!("no type `{name}`"))?;
        let schema = json!(kind.own_schema());
        let known = |field: &String| {
            ["type", "time", "case", "rule", "order_id", "seller_id"].contains(&field.as_str())
                || schema["properties"].get(field).is_some()
        };
        if let Some(field) = entry.keys().find(|field| !known(field)) {
            return Err(format!("{name} has no field `{field}`"));
        }
    }
    Ok(Value::Object(entry))
}

/// What of `rows` isn't in `others`, by content.
fn missing_from(others: &[Value], rows: &[Value]) -> Vec<Value> {
    rows.iter().filter(|row| !others.contains(row)).cloned().collect()
}

/// Whether `got` has all that is wanted: objects may have more, lists may not.
pub fn fits(wanted: &Value, got: &Value) -> bool {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => wanted.iter().all(|(name, value)| {
            let found = got.get(name).unwrap_or(&Value::Null);
            match (name.as_str(), value, found) {
                ("order_ids", _, _) => value == found,
                (_, Value::Array(wanted), Value::Array(got)) => {
                    let (missing, extra) = pair_up(wanted, got);
                    missing.is_empty() && extra.is_empty()
                }
                _ => fits(value, found),
            }
        }),
        _ => wanted == got,
    }
}

/// Pairs each wanted row with one that fits, as many as possible; what is left over on either side.
fn pair_up<'a>(wanted: &'a [Value], got: &'a [Value]) -> (Vec<&'a Value>, Vec<&'a Value>) {
    let mut partner: Vec<Option<usize>> = vec![None; got.len()];
    let mut missing = Vec::new();
    for index in 0..wanted.len() {
        if !find_partner(index, wanted, got, &mut partner, &mut vec![false; got.len()]) {
            missing.push(&wanted[index]);
        }
    }
    let extra = got.iter().zip(&partner).filter(|(_, taken)| taken.is_none()).map(|(row, _)| row);
    (missing, extra.collect())
}

/// An augmenting path of a bipartite matching.
fn find_partner(
    index: usize,
    wanted: &[Value],
    got: &[Value],
    partner: &mut [Option<usize>],
    tried: &mut Vec<bool>,
) -> bool {
    for candidate in 0..got.len() {
        if tried[candidate] || !fits(&wanted[index], &got[candidate]) {
            continue;
        }
        tried[candidate] = true;
        let free = match partner[candidate] {
            None => true,
            Some(other) => find_partner(other, wanted, got, partner, tried),
        };
        if free {
            partner[candidate] = Some(index);
            return true;
        }
    }
    false
}

fn listed(title: &str, rows: &[Value]) -> String {
    rows.iter().fold(format!("  {title}:"), |text, row| format!("{text}\n    {}", brief(row)))
}

/// A derived event with what names it first.
fn brief(row: &Value) -> String {
    let mut rest = row.as_object().cloned().unwrap_or_default();
    let mut text = String::new();
    for name in ["type", "rule", "time", "case"] {
        let value = rest.remove(name).unwrap_or_default();
        text += &format!("{} ", value.as_str().unwrap_or("?"));
    }
    rest.remove("key");
    text + &Value::Object(rest).to_string()
}
