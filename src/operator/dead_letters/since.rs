//! What happened to a dead letter: before it came, as the broker tells it, and since.

use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::contract::Timestamp;
use crate::desk::letters::{Change, changes};
use crate::desk::redact::Personal;
use crate::operator::output::table;
use crate::store::audit::{self, Act};
use crate::store::dead_letters::DeadLetter;
use crate::store::replays::{self, Attempt};

/// What was done with a letter.
pub struct Since {
    attempts: Vec<Attempt>,
    acts: Vec<Act>,
}

impl Since {
    pub async fn read(conn: &mut PgConnection, letter: &DeadLetter) -> sqlx::Result<Since> {
        let id = letter.summary.id;
        Ok(Since {
            attempts: replays::attempts(conn, id).await?,
            acts: audit::of(conn, &id.to_string()).await?,
        })
    }

    pub fn for_people(&self, letter: &DeadLetter, personal: Personal) -> String {
        if self.attempts.is_empty() && self.acts.is_empty() {
            return String::new();
        }
        let mut lines: Vec<(Timestamp, String)> = Vec::new();
        for act in &self.acts {
            let reason = act.detail.get("reason").and_then(Value::as_str);
            let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
            lines.push((
                Timestamp::from_chrono(act.at),
                format!("{} by {}{reason}", act.act, act.who),
            ));
        }
        for attempt in &self.attempts {
            let at = attempt.finished_at.unwrap_or(attempt.submitted_at);
            let mut text = attempt_in_words(attempt);
            for change in changes(letter, attempt, personal) {
                text.push_str(&format!("\n    {} {}", change.place, change.words()));
            }
            lines.push((Timestamp::from_chrono(at), text));
        }
        lines.sort_by_key(|(at, _)| *at);
        let lines: Vec<String> =
            lines.into_iter().map(|(at, text)| format!("{at}  {text}")).collect();
        format!("\n\nsince then\n{}", lines.join("\n"))
    }

    pub fn for_programs(&self, letter: &DeadLetter, personal: Personal) -> Value {
        let attempts = self.attempts.iter().map(|attempt| {
            json!({
                "job": attempt.job,
                "by": attempt.submitted_by,
                "submitted_at": Timestamp::from_chrono(attempt.submitted_at),
                "finished_at": attempt.finished_at.map(Timestamp::from_chrono),
                "outcome": attempt.outcome,
                "code": attempt.code,
                "pointer": attempt.pointer,
                "detail": attempt.detail,
                "changes": changes(letter, attempt, personal).iter().map(Change::object)
                    .collect::<Vec<_>>(),
            })
        });
        let acts = self.acts.iter().map(|act| {
            let at = Timestamp::from_chrono(act.at);
            json!({ "at": at, "by": act.who, "act": act.act, "detail": act.detail })
        });
        json!({ "replays": attempts.collect::<Vec<_>>(), "acts": acts.collect::<Vec<_>>() })
    }
}

fn attempt_in_words(attempt: &Attempt) -> String {
    let repaired = if attempt.patch.is_some() { ", repaired" } else { "" };
    let outcome = match attempt.outcome.as_deref() {
        None => "waits".to_owned(),
        Some("accepted") => "replayed, and accepted".to_owned(),
        Some("duplicate") => "replayed: its event was in the history already".to_owned(),
        Some("refused") => {
            let (code, detail) = (attempt.code.as_deref(), attempt.detail.as_deref());
            format!("refused again: {}, {}", code.unwrap_or_default(), detail.unwrap_or_default())
        }
        Some(other) => other.to_owned(),
    };
    format!("{outcome} (job {} by {}{repaired})", attempt.job, attempt.submitted_by)
}

/// The broker's own account of how a message came into the dead queue: its `x-death` header,
/// the first station first.
pub fn deaths(headers: &Value) -> Option<String> {
    let deaths = headers.get("x-death")?.as_array()?;
    let mut rows = table(["since", "what", "times", "queue", "published to"]);
    for death in deaths.iter().rev() {
        let text = |name: &str| death.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        let keys = death.get("routing-keys").and_then(Value::as_array).into_iter().flatten();
        let keys: Vec<&str> = keys.filter_map(Value::as_str).collect();
        rows.add_row([
            text("time"),
            reason(&text("reason")).to_owned(),
            death.get("count").map(Value::to_string).unwrap_or_default(),
            text("queue"),
            format!("{} {}", text("exchange"), keys.join(" ")),
        ]);
    }
    Some(format!("\n\nthe broker's account\n{}", rows.trim_fmt()))
}

fn reason(name: &str) -> &str {
    match name {
        "rejected" => "a consumer refused it",
        "expired" => "it waited longer than messages may",
        "maxlen" => "the queue was full",
        "delivery_limit" => "it was delivered too often and never finished",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_account_is_told_in_words() {
        let headers = json!({ "x-death": [
            { "reason": "delivery_limit", "queue": "otodoke.orders", "count": 1,
              "exchange": "marketplace.events", "routing-keys": ["orders.order-placed"],
              "time": "2026-03-01T09:00:00Z" },
            { "reason": "expired", "queue": "somewhere", "count": 2, "exchange": "",
              "routing-keys": [], "time": "2026-02-28T09:00:00Z" },
        ] });
        let told = deaths(&headers).unwrap();
        let (first, second) =
            (told.find("waited longer").unwrap(), told.find("too often").unwrap());
        assert!(first < second, "{told}");
        assert!(told.contains("marketplace.events orders.order-placed"), "{told}");
        assert_eq!(deaths(&json!({})), None);
    }
}
