//! A trace of one event from its publisher to what is derived from it, as it reaches a collector.

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use otodoke::broker::Outgoing;
use otodoke::contract::InputType;
use prost::Message;
use serde_json::json;
use support::history::{event, now};
use support::marketplace::Marketplace;
use support::processor::Launch;
use support::{Services, wait_until};

const SOON: Duration = Duration::from_secs(60);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PUBLISHERS_SPAN: &str = "b7ad6b7169203331";

/// What a collector was sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

impl Collector {
    /// Listens, and returns the address.
    async fn listen(&self) -> String {
        let routes = Router::new().route("/v1/traces", post(take)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        format!("http://{address}")
    }

    fn spans(&self) -> Vec<Span> {
        self.0.lock().unwrap().clone()
    }
}

async fn take(State(collector): State<Collector>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let resources = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    collector.0.lock().unwrap().extend(resources.flat_map(|scope| scope.spans));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, name: &str) -> String {
    let value = span.attributes.iter().find(|attribute| attribute.key == name);
    format!("{:?}", value.and_then(|attribute| attribute.value.clone()))
}

fn placed(market: &Marketplace, order: &str, flags: &str) -> Outgoing {
    let data = json!({
        "order_id": order, "seller_id": "S1", "buyer_id": "B1", "sold_by": "seller",
        "fulfilled_by": "seller", "currency": "JPY", "payment": {"status": "authorized"},
        "lines": [{"line_id": "L1", "sku": "K1", "quantity": 1, "unit_price": 100}],
    });
    let mut message = market.event(&event(order, InputType::OrderPlaced, now(), &data));
    let parent = format!("00-{TRACE}-{PUBLISHERS_SPAN}-{flags}");
    message.headers.insert("traceparent".to_owned(), parent.as_str().into());
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_followed_from_its_queue_to_what_is_derived_where_its_publisher_asks_for_it() {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let mut subscriber = market.subscribe(&["shipment-required.*"]).await;
    let collector = Collector::default();
    let endpoint = collector.listen().await;
    let mut processor =
        Launch::on(&services).with("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).ready().await;
    let messages = [placed(&market, "O1", "01"), placed(&market, "O2", "00")];
    market.publish(&messages).await;
    wait_until(SOON, "both are told", async || subscriber.arrived().await.len() == 2).await;
    // What is left is sent before it ends.
    assert!(processor.stop().await.success());

    let spans = collector.spans();
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    assert_eq!(services.prefix(), "", "names are as they are");
    let by_name: BTreeMap<&str, &Span> =
        spans.iter().map(|span| (span.name.as_str(), span)).collect();
    let names: Vec<&str> = by_name.keys().copied().collect();
    let expected =
        ["commit", "decide", "intake", "process otodoke.orders", "send marketplace.derived"];
    assert_eq!(names, expected);
    assert_eq!(spans.len(), expected.len(), "the other's publisher didn't ask for it");

    let process = by_name["process otodoke.orders"];
    assert_eq!(hex(&process.parent_span_id), PUBLISHERS_SPAN);
    assert!(attribute(process, "messaging.message.id").contains("O1"));
    for step in ["intake", "decide", "commit"] {
        let step = by_name[step];
        assert_eq!(step.parent_span_id, process.span_id);
        assert!(step.start_time_unix_nano >= process.start_time_unix_nano, "{}", step.name);
        assert!(step.end_time_unix_nano <= process.end_time_unix_nano, "{}", step.name);
        assert!(step.start_time_unix_nano <= step.end_time_unix_nano, "{}", step.name);
    }
    let send = by_name["send marketplace.derived"];
    assert_eq!(hex(&send.parent_span_id), PUBLISHERS_SPAN);
    assert!(
        attribute(send, "messaging.rabbitmq.destination.routing_key")
            .contains("shipment-required.S1")
    );
    assert!(send.start_time_unix_nano >= by_name["decide"].start_time_unix_nano);
}
