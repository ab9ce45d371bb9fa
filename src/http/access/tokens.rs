//! Named tokens in a file. They are 256 random bits, so a plain digest of one tells nobody
//! anything; a slow hash would only slow down who has one.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest as _, Sha256};

use super::{Actor, Roles};
use crate::contract::Timestamp;

/// SHA-256 of a token.
pub type Digest = [u8; 32];

/// What every token begins with, so that scanners for secrets know one.
const PREFIX: &str = "otk_";
/// How long the file is believed to be as it was.
const BELIEVED: Duration = Duration::from_secs(1);

pub fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

/// Whom a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub name: String,
    pub roles: Roles,
    pub until: Option<Timestamp>,
    digest: Digest,
}

impl Holder {
    /// A new token for somebody; the token itself is nowhere but in what this returns.
    pub fn issue(
        name: &str,
        roles: Roles,
        until: Option<Timestamp>,
    ) -> Result<(Holder, String), getrandom::Error> {
        let token = format!("{PREFIX}{}", hex(&random()?));
        let digest = digest(&token);
        Ok((Holder { name: name.to_owned(), roles, until, digest }, token))
    }

    pub fn actor(&self, signed_in: bool) -> Actor {
        Actor { name: self.name.clone(), roles: self.roles, signed_in }
    }

    /// As the file has it.
    pub fn line(&self) -> String {
        let until = self.until.map_or(String::new(), |until| format!(" until:{until}"));
        format!("{} {} sha256:{}{until}", self.name, self.roles.names(), hex(&self.digest))
    }

    /// Reads a line of the file.
    fn read(line: &str) -> Option<Holder> {
        let mut words = line.split_whitespace();
        let name = words.next().filter(|name| is_name(name))?.to_owned();
        let roles = Roles::read(words.next()?)?;
        let digest = from_hex(words.next()?.strip_prefix("sha256:")?)?;
        let until = match words.next() {
            None => None,
            Some(word) => Some(word.strip_prefix("until:")?.parse().ok()?),
        };
        words.next().is_none().then_some(Holder { name, roles, until, digest })
    }
}

/// A name as the file can hold it.
pub fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    !name.is_empty() && name.chars().count() <= 64 && name.chars().all(fits)
}

/// 256 bits from the system.
pub fn random() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all that is written to it");
        text
    })
}

fn from_hex(text: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(digest)
}

/// The file. It is read again when it has changed: who is taken out is out within a second.
pub struct Tokens {
    path: PathBuf,
    read: Mutex<Option<Read>>,
}

struct Read {
    looked: Instant,
    changed: Option<SystemTime>,
    holders: Vec<Holder>,
}

impl Tokens {
    pub fn of(path: PathBuf) -> Tokens {
        Tokens { path, read: Mutex::new(None) }
    }

    /// Whose token it is, if it is still good.
    pub fn find(&self, digest: Digest) -> Option<Holder> {
        let mut read = self.read.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if read.as_ref().is_none_or(|read| read.looked.elapsed() >= BELIEVED) {
            let before = read.take();
            *read = Some(self.look(before));
        }
        let now = Timestamp::from_chrono(chrono::Utc::now());
        let holders = read.iter().flat_map(|read| &read.holders);
        holders
            .filter(|holder| same(&holder.digest, &digest))
            .find(|holder| holder.until.is_none_or(|until| now < until))
            .cloned()
    }

    /// A file that can't be read lets nobody in.
    fn look(&self, before: Option<Read>) -> Read {
        let looked = Instant::now();
        let changed = std::fs::metadata(&self.path).and_then(|file| file.modified()).ok();
        if let Some(before) = before.filter(|before| changed.is_some() && before.changed == changed)
        {
            return Read { looked, ..before };
        }
        let text = std::fs::read_to_string(&self.path).unwrap_or_else(|error| {
            tracing::error!("the tokens can't be read, so nobody is let in: {error}");
            String::new()
        });
        Read { looked, changed, holders: holders(&text) }
    }
}

fn holders(text: &str) -> Vec<Holder> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|(number, line)| {
            let holder = Holder::read(line);
            if holder.is_none() {
                tracing::error!("line {number} of the tokens is not as `otodoke token` writes one");
            }
            holder
        })
        .collect()
}

/// In a time that doesn't tell how much of it is the same.
fn same(one: &Digest, other: &Digest) -> bool {
    one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let roles = Roles { operator: true, revealer: false };
        let until = "2027-01-31T00:00:00Z".parse().ok();
        let (holder, token) = Holder::issue("hanako@ops", roles, until).unwrap();
        assert_eq!(Holder::read(&holder.line()), Some(holder.clone()));
        assert_eq!(holder.digest, digest(&token));
        assert!(token.starts_with("otk_") && token.len() == 68 && !holder.line().contains(&token));
    }

    #[test]
    fn what_is_no_line_lets_nobody_in() {
        let hex = "0".repeat(64);
        for wrong in [
            "hanako".to_owned(),
            format!("hanako admin sha256:{hex}"),
            format!("hanako operator {hex}"),
            format!("hanako operator sha256:{}", &hex[1..]),
            format!("hanako operator sha256:{hex} until:tomorrow"),
            format!("<b> operator sha256:{hex}"),
        ] {
            assert_eq!(Holder::read(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn who_is_taken_out_of_the_file_is_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let (holder, token) = Holder::issue("hanako", Roles::default(), None).unwrap();
        let (past, old) = Holder::issue("taro", Roles::ALL, Some(Timestamp::MIN)).unwrap();
        std::fs::write(&path, format!("# who\n{}\n{}\n", holder.line(), past.line())).unwrap();
        let tokens = Tokens::of(path.clone());
        assert_eq!(tokens.find(digest(&token)).map(|holder| holder.name), Some("hanako".into()));
        assert_eq!(tokens.find(digest(&old)), None);
        std::fs::remove_file(path).unwrap();
        tokens.read.lock().unwrap().as_mut().unwrap().looked -= BELIEVED;
        assert_eq!(tokens.find(digest(&token)), None);
    }
}
