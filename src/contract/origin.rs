//! Which rules a derived event can follow from.

use super::{DerivedType, Rule};

impl DerivedType {
    /// In the order of the rule book. A withdrawal names the rule of what it withdraws, so it can
    /// be any.
    pub const fn rules(self) -> &'static [Rule] {
        use Rule::*;
        match self {
            DerivedType::ShipmentRequired => &[P2],
            DerivedType::ShipmentOverdue => &[S3],
            DerivedType::ShipmentBlocked => &[S1, S2, R5],
            DerivedType::ShipNoticeRequired => &[S4],
            DerivedType::CombinedShippingAvailable => &[S5],
            DerivedType::RefundRequired => &[P4, S6, R1, R4, R6, M4],
            DerivedType::CancellationRequired => &[R3, R5, K2, M5],
            DerivedType::CancelAndReorderAdvised => &[K2, Q8],
            DerivedType::ChangeRefused => &[K1, K2, K3],
            DerivedType::ConsentRequired => &[R3],
            DerivedType::InquiryMatched | DerivedType::InquiryAmbiguous => &[Q1],
            DerivedType::InquiryUnmatched => &[Q2],
            DerivedType::BuyerRedirected => &[Q2, Q3, Q4, Q6, Q7, Q8],
            DerivedType::ReplyRequired => &[S1, K2, Q6, Q8],
            DerivedType::ReplyOverdue => &[M2],
            DerivedType::NonReceiptOpened => &[Q4],
            DerivedType::CarrierInquiryRequired => &[S8, Q5],
            DerivedType::GuaranteeRisk => &[Q5],
            DerivedType::GuaranteeEligible => &[M3],
            DerivedType::GuaranteeRefused => &[M4],
            DerivedType::PaymentOverdue => &[P3],
            DerivedType::OrderConflict => &[P4, S7, R2, X1, X2],
            DerivedType::DerivedWithdrawn => Rule::ALL,
        }
    }
}
