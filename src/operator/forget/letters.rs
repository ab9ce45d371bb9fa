//! Dead letters that are a buyer's: their bytes may be anything, so it is looked for what names
//! the buyer wherever it stands in them.

use std::collections::HashSet;

use anyhow::{Result, bail};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::desk::redact::{self, Personal};
use crate::rules::personal::Trail;
use crate::store::forgetting::{self, Letter};

/// Bodies in memory at a time.
const PAGE: i64 = 50;

/// Letters that still hold what came.
#[derive(Debug, Default)]
pub struct Letters {
    /// The buyer's.
    pub own: Vec<Uuid>,
    /// Those that hold the buyer's name or phone number, and nothing else that tells whose they are.
    pub doubtful: Vec<Uuid>,
}

impl Letters {
    pub async fn find(conn: &mut PgConnection, trail: &Trail) -> Result<Letters> {
        let (marks, mut found, mut after) = (Marks::of(trail), Letters::default(), None);
        loop {
            let page = forgetting::letters(conn, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(last.id);
            for letter in &page {
                let texts = texts(letter);
                if texts.iter().any(|text| marks.are_in(text)) {
                    found.own.push(letter.id);
                } else if texts.iter().any(|text| names(trail).any(|name| text.contains(name))) {
                    found.doubtful.push(letter.id);
                }
            }
        }
    }

    /// Empties them. Fails where a job is about to replay one.
    pub async fn empty(&self, conn: &mut PgConnection) -> Result<()> {
        let jobs = forgetting::waiting_in(conn, &self.own).await?;
        if let Some(job) = jobs.first() {
            bail!(
                "a dead letter of the buyer waits in the replay job {job}: let it end, or cancel it \
                 with `otodoke dead-letters jobs cancel {job}`; nothing was changed"
            );
        }
        forgetting::empty(conn, &self.own).await?;
        for (job, patch) in forgetting::patches(conn, &self.own).await? {
            let masked = redact::patch(&patch, Personal::Hidden);
            forgetting::set_patch(conn, job, &masked).await?;
        }
        Ok(())
    }
}

/// What others may be called by as well.
fn names(trail: &Trail) -> impl Iterator<Item = &str> {
    let names = trail.names.iter().chain(&trail.phones).map(|name| name.trim());
    names.filter(|name| !name.is_empty())
}

/// What tells that a letter is the buyer's.
struct Marks<'a> {
    /// The buyer, orders and threads.
    ids: HashSet<&'a str>,
    emails: Vec<&'a str>,
}

impl<'a> Marks<'a> {
    fn of(trail: &'a Trail) -> Marks<'a> {
        let ids = trail.orders.iter().chain(&trail.threads).chain([&trail.buyer]);
        let emails = trail.emails.iter().map(String::as_str);
        Marks {
            ids: ids.map(|id| id.as_str()).collect(),
            emails: emails.filter(|email| !email.trim().is_empty()).collect(),
        }
    }

    fn are_in(&self, text: &str) -> bool {
        let in_an_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
        let mut words = text.split(|c| !in_an_id(c));
        // An id ends a sentence as well.
        let is_named = words.any(|word| {
            self.ids.contains(word) || self.ids.contains(word.trim_end_matches(['.', ':']))
        });
        let lower = text.to_lowercase();
        is_named || self.emails.iter().any(|email| lower.contains(email))
    }
}

/// The letter as it stands, and what its escapes stand for.
fn texts(letter: &Letter) -> Vec<String> {
    let mut texts = vec![String::from_utf8_lossy(&letter.body).into_owned()];
    if let Ok(value) = serde_json::from_slice::<Value>(&letter.body) {
        leaves(&value, &mut texts);
    }
    leaves(&letter.headers, &mut texts);
    texts
}

fn leaves(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(elements) => elements.iter().for_each(|element| leaves(element, texts)),
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            texts.push(name.clone());
            leaves(member, texts);
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::Identifier;

    #[test]
    fn a_letter_is_known_by_what_it_names_however_it_is_written() {
        let mut trail = Trail::of(Identifier::new("B1").unwrap());
        trail.emails.insert("k2@market.example".to_owned());
        trail.orders.insert(Identifier::new("O.1").unwrap());
        let marks = Marks::of(&trail);
        let is_own = |body: &str, headers: Value| {
            let letter = Letter { id: Uuid::nil(), body: body.into(), headers };
            texts(&letter).iter().any(|text| marks.are_in(text))
        };
        for body in [
            r#"{"buyer_id":"B1"}"#,
            r#"{"buyer_id":"\u0042\u0031"}"#,
            r#"{"data":"{\"buyer_id\":\"B1\"}"}"#,
            "buyer_id: B1, and more",
            r#"{"relay_email": "K2@MARKET.example""#,
            r#"{"order_id":"O.1"}"#,
        ] {
            assert!(is_own(body, json!({})), "{body}");
        }
        assert!(is_own("", json!({ "customer": "B1" })));
        for body in [r#"{"buyer_id":"B12"}"#, r#"{"buyer_id":"xB1"}"#, r#"{"order_id":"O.12"}"#] {
            assert!(!is_own(body, json!({})), "{body}");
        }
    }
}
