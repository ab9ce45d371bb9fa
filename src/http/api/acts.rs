//! What can be done.

use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Answer, Sent, answer};
use crate::contract::Repair;
use crate::desk::filters::Filters;
use crate::desk::replays::{Turn, Turned, job, turn as turned};
use crate::desk::{letter, letters, orders, repairs};
use crate::http::App;
use crate::http::access::{Operator, Revealer};
use crate::http::console::{Submission, Wanted, selected, submit, tried};
use crate::http::fault::Fault;
use crate::store::dead_letters;

pub async fn reveal_case(
    State(app): State<App>,
    Revealer(actor): Revealer,
    Path(name): Path<String>,
) -> Answer {
    let case = orders::reveal(&mut *app.pool.acquire().await?, &name, &actor.name).await?;
    answer(case.ok_or(Fault::Missing(|t| t.unknown_case))?)
}

pub async fn reveal_letter(
    State(app): State<App>,
    Revealer(actor): Revealer,
    Path(id): Path<Uuid>,
) -> Answer {
    let letter = letter::reveal(&mut *app.pool.acquire().await?, id, &actor.name).await?;
    answer(letter.ok_or_else(Fault::missing)?)
}

/// What is to be replayed, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Replaying {
    /// Which letters
    filters: Filters,
    /// Needed where no filter narrows: all open letters
    all: bool,
    /// A JSON Patch (a list) or a merge patch (an object); without one they go as they came
    repair: Option<Value>,
    /// The most in a second
    rate: Option<i32>,
    /// The job stops when more than so many were refused again: 10 unless said otherwise
    max_failures: Option<i32>,
    /// Leave out what the repair doesn't make valid
    skip_invalid: bool,
}

fn narrow(filters: &Filters, all: bool) -> Result<(), Fault> {
    match filters.is_narrow() || all {
        true => Ok(()),
        false => Err(Fault::Unfit("no filter is given: narrow it, or say all".to_owned())),
    }
}

impl Replaying {
    fn repair(&self) -> Result<Option<Repair>, Fault> {
        let repair = self.repair.clone().map(repairs::from_json).transpose();
        repair.map_err(|error| Fault::Unfit(error.to_string()))
    }
}

pub async fn attempt(State(app): State<App>, _: Operator, Sent(asked): Sent<Replaying>) -> Answer {
    narrow(&asked.filters, asked.all)?;
    let repair = asked.repair()?;
    let selection = selected(&app, &asked.filters, repair.as_ref()).await?;
    answer(tried(&app, selection, repair.as_ref()).await?)
}

/// A job that was submitted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Submitted {
    job: Uuid,
    letters: i64,
}

pub async fn replay(
    State(app): State<App>,
    Operator(actor): Operator,
    Sent(asked): Sent<Replaying>,
) -> Answer {
    narrow(&asked.filters, asked.all)?;
    let repair = asked.repair()?;
    let numbers = [asked.rate, asked.max_failures];
    if numbers.iter().flatten().any(|number| *number < 0) {
        return Err(Fault::Unfit("rate and max_failures are 0 or more".to_owned()));
    }
    let selection = selected(&app, &asked.filters, repair.as_ref()).await?;
    let wanted = Wanted {
        rate: asked.rate,
        max_failures: asked.max_failures.unwrap_or(10),
        skip_invalid: asked.skip_invalid,
    };
    match submit(&app, &actor, &asked.filters, selection, repair, wanted).await? {
        Submission::Job(job, letters) => answer(Submitted { job, letters }),
        Submission::Invalid(count) => {
            Err(Fault::Conflict(format!("the repair leaves {count} letters invalid")))
        }
        Submission::Nothing => Err(Fault::Conflict("nothing is left to replay".to_owned())),
    }
}

/// What is to be discarded, and why.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Discarding {
    #[serde(default)]
    filters: Filters,
    /// Needed where no filter narrows: all open letters
    #[serde(default)]
    all: bool,
    /// Why nobody needs them
    reason: String,
}

/// What was discarded.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Discarded {
    discarded: usize,
    /// Letters that wait in a replay, and were left alone.
    in_replays: i64,
    /// Letters that were not open.
    not_open: i64,
}

pub async fn discard(
    State(app): State<App>,
    Operator(actor): Operator,
    Sent(asked): Sent<Discarding>,
) -> Answer {
    narrow(&asked.filters, asked.all)?;
    let reason = asked.reason.trim().replace('\0', "");
    if reason.is_empty() {
        return Err(Fault::Unfit("a reason is needed".to_owned()));
    }
    let filter = asked.filters.read(&app.settings)?;
    let mut conn = app.pool.acquire().await?;
    let ids = dead_letters::ids(&mut conn, &filter).await?;
    let detail = asked.filters.describe();
    let done = letters::discard(&mut conn, &ids, &reason, &detail, &actor.name).await?;
    let (in_replays, not_open) = (done.claimed, done.ended);
    answer(Discarded { discarded: done.ids.len(), in_replays, not_open })
}

/// What is done to a replay.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Turning {
    act: Act,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Act {
    Pause,
    Resume,
    Cancel,
}

pub async fn turn(
    State(app): State<App>,
    Operator(actor): Operator,
    Path(id): Path<Uuid>,
    Sent(Turning { act }): Sent<Turning>,
) -> Answer {
    let turn = match act {
        Act::Pause => Turn::Pause,
        Act::Resume => Turn::Resume,
        Act::Cancel => Turn::Cancel,
    };
    let mut conn = app.pool.acquire().await?;
    match turned(&mut conn, id, turn, &actor.name).await? {
        Turned::Done { .. } => answer(job(&mut conn, id).await?.ok_or_else(Fault::missing)?),
        Turned::Unknown => Err(Fault::missing()),
        Turned::Unfit(state) => Err(Fault::Conflict(format!("the job is {state}"))),
    }
}
