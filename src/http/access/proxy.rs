//! A proxy that signs people in and says who they are. Only who comes from its address is
//! believed.

use std::net::IpAddr;

use axum::http::HeaderMap;

use super::{Actor, Roles};
use crate::config::{ConsoleSettings, Network};
use crate::desk::who::cleaned;

pub struct Proxies {
    trusted: Vec<Network>,
    user: String,
    roles: Option<String>,
}

impl Proxies {
    /// `None` where no header is set up, or nobody is trusted to send it.
    pub fn of(settings: &ConsoleSettings) -> Option<Proxies> {
        let user = settings.console_user_header.clone()?;
        if settings.console_proxies.is_empty() {
            tracing::error!(
                "console-user-header is set without console-proxies: nobody is trusted to send it"
            );
            return None;
        }
        let (trusted, roles) =
            (settings.console_proxies.clone(), settings.console_roles_header.clone());
        Some(Proxies { trusted, user, roles })
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.holds(address))
    }

    /// Whom the proxy names. Without a header for roles everybody may look only; a role that
    /// there isn't gives none.
    pub fn actor(&self, headers: &HeaderMap, peer: IpAddr) -> Option<Actor> {
        if !self.trusts(peer) {
            return None;
        }
        let name = cleaned(only(headers, &self.user)?)?;
        let roles = self.roles.as_ref().and_then(|header| only(headers, header));
        let roles = roles.and_then(Roles::read).unwrap_or_default();
        Some(Actor { name, roles, signed_in: false })
    }

    /// Who stands behind the trusted proxies: the last address that is none of theirs.
    pub fn client(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let lines = headers.get_all("x-forwarded-for").into_iter().filter_map(|v| v.to_str().ok());
        let all: Vec<IpAddr> =
            lines.flat_map(|line| line.split(',')).filter_map(|a| a.trim().parse().ok()).collect();
        all.into_iter().rev().find(|address| !self.trusts(*address)).unwrap_or(peer)
    }
}

/// A header that is there once: where it is there twice, nobody knows which one the proxy wrote.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).into_iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> Proxies {
        Proxies {
            trusted: vec!["10.0.0.0/24".parse().unwrap()],
            user: "x-user".into(),
            roles: Some("x-roles".into()),
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_a_trusted_proxy_says_who_it_is() {
        let [proxy, other]: [IpAddr; 2] =
            ["10.0.0.9", "10.0.1.9"].map(|text| text.parse().unwrap());
        let named = headers(&[("x-user", "hanako"), ("x-roles", "operator")]);
        let actor = proxies().actor(&named, proxy).unwrap();
        assert!(actor.name == "hanako" && actor.roles.operator && !actor.roles.revealer);
        assert_eq!(proxies().actor(&named, other), None);
        let twice = headers(&[("x-user", "hanako"), ("x-user", "root")]);
        assert_eq!(proxies().actor(&twice, proxy), None);
        let strange = headers(&[("x-user", "hanako"), ("x-roles", "operator,root")]);
        assert_eq!(proxies().actor(&strange, proxy).unwrap().roles, Roles::default());
    }

    #[test]
    fn who_fails_is_known_behind_the_proxy() {
        let via = headers(&[("x-forwarded-for", "1.1.1.1, 192.0.2.7, 10.0.0.3")]);
        let [proxy, other]: [IpAddr; 2] =
            ["10.0.0.9", "192.0.2.9"].map(|text| text.parse().unwrap());
        assert_eq!(proxies().client(&via, proxy).to_string(), "192.0.2.7");
        assert_eq!(proxies().client(&via, other), other);
    }
}
