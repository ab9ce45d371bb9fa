//! What the consumer reads of an event, and what it publishes.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

/// An event as it comes.
#[derive(Deserialize)]
pub struct Event {
    pub id: String,
    pub source: String,
    #[serde(rename = "type")]
    pub event_type: String,
    pub time: String,
    data: Box<RawValue>,
    /// Read of all types before anything else.
    #[serde(skip)]
    pub order_id: Option<String>,
}

impl Event {
    /// The data, as its type has it.
    pub fn data<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.data.get())
    }

    pub fn order(&self) -> &str {
        self.order_id.as_deref().unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct About {
    order_id: Option<String>,
}

const TYPES: [&str; 15] = [
    "order-placed",
    "change-requested",
    "cancel-requested",
    "order-cancelled",
    "lines-unshippable",
    "payment-authorized",
    "payment-failed",
    "payment-refunded",
    "shipment-dispatched",
    "shipment-updated",
    "message-sent",
    "consent-recorded",
    "return-requested",
    "non-receipt-handled",
    "guarantee-claimed",
];

/// `None`: it is wrong.
pub fn read(body: &[u8]) -> Option<Event> {
    let mut event: Event = serde_json::from_slice(body).ok()?;
    event.order_id = event.data::<About>().ok()?.order_id;
    let knows = event.order_id.is_some() || event.event_type == "message-sent";
    (knows && TYPES.contains(&event.event_type.as_str())).then_some(event)
}

#[derive(Deserialize)]
pub struct Placed {
    pub seller_id: String,
    pub buyer_id: String,
    pub currency: String,
    pub payment: Option<Payment>,
    pub buyer_name: Option<String>,
    pub relay_email: Option<String>,
    pub phone: Option<String>,
    pub ship_to: Option<Value>,
    pub lines: Vec<Line>,
}

#[derive(Deserialize)]
pub struct Payment {
    pub status: String,
}

#[derive(Deserialize)]
pub struct Line {
    pub line_id: String,
    pub sku: String,
    pub title: Option<String>,
    pub quantity: i64,
    pub unit_price: i64,
    pub tax: Option<i64>,
    pub shipping_fee: Option<i64>,
}

#[derive(Deserialize)]
pub struct Lines {
    #[serde(default)]
    pub lines: Vec<LineOf>,
}

#[derive(Deserialize)]
pub struct LineOf {
    pub line_id: String,
    pub quantity: Option<i64>,
}

#[derive(Deserialize)]
pub struct Paid {
    #[serde(alias = "refund_id")]
    pub attempt_id: String,
    pub amount: Option<i64>,
}

#[derive(Deserialize)]
pub struct Parcel {
    pub package_id: String,
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
    pub status: Option<String>,
}

#[derive(Deserialize)]
pub struct Message {
    pub message_id: String,
    pub thread_id: String,
    pub seller_id: String,
    pub buyer_id: Option<String>,
    pub from: String,
    pub topic: Option<String>,
    pub body: Option<String>,
}

#[derive(Deserialize)]
pub struct Consent {
    pub granted: bool,
}

/// Something that follows from an event.
pub struct Follows {
    pub event_type: &'static str,
    pub order_id: String,
    pub seller_id: String,
    pub data: Value,
}

impl Follows {
    pub fn new(
        event_type: &'static str,
        order_id: &str,
        seller_id: String,
        data: Value,
    ) -> Follows {
        Follows { event_type, order_id: order_id.to_owned(), seller_id, data }
    }

    /// The same each time, so that subscribers recognise what is sent twice.
    pub fn id(&self, cause: &Event) -> Uuid {
        let name = format!("{} {} {}", self.event_type, cause.source, cause.id);
        Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
    }

    pub fn routing_key(&self) -> String {
        format!("{}.{}", self.event_type, self.seller_id)
    }

    /// The CloudEvents document.
    pub fn body(&self, cause: &Event) -> String {
        let mut data = self.data.clone();
        data["order_id"] = json!(self.order_id);
        data["seller_id"] = json!(self.seller_id);
        json!({
            "specversion": "1.0", "id": self.id(cause), "source": "/habit",
            "type": self.event_type, "time": cause.time, "subject": self.order_id,
            "datacontenttype": "application/json",
            "dataschema": format!("urn:habit:{}", self.event_type),
            "causationid": format!("{} {}", cause.source, cause.id), "data": data,
        })
        .to_string()
    }
}
