//! What every request of the console passes, and what a handler asks for.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::{Actor, Denied};
use crate::http::App;
use crate::http::api::Problem;
use crate::http::console::refusal;

/// Lets in who may come in, and tells the others what to do.
pub async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let (headers, path) = (request.headers(), request.uri().path().to_owned());
    let for_program = path.starts_with("/api/");
    if !app.access.knows_host(headers) {
        return deny(for_program, StatusCode::MISDIRECTED_REQUEST, |t| t.unknown_host, headers);
    }
    if app.access.is_closed() {
        return deny(for_program, StatusCode::FORBIDDEN, |t| t.closed, headers);
    }
    if is_for_anyone(&path) {
        return next.run(request).await;
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let Some(peer) = peer else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    match app.access.admit(headers, peer) {
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(Denied::SignIn) if !for_program => to_sign_in(request.uri()),
        Err(Denied::SignIn) => {
            let mut response = Problem::new(StatusCode::UNAUTHORIZED, "a token is needed");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, BEARER);
            response
        }
        Err(Denied::Closed) => deny(for_program, StatusCode::FORBIDDEN, |t| t.closed, headers),
        Err(Denied::Proxy) => deny(for_program, StatusCode::FORBIDDEN, |t| t.not_named, headers),
    }
}

const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"otodoke\"");

/// What shows nothing and does nothing but signing in.
fn is_for_anyone(path: &str) -> bool {
    matches!(path, "/sign-in" | "/language") || path.starts_with("/assets/")
}

fn deny(
    for_program: bool,
    status: StatusCode,
    why: fn(&crate::http::console::Texts) -> &'static str,
    headers: &HeaderMap,
) -> Response {
    match for_program {
        true => Problem::new(status, why(crate::http::console::Texts::english())),
        false => refusal(status, why, headers),
    }
}

/// To sign in, and back to where somebody wanted to go.
fn to_sign_in(uri: &Uri) -> Response {
    let next = uri.path_and_query().map_or("/", |next| next.as_str());
    let query = crate::http::console::query([("next", next)]);
    Redirect::to(&format!("/sign-in{query}")).into_response()
}

/// Who may act.
#[derive(Clone, Debug)]
pub struct Operator(pub Actor);

/// Who may see personal data.
#[derive(Clone, Debug)]
pub struct Revealer(pub Actor);

fn actor(parts: &Parts) -> Result<Actor, StatusCode> {
    // Not there: a route that the guard doesn't stand before.
    parts.extensions.get::<Actor>().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn lacking(parts: &Parts, role: &'static str) -> Response {
    let for_program = parts.uri.path().starts_with("/api/");
    match for_program {
        true => Problem::new(StatusCode::FORBIDDEN, &format!("this needs the role {role}")),
        false => refusal(StatusCode::FORBIDDEN, |t| t.lacks_role, &parts.headers),
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let actor = actor(parts).map_err(IntoResponse::into_response)?;
        if actor.roles.operator { Ok(Operator(actor)) } else { Err(lacking(parts, "operator")) }
    }
}

impl<S: Sync> FromRequestParts<S> for Revealer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let actor = actor(parts).map_err(IntoResponse::into_response)?;
        if actor.roles.revealer { Ok(Revealer(actor)) } else { Err(lacking(parts, "revealer")) }
    }
}

/// What a browser is told of every answer: nothing from elsewhere, nothing inline, in no frame,
/// kept nowhere.
pub async fn secure(request: Request, next: Next) -> Response {
    let may_be_kept = request.uri().path().starts_with("/assets/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !may_be_kept {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

const HEADERS: [(header::HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: a form's request would then say that it comes from nowhere.
    (header::REFERRER_POLICY, "same-origin"),
    (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
