//! Who has signed in with a token, in memory: when the process ends, so do the sign-ins.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, header};

use super::tokens::{self, Digest};
use crate::contract::Span;

/// The most sign-ins that are kept; beyond that the one unused longest ends.
const MOST: usize = 1_000;

/// A cookie's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie(pub HeaderValue);

/// The sign-ins.
pub struct Sessions {
    lasts: Duration,
    idle: Duration,
    held: Mutex<HashMap<Digest, Session>>,
}

struct Session {
    token: Digest,
    begun: Instant,
    used: Instant,
}

impl Sessions {
    pub fn lasting(lasts: Span) -> Sessions {
        let lasts = Duration::from_micros(lasts.micros().unsigned_abs());
        Sessions { lasts, idle: lasts / 4, held: Mutex::default() }
    }

    /// The digest of the token that this browser has signed in with.
    pub fn token(&self, headers: &HeaderMap) -> Option<Digest> {
        let key = tokens::digest(cookie(headers)?);
        let mut held = self.held();
        let session = held.get_mut(&key)?;
        if session.begun.elapsed() >= self.lasts || session.used.elapsed() >= self.idle {
            held.remove(&key);
            return None;
        }
        session.used = Instant::now();
        Some(session.token)
    }

    /// A new session, and the cookie that names it. The name is kept as a digest only.
    pub fn begin(&self, token: Digest, is_secure: bool) -> Cookie {
        let Ok(name) = tokens::random().map(|bytes| tokens::hex(&bytes)) else {
            tracing::error!("the system gives no random bytes: nobody can sign in");
            return set(is_secure, "", 0);
        };
        let now = Instant::now();
        let mut held = self.held();
        let (lasts, idle) = (self.lasts, self.idle);
        held.retain(|_, old| old.begun.elapsed() < lasts && old.used.elapsed() < idle);
        if held.len() >= MOST
            && let Some(oldest) = held.iter().min_by_key(|(_, old)| old.used).map(|(key, _)| *key)
        {
            held.remove(&oldest);
        }
        held.insert(tokens::digest(&name), Session { token, begun: now, used: now });
        set(is_secure, &name, self.lasts.as_secs())
    }

    pub fn end(&self, headers: &HeaderMap, is_secure: bool) -> Cookie {
        if let Some(name) = cookie(headers) {
            self.held().remove(&tokens::digest(name));
        }
        set(is_secure, "", 0)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Session>> {
        self.held.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A browser takes the first only over https, from this host, and for all of it.
const NAMES: [&str; 2] = ["__Host-otodoke", "otodoke"];

fn cookie(headers: &HeaderMap) -> Option<&str> {
    NAMES.into_iter().find_map(|name| named(headers, name))
}

/// A cookie's value.
pub fn named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(held, value)| (held == name).then_some(value))
}

fn set(is_secure: bool, value: &str, seconds: u64) -> Cookie {
    let (name, secure) = if is_secure { (NAMES[0], "; Secure") } else { (NAMES[1], "") };
    let text =
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    Cookie(HeaderValue::from_str(&text).expect("a cookie of ours is of visible letters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn browser(cookie: &Cookie) -> HeaderMap {
        let pair = cookie.0.to_str().unwrap().split(';').next().unwrap().to_owned();
        HeaderMap::from_iter([(header::COOKIE, format!("lang=ja; {pair}").parse().unwrap())])
    }

    #[test]
    fn a_session_ends_with_its_time_or_when_it_is_left() {
        let token = [7; 32];
        let sessions = Sessions::lasting(Span::hours(1));
        let cookie = sessions.begin(token, true);
        let text = cookie.0.to_str().unwrap();
        assert!(text.starts_with("__Host-otodoke=") && text.contains("; Secure"), "{text}");
        assert!(text.contains("HttpOnly; SameSite=Strict"), "{text}");
        assert_eq!(sessions.token(&browser(&cookie)), Some(token));
        sessions.end(&browser(&cookie), true);
        assert_eq!(sessions.token(&browser(&cookie)), None);

        let brief = Sessions::lasting(Span::seconds(0));
        let cookie = brief.begin(token, false);
        assert_eq!(brief.token(&browser(&cookie)), None);
    }

    #[test]
    fn a_name_that_nobody_was_given_is_nobodys() {
        let sessions = Sessions::lasting(Span::hours(1));
        sessions.begin([7; 32], false);
        let forged = HeaderMap::from_iter([(header::COOKIE, "otodoke=00".parse().unwrap())]);
        assert_eq!(sessions.token(&forged), None);
        assert_eq!(sessions.token(&HeaderMap::new()), None);
    }
}
