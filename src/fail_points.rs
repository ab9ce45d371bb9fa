//! Places where a test has the program die, as a power cut would have it.
//!
//! `OTODOKE_FAIL_POINT=after-commit:3` ends the process, without a farewell, when it comes to
//! that place for the third time. Only where debug assertions are on: a release has no such
//! places, and reads no such variable.

/// A place between two steps that a crash must not tear apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    /// The tables are there, nothing else is set up.
    Migrated,
    /// Some of the topology is declared.
    Declaring,
    /// A message is taken from its queue.
    Taken,
    /// Everything of a batch is written, nothing is committed.
    BeforeCommit,
    AfterCommit,
    /// Committed, and the lane knows.
    BeforeAck,
    AfterAck,
    /// A dead letter's replay is committed, and its job doesn't know.
    Replayed,
    /// The outbox is read.
    BeforePublish,
    /// Some messages of a batch are handed to the broker, none is confirmed.
    Publishing,
    /// All are confirmed, and still in the outbox.
    BeforeConfirm,
    AfterConfirm,
    /// Due cases are found.
    BeforeTimer,
    AfterTimer,
}

impl FailPoint {
    pub const ALL: [FailPoint; 14] = [
        FailPoint::Migrated,
        FailPoint::Declaring,
        FailPoint::Taken,
        FailPoint::BeforeCommit,
        FailPoint::AfterCommit,
        FailPoint::BeforeAck,
        FailPoint::AfterAck,
        FailPoint::Replayed,
        FailPoint::BeforePublish,
        FailPoint::Publishing,
        FailPoint::BeforeConfirm,
        FailPoint::AfterConfirm,
        FailPoint::BeforeTimer,
        FailPoint::AfterTimer,
    ];

    pub fn name(self) -> &'static str {
        match self {
            FailPoint::Migrated => "migrated",
            FailPoint::Declaring => "declaring",
            FailPoint::Taken => "taken",
            FailPoint::BeforeCommit => "before-commit",
            FailPoint::AfterCommit => "after-commit",
            FailPoint::BeforeAck => "before-ack",
            FailPoint::AfterAck => "after-ack",
            FailPoint::Replayed => "replayed",
            FailPoint::BeforePublish => "before-publish",
            FailPoint::Publishing => "publishing",
            FailPoint::BeforeConfirm => "before-confirm",
            FailPoint::AfterConfirm => "after-confirm",
            FailPoint::BeforeTimer => "before-timer",
            FailPoint::AfterTimer => "after-timer",
        }
    }

    /// Ends the process if this is the place, and the pass, that was asked for.
    #[inline(always)]
    pub(crate) fn pass(self) {
        #[cfg(debug_assertions)]
        armed::pass(self);
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::FailPoint;

    struct Wanted {
        point: String,
        passes_left: AtomicU64,
    }

    static WANTED: LazyLock<Option<Wanted>> = LazyLock::new(|| {
        let text = std::env::var("OTODOKE_FAIL_POINT").ok()?;
        let (point, pass) = text.split_once(':')?;
        Some(Wanted { point: point.to_owned(), passes_left: AtomicU64::new(pass.parse().ok()?) })
    });

    pub fn pass(point: FailPoint) {
        let Some(wanted) = &*WANTED else { return };
        let is_it = wanted.point == point.name();
        if is_it && wanted.passes_left.fetch_sub(1, Ordering::Relaxed) == 1 {
            eprintln!("fail point {}", point.name());
            std::process::abort();
        }
    }
}
