//! A connection to the broker, opened and closed with a deadline.
//!
//! Consuming and publishing take a session each: the broker stops reading from
//! a connection that publishes while it is short of memory or disk, and acks on
//! the same connection would hang with it.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionBuilder, ConnectionProperties};

use super::{BrokerError, Fault, tls};
use crate::masking::masked_url;

/// How often either side shows that it is alive, in seconds, where the address sets nothing.
/// A dead connection is noticed within twice that time.
const HEARTBEAT_SECONDS: u16 = 15;
/// The longest frame, in bytes, where the address sets nothing: the broker's own limit, unless
/// that was changed. Where the client learns it from the broker, it enlarges its buffers (32
/// frames each way) and fills them with zeros: 8 MB of each connection, used or not.
const FRAME_MAX: u32 = 131_072;
/// How long opening a connection may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// How long the broker may take to answer a request.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// How long closing may take, after which the socket is simply dropped.
const CLOSE_DEADLINE: Duration = Duration::from_secs(3);

/// A connection. Closed when dropped, together with everything opened on it.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
}

impl Session {
    /// Connects to `amqp://…` or `amqps://…`, whose certificates are read anew each time. The
    /// purpose is shown in the broker's list of connections, as in `otodoke consume`.
    pub async fn open(url: &str, purpose: &str) -> Result<Session, BrokerError> {
        let (uri, tls) = (parse(url)?, certificates(url)?);
        let properties = ConnectionProperties::default()
            .with_connection_name(format!("otodoke {purpose}").into());
        let connecting = async {
            let builder = ConnectionBuilder::new()?.with_uri(uri).with_properties(properties);
            builder.with_tls_config(tls).connect().await
        };
        match within(CONNECT_DEADLINE, connecting).await {
            Ok(connection) => Ok(Session { connection }),
            Err(source) => Err(BrokerError::Connect { url: masked_url(url), source }),
        }
    }

    /// Closes politely. What still fails then is of no consequence: the connection is dropped.
    pub async fn close(self) {
        let closing = self.connection.close(200, "OK".into());
        if let Err(fault) = within(CLOSE_DEADLINE, closing).await {
            tracing::debug!("the connection was dropped without a farewell: {fault}");
        }
    }

    pub(super) async fn channel(&self) -> Result<Channel, BrokerError> {
        answered(self.connection.create_channel())
            .await
            .map_err(|source| BrokerError::Channel { source })
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.status().connected()
    }

    /// Whether the broker has stopped reading from this connection.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_connected() && self.connection.status().blocked()
    }

    /// Returns when the broker reads from this connection (again), or when it is lost.
    pub(super) async fn unblocked(&self) {
        // Listens before it looks, so that no change falls in between.
        let mut changes = std::pin::pin!(self.connection.events_listener());
        while self.is_blocked() && changes.next().await.is_some() {}
    }
}

/// Whether the address can be understood at all: to be asked once, when settings are read.
pub fn check_url(url: &str) -> Result<(), BrokerError> {
    parse(url)?;
    certificates(url).map(drop)
}

fn certificates(url: &str) -> Result<OwnedTLSConfig, BrokerError> {
    tls::config(url).map_err(|reason| BrokerError::Certificates { url: masked_url(url), reason })
}

fn parse(url: &str) -> Result<AMQPUri, BrokerError> {
    let mut uri: AMQPUri = url.parse().map_err(|reason: String| BrokerError::Url {
        url: masked_url(url),
        // The parser quotes what it was given, with the password.
        reason: reason.replace(url, &masked_url(url)),
    })?;
    if let Some(host) = ipv6_host(url) {
        uri.authority.host = host.to_owned();
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    // Without it the client's thread outlives our deadline by minutes.
    let milliseconds = CONNECT_DEADLINE.as_millis().try_into().expect("a deadline of seconds");
    uri.query.connection_timeout.get_or_insert(milliseconds);
    uri.query.frame_max.get_or_insert(FRAME_MAX);
    Ok(uri)
}

/// The client's parser takes `[::1]` for no host at all, and would connect to localhost.
fn ipv6_host(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.strip_prefix('[')?.split_once(']').map(|(address, _)| address)
}

/// An answer of the broker, within the time that every answer has.
pub(super) async fn answered<T>(
    request: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Fault> {
    within(ANSWER_DEADLINE, request).await
}

async fn within<T>(
    limit: Duration,
    request: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(limit, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Fault::Silence(limit)),
    }
}

/// Closes a channel, which hands back what it holds unacknowledged.
pub(super) async fn close_channel(channel: &Channel) {
    if let Err(fault) = within(CLOSE_DEADLINE, channel.close(200, "OK".into())).await {
        tracing::debug!("the channel was dropped without a farewell: {fault}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_own_heartbeat_and_gets_ours_where_it_has_none() {
        assert_eq!(parse("amqp://host").unwrap().query.heartbeat, Some(15));
        assert_eq!(parse("amqps://host?heartbeat=20").unwrap().query.heartbeat, Some(20));
    }

    #[test]
    fn an_ipv6_address_is_the_host() {
        let uri = parse("amqp://app:a@[::1]:5673/shop").unwrap();
        assert_eq!((uri.authority.host.as_str(), uri.authority.port), ("::1", 5673));
    }

    #[test]
    fn a_wrong_address_is_named_without_its_password() {
        for url in ["http://app:secret@host", "app:secret@host", "amqp://app:secret@host:port"] {
            let error = check_url(url).unwrap_err();
            assert!(!error.is_transient());
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
