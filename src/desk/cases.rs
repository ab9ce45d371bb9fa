//! Cases by the names that people call them by.

use sqlx::PgConnection;

use crate::contract::{Identifier, Timestamp};
use crate::pipeline::apply::{self, Explanation};
use crate::rules::CaseId;
use crate::store::Result;

/// What a thread's id is told by.
pub const THREAD: &str = "thread:";

/// The cases that a name may mean. An order's id may itself begin with `thread:`, so orders
/// come first.
pub fn called(name: &str) -> Vec<CaseId> {
    let order = Identifier::new(name).map(CaseId::Order);
    let thread = name.strip_prefix(THREAD).and_then(Identifier::new).map(CaseId::Thread);
    order.into_iter().chain(thread).collect()
}

/// The case of this name, decided as at a moment; `None` where nothing is known of it.
pub async fn explained(
    conn: &mut PgConnection,
    name: &str,
    as_of: Option<Timestamp>,
) -> Result<Option<Explanation>> {
    for case in called(name) {
        if let Some(explanation) = apply::explain(conn, &case, as_of).await? {
            return Ok(Some(explanation));
        }
    }
    Ok(None)
}

/// A case that nothing is known of, in words.
pub fn named(case: &str) -> String {
    match case.strip_prefix(THREAD) {
        Some(thread) => format!("a thread {thread}"),
        None => format!("an order {case}"),
    }
}
