//! Dead letters repaired, tried and replayed.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use uuid::Uuid;

use super::letters::COUNTED;
use super::{Answer, View, page};
use crate::contract::Repair;
use crate::desk::filters::Filters;
use crate::desk::letter::Changed;
use crate::desk::letters::changed_by;
use crate::desk::redact::Personal;
use crate::desk::repairs;
use crate::desk::replays::{self, Selection, TRIED_MAX, Trial, attempt, select};
use crate::http::App;
use crate::http::access::{Actor, Operator};
use crate::http::fault::Fault;
use crate::store::dead_letters;
use crate::store::replays::NewJob;

/// What the form sends beside the filters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Typed {
    repair: String,
    rate: String,
    max_failures: String,
    skip_invalid: Option<String>,
    act: String,
}

#[derive(Debug, Deserialize)]
pub struct Asked {
    #[serde(flatten)]
    filters: Filters,
    #[serde(flatten)]
    typed: Typed,
}

#[derive(Template)]
#[template(path = "replay.html")]
struct Replay {
    v: View,
    f: Filters,
    count: i64,
    typed: Typed,
    /// Why it wasn't done.
    problem: Option<String>,
    trial: Option<Trial>,
    changes: Vec<Changed>,
}

impl Replay {
    fn is_part(&self, trial: &Trial) -> bool {
        trial.valid > TRIED_MAX
    }

    /// Whether the button that does it is shown: after a dry run that leaves something to do.
    fn can_replay(&self) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.valid > 0)
    }
}

pub async fn form(
    v: View,
    State(app): State<App>,
    _: Operator,
    Query(f): Query<Filters>,
) -> Answer {
    let count = count(&app, &f).await?;
    let typed = Typed { max_failures: "10".to_owned(), ..Typed::default() };
    page(&Replay { v, f, count, typed, problem: None, trial: None, changes: Vec::new() })
}

async fn count(app: &App, filters: &Filters) -> Result<i64, Fault> {
    let filter = filters.read(&app.settings)?;
    Ok(dead_letters::count(&mut *app.pool.acquire().await?, &filter, COUNTED).await?)
}

pub async fn act(
    v: View,
    State(app): State<App>,
    Operator(actor): Operator,
    Form(asked): Form<Asked>,
) -> Answer {
    let Asked { filters: f, typed } = asked;
    let count = count(&app, &f).await?;
    let shown = |problem, trial, changes| Replay {
        v: v.clone(),
        f: f.clone(),
        count,
        typed: typed.clone(),
        problem,
        trial,
        changes,
    };
    let repair = match repairs::read(&typed.repair) {
        Ok(repair) => repair,
        Err(error) => return page(&shown(Some(error.to_string()), None, Vec::new())),
    };
    let selection = selected(&app, &f, repair.as_ref()).await?;
    if typed.act != "replay" {
        let changes = example(&app, &selection, repair.as_ref()).await?;
        let trial = tried(&app, selection, repair.as_ref()).await?;
        return page(&shown(None, Some(trial), changes));
    }
    let asked = Wanted {
        rate: number(&typed.rate, "rate")?,
        max_failures: number(&typed.max_failures, "max_failures")?.unwrap_or(10),
        skip_invalid: typed.skip_invalid.is_some(),
    };
    match submit(&app, &actor, &f, selection, repair, asked).await? {
        Submission::Job(job, _) => Ok(Redirect::to(&format!("/replays/{job}")).into_response()),
        Submission::Invalid(_) => {
            page(&shown(Some(v.t.repair_invalid.to_owned()), None, Vec::new()))
        }
        Submission::Nothing => page(&shown(Some(v.t.nothing_left.to_owned()), None, Vec::new())),
    }
}

fn number(text: &str, name: &str) -> Result<Option<i32>, Fault> {
    match text.trim() {
        "" => Ok(None),
        digits => {
            let number = digits.parse().ok().filter(|number| *number >= 0);
            number.map(Some).ok_or_else(|| Fault::Unfit(name.to_owned()))
        }
    }
}

/// The letters that are meant, each judged.
pub async fn selected(
    app: &App,
    filters: &Filters,
    repair: Option<&Repair>,
) -> Result<Selection, Fault> {
    let filter = filters.read(&app.settings)?;
    let mut conn = app.pool.acquire().await?;
    let ids = dead_letters::ids(&mut conn, &filter).await?;
    let skew = app.settings.pipeline.max_clock_skew;
    Ok(select(&mut conn, &ids, repair, skew, || ()).await?)
}

/// What would come of them.
pub async fn tried(
    app: &App,
    selection: Selection,
    repair: Option<&Repair>,
) -> Result<Trial, Fault> {
    let skew = app.settings.pipeline.max_clock_skew;
    let mut conn = app.pool.acquire().await?;
    Ok(attempt(&mut conn, app.door().await?, selection, repair, skew).await?)
}

/// What the repair changes in one of them.
async fn example(
    app: &App,
    selection: &Selection,
    repair: Option<&Repair>,
) -> Result<Vec<Changed>, Fault> {
    let first = selection.valid.first().map(|candidate| candidate.letter);
    let id = first.or_else(|| selection.refused.first().map(|(id, _)| *id));
    let (Some(id), Some(repair)) = (id, repair) else { return Ok(Vec::new()) };
    let letter = dead_letters::show(&mut *app.pool.acquire().await?, id).await?;
    let changes = letter.map(|letter| changed_by(repair, &letter, Personal::Hidden));
    Ok(changes.into_iter().flatten().map(Changed::from).collect())
}

/// How a replay is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub rate: Option<i32>,
    pub max_failures: i32,
    pub skip_invalid: bool,
}

/// What came of submitting.
pub enum Submission {
    /// The job, and how many letters it has.
    Job(Uuid, i64),
    /// The repair leaves so many invalid, so nothing was sent.
    Invalid(usize),
    Nothing,
}

pub async fn submit(
    app: &App,
    actor: &Actor,
    filters: &Filters,
    selection: Selection,
    repair: Option<Repair>,
    wanted: Wanted,
) -> Result<Submission, Fault> {
    if repair.is_some() && !selection.refused.is_empty() && !wanted.skip_invalid {
        return Ok(Submission::Invalid(selection.refused.len()));
    }
    let letters: Vec<Uuid> = selection.valid.iter().map(|candidate| candidate.letter).collect();
    if letters.is_empty() {
        return Ok(Submission::Nothing);
    }
    let job = NewJob {
        id: Uuid::now_v7(),
        submitted_by: actor.name.clone(),
        filter: filters.describe(),
        patch: repair.and_then(Repair::stripped).map(|repair| repair.to_json()),
        canary: 1,
        rate: wanted.rate.filter(|rate| *rate > 0),
        max_failures: wanted.max_failures,
    };
    let mut conn = app.pool.acquire().await?;
    let submitted = replays::submit(&mut conn, &job, &letters).await?;
    Ok(match submitted.claimed {
        0 => Submission::Nothing,
        claimed => Submission::Job(job.id, claimed),
    })
}
