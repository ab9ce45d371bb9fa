//! The names that the console answers to. A page somewhere else may let its own name point to
//! this machine and then ask as if it were from here; its requests still carry its name.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

use crate::config::ConsoleSettings;

pub struct Hosts {
    /// Host and port of the public address.
    public: Option<String>,
    takes_local: bool,
    takes_any: bool,
}

impl Hosts {
    pub fn new(settings: &ConsoleSettings, is_loopback: bool) -> Hosts {
        let public = settings.console_url.as_ref().map(|url| url.authority.clone());
        // Without a public address nobody knows what people call us; they sign in anyway.
        let takes_any = !is_loopback && public.is_none();
        Hosts { public, takes_local: is_loopback, takes_any }
    }

    pub fn knows(&self, headers: &HeaderMap) -> bool {
        let mut named = headers.get_all(header::HOST).into_iter();
        let (Some(host), None) = (named.next(), named.next()) else { return false };
        let Ok(host) = host.to_str() else { return false };
        self.takes_any
            || self.public.as_ref().is_some_and(|public| public.eq_ignore_ascii_case(host))
            || (self.takes_local && is_local(host))
    }
}

/// Whatever the port: it may be forwarded.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_somebody_else_points_here_is_not_local() {
        for local in ["localhost", "LOCALHOST:8080", "127.0.0.1:9", "[::1]:8080", "127.0.0.1"] {
            assert!(is_local(local), "{local}");
        }
        for other in ["rebind.example:8080", "127.0.0.1.example", "10.0.0.1", "", "localhost.x"] {
            assert!(!is_local(other), "{other}");
        }
    }
}
