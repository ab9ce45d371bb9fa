//! The whole way, from an upstream system's message to the read model and a subscriber,
//! through the real program.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use lapin::types::AMQPValue;
use otodoke::broker::{HeaderValue, Outgoing};
use otodoke::contract::{Event, InputType, Span, Stream, Timestamp};
use otodoke::store::ledger;
use serde_json::{Value, json};
use support::history::{before, distinct, event, history, now};
use support::marketplace::Marketplace;
use support::model::{assert_equals_model, picture, settled};
use support::processor::Launch;
use support::record::assert_lawful;
use support::{Services, wait_until};

const SOON: Duration = Duration::from_secs(60);
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_is_what_the_model_says() {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let mut subscriber = market.subscribe(&["#"]).await;
    let mut processor = Launch::on(&services).ready().await;
    let events = history(3, 800);
    market.publish_events(&events).await;

    let pool = services.pool().await;
    settled(&pool, SOON, distinct(&events)).await;
    assert!(processor.stop().await.success());
    assert_equals_model(&pool, &events).await;
    assert_lawful(&pool, subscriber.arrived().await).await;
}

/// The refund that these tests turn on: an order is paid, shipped and comes back.
struct Return {
    started: Timestamp,
}

impl Return {
    fn new() -> Return {
        Return { started: before(now(), Span::days(5)) }
    }

    fn placed(&self) -> Event {
        let data = json!({
            "order_id": "O1", "seller_id": "S.1", "buyer_id": "B1", "sold_by": "seller",
            "fulfilled_by": "seller", "currency": "JPY",
            "payment": {"status": "authorized", "captured": true},
            "lines": [{"line_id": "L1", "sku": "K1", "quantity": 2, "unit_price": 1500,
                       "shipping_fee": 500}],
        });
        event("placed", InputType::OrderPlaced, self.started, &data)
    }

    fn dispatched(&self) -> Event {
        let data = json!({"order_id": "O1", "package_id": "P1"});
        event("dispatched", InputType::ShipmentDispatched, self.started + Span::hours(1), &data)
    }

    fn returned(&self) -> Event {
        let data = json!({"order_id": "O1", "package_id": "P1", "status": "returned"});
        event("returned", InputType::ShipmentUpdated, self.returned_at(), &data)
    }

    fn returned_at(&self) -> Timestamp {
        self.started + Span::days(3)
    }

    /// Tells, late, why the package came back.
    fn refused(&self) -> Event {
        let data = json!({
            "order_id": "O1", "package_id": "P1", "status": "returning", "reason": "refused",
        });
        event("refused", InputType::ShipmentUpdated, self.started + Span::days(2), &data)
    }

    /// Tells, later still, that the order had been cancelled before anything left.
    fn cancelled(&self) -> Event {
        let data = json!({"order_id": "O1", "actor": "marketplace"});
        event("cancelled", InputType::OrderCancelled, self.started + Span::minutes(30), &data)
    }
}

fn traced(mut message: Outgoing) -> Outgoing {
    message.headers.insert("traceparent".to_owned(), TRACE.into());
    message.headers.insert("tracestate".to_owned(), "shop=1".into());
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_derived_events_as_the_contract_has_them() {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let mut subscriber = market.subscribe(&["refund-required.*"]).await;
    let _processor = Launch::on(&services).ready().await;
    let story = Return::new();
    market.publish_events(&[story.placed(), story.dispatched()]).await;
    market.publish(&[traced(market.event(&story.returned()))]).await;
    wait_until(SOON, "the refund is told", async || subscriber.arrived().await.len() == 1).await;

    let message = &subscriber.arrived().await[0];
    assert_eq!(message.routing_key, "refund-required.S_1");
    assert_eq!(message.event_type, "refund-required");
    assert_eq!(message.content_type, "application/cloudevents+json");
    assert_eq!(message.timestamp, Some(story.returned_at().micros() as u64 / 1_000_000));
    assert!(message.persistent);
    assert_eq!(message.header("traceparent").as_deref(), Some(TRACE));
    assert_eq!(message.header("tracestate").as_deref(), Some("shop=1"));
    assert!(message.sequence() >= 1);
    let mut event = message.event.clone();
    let members = event.as_object_mut().expect("an event is an object");
    let schema = members.remove("dataschema").expect("its schema is named");
    assert!(schema.as_str().is_some_and(|uri| uri.contains("refund-required")), "{schema}");
    members.remove("sequence");
    let expected = json!({
        "specversion": "1.0", "id": message.message_id, "source": "/otodoke",
        "type": "refund-required", "time": story.returned_at().to_string(), "subject": "O1",
        "datacontenttype": "application/json", "causationid": "/test returned",
        "traceparent": TRACE, "tracestate": "shop=1",
        "data": {
            "order_id": "O1", "seller_id": "S.1", "rule": "R1", "refund_key": "O1/R1/P1",
            "reason": "returned", "currency": "JPY", "item_amount": 3000,
            "shipping_amount": 500, "amount": 3500, "package_id": "P1",
            "lines": [{"line_id": "L1", "quantity": 2}], "return_reason": "other",
        },
    });
    assert_eq!(event, expected);
    let published = "SELECT published_at IS NOT NULL FROM read_model.derived_events
                     WHERE event_id = $1";
    let id: uuid::Uuid = message.message_id.parse().expect("an id is a UUID");
    let pool = services.pool().await;
    let marked = async || {
        sqlx::query_scalar(published).bind(id).fetch_one(&pool).await.expect("it is recorded")
    };
    wait_until(SOON, "what is sent is marked as sent", marked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_late_arrival_undoes_is_withdrawn_and_replaced() {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let mut refunds = market.subscribe(&["refund-required.*"]).await;
    let mut withdrawals = market.subscribe(&["derived-withdrawn.*"]).await;
    let _processor = Launch::on(&services).ready().await;
    let story = Return::new();
    let mut expected = 0;
    for (late, more) in [(story.refused(), 2), (story.cancelled(), 2)] {
        if expected == 0 {
            market.publish_events(&[story.placed(), story.dispatched(), story.returned()]).await;
            expected = 1;
            wait_until(SOON, "a refund", async || refunds.arrived().await.len() == 1).await;
        }
        market.publish_events(&[late]).await;
        expected += more;
        let told = async || refunds.arrived().await.len() >= expected;
        wait_until(SOON, "the refund is withdrawn, and another required", told).await;
    }

    let all = refunds.arrived().await.to_vec();
    let types: Vec<&str> = all.iter().map(|message| message.event_type.as_str()).collect();
    let (refund, withdrawn) = ("refund-required", "derived-withdrawn");
    assert_eq!(types, [refund, withdrawn, refund, withdrawn, refund]);
    assert!(all.is_sorted_by_key(|message| message.sequence()), "{all:?}");
    let (first, second) = (&all[0], &all[2]);
    assert_eq!(
        all[1].event["data"],
        json!({
            "order_id": "O1", "seller_id": "S.1", "rule": "R1", "withdraws": first.message_id,
            "withdrawn_type": refund, "replaced_by": second.message_id,
        })
    );
    assert_eq!(all[1].event["time"], first.event["time"], "a withdrawal has the event's time");
    assert_eq!(second.event["data"]["return_reason"], "refused");
    // The package left after the cancellation: no return, but all that was paid goes back.
    assert_eq!(all[3].event["data"]["withdraws"], *second.message_id);
    assert_eq!(all[3].event["data"].get("replaced_by"), None);
    assert_eq!(all[4].event["data"]["refund_key"], "O1/R6");

    let copies = all[1].headers.inner().get("CC").cloned();
    let expected = AMQPValue::LongString("refund-required.S_1".into());
    assert_eq!(copies, Some(AMQPValue::FieldArray(vec![expected].into())));
    let own: Vec<String> =
        withdrawals.of_type(withdrawn).await.iter().map(|m| m.routing_key.clone()).collect();
    assert!(own.iter().all(|key| key == "derived-withdrawn.S_1") && own.len() >= 2, "{own:?}");
    assert!(withdrawals.arrived().await.iter().all(|message| message.event_type == withdrawn));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_in_binary_mode_is_as_good_as_one_in_structured_mode() {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let _processor = Launch::on(&services).ready().await;
    let story = Return::new();
    let (placed, dispatched) = (story.placed(), story.dispatched());
    let binary =
        [binary(&market, &placed, "cloudEvents_"), binary(&market, &dispatched, "cloudEvents:")];
    market.publish(&binary).await;
    let pool = services.pool().await;
    settled(&pool, SOON, 2).await;
    assert_equals_model(&pool, &[placed.clone(), dispatched.clone()]).await;

    // The same in structured mode is the same.
    market.publish_events(&[placed, dispatched]).await;
    wait_until(SOON, "both are duplicates", async || duplicates(&pool).await == 2).await;
}

fn binary(market: &Marketplace, event: &Event, prefix: &str) -> Outgoing {
    let whole: Value = serde_json::from_slice(&market.event(event).body).expect("JSON");
    let mut message = market.event(event);
    message.body = whole["data"].to_string().into();
    message.content_type = "application/json".to_owned();
    for name in ["specversion", "id", "source", "type", "time"] {
        let value = whole[name].as_str().expect("an attribute is a text");
        message.headers.insert(format!("{prefix}{name}"), HeaderValue::Text(value.to_owned()));
    }
    message
}

async fn duplicates(pool: &sqlx::PgPool) -> i64 {
    let audit = ledger::audit(&mut pool.acquire().await.unwrap()).await.unwrap();
    audit.streams.values().map(|count| count.duplicates).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dated_before_publish_from_is_recorded_and_not_sent() {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    // Not `shipment-overdue`: it may hold for a moment, until the dispatch arrives.
    let types = ["refund-required.*", "shipment-required.*", "ship-notice-required.*"];
    let mut subscriber = market.subscribe(&types).await;
    let story = Return::new();
    // After the dispatch, before the return.
    let from = (story.started + Span::days(1)).to_string();
    let mut processor = Launch::on(&services).with("OTODOKE_PUBLISH_FROM", &from).ready().await;
    let mut events = vec![story.placed(), story.dispatched(), story.returned()];
    market.publish_events(&events).await;
    let pool = services.pool().await;
    settled(&pool, SOON, events.len()).await;
    // Undoes what was sent and what was not.
    events.push(story.cancelled());
    market.publish_events(&events[3..]).await;
    settled(&pool, SOON, events.len()).await;
    assert!(processor.stop().await.success());

    assert_equals_model(&pool, &events).await;
    let told: Vec<String> =
        subscriber.arrived().await.iter().map(|message| message.event_type.clone()).collect();
    assert_eq!(told, ["refund-required", "derived-withdrawn"]);
    let silent = "SELECT count(*) FROM derived_events WHERE suppressed AND position IS NULL";
    let silent: i64 = sqlx::query_scalar(silent).fetch_one(&pool).await.unwrap();
    assert!(silent >= 4, "the rest is recorded: {silent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn installations_with_prefixes_share_a_broker_without_noticing() {
    let services = Services::start().await;
    let (shop, other) = (prefixed(&services, "shop"), prefixed(&services, "other"));
    let market = Marketplace::open(services.amqp_url(), &shop).await;
    let neighbour = Marketplace::open(services.amqp_url(), &other).await;
    let mut subscriber = market.subscribe(&["#"]).await;
    let mut stranger = neighbour.subscribe(&["#"]).await;
    let launch = Launch::on(&services).with("OTODOKE_PREFIX", &shop);
    let _processor = launch.ready().await;
    let story = Return::new();
    market.publish_events(&[story.placed(), story.dispatched(), story.returned()]).await;
    neighbour.publish_events(&[story.placed()]).await;
    settled(&services.pool().await, SOON, 3).await;

    assert_eq!(market.names.events(), format!("{shop}.marketplace.events"));
    assert_eq!(market.names.queue(Stream::Orders), format!("{shop}.otodoke.orders"));
    assert_eq!(subscriber.of_type("refund-required").await.len(), 1);
    assert_eq!(neighbour.backlog().await, 1);
    assert!(stranger.arrived().await.is_empty());
}

fn prefixed(services: &Services, name: &str) -> String {
    match services.prefix() {
        "" => name.to_owned(),
        prefix => format!("{prefix}.{name}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_what_is_in_hand_and_leaves_the_rest_to_the_queues() {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let events = history(4, 3_000);
    market.publish_events(&events).await;
    let launch = Launch::on(&services);
    let mut processor = launch
        .clone()
        .with("OTODOKE_BATCH_MAX", "20")
        .with("OTODOKE_PREFETCH", "100")
        .ready()
        .await;
    let pool = services.pool().await;
    wait_until(SOON, "it works", async || received(&pool).await > 0).await;
    assert_eq!(processor.stop().await.code(), Some(0), "{}", processor.log());

    let (done, left) = (received(&pool).await, i64::from(market.backlog().await));
    assert!(left > 0, "it was done before it was stopped: nothing is proved");
    assert_eq!(done + left, events.len() as i64, "what is stored is acknowledged, and no more");
    let mut processor = launch.ready().await;
    settled(&pool, SOON, distinct(&events)).await;
    assert!(processor.stop().await.success());
    assert_eq!(received(&pool).await, events.len() as i64, "nothing came twice");
    assert_equals_model(&pool, &events).await;
}

async fn received(pool: &sqlx::PgPool) -> i64 {
    let sum = sqlx::query_scalar("SELECT coalesce(sum(received), 0)::bigint FROM ledger");
    sum.fetch_one(pool).await.unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn its_parts_may_run_in_processes_of_their_own() {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let mut subscriber = market.subscribe(&["#"]).await;
    let launch = Launch::on(&services);
    let part = |parts: &str| launch.clone().argument("--only").argument(parts);
    let mut processors = Vec::new();
    for parts in ["consume,http", "timers,http", "relay,http"] {
        processors.push(part(parts).ready().await);
    }
    let events = history(5, 600);
    market.publish_events(&events).await;
    let pool = services.pool().await;
    settled(&pool, SOON, distinct(&events)).await;
    for processor in &mut processors {
        assert!(processor.stop().await.success());
    }
    assert_equals_model(&pool, &events).await;
    assert_lawful(&pool, subscriber.arrived().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_say_what_is_so() {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let mut subscriber = market.subscribe(&["#"]).await;
    let processor = Launch::on(&services).ready().await;
    assert_eq!(processor.get("/health/live").0, 200);
    let events = history(6, 400);
    market.publish_events(&events).await;
    market.publish(&[market.structured(Stream::Orders, "order-placed", "no JSON")]).await;
    let pool = services.pool().await;
    settled(&pool, SOON, distinct(&events)).await;
    let filed =
        async || processor.metric("otodoke_dead_letters_open{code=\"not-json\"}") == Some(1.0);
    wait_until(SOON, "the dead letter is shown", filed).await;
    wait_until(SOON, "all is sent", async || {
        processor.metric("otodoke_outbox_waiting") == Some(0.0)
    })
    .await;

    let metric = |name: &str| processor.metric(name).unwrap_or_else(|| panic!("no {name}"));
    let mut by_stream: BTreeMap<&str, usize> = BTreeMap::from([("orders", 1)]);
    for event in &events {
        *by_stream.entry(event.input.input_type().stream().name()).or_default() += 1;
    }
    for (stream, count) in by_stream {
        let name = format!("otodoke_messages_received_total{{stream=\"{stream}\"}}");
        assert_eq!(metric(&name), count as f64, "{stream}");
        assert_eq!(metric(&format!("otodoke_queue_ready{{stream=\"{stream}\"}}")), 0.0);
    }
    assert_eq!(metric("otodoke_events_accepted_total"), distinct(&events) as f64);
    let twice = events.len() - distinct(&events);
    assert_eq!(metric("otodoke_events_duplicate_total"), twice as f64);
    assert_eq!(metric("otodoke_cases_parked"), 0.0);
    assert_eq!(metric("otodoke_deadlines_held"), 0.0);
    let refunds = subscriber.of_type("refund-required").await.len();
    let name = "otodoke_messages_published_total{type=\"refund-required\"}";
    assert_eq!(metric(name), refunds as f64);
    assert!(!picture(&pool).await["orders"].is_empty());
}
