//! Errors as RFC 9457 writes them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// Why something wasn't done.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Problem {
    /// The status, in words.
    title: String,
    status: u16,
    /// What is wrong, for a person.
    detail: String,
}

impl Problem {
    #[allow(clippy::new_ret_no_self, reason = "nobody wants one but to answer it")]
    pub fn new(status: StatusCode, detail: &str) -> Response {
        let problem = Problem {
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.to_owned(),
        };
        let text = serde_json::to_string(&problem).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        (status, [(header::CONTENT_TYPE, kind)], text).into_response()
    }
}
