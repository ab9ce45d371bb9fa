//! What open dead letters name: their cases stay, so that whoever mends a letter finds them.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use anyhow::Result;
use sqlx::PgConnection;

use crate::contract::Identifier;
use crate::rules::CaseId;
use crate::store::pruning;

/// Bodies in memory at a time.
const PAGE: i64 = 25;

/// Whatever stands in quotes in open dead letters and may be an id. By digest: two that share
/// one only make a case stay.
#[derive(Default)]
pub struct Named {
    hasher: RandomState,
    digests: HashSet<u64>,
}

impl Named {
    pub async fn read(conn: &mut PgConnection) -> Result<Named> {
        let (mut named, mut after) = (Named::default(), None);
        loop {
            let page = pruning::open_letters(conn, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(named) };
            after = Some(*last);
            page.iter().for_each(|(_, body)| named.add(body));
        }
    }

    fn add(&mut self, body: &[u8]) {
        for quoted in body.split(|byte| *byte == b'"') {
            let id = std::str::from_utf8(quoted).ok().filter(|text| text.len() <= 64);
            if let Some(id) = id.and_then(Identifier::new) {
                self.digests.insert(self.hasher.hash_one(id.as_str()));
            }
        }
    }

    /// Whether a letter names the order or the thread, or anything else that is called so.
    pub fn has(&self, case: &CaseId) -> bool {
        let id = case.order_id().or_else(|| case.thread_id());
        id.is_some_and(|id| self.digests.contains(&self.hasher.hash_one(id.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_names_what_it_quotes_even_where_it_is_no_json() {
        let mut named = Named::default();
        named.add(br#"{"order_id": "O-1", "thread_id":"TH.2", "note": "O-3 is late" "#);
        let has = |key| named.has(&CaseId::from_key(key).unwrap());
        assert!(has("o/O-1") && has("t/TH.2") && has("t/O-1"));
        assert!(!has("o/O-3") && !has("o/O-2"));
    }
}
