//! Pausing a job, letting it go on, ending it.

use serde_json::json;
use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::store::{Result, audit, replays};

/// What is done to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Pause,
    Resume,
    Cancel,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turned {
    /// How many letters are free again.
    Done { released: u64 },
    /// There is no such job.
    Unknown,
    /// The job is in this state, in which it can't be done.
    Unfit(String),
}

impl Turn {
    pub const fn act(self) -> &'static str {
        match self {
            Turn::Pause => "pause",
            Turn::Resume => "resume",
            Turn::Cancel => "cancel",
        }
    }

    /// The state that it leads to.
    pub const fn state(self) -> &'static str {
        match self {
            Turn::Pause => "paused",
            Turn::Resume => "running",
            Turn::Cancel => "cancelled",
        }
    }

    const fn from(self) -> &'static [&'static str] {
        match self {
            Turn::Pause => &["running"],
            Turn::Resume => &["paused", "stopped"],
            Turn::Cancel => &["running", "paused", "stopped"],
        }
    }

    /// Whether it can be done to a job in this state.
    pub fn fits(self, state: &str) -> bool {
        self.from().contains(&state)
    }
}

/// Does it, and records who did.
pub async fn turn(conn: &mut PgConnection, id: Uuid, turn: Turn, who: &str) -> Result<Turned> {
    let mut transaction = conn.begin().await?;
    let (act, to) = (turn.act(), turn.state());
    let why = format!("{act} by {who}");
    let why = (turn != Turn::Resume).then_some(why.as_str());
    if !replays::turn(&mut transaction, id, turn.from(), to, why).await? {
        let job = replays::job(&mut transaction, id).await?;
        return Ok(job.map_or(Turned::Unknown, |job| Turned::Unfit(job.state)));
    }
    let released = match turn {
        Turn::Cancel => replays::release(&mut transaction, id).await?,
        Turn::Pause | Turn::Resume => 0,
    };
    audit::record(&mut transaction, who, act, Some(&id.to_string()), &json!({})).await?;
    transaction.commit().await?;
    Ok(Turned::Done { released })
}
