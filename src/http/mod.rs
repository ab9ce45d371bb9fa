//! What `run` serves: health and metrics for machines, the console and its API for people.

mod access;
mod api;
mod console;
mod fault;

pub use access::Roles;
pub use access::tokens;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tower_http::csrf::CsrfLayer;

use self::access::Access;
use crate::config::Settings;
use crate::desk::overview::Watch;
use crate::pipeline::apply::{self, Door};
use crate::pipeline::archive::Archive;
use crate::pipeline::{Metrics, Probe};

/// Binding the address failed.
#[derive(Debug, thiserror::Error)]
#[error("can't serve HTTP at {address}: {source} (choose another address with --http-addr)")]
pub struct BindError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Takes the address, so that a second instance on the same machine hears of it at once.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address, source })
}

/// What is served from.
pub struct Parts {
    pub metrics: Metrics,
    pub probe: Probe,
    /// Connections of the console's own, so that a person who looks takes none from events.
    pub pool: PgPool,
    /// The pipeline's, for dry runs.
    pub door_pool: PgPool,
    pub door_settings: apply::Settings,
}

/// What every handler can get at.
#[derive(Clone)]
struct App(Arc<Inner>);

struct Inner {
    metrics: Metrics,
    probe: Probe,
    pool: PgPool,
    door_pool: PgPool,
    door_settings: apply::Settings,
    door: OnceCell<Door>,
    settings: Settings,
    access: Access,
    watch: Watch,
    stop: CancellationToken,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    /// The door, for dry runs; opened when the first one is asked for, since the database may be
    /// away when we begin.
    async fn door(&self) -> Result<&Door, sqlx::Error> {
        let open = async || {
            let door = Door::open(self.door_pool.clone(), self.door_settings.clone()).await?;
            Ok(door.with_archive(self.settings.pipeline.archive.clone().map(Archive::at)))
        };
        self.door.get_or_try_init(open).await
    }
}

/// Serves until `stop`.
pub async fn serve(
    listener: TcpListener,
    parts: Parts,
    settings: &Settings,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let access = Access::new(&settings.console, listener.local_addr()?.ip());
    if access.is_closed() {
        tracing::warn!(
            "the console is closed: the address isn't loopback, and no sign-in is set up (see \
             OTODOKE_CONSOLE_TOKENS)"
        );
    }
    let app = App(Arc::new(Inner {
        metrics: parts.metrics,
        probe: parts.probe,
        watch: Watch::new(parts.pool.clone()),
        pool: parts.pool,
        door_pool: parts.door_pool,
        door_settings: parts.door_settings,
        door: OnceCell::new(),
        settings: settings.clone(),
        access,
        stop: stop.clone(),
    }));
    let service = routes(app).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn routes(app: App) -> Router {
    let machines = Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(scrape));
    let people = console::routes()
        .merge(api::routes())
        .layer(from_fn_with_state(app.clone(), access::guard))
        .layer(origins(&app.access))
        .layer(from_fn(fault::told))
        .layer(from_fn(access::secure));
    machines.merge(people).with_state(app)
}

/// Nothing is done that a page from elsewhere asks for.
fn origins(access: &Access) -> CsrfLayer {
    let layer = CsrfLayer::new();
    match access.origin().map(|origin| layer.clone().add_trusted_origin(origin)) {
        Some(Ok(trusting)) => trusting,
        Some(Err(error)) => {
            tracing::error!("the console's own address is not trusted: {error}");
            layer
        }
        None => layer,
    }
}

async fn live() -> &'static str {
    "live\n"
}

/// 200 while broker and database answer; else 503 with what is missing.
async fn ready(State(app): State<App>) -> Response {
    let missing: Vec<&str> = ["broker", "database"]
        .into_iter()
        .filter(|service| !app.metrics.is_connected(service))
        .collect();
    if missing.is_empty() {
        return "ready\n".into_response();
    }
    let text = format!("not ready: no connection to the {}\n", missing.join(" and the "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn scrape(State(app): State<App>) -> impl IntoResponse {
    // Where a service is away the levels stay as they were; `service_connected` tells.
    app.probe.refresh(&app.metrics).await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], app.metrics.text())
}
