//! What changes, as server-sent events: a piece of the page and the sentence that says it, sent
//! only when it is another one.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use askama::Template;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use uuid::Uuid;

use super::overview as overview_page;
use super::{View, replays};
use crate::desk::replays::job;
use crate::http::App;

/// How often it is looked whether something has changed.
const LOOK: Duration = Duration::from_secs(2);
const LOOK_AT_REPLAY: Duration = Duration::from_millis(500);
/// The most who are told at a time; beyond that pages stay as they are.
const MOST: usize = 100;
/// Looks until a browser has to ask again: it does so by itself.
const LOOKS: u32 = 900;

static LISTENING: AtomicUsize = AtomicUsize::new(0);

/// Somebody who is told; counted as long as he is there.
struct Listener;

impl Listener {
    fn new() -> Option<Listener> {
        if LISTENING.fetch_add(1, Ordering::Relaxed) >= MOST {
            LISTENING.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Listener)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        LISTENING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is to be told now.
struct Told {
    piece: String,
    sentence: String,
    /// Nothing will change any more.
    is_last: bool,
}

/// Who listens, by what he came with: when that is no longer good, nobody does.
struct Came {
    headers: HeaderMap,
    address: SocketAddr,
}

pub async fn overview(
    v: View,
    State(app): State<App>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let came = Came { headers, address };
    tell(app.clone(), came, LOOK, move || {
        let (app, v) = (app.clone(), v.clone());
        async move {
            let o = overview_page::look(&app).await;
            let sentence = overview_page::sentence(&v, &o);
            let piece = overview_page::Live { v, o }.render().ok()?;
            Some(Told { piece, sentence, is_last: false })
        }
    })
}

pub async fn replay(
    v: View,
    State(app): State<App>,
    Path(id): Path<Uuid>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let came = Came { headers, address };
    tell(app.clone(), came, LOOK_AT_REPLAY, move || {
        let (app, v) = (app.clone(), v.clone());
        async move {
            let mut conn = app.pool.acquire().await.ok()?;
            let job = job(&mut conn, id).await.ok()??;
            let (sentence, is_last) = (replays::sentence(&v, &job), !job.goes_on());
            let piece = replays::Live { v, job }.render().ok()?;
            Some(Told { piece, sentence, is_last })
        }
    })
}

/// Where a stream of events is.
struct Telling<F> {
    look: F,
    app: App,
    came: Came,
    every: Duration,
    last: Option<String>,
    looks: u32,
    ended: bool,
    _listener: Listener,
}

fn tell<F, Looking>(app: App, came: Came, every: Duration, look: F) -> Response
where
    F: Fn() -> Looking + Send + 'static,
    Looking: Future<Output = Option<Told>> + Send,
{
    let Some(listener) = Listener::new() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let state =
        Telling { look, app, came, every, last: None, looks: 0, ended: false, _listener: listener };
    let events = stream::unfold(state, async |mut state| {
        let event = state.next().await?;
        Some((Ok::<Event, Infallible>(event), state))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response()
}

impl<F, Looking> Telling<F>
where
    F: Fn() -> Looking + Send,
    Looking: Future<Output = Option<Told>> + Send,
{
    /// The next thing that is another one than before; `None` where it ends.
    async fn next(&mut self) -> Option<Event> {
        while !self.ended && self.looks < LOOKS && self.is_admitted() {
            if self.looks > 0 {
                let pause = tokio::time::sleep(self.every);
                self.app.stop.run_until_cancelled(pause).await?;
            }
            self.looks += 1;
            let Some(told) = (self.look)().await else { continue };
            if self.last.as_ref() == Some(&told.piece) {
                continue;
            }
            self.ended = told.is_last;
            let data = json!({
                "piece": told.piece, "sentence": told.sentence, "last": told.is_last,
            });
            self.last = Some(told.piece);
            return Some(Event::default().data(data.to_string()));
        }
        None
    }

    fn is_admitted(&self) -> bool {
        self.app.access.still_admits(&self.came.headers, self.came.address.ip())
    }
}
