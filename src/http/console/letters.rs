//! Dead letters: by cause, as a list, one by one; and discarded.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Answer, View, page, query};
use crate::contract::{RejectionCode, Stream};
use crate::desk::excerpt;
use crate::desk::filters::Filters;
use crate::desk::letter::{self, BodyForm, Group, Letter, Row};
use crate::desk::letters as acts;
use crate::desk::redact::Personal;
use crate::http::App;
use crate::http::access::{Operator, Revealer};
use crate::http::fault::Fault;
use crate::store::dead_letters;

/// Letters, and groups, on a page.
const PAGE: i64 = 40;
/// The most letters that a page counts or acts on by a filter.
pub const COUNTED: i64 = 1_000_000;

impl From<crate::desk::filters::Unfit> for Fault {
    fn from(unfit: crate::desk::filters::Unfit) -> Fault {
        Fault::Unfit(unfit.0.to_owned())
    }
}

/// Names that can be chosen in the filter.
pub fn codes() -> Vec<&'static str> {
    RejectionCode::ALL.iter().map(|code| code.name()).collect()
}

pub fn streams() -> Vec<&'static str> {
    Stream::ALL.iter().map(|stream| stream.name()).collect()
}

#[derive(Template)]
#[template(path = "letters.html")]
struct Groups {
    v: View,
    f: Filters,
    groups: Vec<Group>,
    more: bool,
}

impl Groups {
    fn codes(&self) -> Vec<&'static str> {
        codes()
    }

    fn streams(&self) -> Vec<&'static str> {
        streams()
    }

    /// What the page is narrowed by, for the list.
    fn query(&self) -> String {
        query(self.f.pairs())
    }

    /// The filter of a group.
    fn of(&self, group: &Group) -> String {
        let mut filters = self.f.clone();
        filters.code = group.code.clone();
        filters.event_type = group.event_type.clone().unwrap_or_default();
        filters.place = group.place().to_owned();
        filters.cause = group.cause.clone();
        query(filters.pairs())
    }
}

pub async fn groups(v: View, State(app): State<App>, Query(f): Query<Filters>) -> Answer {
    let filter = f.read(&app.settings)?;
    let found = letter::groups(&mut *app.pool.acquire().await?, &filter, PAGE).await?;
    page(&Groups { v, f, groups: found.groups, more: found.more })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct After {
    after: String,
}

#[derive(Template)]
#[template(path = "letters_list.html")]
struct List {
    v: View,
    f: Filters,
    letters: Vec<Row>,
    next: Option<String>,
}

impl List {
    fn codes(&self) -> Vec<&'static str> {
        codes()
    }

    fn streams(&self) -> Vec<&'static str> {
        streams()
    }

    fn query(&self) -> String {
        query(self.f.pairs())
    }
}

pub async fn list(
    v: View,
    State(app): State<App>,
    Query(f): Query<Filters>,
    Query(After { after }): Query<After>,
) -> Answer {
    let filter = f.read(&app.settings)?;
    let place = match after.as_str() {
        "" => None,
        text => Some(letter::place(text).ok_or_else(|| Fault::Unfit("after".to_owned()))?),
    };
    let found = letter::page(&mut *app.pool.acquire().await?, &filter, place, PAGE).await?;
    let next = found.next.as_ref().map(|next| {
        let pairs = f.pairs().into_iter().chain([("after", next.as_str())]);
        format!("/dead-letters/list{}", query(pairs))
    });
    page(&List { v, f, letters: found.dead_letters, next })
}

/// Lines of a body on a page, around the fault, and letters in one of them.
const LINES: usize = 240;
const LETTERS: usize = 400;

#[derive(Template)]
#[template(path = "letter.html")]
struct One {
    v: View,
    letter: Letter,
    lines: Vec<excerpt::Line>,
    left_out_before: usize,
    left_out_after: usize,
    headers: String,
}

impl One {
    fn new(v: View, letter: Letter) -> One {
        let all = match (&letter.body, letter.body_form) {
            (value, BodyForm::Json) => excerpt::marked(value, letter.fault.as_deref()),
            (Value::String(text), _) => text.lines().map(plain).collect(),
            _ => Vec::new(),
        };
        let count = all.len();
        let fault = all.iter().position(|line| line.is_marked).unwrap_or(0);
        let first = fault.saturating_sub(LINES / 2).min(count.saturating_sub(LINES));
        let lines: Vec<_> = all.into_iter().skip(first).take(LINES).map(shortened).collect();
        let left_out_after = count - first - lines.len();
        let headers = excerpt::lines(&letter.headers, None);
        let headers: Vec<String> = headers.into_iter().take(LINES).map(cut).collect();
        let headers = headers.join("\n");
        One { v, letter, lines, left_out_before: first, left_out_after, headers }
    }

    fn is_hidden(&self) -> bool {
        self.letter.body_form == BodyForm::Hidden
    }

    fn may_reveal(&self) -> bool {
        self.v.may_reveal() && !self.letter.revealed
    }

    fn is_open(&self) -> bool {
        self.letter.row.status == "open"
    }
}

fn plain(text: &str) -> excerpt::Line {
    excerpt::Line { text: text.to_owned(), is_marked: false, without: None }
}

fn shortened(line: excerpt::Line) -> excerpt::Line {
    excerpt::Line { text: cut(line.text), ..line }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LETTERS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

pub async fn one(v: View, State(app): State<App>, Path(id): Path<Uuid>) -> Answer {
    let mut conn = app.pool.acquire().await?;
    let letter = letter::letter(&mut conn, id, Personal::Hidden).await?;
    page(&One::new(v, letter.ok_or_else(Fault::missing)?))
}

pub async fn reveal(
    v: View,
    State(app): State<App>,
    Revealer(actor): Revealer,
    Path(id): Path<Uuid>,
) -> Answer {
    let mut conn = app.pool.acquire().await?;
    let letter = letter::reveal(&mut conn, id, &actor.name).await?;
    page(&One::new(v, letter.ok_or_else(Fault::missing)?))
}

#[derive(Template)]
#[template(path = "discard.html")]
struct Discard {
    v: View,
    f: Filters,
    count: i64,
    lacks_reason: bool,
    /// What was discarded, and what waits in a job.
    done: Option<(usize, i64)>,
}

pub async fn discard_form(
    v: View,
    State(app): State<App>,
    _: Operator,
    Query(f): Query<Filters>,
) -> Answer {
    let filter = f.read(&app.settings)?;
    let count = dead_letters::count(&mut *app.pool.acquire().await?, &filter, COUNTED).await?;
    page(&Discard { v, f, count, lacks_reason: false, done: None })
}

/// Filters and a reason, as the form sends them.
#[derive(Debug, Deserialize)]
pub struct Discarding {
    #[serde(flatten)]
    filters: Filters,
    #[serde(default)]
    reason: String,
}

pub async fn discard(
    v: View,
    State(app): State<App>,
    Operator(actor): Operator,
    Form(asked): Form<Discarding>,
) -> Answer {
    let (f, reason) = (asked.filters, asked.reason.trim().replace('\0', ""));
    let filter = f.read(&app.settings)?;
    let mut conn = app.pool.acquire().await?;
    if reason.is_empty() {
        let count = dead_letters::count(&mut conn, &filter, COUNTED).await?;
        return page(&Discard { v, f, count, lacks_reason: true, done: None });
    }
    let ids = dead_letters::ids(&mut conn, &filter).await?;
    let discarded = acts::discard(&mut conn, &ids, &reason, &f.describe(), &actor.name).await?;
    let done = Some((discarded.ids.len(), discarded.claimed));
    page(&Discard { v, f, count: 0, lacks_reason: false, done })
}
