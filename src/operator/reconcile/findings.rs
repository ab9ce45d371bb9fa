//! What came of holding a report against the read model.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};
use serde_json::json;

use super::columns::Kind;
use super::compare::{Absence, Difference, Ours, absence, compare};
use super::read::Reported;
use super::words;
use crate::contract::{Identifier, Timestamp};

const PENDING: &str = "pending";

/// An order that the report has and we don't.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MissingHere {
    pub order_id: Identifier,
    /// The report's word; null where reports of its kind have none.
    pub status: Option<String>,
    pub placed_at: Option<Timestamp>,
    /// Of the report.
    pub line: u64,
}

/// An order that we have and the report should have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MissingInReport {
    pub order_id: String,
    pub status: String,
    pub placed_at: Timestamp,
}

/// An order that is pending with us or in the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pending {
    pub order_id: String,
    pub placed_at: Option<Timestamp>,
    /// The report's word; null: it doesn't hold the order, or no statuses.
    pub report: Option<String>,
    /// Null: we don't know the order.
    pub ours: Option<String>,
}

/// Everything that was found, by its names in JSON.
#[derive(Debug, Default, Serialize)]
pub struct Findings {
    pub missing_here: Vec<MissingHere>,
    pub missing_in_report: Vec<MissingInReport>,
    pub differences: Vec<Difference>,
    pub pending: Vec<Pending>,
    /// Words that nobody knows, so that they were compared with nothing, and in how many
    /// orders they stand.
    #[serde(serialize_with = "objects")]
    pub unknown_statuses: BTreeMap<String, u64>,
    /// Whose the orders are that both know.
    #[serde(skip)]
    pub sellers: BTreeSet<String>,
}

fn objects<S: Serializer>(statuses: &BTreeMap<String, u64>, to: S) -> Result<S::Ok, S::Error> {
    let object = |(status, orders)| json!({ "status": status, "orders": orders });
    to.collect_seq(statuses.iter().map(object))
}

impl Findings {
    /// Whether there is nothing that somebody should look into.
    pub fn are_none(&self) -> bool {
        self.missing_here.is_empty()
            && self.missing_in_report.is_empty()
            && self.differences.is_empty()
    }

    /// Takes an order of the report, and ours with its number.
    pub fn add_reported(
        &mut self,
        kind: Kind,
        (id, reported): (&Identifier, &Reported),
        ours: Option<&Ours>,
        seller: Option<&str>,
    ) {
        if let Some(ours) = ours {
            self.sellers.insert(ours.order.seller_id.clone());
            self.differences.extend(compare(kind, reported, ours, seller));
        } else if reported.is_doubtful {
            return;
        } else {
            self.missing_here.push(MissingHere {
                order_id: id.clone(),
                status: reported.status.as_deref().map(words::shown).map(str::to_owned),
                placed_at: reported.placed_at,
                line: reported.line,
            });
        }
        self.note_status(id.as_str(), reported, ours);
    }

    fn note_status(&mut self, id: &str, reported: &Reported, ours: Option<&Ours>) {
        let word = reported.status.as_deref();
        let meant = word.and_then(words::statuses);
        if let Some(word) = word.filter(|_| meant.is_none()) {
            *self.unknown_statuses.entry(words::shown(word).to_owned()).or_default() += 1;
        }
        let own = ours.map(|ours| ours.order.status.as_str());
        if own == Some(PENDING) || meant == Some(&[PENDING]) {
            self.pending.push(Pending {
                order_id: id.to_owned(),
                placed_at: reported.placed_at.or(ours.map(placed_at)),
                report: word.map(words::shown).map(str::to_owned),
                ours: own.map(str::to_owned),
            });
        }
    }

    /// Takes an order of ours that the report doesn't hold.
    pub fn add_absent(&mut self, kind: Kind, ours: &Ours) {
        let (order_id, status) = (&ours.order.order_id, &ours.order.status);
        let (absence, placed_at) = (absence(kind, ours), placed_at(ours));
        if absence == Absence::Gap {
            self.missing_in_report.push(MissingInReport {
                order_id: order_id.clone(),
                status: status.clone(),
                placed_at,
            });
        }
        if absence != Absence::AsItShould && status == PENDING {
            self.pending.push(Pending {
                order_id: order_id.clone(),
                placed_at: Some(placed_at),
                report: None,
                ours: Some(status.clone()),
            });
        }
    }
}

fn placed_at(ours: &Ours) -> Timestamp {
    Timestamp::from_chrono(ours.order.placed_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_where_a_number_should_is_not_told_as_an_order() {
        let id = Identifier::new("Hanako").unwrap();
        let status = Some("Pending".to_owned());
        let mut reported = Reported { status, is_doubtful: true, ..Reported::default() };
        let mut findings = Findings::default();
        findings.add_reported(Kind::AllOrders, (&id, &reported), None, None);
        assert!(findings.are_none() && findings.pending.is_empty());
        reported.is_doubtful = false;
        findings.add_reported(Kind::AllOrders, (&id, &reported), None, None);
        assert_eq!((findings.missing_here.len(), findings.pending.len()), (1, 1));
    }
}
