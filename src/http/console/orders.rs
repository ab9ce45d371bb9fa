//! Orders: found, and one with its story.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;

use super::{Answer, View, page, query};
use crate::desk::orders::{self, Case};
use crate::desk::redact::Personal;
use crate::desk::story::{Entry, Kind};
use crate::http::App;
use crate::http::access::Revealer;
use crate::http::fault::Fault;
use crate::store::orders::{Place, Wanted};

/// Orders on a page.
const PAGE: i64 = 50;
/// Entries of a timeline on a page.
const ENTRIES: usize = 60;
/// The states that an order can be in.
pub const STATUSES: [&str; 5] =
    ["pending", "unshipped", "partially-shipped", "shipped", "cancelled"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    q: String,
    status: String,
    after: String,
}

#[derive(Template)]
#[template(path = "orders.html")]
struct List {
    v: View,
    /// Empty where an address was looked for: that stands in no page's address.
    q: String,
    status: String,
    orders: Vec<orders::Row>,
    next: Option<String>,
}

impl List {
    fn statuses(&self) -> [&'static str; 5] {
        STATUSES
    }
}

pub fn status(text: &str) -> Result<Option<String>, Fault> {
    match text {
        "" => Ok(None),
        known if STATUSES.contains(&known) => Ok(Some(known.to_owned())),
        _ => Err(Fault::Unfit("status".to_owned())),
    }
}

pub fn place(text: &str) -> Result<Option<Place>, Fault> {
    match text {
        "" => Ok(None),
        text => {
            let unfit = || Fault::Unfit("after".to_owned());
            orders::place(text).map(Some).ok_or_else(unfit)
        }
    }
}

pub async fn list(v: View, State(app): State<App>, Query(asked): Query<Asked>) -> Answer {
    let q = asked.q.trim().to_owned();
    let named = Some(q.replace('\0', "")).filter(|q| !q.is_empty());
    let wanted = Wanted { named, email: None, status: status(&asked.status)? };
    let after = place(&asked.after)?;
    let found =
        orders::page(&mut *app.pool.acquire().await?, &wanted, after.as_ref(), PAGE).await?;
    let next = found.next.as_ref().map(|next| {
        let pairs = [("q", q.as_str()), ("status", &asked.status), ("after", next)];
        format!("/orders{}", query(pairs.into_iter().filter(|(_, value)| !value.is_empty())))
    });
    page(&List { v, q, status: asked.status, orders: found.orders, next })
}

/// A search that may be for an address: that goes into no address bar and no log.
pub async fn search(v: View, State(app): State<App>, Form(asked): Form<Asked>) -> Answer {
    let q = asked.q.trim();
    if !q.contains('@') {
        let pairs = [("q", q), ("status", asked.status.as_str())];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        return Ok(Redirect::to(&format!("/orders{}", query(pairs))).into_response());
    }
    let email = Some(q.replace('\0', ""));
    let wanted = Wanted { named: None, email, status: status(&asked.status)? };
    let found = orders::page(&mut *app.pool.acquire().await?, &wanted, None, PAGE).await?;
    let (q, status) = (String::new(), asked.status);
    page(&List { v, q, status, orders: found.orders, next: None })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Part {
    /// The first entry that is shown; by default the last page's.
    entry: Option<usize>,
}

#[derive(Template)]
#[template(path = "order.html")]
struct One {
    v: View,
    case: Case,
    entries: Vec<Entry>,
    earlier: Option<usize>,
    later: Option<usize>,
}

impl One {
    fn new(v: View, mut case: Case, entry: Option<usize>) -> One {
        let entries = std::mem::take(&mut case.timeline);
        let last = entries.len().saturating_sub(ENTRIES);
        let first = entry.unwrap_or(last).min(last);
        let earlier = (first > 0).then(|| first.saturating_sub(ENTRIES));
        let later = (first < last).then(|| (first + ENTRIES).min(last));
        let entries = entries.into_iter().skip(first).take(ENTRIES).collect();
        One { v, case, entries, earlier, later }
    }

    fn currency(&self) -> &str {
        self.case.order.as_ref().map_or("", |order| &order.currency)
    }

    fn kind(&self, kind: &Kind) -> &'static str {
        match kind {
            Kind::Event => self.v.t.kind_event,
            Kind::Rule => self.v.t.kind_rule,
            Kind::Derived => self.v.t.kind_derived,
            Kind::Withdrawn => self.v.t.kind_withdrawn,
        }
    }

    fn class(&self, kind: &Kind) -> &'static str {
        match kind {
            Kind::Event => "event",
            Kind::Rule => "rule",
            Kind::Derived => "derived",
            Kind::Withdrawn => "withdrawn",
        }
    }

    fn may_reveal(&self) -> bool {
        self.v.may_reveal() && !self.case.revealed && self.case.has_personal_data()
    }
}

const UNKNOWN: Fault = Fault::Missing(|t| t.unknown_case);

pub async fn one(
    v: View,
    State(app): State<App>,
    Path(name): Path<String>,
    Query(part): Query<Part>,
) -> Answer {
    let mut conn = app.pool.acquire().await?;
    let case = orders::case(&mut conn, &name, Personal::Hidden).await?.ok_or(UNKNOWN)?;
    page(&One::new(v, case, part.entry))
}

pub async fn reveal(
    v: View,
    State(app): State<App>,
    Revealer(actor): Revealer,
    Path(name): Path<String>,
) -> Answer {
    let mut conn = app.pool.acquire().await?;
    let case = orders::reveal(&mut conn, &name, &actor.name).await?.ok_or(UNKNOWN)?;
    page(&One::new(v, case, None))
}
