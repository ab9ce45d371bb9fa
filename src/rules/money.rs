//! Money back never exceeds money in (rule 0.11): goods are capped by line,
//! shipping by order, and a refund counts only what earlier ones have left.

use super::RefundState;
use super::goods::{Goods, Units};
use crate::contract::derived::RefundReason;

/// What has been found due back so far.
#[derive(Default)]
pub(super) struct Refunds {
    pub states: Vec<RefundState>,
    /// Goods and shipping of all refunds but P4's.
    pub total: i128,
    shipping: i128,
    /// A cancellation of the whole order gave everything back (R6).
    everything: bool,
}

/// An amount due back, before it is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// By line index, in minor units.
    pub goods: Vec<(usize, i128)>,
    pub shipping: i128,
}

impl Due {
    pub fn items(&self) -> i128 {
        self.goods.iter().map(|(_, amount)| amount).sum()
    }

    pub fn amount(&self) -> i128 {
        self.items() + self.shipping
    }

    /// Price and share of the fee for some units, uncapped.
    pub fn for_units<'a>(goods: &Goods, units: impl IntoIterator<Item = &'a Units>) -> Due {
        let mut due = Due::default();
        for units in units {
            let line = goods.line(units.line);
            due.goods.push((units.line, i128::from(line.unit_price) * i128::from(units.pieces())));
            due.shipping += line.fee_share(units.from, units.to);
        }
        due
    }
}

impl Refunds {
    pub fn shipping_left(&self, goods: &Goods) -> i128 {
        if self.everything {
            return 0;
        }
        (goods.totals().shipping - self.shipping).max(0)
    }

    /// Cuts an amount to what is left by line and by order.
    pub fn cap(&self, goods: &Goods, due: Due) -> Due {
        if self.everything {
            return Due::default();
        }
        let mut capped =
            Due { goods: Vec::new(), shipping: due.shipping.min(self.shipping_left(goods)).max(0) };
        for (index, amount) in due.goods {
            let line = goods.line(index);
            let taken: i128 =
                capped.goods.iter().filter(|(at, _)| *at == index).map(|(_, a)| a).sum();
            let left = (line.value() - line.refunded - taken).max(0);
            capped.goods.push((index, amount.min(left)));
        }
        capped
    }

    /// Counts a capped amount as given back.
    pub fn count(&mut self, goods: &mut Goods, due: &Due, reason: RefundReason) {
        let apart = matches!(reason, RefundReason::Cancelled | RefundReason::Guarantee);
        for (index, amount) in &due.goods {
            let line = goods.line_mut(*index);
            line.refunded += amount;
            if !apart {
                line.refunded_goods += amount;
            }
        }
        self.shipping += due.shipping;
        self.total += due.amount();
    }

    /// From here on everything counts as given back.
    pub fn count_everything(&mut self, amount: i128) {
        self.total += amount;
        self.everything = true;
    }
}

/// An amount as it is published. Amounts stay far below the limit of the type; a
/// marketplace that passes it gets the limit rather than an overflow.
pub(super) fn minor_units(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
