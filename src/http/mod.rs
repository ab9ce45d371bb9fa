//! The HTTP endpoints of `run`: health and metrics. Holds no state of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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

#[derive(Clone)]
struct Served {
    metrics: Metrics,
    probe: Arc<Probe>,
}

/// Serves until `stop`.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    probe: Arc<Probe>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(scrape))
        .with_state(Served { metrics, probe });
    axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn live() -> &'static str {
    "live\n"
}

/// 200 while broker and database answer; else 503 with what is missing.
async fn ready(State(served): State<Served>) -> Response {
    let missing: Vec<&str> = ["broker", "database"]
        .into_iter()
        .filter(|service| !served.metrics.is_connected(service))
        .collect();
    if missing.is_empty() {
        return "ready\n".into_response();
    }
    let text = format!("not ready: no connection to the {}\n", missing.join(" and the "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn scrape(State(served): State<Served>) -> impl IntoResponse {
    // Where a service is away the levels stay as they were; `service_connected` tells.
    served.probe.refresh(&served.metrics).await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], served.metrics.text())
}
