//! What exchanges and queues are called.

use super::BrokerError;
use crate::contract::Stream;

/// AMQP's names have 255 bytes; the rest is for what follows the prefix.
const PREFIX_LIMIT: usize = 200;

/// The names of exchanges and queues, with the prefix that lets several installations share
/// a broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Ends with a dot, or is empty.
    prefix: String,
}

impl Names {
    /// An empty prefix is none.
    pub fn new(prefix: &str) -> Result<Names, BrokerError> {
        if prefix.len() > PREFIX_LIMIT {
            let prefix = prefix.to_owned();
            return Err(BrokerError::Prefix { prefix, limit: PREFIX_LIMIT });
        }
        let dot = if prefix.is_empty() { "" } else { "." };
        Ok(Names { prefix: format!("{prefix}{dot}") })
    }

    /// The exchange that input events are published to.
    pub fn events(&self) -> String {
        format!("{}marketplace.events", self.prefix)
    }

    /// The exchange that derived events are published to.
    pub fn derived(&self) -> String {
        format!("{}marketplace.derived", self.prefix)
    }

    /// The exchange, and the queue bound to it, for what the broker gives up.
    pub fn dead(&self) -> String {
        format!("{}otodoke.dead", self.prefix)
    }

    /// The queue of a stream.
    pub fn queue(&self, stream: Stream) -> String {
        format!("{}otodoke.{}", self.prefix, stream.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stands_before_every_name() {
        let names = Names::new("shop").unwrap();
        assert_eq!(names.events(), "shop.marketplace.events");
        assert_eq!(names.derived(), "shop.marketplace.derived");
        assert_eq!(names.dead(), "shop.otodoke.dead");
        assert_eq!(names.queue(Stream::Orders), "shop.otodoke.orders");
        assert_eq!(Names::default().queue(Stream::Messages), "otodoke.messages");
        assert!(Names::new(&"x".repeat(201)).is_err());
    }
}
