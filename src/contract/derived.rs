//! The events that follow from the rules: one struct a type, one enum over them all.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Actor, Currency, EventRef, Identifier, Rule, Text, Timestamp, Topic};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        #[schemars(inline)]
        pub enum $name {
            $($variant,)+
        }
    };
}

words! {
    /// Why a shipment must not leave, or should not have left.
    BlockReason { PaymentPending, Cancelled, ConsentPending }
}
words! {
    /// Why money goes back.
    RefundReason { Returned, CombinedShipping, LinesUnshippable, LatePayment, Cancelled, Guarantee }
}
words! {
    /// Why a package came back.
    ReturnedBecause { Undeliverable, Refused, UnknownAddress, BuyerReturn, Other }
}
words! {
    /// Why an order should be cancelled.
    CancellationReason { NoBuyerReply, BuyerRequest, ConsentDenied, NothingShippable }
}
words! {
    /// Why a new order is the way.
    ReorderReason { ChangeWindowClosed }
}
words! {
    /// Why a change takes no effect.
    ChangeRefusal { SellerNotPermitted, WindowClosed, AlreadyShipped, Cancelled }
}
words! {
    /// The ways out when part of an order can't be shipped.
    ConsentOption { ShipTheRest, CancelAndReorder }
}
words! {
    /// Whether the order that an inquiry is about is good.
    Verdict { Valid, PaymentPending, Cancelled }
}
words! {
    /// Who can help.
    Redirection { MarketplaceSupport, AccountServices, HelpPages }
}
words! {
    /// Why the seller can't help.
    RedirectionReason { OtherSellerOrder, Unmatched, FulfilledByMarketplace }
}
words! {
    /// What a reply must say.
    ReplyCode { CannotShipPending, PriceBreakdown, ReturnAfterShipping }
}
words! {
    /// What a seller can do about a parcel that didn't arrive.
    NonReceiptOption { ContactCarrier, AskToWait }
}
words! {
    /// What a guarantee rests on.
    GuaranteeBasis { Contact, ReturnRequest }
}
words! {
    /// Why a claim is refused.
    ClaimRefusal { NoPriorContact, TooEarly, Answered, NotCovered }
}
words! {
    /// What doesn't fit together.
    ConflictKind {
        DeliveredAndReturned, ShippedMoreThanOrdered, PaidAfterCancellation, CurrencyMismatch,
        UnknownLine, PlacedTwice, OutOfRange,
    }
}
words! {
    /// Where an order stands.
    OrderStatus { Pending, Unshipped, PartiallyShipped, Shipped, Cancelled }
}

/// Pieces of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct LinePieces {
    /// The line of the order.
    pub line_id: Identifier,
    /// How many pieces of it.
    #[schemars(range(min = 0))]
    pub quantity: i64,
}

/// A package that the carrier is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct InquiredPackage {
    /// The package that it is about.
    pub package_id: Identifier,
    /// Who carries the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Text>,
    /// The carrier's number of the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<Text>,
    /// The carrier or an insurer answers for a loss.
    pub insured: bool,
}

/// The order may, and must, be shipped by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShipmentRequired {
    /// Until when it must be shipped.
    pub ship_by: Timestamp,
}

/// Something should have been shipped by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShipmentOverdue {
    /// Until when it must be shipped.
    pub ship_by: Timestamp,
}

/// The order must not be shipped, or should not have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShipmentBlocked {
    /// Why it must not leave.
    pub reason: BlockReason,
    /// It has left already.
    pub dispatched: bool,
    /// The package that left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_id: Option<Identifier>,
    /// The message that asked to ship now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Identifier>,
}

/// The buyer is to be told that a package left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShipNoticeRequired {
    /// The package that it is about.
    pub package_id: Identifier,
    /// Nothing of the order is left to ship after it.
    pub whole_order: bool,
    /// Who carries the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Text>,
    /// The carrier's number of the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<Text>,
}

/// Several orders can go in one parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CombinedShippingAvailable {
    /// Sorted; two or more, at most the 100 released last.
    pub order_ids: Vec<Identifier>,
    /// Who bought them all.
    pub buyer_id: Identifier,
    /// True where there are more than 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
}

/// Money is to go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RefundRequired {
    /// For ever the same, so that a payer can pay once.
    pub refund_key: String,
    /// Why the money goes back.
    pub reason: RefundReason,
    /// ISO 4217.
    pub currency: Currency,
    /// In the currency's minor unit.
    #[schemars(range(min = 0))]
    pub item_amount: i64,
    /// In the currency's minor unit.
    #[schemars(range(min = 0))]
    pub shipping_amount: i64,
    /// Their sum.
    #[schemars(range(min = 0))]
    pub amount: i64,
    /// What it is for; empty where it is for no line.
    pub lines: Vec<LinePieces>,
    /// The package that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_id: Option<Identifier>,
    /// Why the package came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_reason: Option<ReturnedBecause>,
}

/// The order should be cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CancellationRequired {
    /// Why it should be cancelled.
    pub reason: CancellationReason,
    /// The conversation that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<Identifier>,
}

/// The buyer should cancel and order anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CancelAndReorderAdvised {
    /// Why no other way is left.
    pub reason: ReorderReason,
    /// The conversation that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<Identifier>,
}

/// A change takes no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChangeRefused {
    /// Who wanted the change.
    pub actor: Actor,
    /// Why it takes no effect.
    pub reason: ChangeRefusal,
}

/// The buyer is to be asked whether the rest may be shipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConsentRequired {
    /// The pieces that can't be shipped.
    pub lines: Vec<LinePieces>,
    /// The ways out.
    pub options: Vec<ConsentOption>,
}

/// The order that an inquiry without a number is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InquiryMatched {
    /// The conversation that it belongs to.
    pub thread_id: Identifier,
    /// The message that it is about.
    pub message_id: Identifier,
    /// The order's, at the message's time.
    pub status: OrderStatus,
    /// Whether the order is good.
    pub verdict: Verdict,
}

/// An inquiry that could be about several orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InquiryAmbiguous {
    /// The conversation that it belongs to.
    pub thread_id: Identifier,
    /// The message that it is about.
    pub message_id: Identifier,
    /// Sorted.
    pub order_ids: Vec<Identifier>,
}

/// An inquiry about no order that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InquiryUnmatched {
    /// The conversation that it belongs to.
    pub thread_id: Identifier,
    /// The message that it is about.
    pub message_id: Identifier,
}

/// The buyer is to ask somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BuyerRedirected {
    /// The conversation that it belongs to.
    pub thread_id: Identifier,
    /// The message that it is about.
    pub message_id: Identifier,
    /// Who can help.
    pub to: Redirection,
    /// What the message is about.
    pub topic: Topic,
    /// Why the seller can't help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<RedirectionReason>,
    /// Until when the buyer can do it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A message needs a certain answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReplyRequired {
    /// The conversation that it belongs to.
    pub thread_id: Identifier,
    /// The message that it is about.
    pub message_id: Identifier,
    /// What the reply must say.
    pub code: ReplyCode,
    /// This seller's items, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub items_total: Option<i64>,
    /// Tax within it, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub tax_total: Option<i64>,
    /// This seller's shipping, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub shipping_total: Option<i64>,
    /// ISO 4217.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
}

/// The seller hasn't answered in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReplyOverdue {
    /// The conversation that it belongs to.
    pub thread_id: Identifier,
    /// The first contact that waits.
    pub since: Timestamp,
    /// Until when an answer was due.
    pub due_at: Timestamp,
}

/// A buyer says that a parcel didn't arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NonReceiptOpened {
    /// The conversation that it belongs to.
    pub thread_id: Identifier,
    /// What the seller can do.
    pub options: Vec<NonReceiptOption>,
    /// A package has a tracking number.
    pub tracked: bool,
    /// A package is insured.
    pub insured: bool,
    /// A package is reported delivered.
    pub delivered: bool,
    /// Until when it is promised to arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_delivery_at: Option<Timestamp>,
}

/// The carrier is to be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CarrierInquiryRequired {
    /// The conversation that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<Identifier>,
    /// The packages to ask about.
    pub packages: Vec<InquiredPackage>,
}

/// The buyer may claim the guarantee while the seller waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GuaranteeRisk {
    /// The conversation that it belongs to.
    pub thread_id: Identifier,
    /// Until when the seller asks the buyer to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_until: Option<Timestamp>,
    /// From when on the buyer may claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eligible_at: Option<Timestamp>,
}

/// The buyer may claim the guarantee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GuaranteeEligible {
    /// The conversation that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<Identifier>,
    /// What it rests on.
    pub basis: GuaranteeBasis,
    /// The contact or request that went unanswered.
    pub since: Timestamp,
    /// From when on the buyer may claim.
    pub eligible_at: Timestamp,
    /// In the currency's minor unit.
    #[schemars(range(min = 0))]
    pub amount: i64,
    /// ISO 4217.
    pub currency: Currency,
}

/// A claim that the guarantee doesn't cover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GuaranteeRefused {
    /// The claim that it is about.
    pub claim_id: Identifier,
    /// Why it is refused.
    pub reason: ClaimRefusal,
    /// From when on the buyer may claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eligible_at: Option<Timestamp>,
}

/// The buyer hasn't paid in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PaymentOverdue {
    /// Until when it should have been paid.
    pub due_at: Timestamp,
}

/// What the systems say doesn't fit together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OrderConflict {
    /// What doesn't fit.
    pub kind: ConflictKind,
    /// A sentence for a person, with ids only.
    pub detail: String,
}

/// A derived event that was published no longer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DerivedWithdrawn {
    /// The id of the withdrawn event.
    pub withdraws: Uuid,
    /// The type of the withdrawn event.
    pub withdrawn_type: String,
    /// The id of the event that stands in its place, where only its data changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<Uuid>,
}

macro_rules! derived_types {
    ($($variant:ident, $name:literal;)+) => {
        /// The type of a derived event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DerivedType {
            $($variant,)+
        }

        impl DerivedType {
            pub const ALL: &[DerivedType] = &[$(DerivedType::$variant,)+];

            pub const fn name(self) -> &'static str {
                match self {
                    $(DerivedType::$variant => $name,)+
                }
            }

            pub fn from_name(name: &str) -> Option<DerivedType> {
                match name {
                    $($name => Some(DerivedType::$variant),)+
                    _ => None,
                }
            }

            /// The JSON Schema of the fields that are this type's own.
            pub fn own_schema(self) -> schemars::Schema {
                match self {
                    $(DerivedType::$variant => schemars::SchemaGenerator::new(
                        schemars::generate::SchemaSettings::draft2020_12().for_serialize(),
                    ).into_root_schema_for::<$variant>(),)+
                }
            }
        }

        /// What a derived event says beside its case, seller and rule.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Derivation {
            $($variant($variant),)+
        }

        $(impl From<$variant> for Derivation {
            fn from(data: $variant) -> Derivation {
                Derivation::$variant(data)
            }
        })+

        impl Derivation {
            pub fn derived_type(&self) -> DerivedType {
                match self {
                    $(Derivation::$variant(_) => DerivedType::$variant,)+
                }
            }

            fn own_fields(&self) -> Map<String, Value> {
                let value = match self {
                    $(Derivation::$variant(data) => serde_json::to_value(data),)+
                };
                match value {
                    Ok(Value::Object(fields)) => fields,
                    _ => unreachable!("the data of a derived event is a struct of plain values"),
                }
            }
        }
    };
}

derived_types! {
    ShipmentRequired, "shipment-required";
    ShipmentOverdue, "shipment-overdue";
    ShipmentBlocked, "shipment-blocked";
    ShipNoticeRequired, "ship-notice-required";
    CombinedShippingAvailable, "combined-shipping-available";
    RefundRequired, "refund-required";
    CancellationRequired, "cancellation-required";
    CancelAndReorderAdvised, "cancel-and-reorder-advised";
    ChangeRefused, "change-refused";
    ConsentRequired, "consent-required";
    InquiryMatched, "inquiry-matched";
    InquiryAmbiguous, "inquiry-ambiguous";
    InquiryUnmatched, "inquiry-unmatched";
    BuyerRedirected, "buyer-redirected";
    ReplyRequired, "reply-required";
    ReplyOverdue, "reply-overdue";
    NonReceiptOpened, "non-receipt-opened";
    CarrierInquiryRequired, "carrier-inquiry-required";
    GuaranteeRisk, "guarantee-risk";
    GuaranteeEligible, "guarantee-eligible";
    GuaranteeRefused, "guarantee-refused";
    PaymentOverdue, "payment-overdue";
    OrderConflict, "order-conflict";
    DerivedWithdrawn, "derived-withdrawn";
}

/// A derived event that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    pub rule: Rule,
    /// When it became true in the world.
    pub time: Timestamp,
    /// `None` for an inquiry that no order may be told of.
    pub order_id: Option<Identifier>,
    pub seller_id: Identifier,
    /// What names it within its case and type: see the contract's `id`.
    pub key: String,
    /// The input event that made it true; `None` where only time did. No part of its content.
    pub cause: Option<EventRef>,
    pub derivation: Derivation,
}

impl Derived {
    pub fn derived_type(&self) -> DerivedType {
        self.derivation.derived_type()
    }

    /// `data` as published.
    pub fn data(&self) -> Value {
        data_of(self.order_id.as_ref(), &self.seller_id, self.rule, &self.derivation)
    }
}

/// `data` of a derived event: what every type has, and its own fields.
pub fn data_of(
    order_id: Option<&Identifier>,
    seller_id: &Identifier,
    rule: Rule,
    derivation: &Derivation,
) -> Value {
    let mut data = derivation.own_fields();
    data.insert("order_id".into(), order_id.map_or(Value::Null, |id| id.as_str().into()));
    data.insert("seller_id".into(), seller_id.as_str().into());
    data.insert("rule".into(), rule.id().into());
    Value::Object(data)
}

/// The routing key that a derived event goes out under: a seller id's `.`, `*` and `#` become `_`.
pub fn routing_key(type_name: &str, seller_id: &str) -> String {
    format!("{type_name}.{}", seller_id.replace(['.', '*', '#'], "_"))
}
