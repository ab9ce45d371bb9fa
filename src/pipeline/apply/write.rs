//! The last step: what differs is written, and what came in is counted.

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;
use uuid::Uuid;

use super::admit::Admission;
use super::decide::Decided;
use super::difference::{Difference, Subject, difference};
use super::{Change, ChangeKind, Mode, Outcome, Pass, Received, replay};
use crate::contract::{Derived, DerivedType, EventDeadLettered, Published, Stream, Timestamp};
use crate::rules::CaseId;
use crate::store::cases::{self, Decided as DecidedCase};
use crate::store::dead_letters::{self, Refused};
use crate::store::derived_events::{self, Recorded};
use crate::store::ledger::{self, Count};
use crate::store::outbox::{self, NewMessage};
use crate::store::read_model::{Rows, Written};
use crate::store::{CaseSet, wake_ups};

/// Writes what the decisions say, and files what was refused.
pub(super) async fn write(
    pass: Pass<'_>,
    conn: &mut PgConnection,
    admission: &Admission<'_>,
    mut decided: Decided,
) -> Result<Outcome, sqlx::Error> {
    let now = decided.now;
    let mut outcome = Outcome { clock: Some(now), ..Outcome::default() };
    let written = write_rows(&pass, conn, &decided).await?;
    let differences = compare(&pass, conn, &mut decided).await?;
    if pass.mode != Mode::Live {
        outcome.changes = differences.iter().flat_map(|(case, d)| changes(case, d)).collect();
    }
    if pass.mode == Mode::Preview {
        // What the rows hold now is no longer what is remembered of them.
        cases::forget_written(conn, decided.decisions.keys()).await?;
    } else {
        let mut messages = write_derived(conn, &differences, now).await?;
        write_cases(&pass, conn, &decided, &differences, written, &mut outcome).await?;
        messages.extend(write_dead_letters(&pass, conn, admission, now).await?);
        replay::record(&pass, conn, admission, now).await?;
        write_messages(conn, &messages, now, &mut outcome).await?;
    }
    count(&pass, conn, admission, now, &mut outcome).await?;
    Ok(outcome)
}

/// Writes the read model's rows that differ from what was written before. A rebuild trusts
/// nothing that was.
async fn write_rows(
    pass: &Pass<'_>,
    conn: &mut PgConnection,
    decided: &Decided,
) -> Result<BTreeMap<CaseId, Written>, sqlx::Error> {
    let (mut rows, nothing) = (Rows::default(), Written::default());
    let mut written = BTreeMap::new();
    for (case, decision) in &decided.decisions {
        let before = match pass.mode {
            Mode::Live | Mode::Rehearsal => &pass.case(case).written,
            Mode::Rebuild | Mode::Preview => &nothing,
        };
        written.insert(case.clone(), rows.add(case, decision, before));
    }
    rows.write(conn, decided.now).await?;
    Ok(written)
}

type Differences = BTreeMap<CaseId, Difference>;

async fn compare(
    pass: &Pass<'_>,
    conn: &mut PgConnection,
    decided: &mut Decided,
) -> Result<Differences, sqlx::Error> {
    if decided.decisions.is_empty() {
        return Ok(Differences::new());
    }
    let cases: CaseSet = decided.decisions.keys().cloned().collect();
    let mut recorded: HashMap<CaseId, Vec<Recorded>> = HashMap::new();
    for row in derived_events::of_cases(conn, &cases).await? {
        recorded.entry(row.case.clone()).or_default().push(row);
    }
    let differences = decided.decisions.iter_mut().map(|(case, decision)| {
        let subject = Subject {
            case,
            last_sequence: pass.case(case).last_sequence,
            settings: &pass.door.settings,
            traces: &pass.traces,
        };
        let derived: Vec<Derived> = std::mem::take(&mut decision.derived);
        let recorded = recorded.remove(case).unwrap_or_default();
        (case.clone(), difference(&subject, derived, recorded))
    });
    Ok(differences.collect())
}

fn changes(case: &CaseId, difference: &Difference) -> Vec<Change> {
    let change = |event_id, event_type: &str, time, kind| {
        let event_type = event_type.to_owned();
        Change { case: case.clone(), event_id, event_type, time, kind }
    };
    let withdrawn = difference.withdrawn.iter().map(|(old, _)| {
        change(old.event_id, old.event_type.name(), old.time, ChangeKind::Withdrawn)
    });
    let derived = difference.new.iter().map(|new| {
        let event_type = new.derived.derived_type().name();
        change(new.event_id, event_type, new.derived.time, ChangeKind::Derived)
    });
    withdrawn.chain(derived).collect()
}

/// Withdrawals before what is new: of a name one event stands at most, at any moment.
async fn write_derived(
    conn: &mut PgConnection,
    differences: &Differences,
    now: Timestamp,
) -> Result<Vec<NewMessage>, sqlx::Error> {
    let all = || differences.values();
    let withdrawn: Vec<(Uuid, Option<Uuid>)> =
        all().flat_map(|d| &d.withdrawn).map(|(old, new)| (old.event_id, *new)).collect();
    if !withdrawn.is_empty() {
        derived_events::withdraw(conn, &withdrawn, now).await?;
    }
    let new: Vec<_> = all().flat_map(|difference| &difference.new).cloned().collect();
    if !new.is_empty() {
        derived_events::record(conn, &new, now).await?;
    }
    Ok(all().flat_map(|difference| &difference.messages).cloned().collect())
}

async fn write_cases(
    pass: &Pass<'_>,
    conn: &mut PgConnection,
    decided: &Decided,
    differences: &Differences,
    mut written: BTreeMap<CaseId, Written>,
    outcome: &mut Outcome,
) -> Result<(), sqlx::Error> {
    let rows: Vec<DecidedCase> = decided
        .decisions
        .iter()
        .map(|(case, decision)| DecidedCase {
            case: case.clone(),
            as_of: pass.as_of(case),
            next_at: decision.next_at,
            last_sequence: differences[case].last_sequence,
            written: written.remove(case).unwrap_or_default(),
        })
        .collect();
    if !rows.is_empty() {
        cases::remember(conn, &rows).await?;
    }
    let parked = pass.parked(decided.now);
    if !parked.is_empty() {
        cases::park(conn, &parked).await?;
    }
    let woken = pass.wake_ups(decided.now);
    if !woken.is_empty() {
        wake_ups::leave(conn, &woken).await?;
    }
    outcome.next_at = rows
        .iter()
        .filter_map(|row| row.next_at)
        .chain(parked.iter().map(|parked| parked.until))
        .chain(woken.iter().map(|woken| woken.due_at))
        .min();
    outcome.parked = parked.into_iter().map(|parked| parked.case).collect();
    Ok(())
}

/// Files what was refused; the alerts for what is new are returned. Letters on their way back
/// are filed already.
async fn write_dead_letters(
    pass: &Pass<'_>,
    conn: &mut PgConnection,
    admission: &Admission<'_>,
    now: Timestamp,
) -> Result<Vec<NewMessage>, sqlx::Error> {
    let refused: Vec<Refused<'_>> = admission
        .dead
        .iter()
        .map(|(index, rejection)| (&pass.batch.received[*index], rejection))
        .filter(|(message, _)| message.claim.is_none())
        .map(|(message, rejection): (&Received, _)| Refused {
            stream: message.stream,
            routing_key: &message.routing_key,
            content_type: message.content_type.as_deref(),
            headers: &message.headers,
            body: &message.body,
            rejection,
        })
        .collect();
    if refused.is_empty() {
        return Ok(Vec::new());
    }
    let new = dead_letters::file(conn, &refused, now).await?;
    let source = &pass.door.settings.source;
    Ok(new.into_iter().map(|(index, id)| alert(source, id, &refused[index], now)).collect())
}

fn alert(source: &str, id: Uuid, refused: &Refused<'_>, time: Timestamp) -> NewMessage {
    let rejection = refused.rejection;
    let alert = EventDeadLettered {
        dead_letter_id: id,
        code: rejection.code,
        stream: refused.stream.into(),
        pointer: rejection.pointer.clone(),
        detail: rejection.detail.clone(),
        event_source: rejection.event_source.clone(),
        event_id: rejection.event_id.clone(),
        event_type: rejection.event_type.clone(),
    };
    let event_id = Uuid::new_v5(&id, EventDeadLettered::TYPE.as_bytes());
    let published = Published::dead_lettered(&alert, event_id, source, time);
    NewMessage { case_key: format!("d/{id}"), derived: false, published }
}

async fn write_messages(
    conn: &mut PgConnection,
    messages: &[NewMessage],
    now: Timestamp,
    outcome: &mut Outcome,
) -> Result<(), sqlx::Error> {
    for message in messages {
        let kind = message.published.derived_type();
        let name = kind.map_or(EventDeadLettered::TYPE, DerivedType::name);
        *outcome.queued.entry(name).or_default() += 1;
    }
    if messages.is_empty() { Ok(()) } else { outbox::queue(conn, messages, now).await }
}

/// Counts what was received from the batch itself, the rest from what became of it.
async fn count(
    pass: &Pass<'_>,
    conn: &mut PgConnection,
    admission: &Admission<'_>,
    now: Timestamp,
    outcome: &mut Outcome,
) -> Result<(), sqlx::Error> {
    let stream = |index: usize| pass.batch.received[index].stream.map_or("none", Stream::name);
    let mut counts: BTreeMap<&'static str, Count> = BTreeMap::new();
    for index in 0..pass.batch.received.len() {
        counts.entry(stream(index)).or_default().received += 1;
    }
    for index in &admission.accepted {
        counts.entry(stream(*index)).or_default().accepted += 1;
    }
    for index in &admission.duplicates {
        counts.entry(stream(*index)).or_default().duplicates += 1;
    }
    for (index, rejection) in &admission.dead {
        counts.entry(stream(*index)).or_default().dead += 1;
        *outcome.dead.entry(rejection.code).or_default() += 1;
    }
    outcome.accepted = admission.fresh.len() as u64;
    outcome.duplicates = admission.duplicates.len() as u64;
    if counts.is_empty() { Ok(()) } else { ledger::add(conn, &counts, now).await }
}
