//! TLS to the broker: what an `amqps://` address says about certificates, and what to do where
//! they are refused.
//!
//! The parameters are those of RabbitMQ's own clients: `cacertfile`, `certfile`, `keyfile`.

use std::fs;

use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};

const PARAMETERS: [&str; 3] = ["cacertfile", "certfile", "keyfile"];

/// The files that an address names, read. The error is a sentence.
pub(super) fn config(url: &str) -> Result<OwnedTLSConfig, String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
    };
    let [authority, certificate, key] = PARAMETERS.map(value);
    let named = [&authority, &certificate, &key].iter().any(|file| file.is_some());
    if named && !url.starts_with("amqps://") {
        return Err("certificates are for amqps://".to_owned());
    }
    let identity = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            Some(OwnedIdentity::PKCS8 { pem: read(&certificate)?, key: read(&key)? })
        }
        _ => return Err("certfile and keyfile go together".to_owned()),
    };
    let authority = authority.map(|file| text(&file)).transpose()?;
    Ok(OwnedTLSConfig { identity, cert_chain: authority })
}

fn read(file: &str) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("the file {file} can't be read: {error}"))
}

/// An authority that holds none would silently not be trusted.
fn text(file: &str) -> Result<String, String> {
    let text = String::from_utf8(read(file)?).unwrap_or_default();
    match text.contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(text),
        false => Err(format!("the file {file} holds no certificate in PEM")),
    }
}

/// `%2f` and the like; what is malformed stays as it is.
fn decoded(value: &str) -> String {
    let bytes = value.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| value.get(at + 1..at + 3)).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_says_of_certificates_is_checked_when_it_is_read() {
        for (url, says) in [
            ("amqp://host?cacertfile=/x", "amqps://"),
            ("amqps://host?certfile=/x", "go together"),
            ("amqps://host?cacertfile=/nowhere%2Fca.pem", "/nowhere/ca.pem"),
        ] {
            let error = config(url).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        assert!(config("amqps://host?heartbeat=5").is_ok_and(|tls| tls.cert_chain.is_none()));
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = config(&format!("amqps://host?cacertfile={}", file.path().display()));
        assert!(error.unwrap_err().contains("no certificate"));
    }
}
