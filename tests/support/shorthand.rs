//! The short way in which scenarios write events, times and lines, and its
//! expansion into what the contract says. Documented in tests/scenarios/README.md.

use std::collections::BTreeMap;

use otodoke::contract::{Event, EventRef, InputType, Span, Timestamp};
use serde_json::{Map, Value, json};

pub type Fields = Map<String, Value>;

/// Midnight in Tokyo at which day 1 begins.
const DAY_ONE: &str = "2026-03-01T00:00:00+09:00";

/// `day 1 10:00`, `day 1 10:00:30`, `day 3 09:00 + 60s`, or RFC 3339.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    let (base, spans) = match text.split_once(" + ") {
        Some((base, span)) => (base, span.parse::<Span>()?),
        None => (text, Span::ZERO),
    };
    let start = match base.strip_prefix("day ") {
        Some(rest) => moment_of_day(rest).ok_or_else(|| format!("`{text}` is no moment"))?,
        None => base.parse().map_err(|problem| format!("`{text}` {problem}"))?,
    };
    Ok(start + spans)
}

fn moment_of_day(text: &str) -> Option<Timestamp> {
    let (day, clock) = text.split_once(' ')?;
    let day: i64 = day.parse().ok()?;
    let (hours, rest) = clock.split_once(':')?;
    let (minutes, seconds) = rest.split_once(':').unwrap_or((rest, "0"));
    let seconds: f64 = seconds.parse().ok()?;
    let whole_minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
    let midnight: Timestamp = DAY_ONE.parse().expect("day 1 begins at a moment");
    let micros = (day - 1) * 86_400_000_000 + whole_minutes * 60_000_000;
    Some(Timestamp::from_micros(midnight.micros() + micros + (seconds * 1e6).round() as i64))
}

/// `day 5` alone is a calendar day.
fn calendar_day(text: &str) -> Option<String> {
    let day: i64 = text.strip_prefix("day ")?.parse().ok()?;
    let noon = moment_of_day(&format!("{day} 12:00"))?;
    Some(noon.to_chrono()?.format("%Y-%m-%d").to_string())
}

/// Writes every time in one way and every line in full, at any depth.
pub fn spell_out(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) if text.starts_with("day ") => match calendar_day(text) {
            Some(day) => Ok(day.into()),
            None => Ok(moment(text)?.to_string().into()),
        },
        Value::String(text) => Ok(text
            .parse::<Timestamp>()
            .map_or_else(|_| value.clone(), |moment| moment.to_string().into())),
        Value::Array(items) => {
            items.iter().map(spell_out).collect::<Result<_, _>>().map(Value::Array)
        }
        Value::Object(fields) => spell_out_fields(fields).map(Value::Object),
        _ => Ok(value.clone()),
    }
}

pub fn spell_out_fields(fields: &Fields) -> Result<Fields, String> {
    fields
        .iter()
        .map(|(name, value)| match (name.as_str(), value) {
            ("lines", Value::Array(lines)) => {
                let lines: Result<Vec<Value>, String> = lines.iter().map(line).collect();
                Ok((name.clone(), Value::Array(lines?)))
            }
            _ => Ok((name.clone(), spell_out(value)?)),
        })
        .collect()
}

/// `L1`, `L1 x2`, `L1 x2 at 1000 shipping 500 tax 90`, or the object itself.
fn line(value: &Value) -> Result<Value, String> {
    let Value::String(text) = value else { return Ok(value.clone()) };
    let mut words = text.split(' ');
    let mut line = json!({ "line_id": words.next() });
    while let Some(word) = words.next() {
        let (name, number) = match (word, word.strip_prefix('x')) {
            (_, Some(number)) => ("quantity", Some(number)),
            ("at", _) => ("unit_price", words.next()),
            ("shipping", _) => ("shipping_fee", words.next()),
            ("tax", _) => ("tax", words.next()),
            _ => return Err(format!("`{word}` in line `{text}` means nothing")),
        };
        let number = number.and_then(|number| number.parse::<i64>().ok());
        line[name] = number.ok_or_else(|| format!("a number is missing in line `{text}`"))?.into();
    }
    Ok(line)
}

/// Numbers the events of one scenario, over all its steps.
#[derive(Default)]
pub struct Expander {
    events: usize,
    messages: usize,
}

impl Expander {
    /// One event in full: the defaults of its type, then what the scenario changes.
    pub fn event(&mut self, short: &Fields) -> Result<Event, String> {
        self.events += 1;
        let mut given = spell_out_fields(short)?;
        let name = text(given.remove("type"))?;
        let kind = InputType::from_name(&name).ok_or_else(|| format!("no type `{name}`"))?;
        let time = moment(&text(given.remove("time"))?)?;
        let id =
            given.remove("id").map_or(Ok(format!("e{:02}", self.events)), |id| text(Some(id)))?;
        let source = given.remove("source").map_or(Ok("/test".into()), |s| text(Some(s)))?;
        let data = self.data(kind, given)?;
        let input =
            kind.read(&Value::Object(data.clone())).map_err(|fault| format!("{name}: {fault}"))?;
        input.check().map_err(|(pointer, fault)| format!("{name}{pointer}: {fault}"))?;
        let facts = input.facts();
        if let Some(unread) = data.keys().find(|key| facts.get(*key).is_none()) {
            return Err(format!("{name} has no field `{unread}`"));
        }
        Ok(Event { time, key: EventRef { source, id }, input })
    }

    fn data(&mut self, kind: InputType, given: Fields) -> Result<Fields, String> {
        let mut data = self.defaults(kind);
        for (name, value) in given {
            match (name.as_str(), value) {
                (_, Value::Null) => drop(data.remove(&name)),
                ("payment", Value::String(word)) => drop(data.insert(name, payment(&word)?)),
                (_, value) => drop(data.insert(name, value)),
            }
        }
        if kind == InputType::OrderPlaced {
            complete_lines(&mut data);
        }
        Ok(data)
    }

    fn defaults(&mut self, kind: InputType) -> Fields {
        if kind == InputType::MessageSent {
            self.messages += 1;
        }
        let own = match kind {
            InputType::OrderPlaced => json!({
                "seller_id": "S1", "buyer_id": "B1", "sold_by": "seller", "fulfilled_by": "seller",
                "currency": "JPY", "payment": { "status": "authorized" },
                "lines": [{ "line_id": "L1" }],
            }),
            InputType::ChangeRequested | InputType::CancelRequested => json!({ "actor": "buyer" }),
            InputType::OrderCancelled => json!({ "actor": "marketplace" }),
            InputType::PaymentAuthorized => json!({ "attempt_id": "A1", "amount": 1000 }),
            InputType::PaymentFailed => json!({ "attempt_id": "A1", "reason": "declined" }),
            InputType::PaymentRefunded => json!({ "refund_id": "RF1", "amount": 1000 }),
            InputType::ShipmentDispatched | InputType::ShipmentUpdated => {
                json!({ "package_id": "PK1" })
            }
            InputType::MessageSent => json!({
                "message_id": format!("M{}", self.messages), "thread_id": "T1",
                "seller_id": "S1", "buyer_id": "B1", "from": "buyer",
            }),
            InputType::NonReceiptHandled => json!({ "thread_id": "T1" }),
            InputType::ConsentRecorded => json!({ "granted": true }),
            InputType::GuaranteeClaimed => json!({ "claim_id": "C1" }),
            InputType::LinesUnshippable | InputType::ReturnRequested => json!({}),
        };
        let Value::Object(mut fields) = own else { unreachable!("defaults are objects") };
        fields.insert("order_id".into(), "O1".into());
        fields
    }
}

/// `pending`, `authorized` or `captured` (authorised, and the money is in).
fn payment(word: &str) -> Result<Value, String> {
    match word {
        "captured" => Ok(json!({ "status": "authorized", "captured": true })),
        "pending" | "authorized" => Ok(json!({ "status": word })),
        _ => Err(format!("no payment `{word}`")),
    }
}

fn complete_lines(data: &mut Fields) {
    let Some(Value::Array(lines)) = data.get_mut("lines") else { return };
    for line in lines {
        let Value::Object(line) = line else { continue };
        let sku = format!("SKU-{}", line.get("line_id").and_then(Value::as_str).unwrap_or("?"));
        let defaults: BTreeMap<&str, Value> =
            [("sku", sku.into()), ("quantity", 1.into()), ("unit_price", 1000.into())].into();
        for (name, value) in defaults {
            line.entry(name).or_insert(value);
        }
    }
}

fn text(value: Option<Value>) -> Result<String, String> {
    match value {
        Some(Value::String(text)) => Ok(text),
        other => Err(format!("a text is wanted (type, time), not {other:?}")),
    }
}
