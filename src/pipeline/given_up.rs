//! What the broker itself gave up: filed as dead letters, with its reason in words.

use serde_json::Value;

use super::apply::Received;
use crate::broker::{Delivery, HeaderValue, Headers, Names, headers_to_json};
use crate::contract::{Rejection, RejectionCode, Stream};

/// Judges a message of the dead queue by the broker's own account of it.
pub fn judge(names: &Names, delivery: Delivery) -> Received {
    let death = last_death(&delivery.properties.headers);
    let stream = match &death {
        Some(death) => Stream::ALL.into_iter().find(|stream| names.queue(*stream) == death.queue),
        None => delivery.routing_key.split('.').next().and_then(Stream::from_name),
    };
    let (code, detail) = match &death {
        Some(death) => account(death),
        None => {
            let detail =
                format!("no queue takes messages with the routing key `{}`", delivery.routing_key);
            (RejectionCode::Unroutable, detail)
        }
    };
    let said = said_of_itself(&delivery.body, &delivery.properties.headers);
    Received {
        stream,
        routing_key: delivery.routing_key,
        headers: headers_to_json(&delivery.properties.headers),
        content_type: delivery.properties.content_type,
        body: delivery.body,
        claim: None,
        judged: Err(Rejection {
            code,
            pointer: None,
            detail,
            event_source: said("source"),
            event_id: said("id"),
            event_type: said("type"),
        }),
    }
}

/// The newest entry of `x-death`; a message that came by the alternate exchange has none.
struct Death {
    reason: String,
    queue: String,
    count: i64,
}

fn last_death(headers: &Headers) -> Option<Death> {
    let Some(HeaderValue::List(deaths)) = headers.get("x-death") else { return None };
    let Some(HeaderValue::Table(death)) = deaths.first() else { return None };
    let text =
        |name: &str| death.get(name).and_then(HeaderValue::as_text).unwrap_or_default().to_owned();
    let count = match death.get("count") {
        Some(HeaderValue::Integer(count)) => *count,
        _ => 1,
    };
    Some(Death { reason: text("reason"), queue: text("queue"), count })
}

fn account(death: &Death) -> (RejectionCode, String) {
    let Death { reason, queue, count } = death;
    match reason.as_str() {
        "expired" => {
            (RejectionCode::Expired, format!("it waited in `{queue}` longer than messages may"))
        }
        "delivery_limit" => {
            let detail = format!(
                "it was delivered from `{queue}` as often as the queue's delivery limit allows and never finished"
            );
            (RejectionCode::DeliveryLimit, detail)
        }
        _ => (
            RejectionCode::DeliveryLimit,
            format!("the broker gave it up in `{queue}`: {reason}, {count} times"),
        ),
    }
}

/// What the event says of itself, in the headers of the binary mode or in a body that can be
/// read, where it is not too long to be true.
fn said_of_itself(body: &[u8], headers: &Headers) -> impl Fn(&str) -> Option<String> + use<> {
    let event: Option<Value> = serde_json::from_slice(body).ok();
    let headers = headers.clone();
    move |name| {
        let header = |prefix: &str| headers.get(&format!("{prefix}{name}"))?.as_text();
        let said = ["cloudEvents_", "cloudEvents:"].into_iter().find_map(header);
        let text = said.or_else(|| event.as_ref()?.get(name)?.as_str())?;
        let usable = text.len() <= 256 && !text.contains('\0');
        usable.then(|| text.to_owned())
    }
}
