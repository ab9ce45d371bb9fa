//! What to do where TLS fails: libraries say what is wrong, in words for their own authors.

use std::error::Error;

/// What to do about an error that a certificate is the cause of; `None` where none is.
pub fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        text.push_str(&error.to_string().to_lowercase());
        text.push('\n');
        next = error.source();
    }
    ADVICE.iter().find(|(words, _)| words.iter().any(|word| text.contains(word))).map(|(_, a)| *a)
}

/// By what rustls says, and what the other side's alerts are called.
const ADVICE: [(&[&str], &str); 6] = [
    (
        &["unknownissuer", "unknown issuer", "unknownca"],
        "nobody vouches for the server's certificate: name the file of its authority's certificate \
         (cacertfile=… in AMQP_URL, sslrootcert=… in DATABASE_URL)",
    ),
    (
        &["not valid for name", "notvalidforname", "not valid for any names"],
        "the server's certificate is for another name: connect by the name that stands in it, or \
         have one made for this name",
    ),
    (
        &["expired", "notvalidyet", "not valid yet"],
        "a certificate has expired, or is not valid yet: have it renewed, and look at the clocks of \
         both machines",
    ),
    (
        &[
            "certificaterequired",
            "certificate required",
            "handshakefailure",
            "badcertificate",
            "connection requires a valid client certificate",
        ],
        "the server wants a certificate of this program, or doesn't take the one it was shown: name \
         one that it knows (certfile=… and keyfile=… in AMQP_URL, sslcert=… and sslkey=… in DATABASE_URL)",
    ),
    (&["server does not support tls"], "the server speaks no TLS: turn it on there (ssl = on)"),
    (
        &["invalidcontenttype", "corrupt message", "invalidmessage"],
        "the server speaks no TLS on this port: RabbitMQ has another one for it, 5671",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_for_certificates_only() {
        let error = |text: &str| std::io::Error::other(text.to_owned());
        assert!(advice(&error("invalid peer certificate: UnknownIssuer")).is_some());
        assert!(advice(&error("invalid peer certificate: Expired")).unwrap().contains("renewed"));
        assert!(advice(&error("connection refused")).is_none());
    }
}
