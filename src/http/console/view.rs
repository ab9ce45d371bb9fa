//! What every page has: who looks, in which language, and how things are written.

use std::convert::Infallible;
use std::fmt;

use askama::filters::HtmlSafe;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use chrono_tz::Tz;
use serde_json::Value;

use super::assets;
use super::texts::{Lang, Texts};
use crate::contract::Timestamp;
use crate::desk::amount::major;
use crate::http::App;
use crate::http::access::{Actor, Roles, cookie_named};

/// What a page is written with.
#[derive(Clone, Debug)]
pub struct View {
    pub t: &'static Texts,
    pub lang: Lang,
    /// Nobody, where nobody has signed in yet.
    pub actor: Option<Actor>,
    zone: Tz,
    /// The page's address, to come back to.
    pub path: String,
    /// The first part of it: what the navigation marks.
    pub section: String,
}

impl FromRequestParts<App> for View {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<View, Infallible> {
        let lang = language(&parts.headers);
        let path = match parts.method {
            Method::GET => parts.uri.path_and_query().map_or("/", |path| path.as_str()),
            _ => parts.uri.path(),
        };
        let section = parts.uri.path().split('/').nth(1).unwrap_or_default();
        Ok(View {
            t: lang.texts(),
            lang,
            actor: parts.extensions.get::<Actor>().cloned(),
            zone: app.settings.rules.time_zone,
            section: section.to_owned(),
            path: path.to_owned(),
        })
    }
}

/// The cookie's language, else the first that the browser asks for.
pub fn language(headers: &HeaderMap) -> Lang {
    let chosen = cookie_named(headers, "lang").and_then(Lang::from_code);
    let accepted = || Lang::accepted(headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?);
    chosen.or_else(accepted).unwrap_or(Lang::English)
}

/// Markup that is made here, and so needs no escaping.
pub struct Html(String);

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Html {}

/// A value or a reference to one: templates hand over what they have.
pub trait Given<T> {
    fn given(self) -> T;
}

impl<T: Copy> Given<T> for T {
    fn given(self) -> T {
        self
    }
}

impl<T: Copy> Given<T> for &T {
    fn given(self) -> T {
        *self
    }
}

impl<T: Copy> Given<T> for &&T {
    fn given(self) -> T {
        **self
    }
}

impl View {
    pub fn roles(&self) -> Roles {
        self.actor.as_ref().map(|actor| actor.roles).unwrap_or_default()
    }

    pub fn may_act(&self) -> bool {
        self.roles().operator
    }

    pub fn may_reveal(&self) -> bool {
        self.roles().revealer
    }

    /// Marks the section that is looked at.
    pub fn is_in(&self, section: &str) -> bool {
        self.section == section
    }

    /// Whether a choice is the one that was made.
    pub fn is_chosen(&self, choice: impl AsRef<str>, chosen: impl AsRef<str>) -> bool {
        choice.as_ref() == chosen.as_ref()
    }

    pub fn word<'a>(&self, name: &'a str) -> &'a str {
        // A word of ours lives for ever, and so at least as long as the name.
        self.lang.word(name)
    }

    pub fn rule(&self, id: &str) -> &'static str {
        self.lang.rule(id)
    }

    /// A moment in the setting time-zone, with the zone.
    pub fn text_of(&self, moment: Timestamp) -> String {
        moment.to_chrono().map_or_else(
            || moment.to_string(),
            |utc| utc.with_timezone(&self.zone).format("%Y-%m-%d %H:%M:%S %Z").to_string(),
        )
    }

    pub fn when(&self, moment: impl Given<Timestamp>) -> Html {
        let moment = moment.given();
        let (machine, text) = (escaped(&moment.to_string()), escaped(&self.text_of(moment)));
        Html(format!("<time datetime=\"{machine}\">{text}</time>"))
    }

    /// The same, or a dash where there is none.
    pub fn when_any(&self, moment: &Option<Timestamp>) -> Html {
        moment.map_or_else(|| Html("–".to_owned()), |moment| self.when(moment))
    }

    /// An amount in the currency's major unit.
    pub fn money(&self, minor: impl Given<i64>, currency: impl AsRef<str>) -> String {
        format!("{} {}", major(minor.given(), currency.as_ref()), currency.as_ref())
    }

    pub fn money_any(&self, minor: &Option<i64>, currency: impl AsRef<str>) -> String {
        minor.map_or_else(|| "–".to_owned(), |minor| self.money(minor, currency))
    }

    /// A number with its thousands apart.
    pub fn number(&self, number: impl fmt::Display) -> String {
        let digits = number.to_string();
        if digits.len() <= 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return digits;
        }
        let mut text = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    }

    /// A number that may not be known.
    pub fn number_any<T: fmt::Display>(&self, number: &Option<T>) -> String {
        number.as_ref().map_or_else(|| "–".to_owned(), |number| self.number(number))
    }

    pub fn text_any<'a>(&self, text: &'a Option<String>) -> &'a str {
        text.as_deref().unwrap_or("–")
    }

    /// A count that isn't counted beyond a limit.
    pub fn capped(&self, number: impl Given<i64>) -> String {
        let number = number.given();
        let more = if number >= crate::store::recent::COUNTED_MAX { "+" } else { "" };
        format!("{}{more}", self.number(number))
    }

    /// JSON as a person reads it in a cell: a text without quotes.
    pub fn cell(&self, value: &Value) -> String {
        let text = match value {
            Value::Null => "–".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        cut(&text, 200)
    }

    /// The same of what may not be there.
    pub fn value(&self, value: &Option<Value>) -> String {
        value.as_ref().map_or_else(|| "–".to_owned(), |value| self.cell(value))
    }

    /// An address in one line.
    pub fn address(&self, address: &Value) -> String {
        let parts = ["recipient", "postal_code", "region", "city", "address_lines", "country"];
        let texts =
            parts.iter().filter_map(|part| address.get(*part)).flat_map(|part| match part {
                Value::String(text) => vec![text.clone()],
                Value::Array(lines) => {
                    lines.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                }
                _ => Vec::new(),
            });
        cut(&texts.collect::<Vec<_>>().join(", "), 600)
    }

    /// What a message says: enough of it.
    pub fn long(&self, text: &Option<String>) -> String {
        cut(text.as_deref().unwrap_or("–"), 2_000)
    }

    /// The page's address without what narrows it.
    pub fn here(&self) -> &str {
        self.path.split('?').next().unwrap_or("/")
    }

    pub fn brief(&self, text: impl AsRef<str>) -> String {
        cut(text.as_ref(), 160)
    }

    /// What happened lately, as a line. The numbers beside it say it in words.
    pub fn spark(&self, series: &[i64]) -> Html {
        let most = series.iter().copied().max().unwrap_or(0).max(1);
        let step = 120.0 / (series.len().max(2) - 1) as f64;
        let points: Vec<String> = series
            .iter()
            .enumerate()
            .map(|(index, count)| {
                let y = 22.0 - 20.0 * *count as f64 / most as f64;
                format!("{:.1},{y:.1}", index as f64 * step)
            })
            .collect();
        Html(format!(
            "<svg class=\"spark\" viewBox=\"0 0 120 24\" width=\"120\" height=\"24\" \
             aria-hidden=\"true\" focusable=\"false\"><polyline points=\"{}\"/></svg>",
            points.join(" ")
        ))
    }

    pub fn style(&self) -> String {
        assets::address("console.css")
    }

    pub fn script(&self) -> String {
        assets::address("console.js")
    }

    /// An order's page, for a part of an address.
    pub fn segment(&self, text: impl AsRef<str>) -> String {
        encoded(text.as_ref())
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// For a part of a path or of a query.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// Pairs as a query, with its question mark; nothing where there are none.
pub fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
