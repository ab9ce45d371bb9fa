//! What was last written of a case, so that what did not change is not written again.

use serde::Serialize;

use super::Table;
use crate::store::digest;

/// Digests of what each table was given last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Written {
    /// It isn't known what the tables hold: everything is written, and what is there beside it
    /// is deleted.
    #[default]
    Unknown,
    /// Of each table in turn, as far as they were looked at; after the last, nothing.
    Known(Vec<Option<Given>>),
}

/// What a table was given of a case: not nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    rows: [u8; BYTES],
    keys: [u8; BYTES],
}

/// Of a digest; two contents share one once in 2^64.
const BYTES: usize = 8;
/// A table's place among those that are marked as given something.
const TABLES_MAX: usize = 8;

impl Written {
    /// As it is stored with the case: a bit for each table that was given something, and then
    /// the digests of those. Nothing stored: unknown.
    pub fn from_bytes(bytes: Option<&[u8]>) -> Written {
        let Some((bits, digests)) = bytes.and_then(<[u8]>::split_first) else {
            return Written::Unknown;
        };
        if digests.len() != bits.count_ones() as usize * 2 * BYTES {
            return Written::Unknown;
        }
        let mut digests = digests
            .chunks_exact(BYTES)
            .map(|digest| digest.try_into().expect("each of the pieces is as long as a digest"));
        let mut given = || Some(Given { rows: digests.next()?, keys: digests.next()? });
        let tables = 0..TABLES_MAX;
        Written::Known(tables.map(|t| (bits & (1 << t) > 0).then(&mut given).flatten()).collect())
    }

    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let Written::Known(tables) = self else { return None };
        let mut bytes = vec![0];
        for (number, given) in tables.iter().enumerate() {
            if let Some(given) = given {
                bytes[0] |= 1 << number;
                bytes.extend(given.rows);
                bytes.extend(given.keys);
            }
        }
        Some(bytes)
    }
}

/// Compares a case's rows, table by table, with what was written.
pub(super) struct Comparison<'b> {
    before: &'b Written,
    pub now: Written,
    table: usize,
}

impl<'b> Comparison<'b> {
    pub fn new(before: &'b Written) -> Self {
        Comparison { before, now: Written::Known(Vec::new()), table: 0 }
    }

    /// Takes the rows of the next table where they differ; `key` tells them apart.
    pub fn take<'a, T: Serialize>(
        &mut self,
        table: &mut Table<'a, T>,
        of: &str,
        rows: impl IntoIterator<Item = &'a T> + Clone,
        key: fn(&T) -> &str,
    ) {
        let now = given(rows.clone(), key);
        let before = match self.before {
            Written::Unknown => None,
            Written::Known(tables) => Some(tables.get(self.table).copied().flatten()),
        };
        if before != Some(now) {
            table.rows.extend(rows.into_iter().map(|row| (of.to_owned(), row)));
            let keys = now.map(|now| now.keys);
            if before.is_none_or(|b| b.is_some_and(|b| Some(b.keys) != keys)) {
                table.outdated.push(of.to_owned());
            }
        }
        self.table += 1;
        if let Written::Known(tables) = &mut self.now {
            tables.push(now);
        }
    }
}

fn given<'a, T: Serialize + 'a>(
    rows: impl IntoIterator<Item = &'a T>,
    key: fn(&T) -> &str,
) -> Option<Given> {
    let (mut text, mut keys) = (Vec::new(), Vec::new());
    for row in rows {
        serde_json::to_writer(&mut text, row).expect("a state is a struct of plain values");
        text.push(b'\n');
        keys.push(key(row).as_bytes());
    }
    if keys.is_empty() {
        return None;
    }
    let short = |digest: digest::Digest| digest[..BYTES].try_into().expect("it is longer");
    Some(Given { rows: short(digest([text.as_slice()])), keys: short(digest(keys)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Row {
        id: &'static str,
        text: &'static str,
    }

    fn compare(before: &Written, rows: &[Row]) -> (Written, usize, usize) {
        let (mut table, mut compared) = (Table::default(), Comparison::new(before));
        compared.take(&mut Table::<Row>::default(), "of", &[], |row| row.id);
        compared.take(&mut table, "of", rows, |row| row.id);
        let stored = Written::from_bytes(compared.now.to_bytes().as_deref());
        (stored, table.rows.len(), table.outdated.len())
    }

    #[test]
    fn only_what_differs_is_written_and_only_what_had_other_keys_is_looked_through() {
        let row = |id, text| Row { id, text };
        let (first, written, looked) = compare(&Written::Unknown, &[row("1", "a")]);
        assert_eq!((written, looked), (1, 1), "nobody knows what is there");
        let (same, written, looked) = compare(&first, &[row("1", "a")]);
        assert_eq!((written, looked, &same), (0, 0, &first));
        assert_eq!(compare(&first, &[row("1", "b")]).1, 1);
        assert_eq!(compare(&first, &[row("1", "b")]).2, 0, "the same row");
        let (two, written, looked) = compare(&first, &[row("1", "a"), row("2", "b")]);
        assert_eq!((written, looked), (2, 1));
        let (none, written, looked) = compare(&two, &[]);
        assert_eq!((written, looked), (0, 1));
        assert_eq!(compare(&none, &[row("3", "c")]).2, 0, "there was none");
    }

    #[test]
    fn what_is_stored_otherwise_is_unknown() {
        assert_eq!(Written::from_bytes(None), Written::Unknown);
        assert_eq!(Written::from_bytes(Some(&[])), Written::Unknown);
        assert_eq!(Written::from_bytes(Some(&[1, 2, 3])), Written::Unknown);
        let nothing = Written::from_bytes(Some(&[0]));
        assert_eq!(nothing.to_bytes().as_deref(), Some(&[0][..]));
    }
}
