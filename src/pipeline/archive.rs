//! The folder of archives: a file is there whole or not at all.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::contract::Timestamp;
use crate::contract::archive::{ArchiveError, Group, Row, Writer, groups_of, rewrite};

/// A folder with archives.
#[derive(Clone, Debug)]
pub struct Archive {
    folder: PathBuf,
}

/// A file that could not be written. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
#[error("the archive {} can't be written: {source}", path.display())]
pub struct WriteError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the archive `{}` is not to be used: {source}", path.display())]
pub struct ReadError {
    path: PathBuf,
    #[source]
    source: ArchiveError,
}

impl Archive {
    pub fn at(folder: impl Into<PathBuf>) -> Archive {
        Archive { folder: folder.into() }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file; once this has returned it survives a power cut. It is written under
    /// another name first, so that nobody ever sees a part of it. Never writes over a file.
    pub fn write(&self, name: &str, at: Timestamp, groups: &[Group]) -> Result<(), WriteError> {
        let path = self.folder.join(name);
        let unfinished = self.folder.join(format!(".{name}.unfinished"));
        let written = write_out(&unfinished, at, groups).and_then(|()| {
            // A link fails where the name is taken; a renaming would not.
            fs::hard_link(&unfinished, &path).or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Err(error),
                _ => fs::rename(&unfinished, &path),
            })
        });
        _ = fs::remove_file(&unfinished);
        let done = written.and_then(|()| File::open(&self.folder)?.sync_all());
        done.map_err(|source| WriteError { path, source })
    }

    /// The groups of a file in which one of the cases is.
    pub fn read(&self, name: &str, cases: &BTreeSet<String>) -> Result<Vec<Group>, ReadError> {
        let path = self.folder.join(name);
        let read = File::open(&path).map_err(ArchiveError::from);
        read.and_then(|file| groups_of(BufReader::new(file), cases))
            .map_err(|source| ReadError { path, source })
    }

    /// Looks at every row of a file.
    pub fn scan(&self, name: &str, look: &mut dyn FnMut(&Row)) -> Result<(), ReadError> {
        let path = self.folder.join(name);
        let seen = File::open(&path).map_err(ArchiveError::from).and_then(|file| {
            let mut edit = |row: &Row| {
                look(row);
                Ok(None)
            };
            rewrite(BufReader::new(file), io::sink(), &mut edit).map(drop)
        });
        seen.map_err(|source| ReadError { path, source })
    }

    /// Puts an edited copy of a file in its place, and at no moment anything else: killed before
    /// the end, the file is as it was.
    pub fn edit(
        &self,
        name: &str,
        edit: &mut dyn FnMut(&Row) -> Result<Option<Row>, ArchiveError>,
    ) -> Result<(), ReadError> {
        let path = self.folder.join(name);
        let unfinished = self.folder.join(format!(".{name}.unfinished"));
        let edited = edit_out(&path, &unfinished, edit).and_then(|()| {
            fs::rename(&unfinished, &path)?;
            Ok(File::open(&self.folder)?.sync_all()?)
        });
        if edited.is_err() {
            _ = fs::remove_file(&unfinished);
        }
        edited.map_err(|source| ReadError { path, source })
    }
}

fn edit_out(
    path: &Path,
    unfinished: &Path,
    edit: &mut dyn FnMut(&Row) -> Result<Option<Row>, ArchiveError>,
) -> Result<(), ArchiveError> {
    let file = BufReader::new(File::open(path)?);
    let mut out = rewrite(file, BufWriter::new(private_file(unfinished)?), edit)?;
    out.flush()?;
    Ok(out.get_ref().sync_all()?)
}

/// A file that only its owner may read.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn write_out(path: &Path, at: Timestamp, groups: &[Group]) -> io::Result<()> {
    let mut writer = Writer::begin(BufWriter::new(private_file(path)?), at)?;
    groups.iter().try_for_each(|group| writer.group(group))?;
    let mut out = writer.end()?;
    out.flush()?;
    out.get_ref().sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(archive: &Archive, name: &str) -> Result<(), WriteError> {
        let group = Group { cases: vec!["o/1".to_owned()], rows: Vec::new() };
        archive.write(name, Timestamp::from_micros(0), &[group])
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::at(folder.path());
        write(&archive, "a.ndjson").unwrap();
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a.ndjson"]);
        let wanted = BTreeSet::from(["o/1".to_owned()]);
        assert_eq!(archive.read("a.ndjson", &wanted).unwrap().len(), 1);
        let before = fs::read(folder.path().join("a.ndjson")).unwrap();
        assert!(write(&archive, "a.ndjson").is_err(), "an archive is never written over");
        assert_eq!(fs::read(folder.path().join("a.ndjson")).unwrap(), before);
    }

    #[test]
    fn what_cannot_be_written_or_read_is_named() {
        let nowhere = Archive::at("/nonexistent/archive");
        let refused = write(&nowhere, "a.ndjson").unwrap_err().to_string();
        assert!(refused.contains("/nonexistent/archive/a.ndjson"), "{refused}");
        let missing = nowhere.read("a.ndjson", &BTreeSet::new()).unwrap_err().to_string();
        assert!(missing.contains("/nonexistent/archive/a.ndjson"), "{missing}");
    }
}
