//! What time alone will bring.

use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::{Answer, View, page};
use crate::contract::{Rule, Timestamp};
use crate::desk::ahead::{self, Deadlines, Simulation};
use crate::desk::period;
use crate::http::App;
use crate::http::fault::Fault;

/// Deadlines on a page.
const PAGE: usize = 25;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    order: String,
    rule: String,
    before: String,
    as_of: String,
}

impl Asked {
    pub fn rule(&self) -> Result<Option<Rule>, Fault> {
        match self.rule.as_str() {
            "" => Ok(None),
            id => Rule::from_id(id).map(Some).ok_or_else(|| Fault::Unfit("rule".to_owned())),
        }
    }

    pub fn order(&self) -> Option<&str> {
        Some(self.order.trim()).filter(|order| !order.is_empty())
    }

    pub fn before(&self, app: &App) -> Result<Option<Timestamp>, Fault> {
        let limit = limit(&self.before, "before")?;
        Ok(limit.map(|limit| limit.beginning(&app.settings)))
    }

    pub fn as_of(&self, app: &App) -> Result<Option<Timestamp>, Fault> {
        Ok(limit(&self.as_of, "as_of")?.map(|limit| limit.end(&app.settings)))
    }
}

fn limit(text: &str, name: &str) -> Result<Option<period::Limit>, Fault> {
    match text.trim() {
        "" => Ok(None),
        text => period::limit(text).map(Some).map_err(|_| Fault::Unfit(name.to_owned())),
    }
}

#[derive(Template)]
#[template(path = "deadlines.html")]
struct List {
    v: View,
    asked: Asked,
    found: Deadlines,
}

impl List {
    fn rules(&self) -> Vec<&'static str> {
        Rule::ALL.iter().map(|rule| rule.id()).collect()
    }
}

pub async fn list(v: View, State(app): State<App>, Query(asked): Query<Asked>) -> Answer {
    let (rule, before) = (asked.rule()?, asked.before(&app)?);
    let mut conn = app.pool.acquire().await?;
    let found = ahead::deadlines(&mut conn, asked.order(), rule, before, PAGE).await?;
    let found = found.ok_or(Fault::Missing(|t| t.unknown_case))?;
    page(&List { v, asked, found })
}

#[derive(Template)]
#[template(path = "simulate.html")]
struct Simulated {
    v: View,
    asked: Asked,
    found: Simulation,
}

pub async fn simulate(v: View, State(app): State<App>, Query(asked): Query<Asked>) -> Answer {
    let found = simulated(&app, &asked).await?;
    page(&Simulated { v, asked, found })
}

/// What would be derived; a moment that is past is no moment to come.
pub async fn simulated(app: &App, asked: &Asked) -> Result<Simulation, Fault> {
    let as_of = asked.as_of(app)?;
    let mut conn = app.pool.acquire().await?;
    let found = ahead::simulate(&mut conn, asked.order(), as_of, &app.door_settings).await?;
    found.ok_or(Fault::Missing(|t| t.unknown_case))
}
