//! A marketplace of one test: services, a door that takes its events, and the program.

use std::ffi::OsStr;
use std::process::Output;

use assert_cmd::Command;
use otodoke::contract::{InputType, Message, Span, Stream, Timestamp, intake};
use otodoke::pipeline::apply::{Batch, Door, Outcome, Received, Settings};
use otodoke::rules::Policy;
use otodoke::store;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::Services;

pub struct Shop {
    pub services: Services,
    pub pool: PgPool,
    pub door: Door,
}

/// What a command came to.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Shop {
    pub async fn open() -> Shop {
        let services = Services::start().await;
        let pool = services.pool().await;
        store::migrate(&pool).await.unwrap();
        let settings = Settings {
            policy: Policy::default(),
            source: "/otodoke".to_owned(),
            publish_from: None,
        };
        let door = Door::open(pool.clone(), settings).await.unwrap();
        Shop { services, pool, door }
    }

    /// Takes an event of the seller's system, and returns what came of it.
    pub async fn take(&self, event_type: &str, id: &str, time: &str, data: Value) -> Outcome {
        let received = vec![self.received(event_type, id, time, data)];
        self.door.apply(&Batch { received, ..Batch::default() }).await.unwrap()
    }

    /// An event of the seller's system, as a queue gives it.
    pub fn received(&self, event_type: &str, id: &str, time: &str, data: Value) -> Received {
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/shop", "type": event_type, "time": time,
            "data": data,
        });
        let stream = InputType::from_name(event_type).map_or(Stream::Orders, InputType::stream);
        received(stream, event.to_string().as_bytes())
    }

    /// Takes the bytes of a message.
    pub async fn deliver(&self, stream: Stream, body: &[u8]) -> Outcome {
        let batch = Batch { received: vec![received(stream, body)], ..Batch::default() };
        self.door.apply(&batch).await.unwrap()
    }

    /// An order of two pieces, authorised.
    pub async fn place(&self, order: &str, time: &str) {
        let placed = order_placed(order, "authorized");
        self.take("order-placed", &format!("placed-{order}"), time, placed).await;
    }

    /// Runs `otodoke` with the test's services.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        run(arguments, self.services.database_url(), self.services.amqp_url(), &self.services)
    }

    /// The same with other variables of the environment.
    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let (database, broker) = (self.services.database_url(), self.services.amqp_url());
        let output = command(arguments, database, broker, &self.services)
            .envs(variables.iter().copied())
            .output();
        Ran::from(output.unwrap())
    }

    /// Runs a line of a shell that finds `otodoke` on this path.
    pub fn shell(&self, line: &str, path: &OsStr) -> Ran {
        let output = Command::new("sh")
            .args(["-c", line])
            .env("PATH", path)
            .env("DATABASE_URL", self.services.database_url())
            .env("AMQP_URL", self.services.amqp_url())
            .env("OTODOKE_PREFIX", self.services.prefix())
            .output();
        Ran::from(output.unwrap())
    }

    /// The same where it has to succeed; what it printed, as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
    }
}

/// The bytes of a message, as a queue gives them.
fn received(stream: Stream, body: &[u8]) -> Received {
    let content_type = Some("application/cloudevents+json");
    let message = Message { body, content_type, attributes: &[], stream };
    let now: Timestamp = "2026-03-20T00:00:00Z".parse().unwrap();
    Received {
        stream: Some(stream),
        routing_key: format!("{}.test", stream.name()),
        content_type: content_type.map(str::to_owned),
        headers: json!({ "x-first-death-queue": "q", "customer": "Hanako" }),
        body: body.to_vec(),
        judged: intake(&message, now, Span::minutes(10)).map_err(|rejection| *rejection),
        claim: None,
    }
}

/// Runs `otodoke` with these addresses.
pub fn run(arguments: &[&str], database_url: &str, amqp_url: &str, services: &Services) -> Ran {
    Ran::from(command(arguments, database_url, amqp_url, services).output().unwrap())
}

fn command(arguments: &[&str], database_url: &str, amqp_url: &str, services: &Services) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_otodoke"));
    command
        .args(arguments)
        .env_remove("VISUAL")
        .env("DATABASE_URL", database_url)
        .env("AMQP_URL", amqp_url)
        .env("OTODOKE_PREFIX", services.prefix());
    command
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        Ran { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

pub fn order_placed(order: &str, payment: &str) -> Value {
    json!({
        "order_id": order, "seller_id": "S1", "buyer_id": "B1", "sold_by": "seller",
        "fulfilled_by": "seller", "currency": "JPY", "payment": { "status": payment },
        "buyer_name": "Hanako Sato", "relay_email": "k2x9@Market.example", "phone": "+81-3-1",
        "ship_to": {
            "recipient": "Taro Sato", "postal_code": "100-0001", "region": "Tokyo",
            "city": "Chiyoda", "address_lines": ["1-1", "Tower", "Floor 7", "Door 8"],
            "country": "JP",
        },
        "lines": [{
            "line_id": "L1", "sku": "TEA", "title": "Tea\tset", "quantity": 2,
            "unit_price": 990, "tax": 180, "shipping_fee": 500,
        }],
    })
}
