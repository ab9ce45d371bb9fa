//! Archived cases: what comes for one is refused, but a dead letter on its way back brings its
//! case back first, in the transaction that its event comes into the history with.
//!
//! What comes for a case by name is recognised at once. What would change an archived case as a
//! neighbour (a lookup finds it, or it is to be told of another's facts) is found later, as a
//! failure of its transaction, and isolated like any other.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use super::admit::Admission;
use super::isolate::Next;
use super::{Batch, Door, Pass};
use crate::contract::archive::Group;
use crate::contract::{Accepted, Input, Rejection, RejectionCode};
use crate::pipeline::archive::Archive;
use crate::rules::CaseId;
use crate::store::pruning::{self, Archived, Pruned};
use crate::store::{CaseSet, restoring, wake_ups};

/// What was brought back for a batch, and what could not be.
#[derive(Clone, Debug, Default)]
pub(super) struct Restored {
    /// With the file that each stood in.
    pub cases: BTreeMap<CaseId, String>,
    /// Why not.
    pub problems: BTreeMap<CaseId, String>,
}

impl Door {
    /// Brings archived cases back, each with those that go with it: in one transaction, which
    /// the caller may add to before it commits.
    ///
    /// Returns those that came back with the file that each stood in, and why others did not.
    /// A case that isn't archived is in neither.
    pub async fn bring_back(
        &self,
        conn: &mut PgConnection,
        cases: &CaseSet,
    ) -> Result<(BTreeMap<CaseId, String>, BTreeMap<CaseId, String>), sqlx::Error> {
        let Restored { cases, problems } = bring_back(conn, self.archive.as_ref(), cases).await?;
        Ok((cases, problems))
    }

    /// A message, or a case, that can't be done without an archived case: a dead letter brings
    /// it back, another message is refused, a case that was itself archived is left alone.
    pub(super) async fn give_up_archived(
        &self,
        mut part: Batch,
        archived: &CaseSet,
    ) -> Result<Option<Next>, sqlx::Error> {
        if let Some(received) = part.received.first_mut() {
            if part.restores && !archived.is_subset(&part.restore) {
                part.restore.extend(archived.iter().cloned());
                return Ok(Some(Next::Parts(vec![part])));
            }
            let pruned = pruning::among(&mut *self.pool.acquire().await?, archived).await?;
            if let (Ok(accepted), Some(case)) = (&received.judged, archived.first()) {
                received.judged = Err(refusal(accepted, case, pruned.get(case), None));
            }
            return Ok(Some(Next::Parts(vec![part])));
        }
        let gone = part.wake.first().is_some_and(|case| archived.contains(case));
        if gone {
            wake_ups::take(&mut *self.pool.acquire().await?, archived).await?;
        }
        Ok(gone.then(|| Next::Parts(Vec::new())))
    }
}

impl Pass<'_> {
    /// Brings back what the batch's messages are for, where they are dead letters.
    pub(super) async fn restore(&mut self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.batch.restores {
            let judged = self.batch.received.iter().filter_map(|one| one.judged.as_ref().ok());
            let mut wanted: CaseSet = judged.flat_map(cases_of).collect();
            wanted.extend(self.batch.restore.iter().cloned());
            self.restored = bring_back(conn, self.door.archive.as_ref(), &wanted).await?;
        }
        Ok(())
    }

    /// Fails where a message would make an archived case be decided again. Where time alone
    /// would, it has seen what there was.
    pub(super) async fn spare_archived(
        &mut self,
        conn: &mut PgConnection,
        admission: &Admission<'_>,
    ) -> Result<(), sqlx::Error> {
        if self.waking.is_empty() {
            return Ok(());
        }
        let pruned = pruning::among(conn, self.waking.keys()).await?;
        if pruned.is_empty() {
            return Ok(());
        }
        if !admission.fresh.is_empty() {
            return Err(Archived::error(pruned.into_keys().collect()));
        }
        self.waking.retain(|case, _| !pruned.contains_key(case));
        Ok(())
    }
}

async fn bring_back(
    conn: &mut PgConnection,
    archive: Option<&Archive>,
    cases: &CaseSet,
) -> Result<Restored, sqlx::Error> {
    let mut restored = Restored::default();
    let mut by_file: BTreeMap<String, CaseSet> = BTreeMap::new();
    for (case, pruned) in pruning::among(conn, cases).await? {
        by_file.entry(pruned.file).or_default().insert(case);
    }
    for (file, cases) in by_file {
        let problem = match read(archive, &file, &cases).await {
            Ok(groups) => {
                let back = restoring::restore(conn, &groups).await?;
                restored.cases.extend(back.into_iter().map(|case| (case, file.clone())));
                format!("the archive `{file}` does not hold it")
            }
            Err(problem) => problem,
        };
        let missing = cases.into_iter().filter(|case| !restored.cases.contains_key(case));
        let missing: Vec<CaseId> = missing.collect();
        restored.problems.extend(missing.into_iter().map(|case| (case, problem.clone())));
    }
    Ok(restored)
}

async fn read(
    archive: Option<&Archive>,
    file: &str,
    cases: &CaseSet,
) -> Result<Vec<Group>, String> {
    let Some(archive) = archive.cloned() else {
        return Err(format!(
            "it stands in the archive `{file}`, and nobody told this program in which folder that \
             is: set OTODOKE_ARCHIVE, or --archive"
        ));
    };
    let (file, wanted) = (file.to_owned(), cases.iter().map(CaseId::key).collect());
    // A file of some megabytes is read whole.
    let reading = tokio::task::spawn_blocking(move || archive.read(&file, &wanted));
    match reading.await {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err("reading the archive failed unexpectedly".to_owned()),
    }
}

/// The cases that an event is for by name.
pub(super) fn cases_of(accepted: &Accepted) -> BTreeSet<CaseId> {
    let input = &accepted.event.input;
    let thread = match input {
        Input::MessageSent(message) => Some(CaseId::Thread(message.thread_id.clone())),
        _ => None,
    };
    thread.into_iter().chain(input.order_id().cloned().map(CaseId::Order)).collect()
}

/// The refusal of an event that is for an archived case by name, or that needs one of the cases
/// `beside`, which could not be brought back.
pub(super) fn refuse(
    accepted: &Accepted,
    archived: &BTreeMap<CaseId, Pruned>,
    restored: &Restored,
    beside: &CaseSet,
) -> Option<Rejection> {
    let named = cases_of(accepted);
    let by_name = archived.iter().find(|(case, _)| named.contains(*case));
    if let Some((case, pruned)) = by_name {
        return Some(refusal(accepted, case, Some(pruned), restored.problems.get(case)));
    }
    // A neighbour that this very message needs, which was asked for and can't be had.
    let (case, problem) = restored.problems.iter().find(|(case, _)| beside.contains(*case))?;
    Some(refusal(accepted, case, None, Some(problem)))
}

/// Says what to do, and quotes no data: the file's name is ours.
pub(super) fn refusal(
    accepted: &Accepted,
    case: &CaseId,
    pruned: Option<&Pruned>,
    problem: Option<&String>,
) -> Rejection {
    let kind = if case.order_id().is_some() { "order" } else { "thread" };
    let is_named = cases_of(accepted).contains(case);
    let whose = match (is_named, kind) {
        (true, _) => "its",
        (false, "order") => "it changes an",
        (false, _) => "it changes a",
    };
    let detail = match (problem, pruned) {
        (Some(problem), _) => {
            format!("{whose} {kind} that was archived, and can't be brought back: {problem}")
        }
        (None, Some(Pruned { file, .. })) => {
            format!("{whose} {kind} that was archived: a replay brings it back from `{file}`")
        }
        (None, None) => format!("{whose} {kind} that was archived: a replay brings it back"),
    };
    let detail = if is_named { detail.replacen(" that was", " was", 1) } else { detail };
    Rejection {
        code: RejectionCode::CasePruned,
        pointer: Some(format!("/data/{kind}_id")).filter(|_| is_named),
        detail,
        event_source: Some(accepted.event.key.source.clone()),
        event_id: Some(accepted.event.key.id.clone()),
        event_type: Some(accepted.event.input.input_type().name().to_owned()),
    }
}
