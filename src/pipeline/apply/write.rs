//! The last step: what differs is written, and what came in is counted.

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;
use uuid::Uuid;

use super::admit::Admission;
use super::decide::Decided;
use super::difference::{Difference, Subject, difference};
use super::recent::Facts;
use super::{Change, ChangeKind, Left, Mode, Outcome, Pass, Received, replay};
use crate::contract::{Derived, DerivedType, EventDeadLettered, Published, Stream, Timestamp};
use crate::rules::CaseId;
use crate::store::cases::{self, Decided as DecidedCase};
use crate::store::dead_letters::{self, Refused};
use crate::store::derived_events::{self, NewDerived, Recorded};
use crate::store::ledger::{self, Count};
use crate::store::outbox::{self, NewMessage};
use crate::store::read_model::{Rows, Written};
use crate::store::{CaseSet, Together, wake_ups};

/// Writes what the decisions say, and files what was refused.
pub(super) async fn write(
    mut pass: Pass<'_>,
    conn: &mut PgConnection,
    admission: &Admission<'_>,
    mut decided: Decided,
) -> Result<(Outcome, Left), sqlx::Error> {
    let now = decided.now;
    let mut outcome = Outcome { clock: Some(now), ..Outcome::default() };
    let mut left = Left::new();
    let mut writes = std::mem::take(&mut pass.writes);
    let written = write_rows(&pass, &mut writes, &decided);
    let differences = compare(&pass, conn, &mut decided).await?;
    if pass.mode != Mode::Live {
        outcome.changes = differences.iter().flat_map(|(case, d)| changes(case, d)).collect();
    }
    if pass.mode == Mode::Preview {
        // What the rows hold now is no longer what is remembered of them.
        cases::forget_written(conn, decided.decisions.keys()).await?;
    } else {
        write_cases(&pass, &mut writes, &decided, &differences, written, &mut outcome);
        let parked = pass.parked(now);
        if !parked.is_empty() {
            cases::park(conn, &parked).await?;
        }
        let alerts = write_dead_letters(&pass, conn, admission, now).await?;
        replay::record(&pass, conn, admission, now).await?;
        if pass.mode == Mode::Live {
            left = orders_left(&pass, &mut decided, &differences);
        }
        write_derived(&pass, &mut writes, differences, alerts, now, &mut outcome);
    }
    count(&pass, &mut writes, admission, now, &mut outcome);
    writes.execute(conn).await?;
    Ok((outcome, left))
}

/// Writes the read model's rows that differ from what was written before. A rebuild trusts
/// nothing that was.
fn write_rows(
    pass: &Pass<'_>,
    writes: &mut Together,
    decided: &Decided,
) -> BTreeMap<CaseId, Written> {
    let (mut rows, unknown) = (Rows::default(), Written::Unknown);
    let mut written = BTreeMap::new();
    for (case, decision) in &decided.decisions {
        let before = match pass.mode {
            Mode::Live | Mode::Rehearsal => &pass.case(case).written,
            Mode::Rebuild | Mode::Preview => &unknown,
        };
        written.insert(case.clone(), rows.add(case, decision, before));
    }
    if pass.has_cases() {
        rows.write(writes, decided.now);
    }
    written
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
    let threads: CaseSet =
        decided.decisions.keys().filter(|case| case.order_id().is_none()).cloned().collect();
    let threads = pass.old(&threads);
    let mut of_threads: HashMap<CaseId, Vec<Recorded>> = HashMap::new();
    if !threads.is_empty() {
        for row in derived_events::of_cases(conn, &threads).await? {
            of_threads.entry(row.case.clone()).or_default().push(row);
        }
    }
    let Decided { orders, decisions, .. } = decided;
    let differences = decisions.iter_mut().map(|(case, decision)| {
        let subject = Subject {
            case,
            last_sequence: pass.case(case).last_sequence,
            settings: &pass.door.settings,
            traces: &pass.traces,
        };
        let derived: Vec<Derived> = std::mem::take(&mut decision.derived);
        let of_order = case.order_id().and_then(|id| orders.get(id));
        let recorded = of_order.map(|order| &order.before.derived).or(of_threads.get(case));
        (case.clone(), difference(&subject, derived, recorded.map_or(&[][..], Vec::as_slice)))
    });
    Ok(differences.collect())
}

/// What is remembered of the decided orders, should this transaction commit.
fn orders_left(pass: &Pass<'_>, decided: &mut Decided, differences: &Differences) -> Left {
    let mut left = Left::new();
    for (id, mut order) in std::mem::take(&mut decided.orders) {
        let case = CaseId::Order(id.clone());
        let (Some(decision), Some(difference)) =
            (decided.decisions.get(&case), differences.get(&case))
        else {
            continue;
        };
        let mut derived = std::mem::take(&mut order.before.derived);
        for (old, _) in &difference.withdrawn {
            derived
                .iter_mut()
                .filter(|event| event.event_id == old.event_id)
                .for_each(|event| event.withdrawn = true);
        }
        derived.extend(difference.new.iter().map(NewDerived::recorded));
        let facts = Facts {
            identity: order.identity.clone().or(order.before.identity.take()),
            releases: decision.releases.iter().cloned().collect(),
            derived,
        };
        left.push((id, order.known(pass.case(&case).version + 1, facts)));
    }
    left
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

/// Records what is derived and withdrawn, and queues the messages that tell of it.
fn write_derived(
    pass: &Pass<'_>,
    writes: &mut Together,
    differences: Differences,
    alerts: Vec<NewMessage>,
    now: Timestamp,
    outcome: &mut Outcome,
) {
    let (mut withdrawn, mut new, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    for difference in differences.into_values() {
        withdrawn.extend(difference.withdrawn.into_iter().map(|(old, new)| (old.event_id, new)));
        new.extend(difference.new);
        messages.extend(difference.messages);
    }
    messages.extend(alerts);
    for message in &messages {
        let kind = message.published.derived_type();
        let name = kind.map_or(EventDeadLettered::TYPE, DerivedType::name);
        *outcome.queued.entry(name).or_default() += 1;
    }
    if pass.has_cases() || !messages.is_empty() {
        outbox::queue(writes, &messages, now);
    }
    if pass.has_cases() {
        derived_events::withdraw(writes, &withdrawn, now);
        derived_events::record(writes, &new, now);
    }
}

fn write_cases(
    pass: &Pass<'_>,
    writes: &mut Together,
    decided: &Decided,
    differences: &Differences,
    mut written: BTreeMap<CaseId, Written>,
    outcome: &mut Outcome,
) {
    let rows: Vec<DecidedCase> = decided
        .decisions
        .iter()
        .map(|(case, decision)| DecidedCase {
            case: case.clone(),
            as_of: pass.as_of(case),
            next_at: decision.next_at,
            last_sequence: differences[case].last_sequence,
            written: written.remove(case).unwrap_or_default(),
            events: decided.sizes.get(case).copied().unwrap_or(0),
        })
        .collect();
    if pass.has_cases() {
        cases::remember(writes, &rows);
    }
    if !pass.deferred.is_empty() {
        cases::defer(writes, &pass.deferred);
    }
    let woken = pass.wake_ups(decided.now);
    if !woken.is_empty() {
        wake_ups::leave(writes, &woken);
    }
    let parked = pass.parked(decided.now);
    outcome.next_at = rows
        .iter()
        .filter_map(|row| row.next_at)
        .chain(parked.iter().map(|parked| parked.until))
        .chain(woken.iter().map(|woken| woken.due_at))
        .min();
    outcome.parked = parked.into_iter().map(|parked| parked.case).collect();
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

/// Counts what was received from the batch itself, the rest from what became of it.
fn count(
    pass: &Pass<'_>,
    writes: &mut Together,
    admission: &Admission<'_>,
    now: Timestamp,
    outcome: &mut Outcome,
) {
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
    if !counts.is_empty() {
        ledger::add(writes, &counts, now);
    }
}
