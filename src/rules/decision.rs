//! What `decide` returns: the state of a case, what is derived from it, and
//! when time alone will change something.

use std::fmt;

use serde::Serialize;

use crate::contract::derived::{
    GuaranteeBasis, LinePieces, OrderStatus, RefundReason, ReturnedBecause,
};
use crate::contract::{
    Address, Currency, Derived, EventRef, Identifier, PackageStatus, Party, PaymentMethod, Rule,
    Text, Timestamp, Topic,
};

/// One order, or one inquiry thread. Threads sort before orders, which is the
/// order in which the store locks them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaseId {
    Thread(Identifier),
    Order(Identifier),
}

impl CaseId {
    /// How events, logs and screens name the case. (An order's id may itself begin
    /// with `thread:`; the store's key keeps the two apart.)
    pub fn subject(&self) -> String {
        match self {
            CaseId::Order(id) => id.to_string(),
            CaseId::Thread(id) => format!("thread:{id}"),
        }
    }

    /// The store's key: `o/<order id>` or `t/<thread id>`.
    pub fn key(&self) -> String {
        match self {
            CaseId::Order(id) => format!("o/{id}"),
            CaseId::Thread(id) => format!("t/{id}"),
        }
    }

    /// Reads a key of the store.
    pub fn from_key(key: &str) -> Option<CaseId> {
        let (kind, id) = key.split_once('/')?;
        match kind {
            "o" => Identifier::new(id).map(CaseId::Order),
            "t" => Identifier::new(id).map(CaseId::Thread),
            _ => None,
        }
    }

    pub fn order_id(&self) -> Option<&Identifier> {
        match self {
            CaseId::Order(id) => Some(id),
            CaseId::Thread(_) => None,
        }
    }

    pub fn thread_id(&self) -> Option<&Identifier> {
        match self {
            CaseId::Thread(id) => Some(id),
            CaseId::Order(_) => None,
        }
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject())
    }
}

/// Everything that the rules say of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// `None` before the order was placed, and for a thread.
    pub order: Option<OrderState>,
    pub packages: Vec<PackageState>,
    pub threads: Vec<ThreadState>,
    pub refunds: Vec<RefundState>,
    pub guarantees: Vec<GuaranteeState>,
    /// What holds by `as_of`, in order of time. No (type, key) stands twice.
    pub derived: Vec<Derived>,
    /// When time alone changes something, the settling time included.
    pub next_at: Option<Timestamp>,
    /// What is waited for, in order of time.
    pub waits: Vec<Wait>,
    /// Every rule that applied, with the event that made it apply, in order of time.
    pub firings: Vec<Firing>,
    /// When the order could be shipped together with others (S5).
    pub releases: Vec<Release>,
}

/// The row of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderState {
    pub order_id: Identifier,
    pub seller_id: Identifier,
    pub buyer_id: Identifier,
    pub status: OrderStatus,
    pub sold_by: Party,
    pub fulfilled_by: Party,
    pub payment_status: PaymentStatus,
    pub payment_method: Option<PaymentMethod>,
    pub currency: Currency,
    /// Totals in minor units, as placed and changed, at most 10^15.
    pub items_total: i64,
    pub tax_total: i64,
    pub shipping_total: i64,
    pub placed_at: Timestamp,
    pub authorized_at: Option<Timestamp>,
    pub ship_by: Option<Timestamp>,
    pub cancelled_at: Option<Timestamp>,
    /// Name, phone and address are `None` unless the order is the seller's to ship (V1).
    pub buyer_name: Option<Text>,
    pub relay_email: Option<Text>,
    pub phone: Option<Text>,
    pub ship_to: Option<Address>,
    /// Rows of their own.
    #[serde(skip_serializing)]
    pub lines: Vec<LineState>,
}

/// The row of an order's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineState {
    pub line_id: Identifier,
    pub sku: Text,
    pub title: Option<Text>,
    pub quantity: i64,
    pub unit_price: i64,
    pub tax: Option<i64>,
    pub shipping_fee: Option<i64>,
    pub quantity_shipped: i64,
    pub quantity_unshippable: i64,
    pub quantity_cancelled: i64,
}

/// Whether an order is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaymentStatus {
    Pending,
    Authorized,
    Failed,
}

/// The row of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageState {
    pub package_id: Identifier,
    pub carrier: Option<Text>,
    pub tracking_number: Option<Text>,
    pub insured: bool,
    /// `None`: dispatched, and no news since.
    pub status: Option<PackageStatus>,
    pub return_reason: Option<ReturnedBecause>,
    pub dispatched_at: Timestamp,
    pub delivered_at: Option<Timestamp>,
    pub returned_at: Option<Timestamp>,
    pub lines: Vec<LinePieces>,
}

/// The row of a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadState {
    pub thread_id: Identifier,
    pub order_id: Option<Identifier>,
    pub seller_id: Identifier,
    pub topic: Topic,
    pub opened_at: Timestamp,
    pub last_buyer_message_at: Option<Timestamp>,
    pub last_seller_reply_at: Option<Timestamp>,
    pub awaiting: Awaiting,
    pub awaiting_since: Option<Timestamp>,
    pub reply_by: Option<Timestamp>,
}

/// Whose turn it is in a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Awaiting {
    Seller,
    Buyer,
    Nobody,
}

impl Awaiting {
    pub const fn name(self) -> &'static str {
        match self {
            Awaiting::Seller => "seller",
            Awaiting::Buyer => "buyer",
            Awaiting::Nobody => "nobody",
        }
    }
}

/// The row of a refund that is required; one that no longer is, is the store's to remember.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefundState {
    pub refund_key: String,
    pub reason: RefundReason,
    pub currency: Currency,
    pub amount: i64,
    pub item_amount: i64,
    pub shipping_amount: i64,
    pub package_id: Option<Identifier>,
    pub required_at: Timestamp,
    pub issued_at: Option<Timestamp>,
}

/// The row of a guarantee: one for each thread with a contact, and for each request without one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuaranteeState {
    /// What tells the rows of an order apart: the thread, or the event of the request or claim.
    pub key: String,
    pub thread_id: Option<Identifier>,
    pub basis: Option<GuaranteeBasis>,
    pub since: Option<Timestamp>,
    pub eligible_at: Option<Timestamp>,
    pub status: GuaranteeStatus,
}

/// How far a guarantee is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuaranteeStatus {
    Waiting,
    Eligible,
    Claimed,
    Refused,
    Closed,
}

impl GuaranteeStatus {
    pub const fn name(self) -> &'static str {
        match self {
            GuaranteeStatus::Waiting => "waiting",
            GuaranteeStatus::Eligible => "eligible",
            GuaranteeStatus::Claimed => "claimed",
            GuaranteeStatus::Refused => "refused",
            GuaranteeStatus::Closed => "closed",
        }
    }
}

/// A stretch of time in which an order was unshipped and ready, at one address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    pub order_id: Identifier,
    /// P2's moment.
    pub released_at: Timestamp,
    /// From here on …
    pub from: Timestamp,
    /// … and up to, but not including, here; `None`: it still lasts.
    pub until: Option<Timestamp>,
    /// The address, in the form in which two are the same.
    pub address: String,
    pub seller_id: Identifier,
    pub buyer_id: Identifier,
}

/// Something that time alone will bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    pub rule: Rule,
    /// The deadline itself.
    pub until: Timestamp,
    /// What would be derived then, as things stand.
    pub then: &'static str,
    /// The package, thread or message that it is about.
    pub about: Option<String>,
}

/// A rule that applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    pub rule: Rule,
    pub time: Timestamp,
    /// `None` where only time made it apply.
    pub event: Option<EventRef>,
    /// What it came to, in a few words with ids only.
    pub outcome: String,
}
