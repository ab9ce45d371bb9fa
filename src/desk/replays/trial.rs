//! What a dry run tells, for screens and programs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Selection, batches, rehearse_batch};
use crate::contract::{Rejection, Repair, Span, Timestamp};
use crate::desk::redact::{self, Personal};
use crate::pipeline::apply::{self, ChangeKind, Door, Fate, Rehearsal};
use crate::store::Result;
use crate::store::replays::RefusedAgain;

/// The most letters that are brought through the door for a screen; all are judged.
pub const TRIED_MAX: usize = 200;
/// How much is told one by one.
const TOLD: usize = 50;

/// What would come of a replay.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Trial {
    /// Letters that fit, but for those that are replayed already.
    pub letters: usize,
    /// Those that are valid, or are made so.
    pub valid: usize,
    /// How many of these were brought through the door: at most 200.
    pub tried: usize,
    pub accepted: usize,
    pub duplicates: usize,
    /// How many would be refused again, and the first of them.
    pub refused: usize,
    pub refused_letters: Vec<Refusal>,
    pub replayed_already: usize,
    /// Derived events that would be published and withdrawn, by type.
    pub derived: BTreeMap<String, [usize; 2]>,
    pub changes: Vec<Change>,
    /// Rows of the read model that would be new, changed and gone, by table.
    pub rows: BTreeMap<String, [usize; 3]>,
    pub row_changes: Vec<RowChange>,
    /// Archived cases that would be brought back, with their file.
    pub restores: BTreeMap<String, String>,
}

/// A letter that is refused again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Refusal {
    pub id: Uuid,
    pub code: String,
    pub pointer: Option<String>,
    pub detail: String,
}

/// A derived event that would be published or withdrawn.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Change {
    /// It would be withdrawn.
    pub withdrawn: bool,
    pub id: Uuid,
    #[serde(rename = "type")]
    pub event_type: String,
    pub time: Timestamp,
    pub case: String,
}

/// A row of the read model that would be another one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RowChange {
    pub table: String,
    pub row: String,
    pub new: bool,
    pub gone: bool,
    pub columns: Vec<Column>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Column {
    pub column: String,
    pub before: Value,
    pub after: Value,
}

impl Refusal {
    fn of(id: Uuid, rejection: &Rejection) -> Refusal {
        Refusal {
            id,
            code: rejection.code.name().to_owned(),
            pointer: rejection.pointer.clone(),
            detail: rejection.detail.clone(),
        }
    }
}

impl From<RefusedAgain> for Refusal {
    fn from(letter: RefusedAgain) -> Refusal {
        let detail = letter.detail.unwrap_or_default();
        Refusal { id: letter.letter, code: letter.code, pointer: letter.pointer, detail }
    }
}

/// Brings what is valid through the door, in transactions that are rolled back.
pub async fn attempt(
    conn: &mut PgConnection,
    door: &Door,
    selection: Selection,
    repair: Option<&Repair>,
    skew: Span,
) -> Result<Trial> {
    let mut trial = Trial {
        letters: selection.valid.len() + selection.refused.len(),
        valid: selection.valid.len(),
        replayed_already: selection.replayed,
        ..Trial::default()
    };
    for (id, rejection) in &selection.refused {
        trial.refuse(*id, rejection);
    }
    let mut first = selection.valid;
    first.truncate(TRIED_MAX);
    for batch in batches(first) {
        let tried = rehearse_batch(conn, door, &batch, repair, skew).await?;
        trial.add(&batch, tried);
    }
    Ok(trial)
}

impl Trial {
    fn refuse(&mut self, id: Uuid, rejection: &Rejection) {
        self.refused += 1;
        if self.refused_letters.len() < TOLD {
            self.refused_letters.push(Refusal::of(id, rejection));
        }
    }

    fn add(&mut self, letters: &[Uuid], tried: Rehearsal) {
        self.tried += letters.len();
        for (letter, fate) in letters.iter().zip(tried.fates) {
            match fate {
                Fate::Accepted => self.accepted += 1,
                Fate::Duplicate => self.duplicates += 1,
                Fate::Refused(rejection) => self.refuse(*letter, &rejection),
            }
        }
        let restored = tried.restored.into_iter();
        self.restores.extend(restored.map(|(case, file)| (case.subject(), file)));
        tried.changes.into_iter().for_each(|change| self.derive(change));
        tried.rows.into_iter().for_each(|row| self.differ(row));
    }

    fn derive(&mut self, change: apply::Change) {
        let withdrawn = change.kind == ChangeKind::Withdrawn;
        self.derived.entry(change.event_type.clone()).or_default()[usize::from(withdrawn)] += 1;
        if self.changes.len() < TOLD {
            self.changes.push(Change {
                withdrawn,
                id: change.event_id,
                event_type: change.event_type,
                time: change.time,
                case: change.case.subject(),
            });
        }
    }

    fn differ(&mut self, row: apply::RowChange) {
        let (new, gone) = (row.is_new(), row.is_gone());
        let kind = match (new, gone) {
            (true, _) => 0,
            (_, true) => 2,
            _ => 1,
        };
        self.rows.entry(row.name.table.clone()).or_default()[kind] += 1;
        if self.row_changes.len() >= TOLD {
            return;
        }
        let columns = row.columns.into_iter().filter(|_| !new && !gone);
        let shown = |column: &str, value: Option<Value>| {
            redact::column(column, value.unwrap_or_default(), Personal::Hidden)
        };
        let columns = columns.map(|(column, before, after)| Column {
            before: shown(&column, before),
            after: shown(&column, after),
            column,
        });
        let columns = columns.collect();
        self.row_changes.push(RowChange {
            table: row.name.table,
            row: row.name.key,
            new,
            gone,
            columns,
        });
    }
}
