//! The door: everything that changes a case goes through [`Door::apply`], a delivery, a
//! passed deadline and a rebuild alike.
//!
//! One transaction does it all or nothing: it recognises what is a duplicate, locks the
//! cases, decides them, and writes what differs. Only after it has committed may a message
//! be acknowledged. However large a batch is, the number of statements is the same.
//!
//! Order matters in here. Keys are recorded first, threads are locked before orders, and
//! each kind in the order of its keys, so that no two transactions wait for each other.
//! Locks of groups are tried after the locks of cases and before the neighbours are read.

mod admit;
mod decide;
mod difference;
mod explain;
mod foresee;
mod isolate;
mod neighbours;
mod orders;
mod recent;
mod rehearse;
mod replay;
mod restore;
mod threads;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use serde_json::Value;
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use self::admit::Admission;
use self::decide::Decided;
use self::recent::{Known, Recent};
use self::restore::Restored;
use crate::contract::{
    Accepted, EventRef, Identifier, Rejection, RejectionCode, Span, Stream, Timestamp,
};
use crate::fail_points::FailPoint;
use crate::pipeline::archive::Archive;
use crate::pipeline::silence::{Kept, Lent, transacted};
use crate::rules::{CaseId, Policy};
use crate::store::cases::{Case, Parked};
use crate::store::history::Trace;
use crate::store::policies::{self, Current};
use crate::store::wake_ups::WakeUp;
use crate::store::{self, CaseSet, Together};

pub use difference::event_id;
pub use explain::{Explanation, Told, explain};
pub use foresee::{Foreseen, foresee, waits};
pub use isolate::Interrupted;
pub use rehearse::{Fate, Rehearsal, RowChange};

/// What the door needs to know beside the database.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For cases that are opened from now on.
    pub policy: Policy,
    /// The `source` of derived events.
    pub source: String,
    /// Derived events with an earlier time are recorded, not sent.
    pub publish_from: Option<Timestamp>,
}

/// A message from a queue, and what intake made of it.
#[derive(Clone, Debug)]
pub struct Received {
    /// `None`: from the dead queue, where the stream isn't known.
    pub stream: Option<Stream>,
    pub routing_key: String,
    pub content_type: Option<String>,
    /// An object.
    pub headers: Value,
    pub body: Vec<u8>,
    pub judged: Result<Accepted, Rejection>,
    /// Where it is a dead letter on its way back.
    pub claim: Option<Claim>,
}

/// A dead letter that a replay job has claimed. What becomes of it is recorded there, in the
/// transaction that makes it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub job: Uuid,
    pub letter: Uuid,
    /// Repaired: it isn't what came.
    pub repaired: bool,
}

/// What is to be done in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub received: Vec<Received>,
    /// Cases to be decided again.
    pub wake: Vec<CaseId>,
    /// The queues have a backlog: nothing that rests on something missing is derived yet.
    pub held: bool,
    /// The messages are dead letters on their way back: archived cases that they are for are
    /// brought back first.
    pub restores: bool,
    /// Archived cases to be brought back beside those.
    pub restore: CaseSet,
}

/// What came of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The database's clock when the cases were locked; `None` where nothing was done.
    pub clock: Option<Timestamp>,
    /// When all was decided, and nothing yet written, by this machine's clock.
    pub decided_at: Option<SystemTime>,
    pub accepted: u64,
    pub duplicates: u64,
    pub dead: BTreeMap<RejectionCode, u64>,
    /// What was put into the outbox, by type: withdrawals and alerts too.
    pub queued: BTreeMap<&'static str, u64>,
    /// The earliest moment at which one of the decided cases, or one that was woken, is due.
    pub next_at: Option<Timestamp>,
    /// Cases whose decision failed.
    pub parked: Vec<CaseId>,
    /// What is newly derived or withdrawn; only for a rebuild and a rehearsal.
    pub changes: Vec<Change>,
}

/// A difference between what is true and what was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub case: CaseId,
    pub event_id: Uuid,
    pub event_type: String,
    /// When it became true in the world.
    pub time: Timestamp,
    pub kind: ChangeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Derived,
    Withdrawn,
}

/// Why the door is gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Live,
    /// Decide all anew and report what differs.
    Rebuild,
    /// The same, but only the read model is written.
    Preview,
    /// Like live, to be rolled back: reports what differs.
    Rehearsal,
}

/// The one way to change a case.
#[derive(Clone, Debug)]
pub struct Door {
    pool: PgPool,
    settings: Settings,
    policy: Current,
    recent: Recent,
    archive: Option<Archive>,
    /// Where a connection is kept from one transaction to the next.
    kept: Option<Kept>,
}

impl Door {
    /// Records the policy for the cases to come.
    pub async fn open(pool: PgPool, settings: Settings) -> Result<Door, sqlx::Error> {
        let policy = policies::current(&mut *pool.acquire().await?, &settings.policy).await?;
        Ok(Door { pool, settings, policy, recent: Recent::default(), archive: None, kept: None })
    }

    /// Tells where archived cases are brought back from.
    pub fn with_archive(self, archive: Option<Archive>) -> Door {
        Door { archive, ..self }
    }

    /// The same door by a connection of its own, for who goes through it all the time: a
    /// connection plans each statement once, and needs no questions between two transactions
    /// whether it lives.
    pub fn with_own_connection(&self) -> Door {
        // One is kept; another is for what follows from a failure.
        let options = self.pool.options().clone().max_connections(2);
        let pool = options.connect_lazy_with((*self.pool.connect_options()).clone());
        Door { pool, kept: Some(Kept::default()), ..self.clone() }
    }

    /// Does a batch as a whole, or nothing of it. After it returned, everything in it may be
    /// acknowledged; after an error, nothing. The same batch again changes nothing.
    pub async fn apply(&self, batch: &Batch) -> Result<Outcome, sqlx::Error> {
        self.run(batch, Mode::Live).await
    }

    /// Decides cases anew from their history and rewrites their read model. Without `publish`
    /// what would be derived or withdrawn is only told.
    pub async fn rebuild(&self, cases: Vec<CaseId>, publish: bool) -> Result<Outcome, sqlx::Error> {
        let mode = if publish { Mode::Rebuild } else { Mode::Preview };
        self.run(&Batch { wake: cases, ..Batch::default() }, mode).await
    }

    async fn run(&self, batch: &Batch, mode: Mode) -> Result<Outcome, sqlx::Error> {
        let mut lent = match self.kept.as_ref().and_then(Kept::take) {
            Some(kept) => kept,
            None => Lent::from(&self.pool).await?,
        };
        let outcome = match mode {
            Mode::Live => transacted(self.transact(&mut lent, batch, mode)).await,
            // Somebody waits for it, and can see that it goes on.
            _ => self.transact(&mut lent, batch, mode).await,
        };
        match (&self.kept, outcome) {
            (Some(kept), Ok(outcome)) => {
                kept.put(lent);
                Ok(outcome)
            }
            (_, outcome) => lent.give_back(outcome),
        }
    }

    async fn transact(
        &self,
        conn: &mut PgConnection,
        batch: &Batch,
        mode: Mode,
    ) -> Result<Outcome, sqlx::Error> {
        let mut transaction = conn.begin().await?;
        let batch = replay::still_waiting(&mut transaction, batch).await?;
        let (outcome, left) = Pass::new(self, &batch, mode).run(&mut transaction).await?;
        FailPoint::BeforeCommit.pass();
        transaction.commit().await?;
        FailPoint::AfterCommit.pass();
        left.into_iter().for_each(|(order, known)| self.recent.put(order, known));
        Ok(outcome)
    }
}

/// The orders as a transaction leaves them, once it has committed.
type Left = Vec<(Identifier, Known)>;

/// One way through the door.
struct Pass<'a> {
    door: &'a Door,
    batch: &'a Batch,
    mode: Mode,
    /// Cases whose facts count as changed: their neighbours could not be told before.
    announcing: CaseSet,
    /// All that are locked.
    cases: BTreeMap<CaseId, Case>,
    parked: BTreeMap<CaseId, String>,
    /// The traces of the events in hand, where they have one.
    traces: HashMap<EventRef, Trace>,
    /// Cases to be decided in a later pass, and whether they are to announce their facts then.
    waking: BTreeMap<CaseId, bool>,
    /// Large cases that got events, which a later pass will decide.
    deferred: CaseSet,
    /// What is written at the end.
    writes: Together,
    restored: Restored,
}

impl<'a> Pass<'a> {
    fn new(door: &'a Door, batch: &'a Batch, mode: Mode) -> Self {
        Pass {
            door,
            batch,
            mode,
            announcing: CaseSet::new(),
            cases: BTreeMap::new(),
            parked: BTreeMap::new(),
            traces: HashMap::new(),
            waking: BTreeMap::new(),
            deferred: CaseSet::new(),
            writes: Together::default(),
            restored: Restored::default(),
        }
    }

    async fn run(mut self, conn: &mut PgConnection) -> Result<(Outcome, Left), sqlx::Error> {
        let (admission, decided) = self.prepare(conn).await?;
        let decided_at = Some(SystemTime::now());
        let (outcome, left) = write::write(self, conn, &admission, decided).await?;
        Ok((Outcome { decided_at, ..outcome }, left))
    }

    /// All but the writing: who comes in, and what the cases in hand come to.
    async fn prepare(
        &mut self,
        conn: &mut PgConnection,
    ) -> Result<(Admission<'a>, Decided), sqlx::Error> {
        self.restore(conn).await?;
        let admission = admit::admit(conn, self.batch, &self.restored).await?;
        self.take_wake_ups(conn).await?;
        let threads = threads::place(self, conn, &admission.fresh).await?;
        let orders = orders::gather(self, conn, &admission.fresh, &threads).await?;
        let decided = decide::decide(self, conn, &threads, orders).await?;
        self.spare_archived(conn, &admission).await?;
        Ok((admission, decided))
    }

    async fn take_wake_ups(&mut self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.mode != Mode::Preview && !self.batch.wake.is_empty() {
            let woken = self.batch.wake.iter().cloned().collect();
            self.announcing = store::wake_ups::take(conn, &woken).await?;
        }
        Ok(())
    }

    async fn lock(&mut self, conn: &mut PgConnection, cases: &CaseSet) -> Result<(), sqlx::Error> {
        let locked = store::cases::lock(conn, cases, &self.door.policy).await?;
        self.cases.extend(locked);
        Ok(())
    }

    /// Whether cases are in hand, so that something of them is to be written.
    fn has_cases(&self) -> bool {
        !self.cases.is_empty()
    }

    /// Those of which something may be recorded: they were not opened just now.
    fn old(&self, cases: &CaseSet) -> CaseSet {
        cases.iter().filter(|case| !self.case(case).is_new).cloned().collect()
    }

    /// What is known of an order that is locked, if it is as it is now.
    fn recall(&self, order: &Identifier) -> Option<Known> {
        match self.case(&CaseId::Order(order.clone())) {
            case if case.is_new => Some(Known::default()),
            case if self.mode == Mode::Live => self.door.recent.take(order, case.version),
            _ => None,
        }
    }

    fn case(&self, id: &CaseId) -> &Case {
        self.cases.get(id).expect("a case is locked before it is looked at")
    }

    /// The moment up to which absence is taken for granted, never earlier than before.
    fn as_of(&self, id: &CaseId) -> Option<Timestamp> {
        let case = self.case(id);
        if self.batch.held { case.as_of } else { case.as_of.max(Some(case.clock)) }
    }

    fn park(&mut self, case: &CaseId, problem: String) {
        self.parked.entry(case.clone()).or_insert(problem);
    }

    fn note_trace(&mut self, event: &EventRef, trace: &Trace) {
        if trace.parent.is_some() {
            self.traces.insert(event.clone(), trace.clone());
        }
    }

    /// The case is to be decided again: a fact that it read has changed since.
    fn wake(&mut self, case: CaseId) {
        self.waking.entry(case).or_insert(false);
    }

    /// Whether a case is too large to be decided for each of its events. Its events are stored,
    /// and decided together when the case is woken.
    fn is_to_wait(&self, id: &CaseId) -> bool {
        self.mode == Mode::Live && self.case(id).events >= LARGE && !self.batch.wake.contains(id)
    }

    /// Another transaction has one of the case's groups, and neither sees the other: the case
    /// is to be decided again, and its facts to be announced, when that one has ended.
    fn settle(&mut self, case: CaseId) {
        self.waking.insert(case, true);
    }

    fn wake_ups(&self, now: Timestamp) -> Vec<WakeUp> {
        let mut wake_ups: BTreeMap<&CaseId, WakeUp> = BTreeMap::new();
        for (case, &announce) in &self.waking {
            let due_at = if announce { now + OTHERS_NEED } else { now };
            wake_ups.insert(case, WakeUp { case: case.clone(), announce, due_at });
        }
        for case in self.deferred.iter().filter(|case| !self.case(case).deferred) {
            let due_at = now + respite(self.case(case).events);
            let wake_up = WakeUp { case: case.clone(), announce: false, due_at };
            wake_ups.entry(case).or_insert(wake_up);
        }
        // What a parked case has to announce is not forgotten.
        for case in self.parked.keys().filter(|case| self.announcing.contains(case)) {
            let due_at = self.parked_until(case, now);
            wake_ups.insert(case, WakeUp { case: case.clone(), announce: true, due_at });
        }
        wake_ups.into_values().collect()
    }

    fn parked_until(&self, case: &CaseId, now: Timestamp) -> Timestamp {
        now + patience(self.case(case).parked_attempts)
    }

    fn parked(&self, now: Timestamp) -> Vec<Parked> {
        self.parked
            .iter()
            .map(|(case, error)| Parked {
                case: case.clone(),
                until: self.parked_until(case, now),
                error: error.clone(),
            })
            .collect()
    }
}

/// From how many events on a case is decided from time to time only: one that got thousands, by
/// a script that went wild, would else take ever more of the time of all others.
const LARGE: i64 = 1_000;

/// How long a large case waits for its next decision: some ten times as long as that takes.
fn respite(events: i64) -> Span {
    Span::micros_of(events.saturating_mul(400))
}

/// How long a transaction that has a group's lock is given to end. Trying again costs little.
const OTHERS_NEED: Span = Span::seconds(1);

/// How long a parked case waits: 1 s, doubled with every attempt, up to 5 minutes.
fn patience(attempts: i32) -> Span {
    Span::seconds(1i64.checked_shl(attempts.clamp(0, 16) as u32).unwrap_or(300).min(300))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_a_case_the_more_rarely_it_is_decided() {
        assert_eq!(respite(LARGE).micros(), 400_000);
        assert_eq!(respite(20_000), Span::seconds(8));
    }

    #[test]
    fn a_parked_case_is_tried_ever_more_rarely_but_for_ever() {
        let waits: Vec<_> =
            (0..12).map(|attempts| patience(attempts).micros() / 1_000_000).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(patience(i32::MAX), Span::minutes(5));
    }
}
