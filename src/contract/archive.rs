//! The form of an archive: newline-delimited JSON with all that is needed to restore cases as
//! they were.
//!
//! The first line names the form, the last one counts the lines before it and has their
//! SHA-256, so that a file that was cut short or changed is noticed. In between stand groups: a
//! line with the keys of cases that go together, then the rows of these cases. A row stands as
//! its table had it; it is carried from one to the other as text, so nothing of it is lost.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// The form that this version writes, and the only one that it reads.
const FORM: u32 = 1;

/// What a line of a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowKind {
    /// The case itself, with the settings that it was opened with in `policy`.
    Case,
    /// An accepted event.
    Event,
    /// A derived event, with what became of it.
    Derived,
    /// A row of the read model; `table` says of which table.
    ReadModel,
}

/// A row of a case.
#[derive(Clone, Debug)]
pub struct Row {
    pub kind: RowKind,
    /// The key of its case: `o/<order id>` or `t/<thread id>`.
    pub case: String,
    /// Of a row of the read model.
    pub table: Option<String>,
    /// An object whose members are the columns.
    pub row: Box<RawValue>,
    /// Of a case.
    pub policy: Option<Box<RawValue>>,
}

/// Cases that go together, with their rows.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub cases: Vec<String>,
    pub rows: Vec<Row>,
}

/// An archive that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("line {line} is none that an archive has")]
    Line { line: u64 },
    #[error("it is of the form {0}, and this version reads the form {FORM} only")]
    Form(u32),
    #[error("it has no last line: it was cut short")]
    CutShort,
    #[error("it was changed after it was written: its last line counts and digests other lines")]
    Changed,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Frame {
    Archive { form: u32, written_at: String },
    Group { cases: Vec<String> },
    End { lines: u64, sha256: String },
}

#[derive(Serialize)]
struct RowOut<'a> {
    kind: RowKind,
    case: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a RawValue>,
    row: &'a RawValue,
}

#[derive(Deserialize)]
struct RowIn {
    kind: RowKind,
    case: String,
    table: Option<String>,
    policy: Option<Box<RawValue>>,
    row: Box<RawValue>,
}

/// Writes an archive, line by line.
pub struct Writer<W: Write> {
    out: W,
    lines: u64,
    hash: Sha256,
}

impl<W: Write> Writer<W> {
    pub fn begin(out: W, written_at: impl ToString) -> io::Result<Writer<W>> {
        let mut writer = Writer { out, lines: 0, hash: Sha256::new() };
        writer.line(&Frame::Archive { form: FORM, written_at: written_at.to_string() })?;
        Ok(writer)
    }

    pub fn group(&mut self, group: &Group) -> io::Result<()> {
        self.line(&Frame::Group { cases: group.cases.clone() })?;
        group.rows.iter().try_for_each(|row| self.row(row))
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        self.line(&RowOut {
            kind: row.kind,
            case: &row.case,
            table: row.table.as_deref(),
            policy: row.policy.as_deref(),
            row: &row.row,
        })
    }

    /// Writes the last line; the archive is complete.
    pub fn end(mut self) -> io::Result<W> {
        let sha256 = hex(self.hash.clone());
        self.line(&Frame::End { lines: self.lines, sha256 })?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.copy(&text)
    }

    /// A line as it is, with its end.
    fn copy(&mut self, line: &[u8]) -> io::Result<()> {
        self.hash.update(line);
        self.lines += 1;
        self.out.write_all(line)
    }
}

/// Reads those groups of an archive in which one of the cases is. The archive is read to its
/// end in any case: what was changed is not believed.
pub fn groups_of(
    mut archive: impl BufRead,
    wanted: &BTreeSet<String>,
) -> Result<Vec<Group>, ArchiveError> {
    let (mut groups, mut hash) = (Vec::<Group>::new(), Sha256::new());
    let (mut text, mut line, mut takes, mut is_over) = (Vec::new(), 0, false, false);
    loop {
        text.clear();
        if archive.read_until(b'\n', &mut text)? == 0 {
            return if is_over { Ok(groups) } else { Err(ArchiveError::CutShort) };
        }
        let wrong = ArchiveError::Line { line: line + 1 };
        if is_over {
            return Err(ArchiveError::Changed);
        }
        match serde_json::from_slice::<Frame>(&text) {
            Ok(Frame::Archive { form, .. }) if line == 0 => {
                if form != FORM {
                    return Err(ArchiveError::Form(form));
                }
            }
            Ok(Frame::Group { cases }) if line > 0 => {
                takes = cases.iter().any(|case| wanted.contains(case));
                if takes {
                    groups.push(Group { cases, rows: Vec::new() });
                }
            }
            Ok(Frame::End { lines, sha256 }) if line > 0 => {
                if lines != line || sha256 != hex(hash.clone()) {
                    return Err(ArchiveError::Changed);
                }
                is_over = true;
            }
            Err(_) if line > 0 && !takes => {}
            Err(_) if line > 0 => {
                let RowIn { kind, case, table, policy, row } =
                    serde_json::from_slice(&text).map_err(|_| wrong)?;
                let group = groups.last_mut().expect("rows are taken behind a group");
                group.rows.push(Row { kind, case, table, row, policy });
            }
            _ => return Err(wrong),
        }
        hash.update(&text);
        line += 1;
    }
}

/// Copies an archive, each row as `edit` returns it; `None` leaves it to the letter. The copy is
/// worth something only where this succeeds: an archive that was changed fails in the end.
pub fn rewrite<W: Write>(
    mut archive: impl BufRead,
    out: W,
    edit: &mut dyn FnMut(&Row) -> Result<Option<Row>, ArchiveError>,
) -> Result<W, ArchiveError> {
    let mut writer = Writer { out, lines: 0, hash: Sha256::new() };
    let (mut hash, mut text) = (Sha256::new(), Vec::new());
    loop {
        text.clear();
        let (line, wrong) = (writer.lines, ArchiveError::Line { line: writer.lines + 1 });
        if archive.read_until(b'\n', &mut text)? == 0 {
            return Err(ArchiveError::CutShort);
        }
        match serde_json::from_slice::<Frame>(&text) {
            Ok(Frame::Archive { form, .. }) if line == 0 && form != FORM => {
                return Err(ArchiveError::Form(form));
            }
            Ok(Frame::End { lines, sha256 }) => {
                if lines != line || sha256 != hex(hash) || !archive.fill_buf()?.is_empty() {
                    return Err(ArchiveError::Changed);
                }
                return Ok(writer.end()?);
            }
            Ok(Frame::Archive { .. }) if line == 0 => writer.copy(&text)?,
            Ok(Frame::Group { .. }) if line > 0 => writer.copy(&text)?,
            Err(_) if line > 0 => {
                let RowIn { kind, case, table, policy, row } =
                    serde_json::from_slice(&text).map_err(|_| wrong)?;
                match edit(&Row { kind, case, table, row, policy })? {
                    Some(row) => writer.row(&row)?,
                    None => writer.copy(&text)?,
                }
            }
            _ => return Err(wrong),
        }
        hash.update(&text);
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(case: &str, rows: &[&str]) -> Group {
        let row = |row: &&str| Row {
            kind: RowKind::Event,
            case: case.to_owned(),
            table: None,
            row: RawValue::from_string((*row).to_owned()).unwrap(),
            policy: None,
        };
        Group { cases: vec![case.to_owned()], rows: rows.iter().map(row).collect() }
    }

    fn archive() -> Vec<u8> {
        let mut writer = Writer::begin(Vec::new(), "2026-03-01T00:00:00Z").unwrap();
        // Numbers and their order are kept to the letter.
        let exact = r#"{"n":1.50,"big":123456789012345678901234567890,"a":"é"}"#;
        writer.group(&group("o/1", &[exact, "{}"])).unwrap();
        writer.group(&group("o/2", &["{}"])).unwrap();
        writer.end().unwrap()
    }

    fn read(archive: &[u8], case: &str) -> Result<Vec<Group>, ArchiveError> {
        groups_of(archive, &BTreeSet::from([case.to_owned()]))
    }

    #[test]
    fn what_was_written_is_read_to_the_letter() {
        let found = read(&archive(), "o/1").unwrap();
        let [group] = &found[..] else { panic!("{found:?}") };
        assert_eq!(group.cases, ["o/1"]);
        assert_eq!(
            group.rows[0].row.get(),
            r#"{"n":1.50,"big":123456789012345678901234567890,"a":"é"}"#
        );
        assert_eq!(group.rows.len(), 2);
        assert!(read(&archive(), "o/3").unwrap().is_empty());
    }

    #[test]
    fn a_copy_differs_in_what_was_edited_only() {
        let copy = |archive: &[u8], edit: &mut dyn FnMut(&Row) -> Option<Row>| {
            rewrite(archive, Vec::new(), &mut |row| Ok(edit(row)))
        };
        assert_eq!(copy(&archive(), &mut |_| None).unwrap(), archive());
        let other = group("o/2", &[r#"{"other":1}"#]).rows.remove(0);
        let edited =
            copy(&archive(), &mut |row| (row.case == "o/2").then(|| other.clone())).unwrap();
        assert_eq!(read(&edited, "o/2").unwrap()[0].rows[0].row.get(), r#"{"other":1}"#);
        assert_eq!(read(&edited, "o/1").unwrap()[0].rows.len(), 2);
        let whole = archive();
        let changed = String::from_utf8(whole.clone()).unwrap().replace("1.50", "1.51");
        let refused = |archive: &[u8]| copy(archive, &mut |_| None).unwrap_err().to_string();
        assert!(refused(changed.as_bytes()).contains("changed"));
        assert!(refused(&whole[..whole.len() / 2]).contains("line"));
        assert!(refused(&whole.repeat(2)).contains("changed"));
    }

    #[test]
    fn an_archive_that_is_not_whole_is_not_believed() {
        let whole = archive();
        let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        let cut = lines[..lines.len() - 1].concat();
        assert!(matches!(read(&cut, "o/1"), Err(ArchiveError::CutShort)));
        let less = [&lines[..2], &lines[3..]].concat().concat();
        assert!(matches!(read(&less, "o/1"), Err(ArchiveError::Changed)));
        let other = String::from_utf8(whole.clone()).unwrap().replace("1.50", "1.51");
        assert!(matches!(read(other.as_bytes(), "o/2"), Err(ArchiveError::Changed)));
        assert!(matches!(read(&whole.repeat(2), "o/1"), Err(ArchiveError::Changed)));
        let new = String::from_utf8(whole).unwrap().replace("\"form\":1", "\"form\":2");
        assert!(matches!(read(new.as_bytes(), "o/1"), Err(ArchiveError::Form(2))));
        assert!(matches!(read(b"ping\n", "o/1"), Err(ArchiveError::Line { line: 1 })));
    }
}
