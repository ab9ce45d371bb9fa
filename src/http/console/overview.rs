//! How things stand.

use askama::Template;
use axum::extract::State;

use super::{Answer, View, page as rendered};
use crate::desk::overview::Overview;
use crate::http::App;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    v: View,
    o: Overview,
}

/// What of it changes.
#[derive(Template)]
#[template(path = "overview_live.html")]
pub struct Live {
    pub v: View,
    pub o: Overview,
}

pub async fn page(v: View, State(app): State<App>) -> Answer {
    let o = look(&app).await;
    rendered(&Page { v, o })
}

pub async fn look(app: &App) -> Overview {
    app.watch.look(&app.probe, app.metrics.last_lag()).await
}

/// The one sentence that says how it is.
pub fn sentence(v: &View, o: &Overview) -> String {
    let health = if o.broker && o.database { v.t.all_well } else { v.t.not_well };
    match o.open_dead_letters() {
        0 => format!("{health} {}", v.t.no_letters),
        open => format!("{health} {}: {}", v.t.letters_open, v.number(open)),
    }
}
