//! What can be asked.

use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Answer, Asked, Sent, answer, limit};
use crate::contract::Rule;
use crate::desk::audit::{self, Period};
use crate::desk::filters::Filters;
use crate::desk::redact::Personal;
use crate::desk::replays::{self, Job};
use crate::desk::{ahead, letter, orders, period};
use crate::http::App;
use crate::http::console::overview_now;
use crate::http::fault::Fault;
use crate::store::orders::Wanted;

pub async fn overview(State(app): State<App>) -> Answer {
    answer(overview_now(&app).await)
}

/// Which orders are wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OrdersAsked {
    /// An order's number or its beginning, or a buyer's id
    named: Option<String>,
    /// pending, unshipped, partially-shipped, shipped or cancelled
    status: Option<String>,
    /// `next` of the page before
    after: Option<String>,
    /// From 1 to 200
    limit: Option<i64>,
}

fn status(status: Option<&str>) -> Result<Option<String>, Fault> {
    crate::http::console::order_status(status.unwrap_or_default())
}

fn clean(text: &str) -> Option<String> {
    Some(text.trim().replace('\0', "")).filter(|text| !text.is_empty())
}

pub async fn orders(State(app): State<App>, Asked(asked): Asked<OrdersAsked>) -> Answer {
    let named = asked.named.as_deref().and_then(clean);
    let wanted = Wanted { named, email: None, status: status(asked.status.as_deref())? };
    let unfit = || Fault::Unfit("after".to_owned());
    let after = asked.after.map(|text| orders::place(&text).ok_or_else(unfit)).transpose()?;
    let limit = limit(asked.limit)?;
    let mut conn = app.pool.acquire().await?;
    answer(orders::page(&mut conn, &wanted, after.as_ref(), limit).await?)
}

/// Orders of a buyer by address.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Search {
    /// The buyer's address at the marketplace; capitals don't matter
    email: String,
    status: Option<String>,
}

pub async fn search(State(app): State<App>, Sent(asked): Sent<Search>) -> Answer {
    let email = clean(&asked.email).ok_or_else(|| Fault::Unfit("email".to_owned()))?;
    let status = status(asked.status.as_deref())?;
    let wanted = Wanted { named: None, email: Some(email), status };
    let mut conn = app.pool.acquire().await?;
    answer(orders::page(&mut conn, &wanted, None, super::PAGE_MAX).await?)
}

pub async fn case(State(app): State<App>, Path(name): Path<String>) -> Answer {
    let mut conn = app.pool.acquire().await?;
    let case = orders::case(&mut conn, &name, Personal::Hidden).await?;
    answer(case.ok_or(Fault::Missing(|t| t.unknown_case))?)
}

/// Which dead letters are wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LettersAsked {
    #[serde(flatten)]
    filters: Filters,
    /// `next` of the page before
    after: String,
    /// From 1 to 200
    limit: String,
}

impl LettersAsked {
    fn limit(&self) -> Result<i64, Fault> {
        let unfit = |_| Fault::Unfit("limit".to_owned());
        let number = Some(self.limit.as_str()).filter(|text| !text.is_empty());
        limit(number.map(str::parse).transpose().map_err(unfit)?)
    }
}

pub async fn letters(State(app): State<App>, Asked(asked): Asked<LettersAsked>) -> Answer {
    let filter = asked.filters.read(&app.settings)?;
    let unfit = || Fault::Unfit("after".to_owned());
    let after = Some(asked.after.as_str()).filter(|text| !text.is_empty());
    let after = after.map(|text| letter::place(text).ok_or_else(unfit)).transpose()?;
    let limit = asked.limit()?;
    answer(letter::page(&mut *app.pool.acquire().await?, &filter, after, limit).await?)
}

pub async fn groups(State(app): State<App>, Asked(asked): Asked<LettersAsked>) -> Answer {
    let filter = asked.filters.read(&app.settings)?;
    let limit = asked.limit()?;
    answer(letter::groups(&mut *app.pool.acquire().await?, &filter, limit).await?)
}

pub async fn letter(State(app): State<App>, Path(id): Path<Uuid>) -> Answer {
    let mut conn = app.pool.acquire().await?;
    let letter = letter::letter(&mut conn, id, Personal::Hidden).await?;
    answer(letter.ok_or_else(Fault::missing)?)
}

/// Replays.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Replays {
    replays: Vec<Job>,
}

pub async fn replays(State(app): State<App>) -> Answer {
    let mut conn = app.pool.acquire().await?;
    answer(Replays { replays: replays::jobs(&mut conn, super::PAGE_MAX).await? })
}

pub async fn replay(State(app): State<App>, Path(id): Path<Uuid>) -> Answer {
    let job = replays::job(&mut *app.pool.acquire().await?, id).await?;
    answer(job.ok_or_else(Fault::missing)?)
}

/// Which deadlines are wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DeadlinesAsked {
    /// Only of this order, or of thread:THREAD_ID
    order: Option<String>,
    /// Only by this rule: S3, M3, …
    rule: Option<String>,
    /// Only what falls before this day begins, or before this moment
    before: Option<String>,
    /// From 1 to 200
    limit: Option<i64>,
}

fn moment(text: Option<&str>, name: &str) -> Result<Option<period::Limit>, Fault> {
    let unfit = |_| Fault::Unfit(name.to_owned());
    text.map(period::limit).transpose().map_err(unfit)
}

pub async fn deadlines(State(app): State<App>, Asked(asked): Asked<DeadlinesAsked>) -> Answer {
    let unfit = || Fault::Unfit("rule".to_owned());
    let rule = asked.rule.as_deref().map(|id| Rule::from_id(id).ok_or_else(unfit)).transpose()?;
    let before = moment(asked.before.as_deref(), "before")?;
    let before = before.map(|limit| limit.beginning(&app.settings));
    let most = usize::try_from(limit(asked.limit)?).unwrap_or(1);
    let mut conn = app.pool.acquire().await?;
    let found = ahead::deadlines(&mut conn, asked.order.as_deref(), rule, before, most).await?;
    answer(found.ok_or(Fault::Missing(|t| t.unknown_case))?)
}

/// Which simulation is wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SimulationAsked {
    /// A moment to come; a date: its end. By default 30 days from now
    as_of: Option<String>,
    /// Only of this order, or of thread:THREAD_ID
    order: Option<String>,
}

pub async fn simulation(State(app): State<App>, Asked(asked): Asked<SimulationAsked>) -> Answer {
    let as_of = moment(asked.as_of.as_deref(), "as_of")?;
    let as_of = as_of.map(|limit| limit.end(&app.settings));
    let mut conn = app.pool.acquire().await?;
    let order = asked.order.as_deref();
    let found = ahead::simulate(&mut conn, order, as_of, &app.door_settings).await?;
    answer(found.ok_or(Fault::Missing(|t| t.unknown_case))?)
}

/// Which stretch of time is wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LedgerAsked {
    period: Period,
}

pub async fn ledger(State(app): State<App>, Asked(asked): Asked<LedgerAsked>) -> Answer {
    let found = audit::check(&mut *app.pool.acquire().await?, asked.period).await?;
    let archived = "some of that time is archived, which isn't counted by time: ask for all";
    answer(found.ok_or_else(|| Fault::Conflict(archived.to_owned()))?)
}
