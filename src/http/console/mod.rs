//! The console: pages that the server writes, for people. They work without any script; a small
//! one of ours keeps what changes up to date.

mod assets;
mod deadlines;
mod ledger;
mod letters;
mod live;
mod orders;
mod overview;
mod replay;
mod replays;
mod sign_in;
mod texts;
mod view;

use askama::Template;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};

pub use orders::status as order_status;
pub use overview::look as overview_now;
pub use replay::{Submission, Wanted, selected, submit, tried};
pub use texts::Texts;
pub use view::{View, query};

use super::App;
use super::fault::Fault;

/// What a handler answers.
type Answer = Result<Response, Fault>;

pub fn routes() -> Router<App> {
    Router::new()
        .route("/", get(overview::page))
        .route("/live/overview", get(live::overview))
        .route("/orders", get(orders::list).post(orders::search))
        .route("/orders/{name}", get(orders::one))
        .route("/orders/{name}/reveal", post(orders::reveal))
        .route("/dead-letters", get(letters::groups))
        .route("/dead-letters/list", get(letters::list))
        .route("/dead-letters/replay", get(replay::form).post(replay::act))
        .route("/dead-letters/discard", get(letters::discard_form).post(letters::discard))
        .route("/dead-letters/{id}", get(letters::one))
        .route("/dead-letters/{id}/reveal", post(letters::reveal))
        .route("/replays", get(replays::list))
        .route("/replays/{id}", get(replays::one).post(replays::turn))
        .route("/live/replays/{id}", get(live::replay))
        .route("/deadlines", get(deadlines::list))
        .route("/deadlines/simulate", get(deadlines::simulate))
        .route("/ledger", get(ledger::page))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/language", post(sign_in::language))
        .route("/assets/{name}", get(assets::serve))
        .fallback(nothing_here)
}

async fn nothing_here() -> Fault {
    Fault::missing()
}

/// A page.
fn page(template: &impl Template) -> Answer {
    with_status(StatusCode::OK, template)
}

fn with_status(status: StatusCode, template: &impl Template) -> Answer {
    match template.render() {
        Ok(text) => Ok((status, Html(text)).into_response()),
        Err(error) => {
            tracing::error!("a page can't be written: {error}");
            Err(Fault::Internal)
        }
    }
}

/// A page that says one sentence.
#[derive(Template)]
#[template(path = "sentence.html")]
struct Sentence {
    t: &'static Texts,
    lang: texts::Lang,
    style: String,
    sentence: String,
}

/// Says one sentence, in the language of whoever asked.
pub fn sentence(
    status: StatusCode,
    sentence: impl Fn(&'static Texts) -> String,
    headers: &HeaderMap,
) -> Response {
    let lang = view::language(headers);
    let t = lang.texts();
    let told = Sentence { t, lang, style: assets::address("console.css"), sentence: sentence(t) };
    match told.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(_) => status.into_response(),
    }
}

/// Says why somebody isn't let in.
pub fn refusal(
    status: StatusCode,
    why: fn(&Texts) -> &'static str,
    headers: &HeaderMap,
) -> Response {
    sentence(status, |t| why(t).to_owned(), headers)
}
