//! What can go wrong between this process and the broker.

use std::time::Duration;

use thiserror::Error;

/// A failed action on the broker. Never holds a password.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// A setting is wrong: trying again doesn't help.
    #[error("`{url}` is no address of a broker ({reason}); write amqp://user:password@host/vhost")]
    Url { url: String, reason: String },
    /// A setting is wrong, or a file that it names.
    #[error("the certificates of `{url}` can't be used: {reason}")]
    Certificates { url: String, reason: String },
    /// A setting is wrong: trying again doesn't help.
    #[error("the prefix `{prefix}` is longer than {limit} bytes")]
    Prefix { prefix: String, limit: usize },
    #[error("cannot connect to {url}")]
    Connect { url: String, source: Fault },
    #[error("cannot open a channel")]
    Channel { source: Fault },
    #[error("cannot declare {what}")]
    Declare { what: String, source: Fault },
    #[error("cannot delete {what}")]
    Remove { what: String, source: Fault },
    #[error("cannot ask for the depth of the queue `{queue}`")]
    Depth { queue: String, source: Fault },
    #[error("cannot consume the queue `{queue}`")]
    Consume { queue: String, source: Fault },
    #[error("the session broke while consuming the queue `{queue}`")]
    Deliver { queue: String, source: Fault },
    /// The broker cancelled the consumer, as it does when its queue is deleted.
    #[error("the broker ended the consumer of the queue `{queue}`: was the queue deleted?")]
    Ended { queue: String },
    #[error("cannot acknowledge")]
    Acknowledge { source: Fault },
    #[error("cannot publish")]
    Publish { source: Fault },
    #[error("the broker takes no messages for now: it is short of memory or disk space")]
    Blocked,
    #[error("the session is closed")]
    Closed,
}

impl BrokerError {
    /// Whether waiting may help. False where a setting is wrong.
    pub fn is_transient(&self) -> bool {
        !matches!(self, BrokerError::Url { .. } | BrokerError::Prefix { .. })
    }

    /// Whether the broker sent what the client can't read, such as a routing key that isn't
    /// UTF-8. The message comes again until its delivery limit moves it to the dead queue, and
    /// holds up all others until then: so a consumer of streams asks again at once.
    pub fn is_unreadable(&self) -> bool {
        let fault = std::error::Error::source(self).and_then(|source| source.downcast_ref());
        let Some(Fault::Client(error)) = fault else { return false };
        matches!(error.kind(), lapin::ErrorKind::ParsingError(_))
    }
}

/// Why an action failed.
#[derive(Debug, Error)]
pub enum Fault {
    #[error(transparent)]
    Client(#[from] lapin::Error),
    #[error("no answer within {0:?}")]
    Silence(Duration),
}

impl Fault {
    /// The broker's own words and the number of their kind, where it answered with an error.
    pub(super) fn reply(&self) -> Option<(u16, &str)> {
        match self {
            Fault::Client(error) => match error.kind() {
                lapin::ErrorKind::ProtocolError(reply) => {
                    Some((reply.get_id(), reply.get_message().as_str()))
                }
                _ => None,
            },
            Fault::Silence(_) => None,
        }
    }
}
