//! Who may use the console, and how it knows.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use fluent_uri::Uri;

use super::Effective;
use crate::contract::Span;

/// Who may use the console.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Console (on any address but loopback it asks for sign-in)")]
pub struct ConsoleSettings {
    /// The file of who may sign in: lines that `otodoke token` writes
    #[arg(long, global = true, env = "OTODOKE_CONSOLE_TOKENS", value_name = "FILE")]
    pub console_tokens: Option<PathBuf>,
    /// The header in which a trusted proxy names who is signed in, such as X-Forwarded-User
    #[arg(long, global = true, env = "OTODOKE_CONSOLE_USER_HEADER", value_name = "HEADER",
          value_parser = header)]
    pub console_user_header: Option<String>,
    /// The header in which it names the roles: viewer, operator, revealer, divided by commas
    #[arg(long, global = true, env = "OTODOKE_CONSOLE_ROLES_HEADER", value_name = "HEADER",
          value_parser = header)]
    pub console_roles_header: Option<String>,
    /// The addresses of trusted proxies, divided by commas: 10.0.0.7, or 10.0.0.0/24
    #[arg(
        long,
        global = true,
        env = "OTODOKE_CONSOLE_PROXIES",
        value_name = "ADDRESSES",
        value_delimiter = ','
    )]
    pub console_proxies: Vec<Network>,
    /// Where people reach the console, as https://otodoke.example: other names are refused
    #[arg(long, global = true, env = "OTODOKE_CONSOLE_URL", value_name = "URL",
          value_parser = public_url)]
    pub console_url: Option<PublicUrl>,
    /// How long a sign-in lasts; without use a quarter of it
    #[arg(
        long,
        global = true,
        env = "OTODOKE_CONSOLE_SESSION",
        default_value = "12h",
        value_name = "DURATION"
    )]
    pub console_session: Span,
}

impl ConsoleSettings {
    pub(super) fn effective(&self) -> Vec<Effective> {
        let or_not = |value: Option<String>| value.unwrap_or("(not set)".into());
        let row = |name, variable, value| Effective { name, variable, value: or_not(value) };
        let tokens = self.console_tokens.as_ref().map(|path| path.display().to_string());
        let proxies: Vec<String> = self.console_proxies.iter().map(Network::to_string).collect();
        let proxies = Some(proxies.join(",")).filter(|proxies| !proxies.is_empty());
        let url = self.console_url.as_ref().map(|url| url.origin.clone());
        vec![
            row("console-tokens", "OTODOKE_CONSOLE_TOKENS", tokens),
            row(
                "console-user-header",
                "OTODOKE_CONSOLE_USER_HEADER",
                self.console_user_header.clone(),
            ),
            row(
                "console-roles-header",
                "OTODOKE_CONSOLE_ROLES_HEADER",
                self.console_roles_header.clone(),
            ),
            row("console-proxies", "OTODOKE_CONSOLE_PROXIES", proxies),
            row("console-url", "OTODOKE_CONSOLE_URL", url),
            row(
                "console-session",
                "OTODOKE_CONSOLE_SESSION",
                Some(self.console_session.to_string()),
            ),
        ]
    }
}

/// Scheme, host and port, as a browser writes an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    pub origin: String,
    /// Host and port.
    pub authority: String,
}

impl PublicUrl {
    pub fn is_secure(&self) -> bool {
        self.origin.starts_with("https:")
    }
}

fn public_url(text: &str) -> Result<PublicUrl, String> {
    let wrong = || format!("`{text}` is no address such as https://otodoke.example");
    let uri = Uri::parse(text).map_err(|_| wrong())?;
    let scheme = uri.scheme().as_str().to_lowercase();
    let authority = uri.authority().filter(|authority| !authority.has_userinfo());
    let is_bare = matches!(uri.path().as_str(), "" | "/") && uri.query().is_none();
    match authority.map(|authority| authority.as_str().to_lowercase()) {
        Some(authority)
            if is_bare && matches!(scheme.as_str(), "http" | "https") && !authority.is_empty() =>
        {
            Ok(PublicUrl { origin: format!("{scheme}://{authority}"), authority })
        }
        _ => Err(wrong()),
    }
}

fn header(name: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match !name.is_empty() && name.chars().all(is_name) {
        true => Ok(name.to_ascii_lowercase()),
        false => Err(format!("`{name}` is no header's name")),
    }
}

/// An address, or all that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    pub fn holds(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(one)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                net.to_bits() & mask == one.to_bits() & mask
            }
            (IpAddr::V6(net), IpAddr::V6(one)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                net.to_bits() & mask == one.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let wrong = || format!("`{text}` is no address such as 10.0.0.7 or 10.0.0.0/24");
        let (address, bits) = text.trim().split_once('/').unwrap_or((text.trim(), ""));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = if bits.is_empty() { most } else { bits.parse().map_err(|_| wrong())? };
        if bits > most { Err(wrong()) } else { Ok(Network { address, bits }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_begins_alike() {
        let holds = |net: &str, one: &str| {
            net.parse::<Network>().unwrap().holds(one.parse::<IpAddr>().unwrap())
        };
        assert!(holds("10.0.0.7", "10.0.0.7") && !holds("10.0.0.7", "10.0.0.8"));
        assert!(holds("10.0.0.0/24", "10.0.0.255") && !holds("10.0.0.0/24", "10.0.1.0"));
        assert!(holds("0.0.0.0/0", "192.0.2.1") && holds("fd00::/8", "fd12::1"));
        assert!(holds("10.0.0.7", "::ffff:10.0.0.7") && !holds("10.0.0.7", "::1"));
        assert!("10.0.0.0/33".parse::<Network>().is_err() && "ops".parse::<Network>().is_err());
    }

    #[test]
    fn a_public_address_is_an_origin() {
        let url = public_url("https://Otodoke.example:8443/").unwrap();
        assert_eq!((url.origin.as_str(), url.is_secure()), ("https://otodoke.example:8443", true));
        for wrong in ["otodoke.example", "ftp://x", "https://u:p@x", "https://x/console", ""] {
            assert!(public_url(wrong).is_err(), "{wrong}");
        }
    }
}
