//! Messages as the rest of the program sees them: plain data.

use std::fmt;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::ShortString;

use super::Token;
use super::headers::{self, Headers};
use crate::contract::Stream;

/// A received message. Shown without its body and headers, which may hold personal data.
#[derive(Clone, PartialEq)]
pub struct Delivery {
    /// What it is acknowledged by.
    pub token: Token,
    /// `None`: from the dead queue, or a derived event.
    pub stream: Option<Stream>,
    pub exchange: String,
    pub routing_key: String,
    /// It was delivered before, to this process or another.
    pub redelivered: bool,
    pub properties: Properties,
    pub body: Vec<u8>,
}

/// What a message says about itself beside its body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub headers: Headers,
    pub message_id: Option<String>,
    /// The property `type`.
    pub event_type: Option<String>,
    /// Seconds since 1970.
    pub timestamp: Option<u64>,
}

/// A message to be sent. It is persistent. Shown without its body and headers, too.
#[derive(Clone, PartialEq)]
pub struct Outgoing {
    /// Empty: the routing key is the name of a queue.
    pub exchange: String,
    pub routing_key: String,
    pub body: Bytes,
    /// Left out of the message where it is longer than the 255 bytes that AMQP has room for.
    pub message_id: String,
    /// The property `type`; left out likewise.
    pub event_type: String,
    /// Seconds since 1970; AMQP knows no time before.
    pub timestamp: Option<u64>,
    pub content_type: String,
    /// Among them `CC`, a list of further routing keys.
    pub headers: Headers,
    /// Ask the broker whether any queue took it. Otherwise it counts as routed.
    pub mandatory: bool,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("token", &self.token)
            .field("routing_key", &self.routing_key)
            .field("redelivered", &self.redelivered)
            .field("message_id", &self.properties.message_id)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("exchange", &self.exchange)
            .field("routing_key", &self.routing_key)
            .field("message_id", &self.message_id)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Delivery {
    pub(super) fn new(
        token: Token,
        stream: Option<Stream>,
        from: lapin::message::Delivery,
    ) -> Self {
        Delivery {
            token,
            stream,
            exchange: from.exchange.into(),
            routing_key: from.routing_key.into(),
            redelivered: from.redelivered,
            properties: Properties::from(&from.properties),
            body: from.data,
        }
    }
}

impl From<&BasicProperties> for Properties {
    fn from(from: &BasicProperties) -> Self {
        let text = |field: &Option<ShortString>| field.as_ref().map(ToString::to_string);
        Properties {
            content_type: text(from.content_type()),
            content_encoding: text(from.content_encoding()),
            headers: from.headers().as_ref().map(headers::from_table).unwrap_or_default(),
            message_id: text(from.message_id()),
            event_type: text(from.kind()),
            timestamp: *from.timestamp(),
        }
    }
}

impl Outgoing {
    pub(super) fn properties(&self) -> BasicProperties {
        const PERSISTENT: u8 = 2;
        let mut properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_headers(headers::to_table(&self.headers));
        if let Ok(content_type) = ShortString::try_new(&*self.content_type) {
            properties = properties.with_content_type(content_type);
        }
        if let Ok(message_id) = ShortString::try_new(&*self.message_id) {
            properties = properties.with_message_id(message_id);
        }
        if let Ok(event_type) = ShortString::try_new(&*self.event_type) {
            properties = properties.with_type(event_type);
        }
        match self.timestamp {
            Some(seconds) => properties.with_timestamp(seconds),
            None => properties,
        }
    }
}
