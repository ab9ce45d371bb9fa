//! Orders as a person looks at them: the list, and one order with its story.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;

use super::cases::explained;
use super::redact::{self, Personal};
use super::story::{self, Entry, Waiting};
use crate::contract::{Identifier, Timestamp};
use crate::rules::CaseId;
use crate::store::orders::{self, Place, Wanted};
use crate::store::{Result, audit};

/// An order in a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub order_id: String,
    pub seller_id: String,
    pub buyer_id: String,
    pub status: String,
    pub payment_status: String,
    pub currency: String,
    /// In minor units, as every amount here.
    pub items_total: i64,
    pub shipping_total: i64,
    pub placed_at: Timestamp,
    pub ship_by: Option<Timestamp>,
}

/// A page of orders.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Page {
    pub orders: Vec<Row>,
    /// Where the next page begins; nothing where this is the last.
    pub next: Option<String>,
}

/// A page of orders, the last placed first.
pub async fn page(
    conn: &mut PgConnection,
    wanted: &Wanted,
    after: Option<&Place>,
    limit: i64,
) -> Result<Page> {
    let (rows, next) = orders::page(conn, wanted, after, limit).await?;
    let orders = rows.into_iter().map(read).collect::<Result<_>>()?;
    Ok(Page { orders, next: next.map(|(time, order)| format!("{time}/{order}")) })
}

/// A place as a page names it.
pub fn place(text: &str) -> Option<Place> {
    let (time, order) = text.split_once('/')?;
    Some((time.parse().ok()?, Identifier::new(order)?.to_string()))
}

fn read<T: for<'a> Deserialize<'a>>(row: Value) -> Result<T> {
    serde_json::from_value(row).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// All that is known of an order, or of an inquiry that belongs to none.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Case {
    /// The order's number, or `thread:` and a thread's id.
    pub case: String,
    /// The moment that it was judged at.
    pub as_of: Timestamp,
    /// Whether personal data is shown.
    pub revealed: bool,
    /// Nothing before it was placed, and for an inquiry.
    pub order: Option<Order>,
    pub lines: Vec<Line>,
    pub packages: Vec<Package>,
    pub threads: Vec<Thread>,
    pub messages: Vec<Message>,
    pub refunds: Vec<Refund>,
    pub guarantees: Vec<Guarantee>,
    /// What happened and what came of it, in order of time.
    pub timeline: Vec<Entry>,
    /// What follows if nothing else arrives.
    pub waits: Vec<Waiting>,
    /// Why it can't be decided, where it can't.
    pub problem: Option<String>,
}

/// The order itself. Personal data is `***` unless it is revealed, and nothing where the seller
/// may not have it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    pub order_id: String,
    pub seller_id: String,
    pub buyer_id: String,
    pub status: String,
    pub sold_by: String,
    pub fulfilled_by: String,
    pub payment_status: String,
    pub payment_method: Option<String>,
    pub currency: String,
    pub items_total: i64,
    pub tax_total: i64,
    pub shipping_total: i64,
    pub placed_at: Timestamp,
    pub authorized_at: Option<Timestamp>,
    pub ship_by: Option<Timestamp>,
    pub cancelled_at: Option<Timestamp>,
    pub buyer_name: Option<String>,
    pub relay_email: Option<String>,
    pub phone: Option<String>,
    pub ship_to: Option<Value>,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    pub line_id: String,
    pub sku: String,
    pub title: Option<String>,
    pub quantity: i64,
    pub unit_price: i64,
    pub tax: Option<i64>,
    pub shipping_fee: Option<i64>,
    pub quantity_shipped: i64,
    pub quantity_unshippable: i64,
    pub quantity_cancelled: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Package {
    pub package_id: String,
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
    pub insured: bool,
    pub status: String,
    pub return_reason: Option<String>,
    pub dispatched_at: Timestamp,
    pub delivered_at: Option<Timestamp>,
    pub returned_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Thread {
    pub thread_id: String,
    pub topic: String,
    pub opened_at: Timestamp,
    pub awaiting: String,
    pub awaiting_since: Option<Timestamp>,
    pub reply_by: Option<Timestamp>,
    pub message_count: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    pub message_id: String,
    pub thread_id: String,
    pub sent_from: String,
    pub channel: Option<String>,
    pub topic: Option<String>,
    pub sent_at: Timestamp,
    /// Only where personal data is revealed.
    #[serde(default)]
    pub body: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Refund {
    pub refund_key: String,
    pub status: String,
    pub reason: String,
    pub currency: String,
    pub amount: i64,
    pub item_amount: i64,
    pub shipping_amount: i64,
    pub required_at: Timestamp,
    pub issued_at: Option<Timestamp>,
    pub withdrawn_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Guarantee {
    pub key: String,
    pub status: String,
    pub basis: Option<String>,
    pub since: Option<Timestamp>,
    pub eligible_at: Option<Timestamp>,
}

/// A derived event as it is recorded.
#[derive(Clone, Debug, Deserialize)]
pub struct Recorded {
    pub event_id: uuid::Uuid,
    #[serde(rename = "type")]
    pub event_type: String,
    pub time: Timestamp,
    pub published_at: Option<Timestamp>,
    pub withdrawn_at: Option<Timestamp>,
    pub data: Value,
}

/// What the read model says of an order.
#[derive(Debug, Deserialize)]
struct Shown {
    order: Option<Value>,
    lines: Vec<Line>,
    packages: Vec<Package>,
    threads: Vec<Thread>,
    messages: Vec<Message>,
    refunds: Vec<Refund>,
    guarantees: Vec<Guarantee>,
    derived_events: Vec<Recorded>,
}

/// The case of this name; `None` where nothing is known of it.
pub async fn case(conn: &mut PgConnection, name: &str, personal: Personal) -> Result<Option<Case>> {
    let Some(explanation) = explained(conn, name, None).await? else { return Ok(None) };
    let shown = match &explanation.case {
        CaseId::Order(order) => orders::show(conn, order).await?.map(read::<Shown>).transpose()?,
        CaseId::Thread(_) => None,
    };
    let recorded = shown.as_ref().map(|shown| shown.derived_events.as_slice());
    let mut case = Case {
        case: explanation.case.subject(),
        as_of: explanation.as_of,
        revealed: personal == Personal::Shown,
        order: None,
        lines: Vec::new(),
        packages: Vec::new(),
        threads: Vec::new(),
        messages: Vec::new(),
        refunds: Vec::new(),
        guarantees: Vec::new(),
        timeline: story::timeline(&explanation, recorded),
        waits: story::waits(&explanation),
        problem: explanation.decision.as_ref().err().cloned(),
    };
    if let Some(shown) = shown {
        case.take(shown, personal)?;
    }
    if let (Personal::Shown, CaseId::Order(order)) = (personal, &explanation.case) {
        case.tell_messages(orders::message_bodies(conn, order).await?);
    }
    Ok(Some(case))
}

/// The same with personal data, which is recorded.
pub async fn reveal(conn: &mut PgConnection, name: &str, who: &str) -> Result<Option<Case>> {
    let Some(known) = explained(conn, name, None).await? else { return Ok(None) };
    // Before it is shown: a case is read in a snapshot of its own.
    let detail = serde_json::json!({ "of": "order" });
    audit::record(conn, who, "reveal", Some(&known.case.subject()), &detail).await?;
    case(conn, name, Personal::Shown).await
}

impl Case {
    fn take(&mut self, shown: Shown, personal: Personal) -> Result<()> {
        self.order = shown.order.map(|order| read(masked(order, personal))).transpose()?;
        self.lines = shown.lines;
        self.packages = shown.packages;
        self.threads = shown.threads;
        self.messages = shown.messages;
        self.refunds = shown.refunds;
        self.guarantees = shown.guarantees;
        Ok(())
    }

    fn tell_messages(&mut self, bodies: Vec<(String, String)>) {
        for (id, body) in bodies {
            if let Some(message) = self.messages.iter_mut().find(|told| told.message_id == id) {
                message.body = Some(body);
            }
        }
    }

    /// Whether there is anything to be revealed.
    pub fn has_personal_data(&self) -> bool {
        !self.messages.is_empty()
            || self.order.as_ref().is_some_and(|order| {
                order.buyer_name.is_some()
                    || order.relay_email.is_some()
                    || order.phone.is_some()
                    || order.ship_to.is_some()
            })
    }
}

fn masked(order: Value, personal: Personal) -> Value {
    let Value::Object(columns) = order else { return order };
    let columns = columns.into_iter().map(|(name, value)| {
        let value = redact::column(&name, value, personal);
        (name, value)
    });
    Value::Object(columns.collect())
}
