//! Files of newline-delimited events: read line by line, judged as the queue's door would.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::fs::File;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::contract::limits::BODY_MAX;
use crate::contract::{InputType, Message, Rejection, Span, Stream, Timestamp, intake};

/// Reading a file failed.
#[derive(Debug, thiserror::Error)]
#[error("can't read {}: {source}", .path.display())]
pub struct ReadError {
    path: PathBuf,
    source: io::Error,
}

/// A line of a file, without its line break. Empty lines are passed over.
pub struct Line {
    /// From 1.
    pub number: u64,
    pub bytes: Vec<u8>,
    /// What the line took of the file, for progress.
    pub length: u64,
}

/// The lines of a file, or of standard input.
pub struct Lines {
    path: PathBuf,
    reader: Box<dyn AsyncBufRead + Send + Unpin>,
    number: u64,
}

/// No event is longer; what is, is cut here and found too large.
const LINE_MAX: u64 = 4 * BODY_MAX as u64;

impl Lines {
    /// `-` is standard input.
    pub async fn open(path: &Path) -> Result<Lines, ReadError> {
        let reader: Box<dyn AsyncBufRead + Send + Unpin> = match path.to_str() {
            Some("-") => Box::new(BufReader::new(tokio::io::stdin())),
            _ => Box::new(BufReader::new(
                File::open(path).await.map_err(|source| failed(path, source))?,
            )),
        };
        Ok(Lines { path: path.to_owned(), reader, number: 0 })
    }

    pub async fn next(&mut self) -> Result<Option<Line>, ReadError> {
        loop {
            let mut bytes = Vec::new();
            let read = (&mut self.reader).take(LINE_MAX).read_until(b'\n', &mut bytes).await;
            let length = read.map_err(|source| failed(&self.path, source))?;
            if length == 0 {
                return Ok(None);
            }
            let whole = bytes.last() == Some(&b'\n') || (length as u64) < LINE_MAX;
            let skipped = if whole { 0 } else { self.skip_rest().await? };
            self.number += 1;
            let end =
                bytes.iter().rposition(|byte| !byte.is_ascii_whitespace()).map_or(0, |at| at + 1);
            bytes.truncate(end);
            if !bytes.is_empty() {
                return Ok(Some(Line {
                    number: self.number,
                    bytes,
                    length: length as u64 + skipped,
                }));
            }
        }
    }

    /// Passes over the rest of a line that is too long to be an event.
    async fn skip_rest(&mut self) -> Result<u64, ReadError> {
        let mut skipped = 0;
        loop {
            let buffer =
                self.reader.fill_buf().await.map_err(|source| failed(&self.path, source))?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (taken, done) =
                (end.map_or(buffer.len(), |at| at + 1), end.is_some() || buffer.is_empty());
            self.reader.consume(taken);
            skipped += taken as u64;
            if done {
                return Ok(skipped);
            }
        }
    }
}

fn failed(path: &Path, source: io::Error) -> ReadError {
    ReadError { path: path.to_owned(), source }
}

/// The size of all files together; `None` where one isn't a regular file.
pub async fn total_size(paths: &[PathBuf]) -> Option<u64> {
    let mut total = 0;
    for path in paths {
        let metadata = tokio::fs::metadata(path).await.ok()?;
        total += metadata.is_file().then_some(metadata.len())?;
    }
    Some(total)
}

/// What a line says of its own type, however wrong the rest is.
pub struct Named {
    pub type_name: Option<String>,
    pub stream: Option<Stream>,
}

pub fn named(line: &[u8]) -> Named {
    let value: Option<Value> = serde_json::from_slice(line).ok();
    let type_name = value.and_then(|value| Some(value.get("type")?.as_str()?.to_owned()));
    let stream = type_name.as_deref().and_then(InputType::from_name).map(InputType::stream);
    Named { type_name, stream }
}

/// Judges a line as the queue of its type's stream would; one of an unknown type as any would.
pub fn judge(line: &[u8], max_clock_skew: Span) -> Result<Stream, Box<Rejection>> {
    let stream = named(line).stream.unwrap_or(Stream::Orders);
    let message = Message { body: line, content_type: None, attributes: &[], stream };
    let now = Timestamp::from_chrono(chrono::Utc::now());
    intake(&message, now, max_clock_skew).map(|_| stream)
}
