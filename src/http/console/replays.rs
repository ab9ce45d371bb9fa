//! Replay jobs: how far they are, and stopping them.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use uuid::Uuid;

use super::{Answer, View, page};
use crate::desk::replays::{Job, Turn, Turned, job, jobs, turn as turned};
use crate::http::App;
use crate::http::access::Operator;
use crate::http::fault::Fault;

/// Jobs on a page.
const PAGE: i64 = 50;

#[derive(Template)]
#[template(path = "replays.html")]
struct List {
    v: View,
    jobs: Vec<Job>,
}

pub async fn list(v: View, State(app): State<App>) -> Answer {
    let jobs = jobs(&mut *app.pool.acquire().await?, PAGE).await?;
    page(&List { v, jobs })
}

#[derive(Template)]
#[template(path = "replay_job.html")]
struct One {
    v: View,
    job: Job,
}

/// What of it changes.
#[derive(Template)]
#[template(path = "replay_job_live.html")]
pub struct Live {
    pub v: View,
    pub job: Job,
}

/// The turns that a job can take, with what their buttons say.
fn turns(v: &View, job: &Job) -> Vec<(&'static str, &'static str)> {
    let all = [(Turn::Pause, v.t.pause), (Turn::Resume, v.t.resume), (Turn::Cancel, v.t.cancel)];
    let fit = all.into_iter().filter(|(turn, _)| v.may_act() && turn.fits(&job.state));
    fit.map(|(turn, text)| (turn.act(), text)).collect()
}

impl One {
    fn turns(&self) -> Vec<(&'static str, &'static str)> {
        turns(&self.v, &self.job)
    }
}

impl Live {
    fn turns(&self) -> Vec<(&'static str, &'static str)> {
        turns(&self.v, &self.job)
    }
}

pub async fn one(v: View, State(app): State<App>, Path(id): Path<Uuid>) -> Answer {
    let job = job(&mut *app.pool.acquire().await?, id).await?.ok_or_else(Fault::missing)?;
    page(&One { v, job })
}

/// How far a job is, in tenths: more often nobody wants to hear it.
pub fn sentence(v: &View, job: &Job) -> String {
    let state = v.word(&job.state);
    match job.goes_on() {
        true => format!("{state}: {} %", job.processed() * 10 / job.letters.max(1) * 10),
        false => format!(
            "{state}. {}: {}, {}: {}, {}: {}",
            v.t.accepted, job.accepted, v.t.duplicates, job.duplicates, v.t.refused, job.refused
        ),
    }
}

#[derive(Debug, Deserialize)]
pub struct Act {
    act: String,
}

pub async fn turn(
    State(app): State<App>,
    Operator(actor): Operator,
    Path(id): Path<Uuid>,
    Form(Act { act }): Form<Act>,
) -> Answer {
    let turn = [Turn::Pause, Turn::Resume, Turn::Cancel].into_iter().find(|t| t.act() == act);
    let turn = turn.ok_or_else(|| Fault::Unfit("act".to_owned()))?;
    match turned(&mut *app.pool.acquire().await?, id, turn, &actor.name).await? {
        Turned::Done { .. } => Ok(Redirect::to(&format!("/replays/{id}")).into_response()),
        Turned::Unknown => Err(Fault::missing()),
        Turned::Unfit(state) => Err(Fault::Conflict(state)),
    }
}
