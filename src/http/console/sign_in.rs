//! Signing in and out, and choosing a language.

use std::net::SocketAddr;

use askama::Template;
use axum::Form;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::texts::Lang;
use super::{Answer, View, page, with_status};
use crate::http::App;
use crate::http::access::SignedIn;
use crate::http::fault::Fault;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    v: View,
    next: String,
    problem: Option<&'static str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Next {
    next: String,
}

/// An address of ours: no other site, whatever somebody has written into a link.
fn ours(next: &str) -> &str {
    let is_ours = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_ours { next } else { "/" }
}

fn to(next: &str, cookie: HeaderValue) -> Response {
    let mut response = Redirect::to(ours(next)).into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

pub async fn form(v: View, State(app): State<App>, Query(Next { next }): Query<Next>) -> Answer {
    if !app.access.takes_tokens() {
        return Ok(Redirect::to("/").into_response());
    }
    page(&Page { v, next: ours(&next).to_owned(), problem: None })
}

#[derive(Deserialize)]
pub struct Token {
    token: String,
    #[serde(default)]
    next: String,
}

pub async fn sign_in(
    v: View,
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(Token { token, next }): Form<Token>,
) -> Answer {
    let (status, problem, wait) = match app.access.sign_in(&token, &headers, peer.ip()) {
        SignedIn::Yes(cookie) => return Ok(to(&next, cookie.0)),
        SignedIn::No => (StatusCode::FORBIDDEN, v.t.token_wrong, None),
        SignedIn::Wait(wait) => (StatusCode::TOO_MANY_REQUESTS, v.t.token_wait, Some(wait)),
    };
    let next = ours(&next).to_owned();
    let mut response = with_status(status, &Page { v, next, problem: Some(problem) })?;
    if let Some(wait) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    Ok(response)
}

pub async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Response {
    to("/", app.access.sign_out(&headers).0)
}

#[derive(Deserialize)]
pub struct Choice {
    lang: String,
    #[serde(default)]
    next: String,
}

pub async fn language(Form(Choice { lang, next }): Form<Choice>) -> Answer {
    let lang = Lang::from_code(&lang).ok_or_else(|| Fault::Unfit("lang".to_owned()))?;
    let year = 365 * 24 * 60 * 60;
    let cookie = format!("lang={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={year}", lang.code());
    let cookie = HeaderValue::from_str(&cookie).map_err(|_| Fault::Internal)?;
    Ok(to(&next, cookie))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for ours_too in ["/", "/orders?q=1", "/dead-letters/list?code=not-json"] {
            assert_eq!(ours(ours_too), ours_too);
        }
        for other in ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\nb"] {
            assert_eq!(ours(other), "/", "{other}");
        }
    }
}
