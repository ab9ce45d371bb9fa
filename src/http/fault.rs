//! What a handler couldn't do. How it is told depends on who asked: a page for people, in their
//! language, or an object for programs.

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::api::Problem;
use super::console::{self, Texts};

/// Why something wasn't done.
#[derive(Clone, Debug)]
pub enum Fault {
    /// There is no such thing.
    Missing(fn(&Texts) -> &'static str),
    /// What was asked for can't be meant: what, and why.
    Unfit(String),
    /// It isn't possible as things stand.
    Conflict(String),
    /// The database doesn't answer, or not in time.
    Unavailable,
    /// The database refuses something: we are wrong.
    Internal,
}

impl Fault {
    pub fn missing() -> Fault {
        Fault::Missing(|t| t.not_found)
    }

    fn status(&self) -> StatusCode {
        match self {
            Fault::Missing(_) => StatusCode::NOT_FOUND,
            Fault::Unfit(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Fault::Conflict(_) => StatusCode::CONFLICT,
            Fault::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Fault::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn sentence(&self, t: &Texts) -> String {
        match self {
            Fault::Missing(what) => what(t).to_owned(),
            Fault::Unfit(why) => format!("{} {why}", t.unfit),
            Fault::Conflict(why) => format!("{}: {why}", t.not_done),
            Fault::Unavailable => t.unavailable.to_owned(),
            Fault::Internal => t.error.to_owned(),
        }
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Fault {
        // What a statement says may quote what is stored: the kind of it is enough.
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default().into_owned();
                tracing::warn!("the database refused what the console asked: {code}");
                // Cancelled for its time, shutting down, or not set up yet.
                let passes = ["57014", "57P01", "57P03", "53300", "42P01", "3F000"];
                if passes.contains(&code.as_str()) { Fault::Unavailable } else { Fault::Internal }
            }
            sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
                tracing::error!("the console can't read a row");
                Fault::Internal
            }
            _ => Fault::Unavailable,
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What the framework refuses by itself, as every other error of the API.
fn as_problem(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_told = kind.is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
    let is_error = status.is_client_error() || status.is_server_error();
    match is_error && !is_told {
        true => Problem::new(status, status.canonical_reason().unwrap_or("refused")),
        false => response,
    }
}

/// Tells faults to whoever asked.
pub async fn told(request: Request, next: Next) -> Response {
    let for_program = request.uri().path().starts_with("/api/");
    let headers = request.headers().clone();
    let mut response = next.run(request).await;
    let Some(fault) = response.extensions_mut().remove::<Fault>() else {
        return if for_program { as_problem(response) } else { response };
    };
    match for_program {
        true => Problem::new(fault.status(), &fault.sentence(Texts::english())),
        false => console::sentence(fault.status(), |t| fault.sentence(t), &headers),
    }
}
