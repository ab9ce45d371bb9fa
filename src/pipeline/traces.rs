//! What is done with an event, as spans of its publisher's trace, sent to a collector (OTLP).
//!
//! Only events whose publisher has asked for it are followed: their `traceparent` says that the
//! trace is sampled. A span is made when what it tells of has ended, from times that were taken
//! on the way, so where nobody collects it costs nothing.

use std::time::SystemTime;

use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId,
    TraceState, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

/// Follows events, or doesn't: the default.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Collector>);

#[derive(Clone, Debug)]
struct Collector {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// A place in a trace, under which spans can be put.
#[derive(Clone, Debug)]
pub struct Place(Context);

/// A span that has ended.
#[derive(Debug)]
pub struct Done {
    /// What was done, and where to: `process otodoke.orders`.
    pub name: String,
    pub kind: SpanKind,
    pub from: SystemTime,
    pub to: SystemTime,
    /// By the names of OpenTelemetry's conventions for messaging.
    pub attributes: Vec<KeyValue>,
}

impl Traces {
    /// To a collector that takes OTLP over HTTP, such as `http://localhost:4318`.
    pub fn to(endpoint: &str) -> Result<Traces, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()?;
        let resource = Resource::builder()
            .with_service_name(env!("CARGO_PKG_NAME"))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            // Whether to follow an event is its publisher's choice.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource)
            .with_batch_exporter(exporter)
            .build();
        let tracer = provider.tracer(env!("CARGO_PKG_NAME"));
        Ok(Traces(Some(Collector { provider, tracer })))
    }

    /// Where an event stands in its trace, if that is to be followed.
    pub fn place(&self, parent: Option<&str>, state: Option<&str>) -> Option<Place> {
        self.0.as_ref()?;
        let remote = span_context(parent?, state)?;
        remote.is_sampled().then(|| Place(Context::new().with_remote_span_context(remote)))
    }

    /// Puts a span under a place, and tells the place of that span.
    pub fn put(&self, under: &Place, done: Done) -> Place {
        let Some(Collector { tracer, .. }) = &self.0 else { return under.clone() };
        let mut span = SpanBuilder::from_name(done.name)
            .with_kind(done.kind)
            .with_start_time(done.from)
            .with_attributes(done.attributes)
            .start_with_context(tracer, &under.0);
        let place = Place(under.0.with_remote_span_context(span.span_context().clone()));
        span.end_with_timestamp(done.to);
        place
    }

    /// Sends what is left; for who is about to end. Takes some seconds where nobody collects.
    pub async fn finish(&self) {
        if let Some(Collector { provider, .. }) = self.0.clone() {
            let sent = tokio::task::spawn_blocking(move || provider.shutdown()).await;
            if let Ok(Err(error)) = sent {
                tracing::warn!("the last spans didn't reach their collector: {error}");
            }
        }
    }
}

/// `version-trace-parent-flags`, which intake has found to be well-formed.
fn span_context(parent: &str, state: Option<&str>) -> Option<SpanContext> {
    let mut fields = parent.split('-').skip(1);
    let trace = TraceId::from_hex(fields.next()?).ok()?;
    let span = SpanId::from_hex(fields.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(fields.next()?, 16).ok()?);
    let state = state.and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default();
    Some(SpanContext::new(trace, span, flags, true, state)).filter(SpanContext::is_valid)
}

/// What the conventions name of a message on RabbitMQ.
pub fn message(
    operation: &'static str,
    destination: String,
    routing_key: String,
    id: String,
) -> Vec<KeyValue> {
    vec![
        KeyValue::new("messaging.system", "rabbitmq"),
        KeyValue::new("messaging.operation.type", operation),
        KeyValue::new("messaging.operation.name", operation),
        KeyValue::new("messaging.destination.name", destination),
        KeyValue::new("messaging.rabbitmq.destination.routing_key", routing_key),
        KeyValue::new("messaging.message.id", id),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[tokio::test]
    async fn only_what_its_publisher_follows_is_followed() {
        let traces = Traces::to("http://127.0.0.1:9").unwrap();
        assert!(traces.place(Some(PARENT), Some("vendor=1")).is_some());
        assert!(traces.place(Some(&PARENT.replace("-01", "-00")), None).is_none());
        assert!(traces.place(None, None).is_none());
        assert!(Traces::default().place(Some(PARENT), None).is_none());
    }

    #[test]
    fn a_parent_is_read_as_it_is_written() {
        let context = span_context(PARENT, Some("a=1,b=2")).unwrap();
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(context.trace_state().get("b"), Some("2"));
        assert!(span_context("00-0-1-01", None).is_none());
    }
}
