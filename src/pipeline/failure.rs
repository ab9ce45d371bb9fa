//! What a failure of the database means: pure, so that every kind can be tested.

use std::borrow::Cow;

use sqlx::Error;
use sqlx::error::DatabaseError;

use super::silence::is_silence;
use crate::store::pruning::Archived;

/// What to do about a failed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The world is unavailable: wait, and do the same again. The attempt doesn't count.
    Wait,
    /// Too much at once: do it in halves. What is one event only, waits.
    Shrink,
    /// Something in it can't be stored: find the one event in halves, and refuse it.
    Isolate,
    /// We are wrong, or were set up wrongly: waiting helps nobody, so stop loudly.
    Halt,
}

/// Classifies an error of the database or the way to it.
pub fn classify(error: &Error) -> Class {
    match error {
        Error::Database(error) => by_state(error.code().as_deref().unwrap_or("")),
        // Either the database is silent, or it was too much at once: nobody can tell.
        error if is_silence(error) => Class::Shrink,
        Error::Io(_)
        | Error::Tls(_)
        | Error::Protocol(_)
        | Error::PoolTimedOut
        | Error::WorkerCrashed
        | Error::BeginFailed => Class::Wait,
        Error::Encode(_)
        | Error::InvalidArgument(_)
        | Error::Decode(_)
        | Error::ColumnDecode { .. } => Class::Isolate,
        // A closed pool is this process shutting down.
        _ => Class::Halt,
    }
}

/// By SQLSTATE: the first two characters are the class, and some members differ from theirs.
fn by_state(state: &str) -> Class {
    match (state, state.get(..2).unwrap_or("")) {
        // Out of memory, shared memory too (locks); cancelled by a timeout.
        ("53200" | "57014", _) => Class::Shrink,
        // Read-only: a standby, or a failover that is under way. A transaction idle for too long.
        ("25006" | "25P03", _) => Class::Wait,
        // Object in use, lock not available.
        ("55006" | "55P03", _) => Class::Wait,
        // Connection; rollback by serialisation or deadlock; resources; an operator; the system.
        (_, "08" | "40" | "53" | "57" | "58") => Class::Wait,
        // Cardinality; data; constraints; a program's limits.
        (_, "21" | "22" | "23" | "54") => Class::Isolate,
        _ => Class::Halt,
    }
}

/// Whether two transactions were in one another's way, and one was rolled back for it.
pub fn is_conflict(error: &Error) -> bool {
    let state = error.as_database_error().and_then(|error| error.code());
    state.is_some_and(|state| state.starts_with("40"))
}

/// A sentence for an operator that quotes no data: a message of the database may.
pub fn sentence(error: &Error) -> Cow<'static, str> {
    if Archived::of(error).is_some() {
        return "it would change a case that was archived: see `otodoke prune --restore`".into();
    }
    match error {
        Error::Database(error) => database_sentence(error.as_ref()).into(),
        error if is_silence(error) => "the database didn't answer in time".into(),
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) => {
            "the connection to the database was lost".into()
        }
        Error::PoolTimedOut => "no connection to the database became free in time".into(),
        Error::PoolClosed => "the connections to the database were closed".into(),
        Error::Encode(_) | Error::InvalidArgument(_) => "a value can't be stored".into(),
        Error::Decode(_) | Error::ColumnDecode { .. } => {
            "a stored value isn't what its column should hold".into()
        }
        Error::Configuration(_) => "the database's address is not understood".into(),
        _ => "the database answered in a way that this version doesn't understand".into(),
    }
}

fn database_sentence(error: &dyn DatabaseError) -> String {
    let state = error.code().unwrap_or_default();
    let what = match (state.as_ref(), state.get(..2).unwrap_or("")) {
        ("42501", _) => "this user may not do that; grant it, or migrate as the owner",
        (_, "42" | "3F") => "the schema is not this version's; run `otodoke migrate`",
        (_, "28") => "the database refuses this user or password",
        ("3D000", _) => "there is no such database",
        ("53100", _) => "its disk is full",
        ("25006", _) => "it is read-only",
        (_, "40") => "two transactions were in each other's way",
        (_, "53") => "it has run out of a resource",
        (_, "57") => "it is shutting down or starting, or the statement was cancelled",
        (_, "22") => "a value is none that its column can hold",
        (_, "23") => "a row breaks a rule of its table",
        (_, "54") => "a value is beyond a limit of the database",
        _ => "the database refused a statement",
    };
    match error.constraint() {
        Some(constraint) => format!("{what} (SQLSTATE {state}, {constraint})"),
        None => format!("{what} (SQLSTATE {state})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_waited_for() {
        for state in [
            "08006", "08P01", "40001", "40P01", "53000", "53100", "53300", "55P03", "57P01",
            "57P02", "57P03", "58000", "58030", "25006", "25P03",
        ] {
            assert_eq!(by_state(state), Class::Wait, "{state}");
        }
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(classify(&Error::Io(reset)), Class::Wait);
        assert_eq!(classify(&Error::PoolTimedOut), Class::Wait);
    }

    #[test]
    fn what_is_in_the_data_is_isolated() {
        for state in ["21000", "22P05", "22021", "22003", "23505", "23514", "54000"] {
            assert_eq!(by_state(state), Class::Isolate, "{state}");
        }
        assert_eq!(classify(&Error::Decode("x".into())), Class::Isolate);
    }

    #[test]
    fn what_is_too_much_at_once_is_done_in_halves() {
        for state in ["53200", "57014"] {
            assert_eq!(by_state(state), Class::Shrink, "{state}");
        }
        let silence = std::io::Error::from(std::io::ErrorKind::TimedOut);
        assert_eq!(classify(&Error::Io(silence)), Class::Shrink);
    }

    #[test]
    fn what_nobody_but_a_person_can_mend_halts() {
        for state in ["42P01", "42703", "42501", "3F000", "3D000", "28P01", "25P02", "XX001", ""] {
            assert_eq!(by_state(state), Class::Halt, "{state}");
        }
        assert_eq!(classify(&Error::PoolClosed), Class::Halt);
        assert_eq!(classify(&Error::ColumnNotFound("x".into())), Class::Halt);
    }
}
