//! Going through the door without leaving a trace: what would come of messages, for an
//! operator who wants to know before it is done. Everything is done as it would be, in a
//! transaction that is rolled back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sqlx::PgConnection;

use super::admit::Admission;
use super::restore::refusal;
use super::{Batch, Change, Door, Mode, Pass, write};
use crate::contract::{Rejection, RejectionCode};
use crate::pipeline::failure::{self, Class};
use crate::rules::CaseId;
use crate::store::CaseSet;
use crate::store::pruning::Archived;
use crate::store::read_model::{self, RowName};

/// What would come of a batch.
#[derive(Clone, Debug, Default)]
pub struct Rehearsal {
    /// Of each message, in the order of the batch.
    pub fates: Vec<Fate>,
    /// Derived events that would be published or withdrawn.
    pub changes: Vec<Change>,
    /// What would differ in the read model.
    pub rows: Vec<RowChange>,
    /// Cases that would be brought back from an archive, with the file's name.
    pub restored: BTreeMap<CaseId, String>,
}

/// What would become of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    Accepted,
    Duplicate,
    Refused(Rejection),
}

/// A row of the read model that would be another one.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    pub name: RowName,
    /// There is no such row on one side.
    is_whole: bool,
    /// Column, value before, value after.
    pub columns: Vec<(String, Option<Value>, Option<Value>)>,
}

impl RowChange {
    pub fn is_new(&self) -> bool {
        self.is_whole && self.columns.iter().all(|(_, before, _)| before.is_none())
    }

    pub fn is_gone(&self) -> bool {
        self.is_whole && self.columns.iter().all(|(_, _, after)| after.is_none())
    }
}

impl Door {
    /// What would come of a batch. Nothing is changed; the cases are locked meanwhile.
    ///
    /// Batches know nothing of one another: messages that matter to each other belong into one.
    pub async fn rehearse(&self, batch: Batch) -> Result<Rehearsal, sqlx::Error> {
        let mut done = Rehearsal::default();
        let mut rest = vec![batch];
        while let Some(part) = rest.pop() {
            match self.rehearse_part(&part).await {
                Ok(rehearsal) => done.add(rehearsal),
                Err(error) => match failure::classify(&error) {
                    Class::Isolate | Class::Shrink if part.size() > 1 => rest.extend(part.halve()),
                    Class::Isolate if self.lacks_archived(&part, &error) => {
                        rest.push(with_archived(part, &error));
                    }
                    Class::Isolate => done.fates.push(Fate::Refused(unstorable(&part, &error))),
                    _ => return Err(error),
                },
            }
        }
        Ok(done)
    }

    fn lacks_archived(&self, part: &Batch, error: &sqlx::Error) -> bool {
        Archived::of(error)
            .is_some_and(|Archived(cases)| part.restores && !cases.is_subset(&part.restore))
    }

    async fn rehearse_part(&self, part: &Batch) -> Result<Rehearsal, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let rehearsal = Pass::new(self, part, Mode::Rehearsal).rehearse(&mut transaction).await?;
        transaction.rollback().await?;
        Ok(rehearsal)
    }
}

/// The same, that brings back the archived cases which it failed for.
fn with_archived(mut part: Batch, error: &sqlx::Error) -> Batch {
    part.restore.extend(Archived::of(error).into_iter().flat_map(|Archived(cases)| cases.clone()));
    part
}

fn unstorable(part: &Batch, error: &sqlx::Error) -> Rejection {
    let accepted = part.received.first().and_then(|received| received.judged.as_ref().ok());
    if let (Some(accepted), Some(case)) =
        (accepted, Archived::of(error).and_then(|Archived(cases)| cases.first()))
    {
        return refusal(accepted, case, None, None);
    }
    Rejection {
        code: RejectionCode::ProcessingFailed,
        pointer: None,
        detail: format!("it makes its transaction fail: {}", failure::sentence(error)),
        event_source: accepted.map(|accepted| accepted.event.key.source.clone()),
        event_id: accepted.map(|accepted| accepted.event.key.id.clone()),
        event_type: accepted.map(|accepted| accepted.event.input.input_type().name().to_owned()),
    }
}

impl Pass<'_> {
    async fn rehearse(mut self, conn: &mut PgConnection) -> Result<Rehearsal, sqlx::Error> {
        let (admission, decided) = self.prepare(conn).await?;
        let cases: CaseSet = decided.decisions.keys().cloned().collect();
        let restored = std::mem::take(&mut self.restored.cases);
        let fates = fates(&admission, self.batch.received.len());
        let before = read_model::rows_of(conn, &cases).await?;
        let (outcome, _) = write::write(self, conn, &admission, decided).await?;
        let after = read_model::rows_of(conn, &cases).await?;
        Ok(Rehearsal { fates, changes: outcome.changes, rows: differing(before, after), restored })
    }
}

impl Rehearsal {
    fn add(&mut self, other: Rehearsal) {
        self.fates.extend(other.fates);
        self.changes.extend(other.changes);
        self.rows.extend(other.rows);
        self.restored.extend(other.restored);
    }
}

fn fates(admission: &Admission<'_>, count: usize) -> Vec<Fate> {
    let mut fates = vec![Fate::Accepted; count];
    for index in &admission.duplicates {
        fates[*index] = Fate::Duplicate;
    }
    for (index, rejection) in &admission.dead {
        fates[*index] = Fate::Refused(rejection.clone());
    }
    fates
}

type Rows = BTreeMap<RowName, Value>;

fn differing(before: Rows, after: Rows) -> Vec<RowChange> {
    let names: BTreeSet<&RowName> = before.keys().chain(after.keys()).collect();
    let change = |name: &RowName| {
        let (before, after) = (before.get(name), after.get(name));
        let (columns, is_whole) = (columns(before, after), before.is_none() || after.is_none());
        (!columns.is_empty()).then(|| RowChange { name: name.clone(), is_whole, columns })
    };
    names.into_iter().filter_map(change).collect()
}

fn columns(
    before: Option<&Value>,
    after: Option<&Value>,
) -> Vec<(String, Option<Value>, Option<Value>)> {
    let members = |row: Option<&Value>| row.and_then(Value::as_object).cloned().unwrap_or_default();
    let (old, new) = (members(before), members(after));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| (name.clone(), old.get(name).cloned(), new.get(name).cloned()))
        // A new row's empty columns tell nothing.
        .filter(|(_, old, new)| [old, new].iter().any(|v| v.as_ref().is_some_and(|v| !v.is_null())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn name(key: &str) -> RowName {
        RowName { table: "orders".into(), key: key.into() }
    }

    #[test]
    fn only_what_differs_is_told() {
        let before = Rows::from([
            (name("O1"), json!({ "status": "pending", "phone": null, "total": 1 })),
            (name("O2"), json!({ "status": "shipped" })),
        ]);
        let after = Rows::from([
            (name("O1"), json!({ "status": "unshipped", "phone": null, "total": 1 })),
            (name("O2"), json!({ "status": "shipped" })),
            (name("O3"), json!({ "status": "pending", "phone": null })),
        ]);
        let told = differing(before, after);
        assert_eq!(told.len(), 2);
        let [status] = &told[0].columns[..] else { panic!("{told:?}") };
        let expected = ("status".into(), Some(json!("pending")), Some(json!("unshipped")));
        assert_eq!(*status, expected);
        assert_eq!(told[1].columns, [("status".into(), None, Some(json!("pending")))]);
    }
}
