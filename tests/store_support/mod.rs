//! A database of its own for each test, and events to send through the door.

use std::str::FromStr;

use otodoke::contract::{
    Accepted, Event, EventRef, Identifier, InputType, Rejection, RejectionCode, Stream, Timestamp,
};
use otodoke::pipeline::apply::{Batch, Door, Outcome, Received, Settings};
use otodoke::rules::{CaseId, Policy};
use otodoke::store;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use uuid::Uuid;

/// Runs a test on a migrated database of its own, which is dropped when it succeeds.
pub async fn with_database(test: impl AsyncFnOnce(PgPool)) {
    with_empty_database(async |pool| {
        store::migrate(&pool).await.unwrap();
        test(pool).await;
    })
    .await;
}

pub async fn with_empty_database(test: impl AsyncFnOnce(PgPool)) {
    let url = std::env::var("DATABASE_URL")
        .expect("DATABASE_URL names the server that this test makes its database on");
    let options = PgConnectOptions::from_str(&url).unwrap();
    let name = format!("otodoke_test_{}", Uuid::now_v7().simple());
    let mut server = PgConnection::connect_with(&options).await.unwrap();
    server.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(8)
        .connect_with(options.database(&name))
        .await
        .unwrap();
    test(pool.clone()).await;
    pool.close().await;
    server.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
}

pub async fn door(pool: &PgPool) -> Door {
    door_with(pool, None).await
}

pub async fn door_with(pool: &PgPool, publish_from: Option<Timestamp>) -> Door {
    let settings = Settings { policy: Policy::default(), source: "/otodoke".into(), publish_from };
    Door::open(pool.clone(), settings).await.unwrap()
}

pub fn id(text: &str) -> Identifier {
    Identifier::new(text).unwrap()
}

pub fn order(text: &str) -> CaseId {
    CaseId::Order(id(text))
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An event as it comes out of intake.
pub fn received(event_type: &str, event_id: &str, time: &str, data: Value) -> Received {
    let input_type = InputType::from_name(event_type).unwrap();
    let input = input_type.read(&data).unwrap();
    let content = format!("{event_type} {time} {data}");
    let accepted = Accepted {
        facts: input.facts().to_string(),
        unread: data.get("body").map(|body| json!({ "body": body }).to_string()),
        event: Event {
            time: at(time),
            key: EventRef { source: "/shop".into(), id: event_id.into() },
            input,
        },
        subject: None,
        key_digest: store::digest([&b"/shop"[..], event_id.as_bytes()]),
        content_digest: store::digest([content.as_bytes()]),
        traceparent: None,
        tracestate: None,
    };
    Received {
        stream: Some(input_type.stream()),
        routing_key: format!("{}.{event_type}", input_type.stream().name()),
        content_type: None,
        headers: json!({}),
        body: data.to_string().into_bytes(),
        judged: Ok(accepted),
        claim: None,
    }
}

/// A message that intake refused.
pub fn refused(body: &[u8], code: RejectionCode) -> Received {
    Received {
        stream: Some(Stream::Orders),
        routing_key: "orders.\0".into(),
        content_type: Some("text/plain".into()),
        headers: json!({ "x\0": ["\0"], "long": "x".repeat(9000) }),
        body: body.to_vec(),
        judged: Err(Rejection {
            code,
            pointer: Some("/\0".into()),
            detail: "it is no \0 JSON".into(),
            event_source: None,
            event_id: None,
            event_type: Some("x".repeat(9000)),
        }),
        claim: None,
    }
}

/// An order as its buyer placed it: authorised, one line of 1500, never overdue.
pub fn placed(order: &str, buyer: &str, time: &str) -> Received {
    placed_as(order, buyer, time, json!({}))
}

pub fn placed_as(order: &str, buyer: &str, time: &str, other: Value) -> Received {
    let mut data = json!({
        "order_id": order, "seller_id": "S1", "buyer_id": buyer, "sold_by": "seller",
        "fulfilled_by": "seller", "currency": "JPY",
        "payment": { "status": "authorized", "method": "card" },
        "latest_ship_at": "2999-01-01T00:00:00Z",
        "relay_email": format!("{buyer}@Relay.example"),
        "ship_to": { "postal_code": "100-0001", "region": "Tokyo", "address_lines": ["1-1"],
                     "country": "JP" },
        "lines": [{ "line_id": "1", "sku": "A", "quantity": 1, "unit_price": 1500 }],
    });
    data.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    received("order-placed", &format!("placed-{order}"), time, data)
}

pub fn unpaid(order: &str, time: &str) -> Received {
    placed_as(order, "B1", time, json!({ "payment": { "status": "pending" } }))
}

/// A buyer's message that names no order.
pub fn inquiry(thread: &str, buyer: &str, time: &str) -> Received {
    let data = json!({
        "message_id": format!("m-{thread}"), "thread_id": thread, "seller_id": "S1",
        "buyer_id": buyer, "from": "buyer", "topic": "where-is-it", "body": "where?",
    });
    received("message-sent", &format!("sent-{thread}"), time, data)
}

pub fn batch(received: Vec<Received>) -> Batch {
    Batch { received, ..Batch::default() }
}

/// Sends events through the door, then decides again until nothing is left to be woken.
pub async fn send(door: &Door, pool: &PgPool, received: Vec<Received>) -> Outcome {
    let outcome = door.apply(&batch(received)).await.unwrap();
    settle(door, pool).await;
    outcome
}

/// Does what the timers do, without waiting for the wake-ups' moments.
pub async fn settle(door: &Door, pool: &PgPool) {
    for _ in 0..100 {
        let mut conn = pool.acquire().await.unwrap();
        let wake = store::wake_ups::due(&mut conn, Timestamp::MAX, 1000).await.unwrap();
        drop(conn);
        if wake.is_empty() {
            return;
        }
        door.apply(&Batch { wake, ..Batch::default() }).await.unwrap();
    }
    panic!("cases wake each other without end");
}

/// One value of the database as text; `-` for null, `none` for no row.
pub async fn value(pool: &PgPool, query: &'static str) -> String {
    let row: Option<Option<String>> = sqlx::query_scalar(query).fetch_optional(pool).await.unwrap();
    row.map_or("none".into(), |value| value.unwrap_or("-".into()))
}

/// All that the world can see of the cases, but for moments of the processing itself.
pub async fn picture(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT line FROM (
             SELECT 'order ' || (to_jsonb(o) - 'updated_at' - 'version')::text AS line
             FROM read_model.orders o
             UNION ALL SELECT 'thread ' || to_jsonb(t)::text FROM read_model.threads t
             UNION ALL SELECT 'message ' || to_jsonb(m)::text FROM read_model.messages m
             UNION ALL SELECT 'package ' || to_jsonb(p)::text FROM read_model.packages p
             UNION ALL SELECT 'derived ' || type || ' ' || key || ' ' || time || ' ' || data
             FROM derived_events WHERE withdrawn_at IS NULL
         ) lines ORDER BY line COLLATE \"C\"",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

/// The statements that a piece of work sends to the database, as sqlx logs them.
pub async fn statements(work: impl AsyncFnOnce()) -> Vec<String> {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("sqlx::query=debug")
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    work().await;
    drop(guard);
    let text = String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
    let summary = |line: &str| {
        let start = line.find("summary=")?;
        Some(line[start..].chars().take(70).collect())
    };
    text.lines().filter_map(summary).collect()
}

#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
