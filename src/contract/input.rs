//! The events that upstream systems publish: one struct a type, one enum over
//! them all. Optional fields that are `null` read as absent.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Currency, Identifier, Money, Quantity, QuantityOrNone, ReplyBy, Text, Timestamp};

/// An enumeration that may grow: a value it doesn't know reads as `other`.
macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            $($variant,)+
            #[serde(other)]
            Other,
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let known: Vec<Value> = [$($name::$variant,)+ $name::Other]
                    .iter()
                    .map(|value| serde_json::to_value(value).expect("a unit variant is a string"))
                    .collect();
                schemars::json_schema!({
                    "type": "string", "maxLength": Text::MAX, "examples": known
                })
            }
        }
    };
}

macro_rules! closed_enum {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        #[schemars(inline)]
        pub enum $name {
            $($variant,)+
        }
    };
}

closed_enum! {
    /// The seller, or the marketplace itself.
    Party { Seller, Marketplace }
}
closed_enum! {
    /// Who acts or writes.
    Actor { Buyer, Seller, Marketplace }
}
closed_enum! {
    /// Only a buyer asks for a cancellation; sellers and the marketplace cancel.
    BuyerOnly { Buyer }
}
closed_enum! {
    /// How far the payment was when the order was placed.
    PlacedPayment { Pending, Authorized }
}
closed_enum! {
    /// Where a package is.
    PackageStatus { InTransit, OutForDelivery, AttemptFailed, Delivered, Lost, Returning, Returned }
}
closed_enum! {
    /// What the seller does about a parcel that didn't arrive.
    NonReceiptAction { ContactCarrier, AskToWait }
}
open_enum! {
    /// How the buyer pays.
    PaymentMethod { Card, ConvenienceStore, CashOnDelivery, Points }
}
open_enum! {
    /// Why a payment failed.
    PaymentFailure { Declined, Expired }
}
open_enum! {
    /// Why a package comes back.
    ReturnReason { Undeliverable, Refused, UnknownAddress, BuyerReturn }
}
open_enum! {
    /// The way that a message took.
    Channel { Form, Email, Phone, Chat }
}
open_enum! {
    /// What a message is about.
    Topic {
        ShipNow, WhereIsIt, NotReceived, PriceBreakdown, PaymentDetails, PaymentNumber, Points,
        ChangeOrder, Receipt, Damaged, MissingParts, Cancel, UnknownOrder,
    }
}
open_enum! {
    /// Why a buyer claims the guarantee.
    ClaimReason { NotReceived, Damaged, MissingParts }
}

/// Where an order goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Address {
    /// Who receives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Text>,
    /// As written on the parcel.
    pub postal_code: Text,
    /// Prefecture, state or province.
    pub region: Text,
    /// City, ward or town.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<Text>,
    /// Street and building, in order.
    pub address_lines: Vec<Text>,
    /// Country, as the sender writes it.
    pub country: Text,
}

/// How an order is paid, as known when it was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Payment {
    /// How far it was when the order was placed.
    pub status: PlacedPayment,
    /// How the buyer pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<PaymentMethod>,
    /// Until when it must be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The money is in already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub captured: Option<bool>,
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct OrderLine {
    /// Unique in the order.
    pub line_id: Identifier,
    /// The seller's name of the goods.
    pub sku: Text,
    /// What the buyer saw it called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// How many pieces were ordered.
    pub quantity: Quantity,
    /// For one piece, tax included.
    pub unit_price: Money,
    /// For the whole line; it only informs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax: Option<Money>,
    /// For the whole line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping_fee: Option<Money>,
}

/// Some pieces of a line; without `quantity` what the event's type says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct LineQuantity {
    /// The line of the order.
    pub line_id: Identifier,
    /// How many pieces of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
}

/// A change of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct LineChange {
    /// The line that changes.
    pub line_id: Identifier,
    /// 0: the line goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<QuantityOrNone>,
    /// A buyer's is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Money>,
}

/// A buyer placed an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPlaced {
    /// The order.
    pub order_id: Identifier,
    /// Who sells, where the marketplace itself does not.
    pub seller_id: Identifier,
    /// Who bought.
    pub buyer_id: Identifier,
    /// Whose sale it is.
    pub sold_by: Party,
    /// Who ships it.
    pub fulfilled_by: Party,
    /// The event's `time` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placed_at: Option<Timestamp>,
    /// ISO 4217.
    pub currency: Currency,
    /// Pending where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<Payment>,
    /// Until when it is promised to be shipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_ship_at: Option<Timestamp>,
    /// Until when it is promised to arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_delivery_at: Option<Timestamp>,
    /// Shown to the seller only once it is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buyer_name: Option<Text>,
    /// The marketplace's address that reaches the buyer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_email: Option<Text>,
    /// Shown to the seller only once it is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Text>,
    /// Shown to the seller only once it is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ship_to: Option<Address>,
    /// What was ordered; line ids are unique.
    #[schemars(length(min = 1, max = 500))]
    pub lines: Vec<OrderLine>,
}

/// Somebody wants an order changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeRequested {
    /// The order that it is about.
    pub order_id: Identifier,
    /// Who wants the change.
    pub actor: Actor,
    /// The new address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ship_to: Option<Address>,
    /// The lines that change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub lines: Option<Vec<LineChange>>,
}

/// A buyer wants an order cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelRequested {
    /// The order that it is about.
    pub order_id: Identifier,
    /// Always the buyer.
    pub actor: BuyerOnly,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
}

/// An order, or some of its lines, is cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderCancelled {
    /// The order that it is about.
    pub order_id: Identifier,
    /// Who cancelled.
    pub actor: Actor,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// Absent: the whole order. Without `quantity`: what is left to ship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub lines: Option<Vec<LineQuantity>>,
}

/// A seller can't ship some of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinesUnshippable {
    /// The order that it is about.
    pub order_id: Identifier,
    /// Without `quantity`: what is left to ship.
    #[schemars(length(max = 500))]
    pub lines: Vec<LineQuantity>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
}

/// A payment was authorised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentAuthorized {
    /// The order that it is about.
    pub order_id: Identifier,
    /// Tells the attempts to pay an order apart.
    pub attempt_id: Identifier,
    /// In minor units.
    pub amount: Money,
    /// The order's where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// How the buyer paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<PaymentMethod>,
    /// The money is in; where absent true for `convenience-store`, else false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub captured: Option<bool>,
}

impl PaymentAuthorized {
    /// Whether the money is in, with the contract's default.
    pub fn is_captured(&self) -> bool {
        self.captured.unwrap_or(self.method == Some(PaymentMethod::ConvenienceStore))
    }
}

/// An attempt to pay failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentFailed {
    /// The order that it is about.
    pub order_id: Identifier,
    /// Tells the attempts to pay an order apart.
    pub attempt_id: Identifier,
    /// Why it failed.
    pub reason: PaymentFailure,
}

/// Money was given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentRefunded {
    /// The order that it is about.
    pub order_id: Identifier,
    /// Tells the refunds of an order apart.
    pub refund_id: Identifier,
    /// In minor units.
    pub amount: Money,
    /// The order's where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// The `refund_key` that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settles: Option<Text>,
}

/// A package left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentDispatched {
    /// The order that it is about.
    pub order_id: Identifier,
    /// Tells the packages of an order apart.
    pub package_id: Identifier,
    /// Who carries the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Text>,
    /// The carrier's number of the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<Text>,
    /// The carrier or an insurer answers for a loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insured: Option<bool>,
    /// Absent: all that is still to ship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub lines: Option<Vec<LineQuantity>>,
    /// The other orders in the same parcel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combined_with: Option<Vec<Identifier>>,
    /// This order's share of what the carrier took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping_fee_actual: Option<Money>,
}

/// News of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentUpdated {
    /// The order that it is about.
    pub order_id: Identifier,
    /// The package that it is about.
    pub package_id: Identifier,
    /// Where the package is.
    pub status: PackageStatus,
    /// Why it comes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReturnReason>,
}

/// A message between a buyer, a seller and the marketplace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageSent {
    /// The message.
    pub message_id: Identifier,
    /// The conversation that it belongs to.
    pub thread_id: Identifier,
    /// The order that the sender names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Identifier>,
    /// The seller who is written to, or writes.
    pub seller_id: Identifier,
    /// The buyer who writes, or is written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buyer_id: Option<Identifier>,
    /// The marketplace's address that reaches the buyer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_email: Option<Text>,
    /// Who wrote it.
    pub from: Actor,
    /// The way that it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// What it is about; `other` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<Topic>,
    /// Sent by a machine: no contact and no reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automatic: Option<bool>,
    /// Until when an answer is wanted: a moment, or the end of a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_by: Option<ReplyBy>,
    /// Never read by a rule, so stored beside what the rules load.
    #[serde(default, skip_serializing)]
    pub body: Option<Text>,
}

impl MessageSent {
    /// A topic that is absent reads `other`.
    pub fn topic(&self) -> Topic {
        self.topic.unwrap_or(Topic::Other)
    }

    pub fn is_automatic(&self) -> bool {
        self.automatic.unwrap_or(false)
    }
}

/// A buyer answered whether the rest may be shipped without what can't be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConsentRecorded {
    /// The order that it is about.
    pub order_id: Identifier,
    /// Whether the rest may be shipped.
    pub granted: bool,
    /// The conversation in which the buyer answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<Identifier>,
}

/// A buyer wants to send something back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnRequested {
    /// The order that it is about.
    pub order_id: Identifier,
    /// The conversation in which the buyer asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<Identifier>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// Absent: all lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub lines: Option<Vec<LineQuantity>>,
}

/// What the seller did about a parcel that didn't arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NonReceiptHandled {
    /// The order that it is about.
    pub order_id: Identifier,
    /// The conversation that the buyer opened.
    pub thread_id: Identifier,
    /// What the seller does.
    pub action: NonReceiptAction,
    /// Until when the buyer is asked to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_until: Option<Timestamp>,
}

/// A buyer claims the guarantee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuaranteeClaimed {
    /// The order that it is about.
    pub order_id: Identifier,
    /// Tells the claims of an order apart.
    pub claim_id: Identifier,
    /// Why the buyer claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<ClaimReason>,
}

closed_enum! {
    /// The four queues, and the first word of their routing keys.
    Stream { Orders, Payments, Shipments, Messages }
}

impl Stream {
    pub const ALL: [Stream; 4] =
        [Stream::Orders, Stream::Payments, Stream::Shipments, Stream::Messages];

    pub const fn name(self) -> &'static str {
        match self {
            Stream::Orders => "orders",
            Stream::Payments => "payments",
            Stream::Shipments => "shipments",
            Stream::Messages => "messages",
        }
    }

    pub fn from_name(name: &str) -> Option<Stream> {
        Stream::ALL.into_iter().find(|stream| stream.name() == name)
    }
}

/// One row a type: the variant, its name on the wire, its stream.
macro_rules! input_types {
    ($($variant:ident, $name:literal, $stream:ident;)+) => {
        /// The type of an input event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum InputType {
            $($variant,)+
        }

        impl InputType {
            pub const ALL: &[InputType] = &[$(InputType::$variant,)+];

            pub const fn name(self) -> &'static str {
                match self {
                    $(InputType::$variant => $name,)+
                }
            }

            pub fn from_name(name: &str) -> Option<InputType> {
                match name {
                    $($name => Some(InputType::$variant),)+
                    _ => None,
                }
            }

            pub const fn stream(self) -> Stream {
                match self {
                    $(InputType::$variant => Stream::$stream,)+
                }
            }

            /// The JSON Schema of this type's `data`.
            pub fn data_schema(self) -> schemars::Schema {
                match self {
                    $(InputType::$variant => schemars::schema_for!($variant),)+
                }
            }

            /// Reads `data`, whose `null` members and stripped fields are gone already.
            pub fn read<'de, D>(self, data: D) -> Result<Input, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                match self {
                    $(InputType::$variant => $variant::deserialize(data).map(Input::$variant),)+
                }
            }
        }

        /// The `data` of an input event.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Input {
            $($variant($variant),)+
        }

        impl Input {
            pub fn input_type(&self) -> InputType {
                match self {
                    $(Input::$variant(_) => InputType::$variant,)+
                }
            }

            /// What the rules read of it, as JSON: absent fields are left out, and so is a
            /// message's body.
            pub fn facts(&self) -> Value {
                match self {
                    $(Input::$variant(data) => serde_json::to_value(data),)+
                }
                .expect("an input event holds strings, numbers, lists and structs only")
            }
        }
    };
}

input_types! {
    OrderPlaced, "order-placed", Orders;
    ChangeRequested, "change-requested", Orders;
    CancelRequested, "cancel-requested", Orders;
    OrderCancelled, "order-cancelled", Orders;
    LinesUnshippable, "lines-unshippable", Orders;
    PaymentAuthorized, "payment-authorized", Payments;
    PaymentFailed, "payment-failed", Payments;
    PaymentRefunded, "payment-refunded", Payments;
    ShipmentDispatched, "shipment-dispatched", Shipments;
    ShipmentUpdated, "shipment-updated", Shipments;
    MessageSent, "message-sent", Messages;
    ConsentRecorded, "consent-recorded", Messages;
    ReturnRequested, "return-requested", Messages;
    NonReceiptHandled, "non-receipt-handled", Messages;
    GuaranteeClaimed, "guarantee-claimed", Messages;
}

impl Input {
    /// The order that the event names; only a message may name none.
    pub fn order_id(&self) -> Option<&Identifier> {
        match self {
            Input::OrderPlaced(data) => Some(&data.order_id),
            Input::ChangeRequested(data) => Some(&data.order_id),
            Input::CancelRequested(data) => Some(&data.order_id),
            Input::OrderCancelled(data) => Some(&data.order_id),
            Input::LinesUnshippable(data) => Some(&data.order_id),
            Input::PaymentAuthorized(data) => Some(&data.order_id),
            Input::PaymentFailed(data) => Some(&data.order_id),
            Input::PaymentRefunded(data) => Some(&data.order_id),
            Input::ShipmentDispatched(data) => Some(&data.order_id),
            Input::ShipmentUpdated(data) => Some(&data.order_id),
            Input::MessageSent(data) => data.order_id.as_ref(),
            Input::ConsentRecorded(data) => Some(&data.order_id),
            Input::ReturnRequested(data) => Some(&data.order_id),
            Input::NonReceiptHandled(data) => Some(&data.order_id),
            Input::GuaranteeClaimed(data) => Some(&data.order_id),
        }
    }

    /// What a type alone can't say: line ids unique, totals within 10^15. A fault
    /// names the member, as a path below `data`, and says what is wrong.
    pub fn check(&self) -> Result<(), (String, &'static str)> {
        let Input::OrderPlaced(order) = self else { return Ok(()) };
        if order.lines.is_empty() {
            return Err(("/lines".into(), "an order has at least one line"));
        }
        let mut seen = BTreeSet::new();
        for (index, line) in order.lines.iter().enumerate() {
            if !seen.insert(&line.line_id) {
                return Err((
                    format!("/lines/{index}/line_id"),
                    "a line id stands twice in the order",
                ));
            }
        }
        if exceeds_totals(order) {
            return Err(("/lines".into(), "a total of the order is over 10^15"));
        }
        Ok(())
    }
}

/// The most that a total of an order may be, in minor units.
pub const TOTAL_MAX: i128 = 1_000_000_000_000_000;

fn exceeds_totals(order: &OrderPlaced) -> bool {
    let amount = |money: Option<Money>| money.map_or(0, |m| i128::from(m.minor_units()));
    let (mut items, mut tax, mut shipping) = (0i128, 0i128, 0i128);
    for line in &order.lines {
        items += i128::from(line.unit_price.minor_units()) * i128::from(line.quantity.pieces());
        tax += amount(line.tax);
        shipping += amount(line.shipping_fee);
    }
    [items, tax, shipping].into_iter().any(|total| total > TOTAL_MAX)
}
