//! What time alone will bring, for screens and programs.

use schemars::JsonSchema;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::deadlines::{self, PAGE, Search, one};
use crate::contract::{Rule, Span, Timestamp};
use crate::pipeline::apply::{self, ChangeKind, Foreseen, Settings};
use crate::rules::CaseId;
use crate::store::cases::{self, Ahead};
use crate::store::{self, Result, SNAPSHOT};

/// Deadlines, the next first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Deadlines {
    pub deadlines: Vec<Deadline>,
    /// Whether there are more.
    pub more: bool,
    /// Cases that can't be decided, and are left out.
    pub undecided: u64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Deadline {
    pub until: Timestamp,
    /// It has passed, and is not derived yet.
    pub due: bool,
    pub case: String,
    pub rule: String,
    /// The event that is derived then.
    pub then: String,
    pub about: Option<String>,
}

impl From<&deadlines::Deadline> for Deadline {
    fn from(deadline: &deadlines::Deadline) -> Deadline {
        Deadline {
            until: deadline.until,
            due: deadline.due,
            case: deadline.case.subject(),
            rule: deadline.rule.id().to_owned(),
            then: deadline.then.to_owned(),
            about: deadline.about.clone(),
        }
    }
}

/// The next deadlines of all cases, or of one; `None` where there is no such case.
pub async fn deadlines(
    conn: &mut PgConnection,
    case: Option<&str>,
    rule: Option<Rule>,
    before: Option<Timestamp>,
    most: usize,
) -> Result<Option<Deadlines>> {
    let mut search = Search::new(rule, before, most);
    match case {
        Some(name) if !search.of_one(conn, name).await? => return Ok(None),
        Some(_) => {}
        None => search.of_all(conn).await?,
    }
    Ok(Some(Deadlines {
        deadlines: search.nearest().map(Deadline::from).collect(),
        more: search.has_more() || search.cut,
        undecided: search.undecided,
    }))
}

/// What would be derived by a moment if nothing else arrived.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Simulation {
    pub as_of: Timestamp,
    /// The moment is past: nothing was looked at.
    pub past: bool,
    pub events: Vec<Simulated>,
    /// Not all cases were looked at.
    pub cut: bool,
    pub undecided: u64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Simulated {
    pub case: String,
    #[serde(rename = "type")]
    pub event_type: String,
    pub rule: String,
    pub time: Timestamp,
    pub key: String,
    pub id: Uuid,
    pub withdrawn: bool,
}

impl Simulated {
    fn of(case: &CaseId, event: Foreseen) -> Simulated {
        Simulated {
            case: case.subject(),
            event_type: event.event_type.name().to_owned(),
            rule: event.rule.id().to_owned(),
            time: event.time,
            key: event.key,
            id: event.event_id,
            withdrawn: event.kind == ChangeKind::Withdrawn,
        }
    }
}

/// How far ahead it is looked where nothing is said.
const AHEAD: Span = Span::days(30);
/// The most events that are told, and cases that are looked at for them.
const EVENTS_MAX: usize = 100;
const CASES_MAX: u64 = 200;

/// `None` where there is no such case.
pub async fn simulate(
    conn: &mut PgConnection,
    case: Option<&str>,
    as_of: Option<Timestamp>,
    settings: &Settings,
) -> Result<Option<Simulation>> {
    let clock = store::clock(conn).await?;
    let as_of = as_of.unwrap_or(clock + AHEAD);
    let mut found =
        Simulation { as_of, past: as_of < clock, events: Vec::new(), cut: false, undecided: 0 };
    if found.past {
        return Ok(Some(found));
    }
    let mut snapshot = conn.begin_with(SNAPSHOT).await?;
    match case {
        Some(name) => match one(&mut snapshot, name).await? {
            None => return Ok(None),
            Some(Some(ahead)) => found.look(&mut snapshot, &ahead, settings).await?,
            Some(None) => {}
        },
        None => found.look_at_all(&mut snapshot, settings).await?,
    }
    Ok(Some(found))
}

impl Simulation {
    async fn look_at_all(&mut self, conn: &mut PgConnection, settings: &Settings) -> Result<()> {
        let (mut last, mut looked): (Option<Ahead>, u64) = (None, 0);
        loop {
            let page = cases::ahead(conn, last.as_ref(), Some(self.as_of), PAGE).await?;
            for ahead in &page {
                self.cut = looked >= CASES_MAX || self.events.len() >= EVENTS_MAX;
                if self.cut {
                    return Ok(());
                }
                looked += 1;
                self.look(conn, ahead, settings).await?;
            }
            match page.last() {
                Some(end) => last = Some(end.clone()),
                None => return Ok(()),
            }
        }
    }

    async fn look(
        &mut self,
        conn: &mut PgConnection,
        ahead: &Ahead,
        settings: &Settings,
    ) -> Result<()> {
        match apply::foresee(conn, &ahead.case, self.as_of, settings).await? {
            None => {}
            Some(Err(_)) => self.undecided += 1,
            Some(Ok(events)) => {
                let told = events.into_iter().map(|event| Simulated::of(&ahead.case, event));
                self.events.extend(told);
            }
        }
        Ok(())
    }
}
