//! Who may see the console, and who may act in it.
//!
//! On a loopback address nobody is asked who he is: whoever is on this machine may do with the
//! command line what the console does. On any other address it is closed until sign-in is set
//! up, by tokens or by a proxy that is trusted.

mod attempts;
mod guard;
mod hosts;
mod proxy;
mod sessions;
pub mod tokens;

use std::net::IpAddr;

use axum::http::HeaderMap;

pub use guard::{Operator, Revealer, guard, secure};
pub use sessions::{Cookie, named as cookie_named};

use self::attempts::Attempts;
use self::hosts::Hosts;
use self::proxy::Proxies;
use self::sessions::Sessions;
use self::tokens::Tokens;
use crate::config::ConsoleSettings;
use crate::desk::who::who;

/// What somebody may do beside looking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Acts: replays, discards, pauses.
    pub operator: bool,
    /// Sees personal data, which is recorded.
    pub revealer: bool,
}

impl Roles {
    const ALL: Roles = Roles { operator: true, revealer: true };

    /// From words divided by commas; `None` where one of them is no role.
    pub fn read(text: &str) -> Option<Roles> {
        let mut roles = Roles::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "viewer" => {}
                "operator" => roles.operator = true,
                "revealer" => roles.revealer = true,
                _ => return None,
            }
        }
        Some(roles)
    }

    pub fn names(self) -> String {
        let names = [(true, "viewer"), (self.operator, "operator"), (self.revealer, "revealer")];
        let held: Vec<&str> =
            names.into_iter().filter_map(|(held, name)| held.then_some(name)).collect();
        held.join(",")
    }
}

/// Somebody who looks or acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// As it goes into the audit trail.
    pub name: String,
    pub roles: Roles,
    /// By a token in this browser, so that there is something to sign out of.
    pub signed_in: bool,
}

/// Why somebody isn't let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The address isn't loopback, and no sign-in is set up.
    Closed,
    /// Nobody is signed in.
    SignIn,
    /// A proxy should have said who it is, and there are no tokens to sign in with.
    Proxy,
}

/// What came of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedIn {
    Yes(Cookie),
    No,
    /// Too many have failed: again in so many seconds.
    Wait(u64),
}

/// The gatekeeper.
pub struct Access {
    is_loopback: bool,
    tokens: Option<Tokens>,
    proxies: Option<Proxies>,
    hosts: Hosts,
    sessions: Sessions,
    attempts: Attempts,
    is_secure: bool,
    origin: Option<String>,
}

impl Access {
    pub fn new(settings: &ConsoleSettings, listening: IpAddr) -> Access {
        let is_loopback = listening.is_loopback();
        Access {
            is_loopback,
            tokens: settings.console_tokens.clone().map(Tokens::of),
            proxies: Proxies::of(settings),
            hosts: Hosts::new(settings, is_loopback),
            sessions: Sessions::lasting(settings.console_session),
            attempts: Attempts::default(),
            is_secure: settings.console_url.as_ref().is_some_and(|url| url.is_secure()),
            origin: settings.console_url.as_ref().map(|url| url.origin.clone()),
        }
    }

    /// The public origin, where one is set.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Whether people can sign in with a token.
    pub fn takes_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    fn is_open(&self) -> bool {
        self.is_loopback && self.tokens.is_none() && self.proxies.is_none()
    }

    /// Whether the console is closed altogether.
    pub fn is_closed(&self) -> bool {
        !self.is_loopback && self.tokens.is_none() && self.proxies.is_none()
    }

    /// Whether a request's Host may be meant for us: a name that somebody else points here may
    /// not.
    pub fn knows_host(&self, headers: &HeaderMap) -> bool {
        self.hosts.knows(headers)
    }

    /// Who it is.
    pub fn admit(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Actor, Denied> {
        if self.is_closed() {
            return Err(Denied::Closed);
        }
        if self.is_open() {
            return Ok(Actor { name: who(), roles: Roles::ALL, signed_in: false });
        }
        let named = self.proxies.as_ref().and_then(|proxies| proxies.actor(headers, peer));
        if let Some(actor) = named.or_else(|| self.by_token(headers)) {
            return Ok(actor);
        }
        Err(if self.tokens.is_some() { Denied::SignIn } else { Denied::Proxy })
    }

    /// Whether who was let in would still be, for what goes on and on.
    pub fn still_admits(&self, headers: &HeaderMap, peer: IpAddr) -> bool {
        self.admit(headers, peer).is_ok()
    }

    /// By a token that comes with the request, or one that a session was begun with.
    fn by_token(&self, headers: &HeaderMap) -> Option<Actor> {
        let tokens = self.tokens.as_ref()?;
        if let Some(token) = bearer(headers) {
            return tokens.find(tokens::digest(token)).map(|holder| holder.actor(false));
        }
        let digest = self.sessions.token(headers)?;
        tokens.find(digest).map(|holder| holder.actor(true))
    }

    /// Takes a token for a cookie. The session lives as long as its token stands in the file.
    pub fn sign_in(&self, token: &str, headers: &HeaderMap, peer: IpAddr) -> SignedIn {
        let client = self.proxies.as_ref().map_or(peer, |proxies| proxies.client(headers, peer));
        if let Some(seconds) = self.attempts.must_wait(client) {
            return SignedIn::Wait(seconds);
        }
        let digest = tokens::digest(token.trim());
        let holder = self.tokens.as_ref().and_then(|tokens| tokens.find(digest));
        let Some(holder) = holder else {
            self.attempts.failed(client);
            tracing::warn!("somebody at {client} tried to sign in with a token that is not known");
            return SignedIn::No;
        };
        tracing::info!("{} signed in", holder.name);
        SignedIn::Yes(self.sessions.begin(digest, self.is_secure))
    }

    /// Ends the session, and returns the cookie that takes the browser's away.
    pub fn sign_out(&self, headers: &HeaderMap) -> Cookie {
        self.sessions.end(headers, self.is_secure)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(axum::http::header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_words_and_nothing_else() {
        assert_eq!(Roles::read("operator, revealer"), Some(Roles::ALL));
        assert_eq!(Roles::read("viewer"), Some(Roles::default()));
        assert_eq!(Roles::read("operator,admin"), None);
        assert_eq!(Roles::ALL.names(), "viewer,operator,revealer");
    }
}
