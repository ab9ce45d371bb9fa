//! Whether everything adds up.

use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::{Answer, View, page as rendered};
use crate::desk::audit::{self, Checked, Period};
use crate::http::App;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    pub period: Period,
}

#[derive(Template)]
#[template(path = "ledger.html")]
struct Page {
    v: View,
    period: Period,
    /// Nothing where that time is archived.
    found: Option<Checked>,
}

impl Page {
    fn periods(&self) -> [(&'static str, &'static str, bool); 4] {
        let t = self.v.t;
        [
            ("hour", t.last_hour, self.period == Period::Hour),
            ("day", t.last_day, self.period == Period::Day),
            ("week", t.last_week, self.period == Period::Week),
            ("all", t.everything, self.period == Period::All),
        ]
    }
}

pub async fn page(v: View, State(app): State<App>, Query(asked): Query<Asked>) -> Answer {
    let found = audit::check(&mut *app.pool.acquire().await?, asked.period).await?;
    rendered(&Page { v, period: asked.period, found })
}
