//! The API: what the console shows and does, for programs. One table says of each endpoint
//! where it is, what it takes, what it answers and who handles it; the routes and the
//! description are made from it.

mod acts;
mod description;
mod problem;
mod reads;

pub use problem::Problem;

use axum::Router;
use axum::extract::{FromRequest, FromRequestParts, Json, Query, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::App;
use super::fault::Fault;
use crate::desk;

/// Where all of it is.
const ROOT: &str = "/api/v1";

/// A page's size where nothing is said, and the most.
const PAGE: i64 = 50;
const PAGE_MAX: i64 = 200;

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Something that can be asked or done.
struct Endpoint {
    method: &'static str,
    /// Below the root.
    path: &'static str,
    summary: &'static str,
    /// The role that it needs beside looking.
    role: Option<&'static str>,
    query: Option<SchemaOf>,
    body: Option<SchemaOf>,
    answer: SchemaOf,
    handler: fn() -> MethodRouter<App>,
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A query's own members, since each of them is a parameter.
fn members<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

impl Endpoint {
    const fn reads<Answer: JsonSchema>(
        path: &'static str,
        summary: &'static str,
        handler: fn() -> MethodRouter<App>,
    ) -> Endpoint {
        let answer = schema::<Answer>;
        Endpoint {
            method: "get",
            path,
            summary,
            role: None,
            query: None,
            body: None,
            answer,
            handler,
        }
    }

    const fn asked<Asked: JsonSchema>(mut self) -> Endpoint {
        self.query = Some(members::<Asked>);
        self
    }

    const fn acts(mut self, role: &'static str) -> Endpoint {
        self.method = "post";
        self.role = Some(role);
        self
    }

    const fn posted<Body: JsonSchema>(mut self) -> Endpoint {
        self.method = "post";
        self.body = Some(schema::<Body>);
        self
    }
}

const ENDPOINTS: &[Endpoint] = &[
    Endpoint::reads::<desk::overview::Overview>("/overview", "How things stand", || {
        get(reads::overview)
    }),
    Endpoint::reads::<desk::orders::Page>("/orders", "Orders, the last placed first", || {
        get(reads::orders)
    })
    .asked::<reads::OrdersAsked>(),
    Endpoint::reads::<desk::orders::Page>(
        "/orders/search",
        "Orders by the buyer's address, which belongs into no address bar",
        || post(reads::search),
    )
    .posted::<reads::Search>(),
    Endpoint::reads::<desk::orders::Case>(
        "/orders/{name}",
        "An order, or thread:THREAD_ID, with its timeline and what it waits for",
        || get(reads::case),
    ),
    Endpoint::reads::<desk::orders::Case>(
        "/orders/{name}/reveal",
        "The same with personal data; recorded",
        || post(acts::reveal_case),
    )
    .acts("revealer"),
    Endpoint::reads::<desk::letter::Page>(
        "/dead-letters",
        "Refused messages, the last seen first",
        || get(reads::letters),
    )
    .asked::<reads::LettersAsked>(),
    Endpoint::reads::<desk::letter::Groups>(
        "/dead-letters/groups",
        "Refused messages by what is wrong with them, the largest group first",
        || get(reads::groups),
    )
    .asked::<reads::LettersAsked>(),
    Endpoint::reads::<desk::replays::Trial>(
        "/dead-letters/trial",
        "What would come of a replay: tried, and rolled back",
        || post(acts::attempt),
    )
    .acts("operator")
    .posted::<acts::Replaying>(),
    Endpoint::reads::<acts::Submitted>(
        "/dead-letters/replay",
        "Replays refused messages, as they came or repaired; recorded",
        || post(acts::replay),
    )
    .acts("operator")
    .posted::<acts::Replaying>(),
    Endpoint::reads::<acts::Discarded>(
        "/dead-letters/discard",
        "Discards refused messages, for a reason; recorded",
        || post(acts::discard),
    )
    .acts("operator")
    .posted::<acts::Discarding>(),
    Endpoint::reads::<desk::letter::Letter>("/dead-letters/{id}", "A refused message", || {
        get(reads::letter)
    }),
    Endpoint::reads::<desk::letter::Letter>(
        "/dead-letters/{id}/reveal",
        "The same with personal data; recorded",
        || post(acts::reveal_letter),
    )
    .acts("revealer"),
    Endpoint::reads::<reads::Replays>("/replays", "Replays, the latest first", || {
        get(reads::replays)
    }),
    Endpoint::reads::<desk::replays::Job>("/replays/{id}", "A replay, and how far it is", || {
        get(reads::replay)
    }),
    Endpoint::reads::<desk::replays::Job>(
        "/replays/{id}/turn",
        "Pauses a replay, lets it go on, or ends it; recorded",
        || post(acts::turn),
    )
    .acts("operator")
    .posted::<acts::Turning>(),
    Endpoint::reads::<desk::ahead::Deadlines>(
        "/deadlines",
        "What will fire when, the next first",
        || get(reads::deadlines),
    )
    .asked::<reads::DeadlinesAsked>(),
    Endpoint::reads::<desk::ahead::Simulation>(
        "/deadlines/simulation",
        "What would be derived by a moment if nothing else arrived",
        || get(reads::simulation),
    )
    .asked::<reads::SimulationAsked>(),
    Endpoint::reads::<desk::audit::Checked>("/ledger", "Whether everything adds up", || {
        get(reads::ledger)
    })
    .asked::<reads::LedgerAsked>(),
];

pub fn routes() -> Router<App> {
    let described = Router::new().route(&format!("{ROOT}/openapi.json"), get(described));
    ENDPOINTS.iter().fold(described, |router, endpoint| {
        router.route(&format!("{ROOT}{}", endpoint.path), (endpoint.handler)())
    })
}

async fn described() -> Response {
    Json(description::document()).into_response()
}

type Answer = Result<Response, Fault>;

fn answer(value: impl Serialize) -> Answer {
    Ok(Json(value).into_response())
}

/// What is asked in the address.
struct Asked<T>(T);

impl<T: DeserializeOwned, S: Sync + Send> FromRequestParts<S> for Asked<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        read.map(|Query(asked)| Asked(asked)).map_err(|error| Fault::Unfit(error.body_text()))
    }
}

/// What is sent.
struct Sent<T>(T);

impl<T: DeserializeOwned, S: Sync + Send> FromRequest<S> for Sent<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let read = Json::<T>::from_request(request, state).await;
        read.map(|Json(sent)| Sent(sent)).map_err(|error| Fault::Unfit(error.body_text()))
    }
}

/// How many are on a page.
fn limit(asked: Option<i64>) -> Result<i64, Fault> {
    match asked {
        None => Ok(PAGE),
        Some(limit) if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(Fault::Unfit(format!("limit is a number from 1 to {PAGE_MAX}"))),
    }
}
