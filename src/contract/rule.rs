//! The ids of the marketplace's rules, as they stand in `data.rule`.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! rules {
    ($($id:ident $title:literal,)+) => {
        /// A rule of the marketplace. Sorts in the order of the rule book.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $title] $id,)+
        }

        impl Rule {
            pub const ALL: &[Rule] = &[$(Rule::$id,)+];

            pub const fn id(self) -> &'static str {
                match self {
                    $(Rule::$id => stringify!($id),)+
                }
            }

            /// What the rule is about, in a few words.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Rule::$id => $title,)+
                }
            }

            pub fn from_id(id: &str) -> Option<Rule> {
                match id {
                    $(stringify!($id) => Some(Rule::$id),)+
                    _ => None,
                }
            }
        }
    };
}

rules! {
    P1 "pending until authorised",
    P2 "released for shipping",
    P3 "payment overdue",
    P4 "paid too late",
    P5 "one failed attempt leaves another's authorisation",
    S1 "never ship pending",
    S2 "never ship cancelled",
    S3 "ship promptly",
    S4 "a notice for every order",
    S5 "combined shipping offered",
    S6 "combined shipping refunded",
    S7 "shipped as ordered",
    S8 "lost packages",
    R1 "a package came back",
    R2 "delivered and returned",
    R3 "partly unshippable",
    R4 "consent given",
    R5 "consent denied or awaited",
    R6 "money back for what is cancelled",
    R7 "refunds issued",
    K1 "changes within the window",
    K2 "changes after the window",
    K3 "not the seller's to change",
    K4 "the marketplace's own changes",
    X1 "placed twice",
    X2 "another currency",
    Q1 "which order is meant",
    Q2 "no such order",
    Q3 "another seller's order",
    Q4 "not received",
    Q5 "non-receipt handled",
    Q6 "price breakdown",
    Q7 "the marketplace's to answer",
    Q8 "change after ordering",
    M1 "who waits for whom",
    M2 "reply overdue",
    M3 "guarantee",
    M4 "claims",
    M5 "no answer from the buyer",
    M6 "the record of messages",
    V1 "the buyer's data hidden until it is needed",
    V2 "points and payment codes stripped",
    V3 "ids only in logs, metrics and traces",
    O1 "the orders reconciled",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
