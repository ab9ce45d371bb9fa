//! The lines of an order, piece by piece: what is cancelled, shipped, asked
//! about and left to ship (rules 0.9 to 0.11, R3).

use std::collections::{BTreeMap, BTreeSet};

use crate::contract::derived::LinePieces;
use crate::contract::{Event, Identifier, LineChange, LineQuantity, Money, OrderLine, TOTAL_MAX};

/// A line as placed and changed, with what became of its pieces.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub placed: OrderLine,
    pub quantity: i64,
    pub unit_price: i64,
    pub cancelled: i64,
    pub shipped: i64,
    /// Pieces reported unshippable, whatever the answer.
    pub asked: i64,
    /// Of these, the pieces that the buyer agreed to go without.
    pub granted: i64,
    /// Money given back for goods, by any rule but P4.
    pub refunded: i128,
    /// Of this, by the rules other than R6 and M4.
    pub refunded_goods: i128,
    /// Pieces refunded under R4, which follow the dispatched ones.
    pub left_out: i64,
}

impl Line {
    fn new(placed: &OrderLine) -> Line {
        Line {
            placed: placed.clone(),
            quantity: placed.quantity.pieces(),
            unit_price: placed.unit_price.minor_units(),
            cancelled: 0,
            shipped: 0,
            asked: 0,
            granted: 0,
            refunded: 0,
            refunded_goods: 0,
            left_out: 0,
        }
    }

    /// Quantity − cancelled − unshippable with consent − shipped.
    pub fn left(&self) -> i64 {
        (self.quantity - self.cancelled - self.granted - self.shipped).max(0)
    }

    /// Pieces that could still be reported unshippable.
    fn unasked(&self) -> i64 {
        (self.quantity - self.cancelled - self.asked - self.shipped).max(0)
    }

    pub fn fee(&self) -> i64 {
        self.placed.shipping_fee.map_or(0, Money::minor_units)
    }

    pub fn tax(&self) -> i64 {
        self.placed.tax.map_or(0, Money::minor_units)
    }

    /// Price × quantity, as it stands.
    pub fn value(&self) -> i128 {
        i128::from(self.unit_price) * i128::from(self.quantity)
    }

    /// The share of the line's fee that units `from` to `to` carry, so that parts add up exactly.
    pub fn fee_share(&self, from: i64, to: i64) -> i128 {
        if self.quantity == 0 {
            return 0;
        }
        let (fee, quantity) = (i128::from(self.fee()), i128::from(self.quantity));
        let up_to = |unit: i64| fee * i128::from(unit.clamp(0, self.quantity)) / quantity;
        up_to(to) - up_to(from)
    }
}

/// Units `from` to `to` (exclusive) of the line at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Units {
    pub line: usize,
    pub from: i64,
    pub to: i64,
}

impl Units {
    pub fn pieces(&self) -> i64 {
        self.to - self.from
    }
}

/// A report of what can't be shipped, and the buyer's answer to it (R3 to R5).
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// Pieces by line index; shrinks where they are cancelled or shipped after all.
    pub pieces: BTreeMap<usize, i64>,
    /// Consent was asked; else the whole order was found unshippable.
    pub wants_consent: bool,
    pub answer: Answer,
    pub refunded: bool,
}

impl Ask {
    pub fn is_granted(&self) -> bool {
        matches!(self.answer, Answer::Granted(_))
    }
}

/// The buyer's latest answer to an ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Awaited,
    Denied,
    /// By the consent at this index.
    Granted(usize),
}

/// What an event's lines come to.
#[derive(Default)]
pub(super) struct Taken {
    pub units: Vec<Units>,
    pub unknown: BTreeSet<Identifier>,
    /// Lines of which more was shipped than ordered.
    pub surplus: BTreeSet<Identifier>,
}

/// All lines of an order.
#[derive(Clone, Debug)]
pub(super) struct Goods {
    lines: Vec<Line>,
    by_id: BTreeMap<Identifier, usize>,
    pub asks: Vec<Ask>,
}

/// The totals of an order, as placed and changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Totals {
    pub items: i128,
    pub tax: i128,
    pub shipping: i128,
}

impl Goods {
    pub fn new(placed: &[OrderLine]) -> Goods {
        Goods {
            lines: placed.iter().map(Line::new).collect(),
            by_id: placed.iter().enumerate().map(|(at, line)| (line.line_id.clone(), at)).collect(),
            asks: Vec::new(),
        }
    }

    pub fn line(&self, index: usize) -> &Line {
        &self.lines[index]
    }

    pub fn line_mut(&mut self, index: usize) -> &mut Line {
        &mut self.lines[index]
    }

    /// The lines that stand, in the order in which they were placed.
    pub fn standing(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines
            .iter()
            .enumerate()
            .filter(|(_, line)| self.by_id.contains_key(&line.placed.line_id))
    }

    pub fn totals(&self) -> Totals {
        let mut totals = Totals { items: 0, tax: 0, shipping: 0 };
        for (_, line) in self.standing() {
            totals.items += line.value();
            totals.tax += i128::from(line.tax());
            totals.shipping += i128::from(line.fee());
        }
        totals
    }

    pub fn left(&self) -> i64 {
        self.standing().map(|(_, line)| line.left()).sum()
    }

    pub fn shipped(&self) -> i64 {
        self.lines.iter().map(|line| line.shipped).sum()
    }

    /// Whether pieces wait for a consent that was asked and isn't granted.
    pub fn consent_outstanding(&self) -> bool {
        self.open_asks().into_iter().any(|index| self.asks[index].wants_consent)
    }

    /// The asks that have pieces and no consent.
    pub fn open_asks(&self) -> Vec<usize> {
        let open = |ask: &Ask| !ask.is_granted() && !ask.pieces.is_empty();
        (0..self.asks.len()).filter(|index| open(&self.asks[*index])).collect()
    }

    fn unknown<'a>(&self, named: impl Iterator<Item = &'a Identifier>) -> BTreeSet<Identifier> {
        named.filter(|id| !self.by_id.contains_key(*id)).cloned().collect()
    }

    pub fn unknown_of(&self, named: &[LineQuantity]) -> BTreeSet<Identifier> {
        self.unknown(named.iter().map(|line| &line.line_id))
    }

    pub fn unknown_of_change(&self, named: &[LineChange]) -> BTreeSet<Identifier> {
        self.unknown(named.iter().map(|line| &line.line_id))
    }

    fn known<'a>(
        &self,
        named: &'a [LineQuantity],
    ) -> impl Iterator<Item = (usize, Option<i64>)> + use<'a, '_> {
        named.iter().filter_map(|line| {
            let index = *self.by_id.get(&line.line_id)?;
            Some((index, line.quantity.map(|quantity| quantity.pieces())))
        })
    }

    /// The lines that are meant, with the pieces where they are named: all lines where none is.
    fn wanted(&self, named: Option<&[LineQuantity]>) -> Vec<(usize, Option<i64>)> {
        match named {
            Some(named) => self.known(named).collect(),
            None => self.standing().map(|(index, _)| (index, None)).collect(),
        }
    }

    /// Dispatches what is named, else all that is still to ship. Units count from the line's first.
    pub fn dispatch(&mut self, named: Option<&[LineQuantity]>) -> Taken {
        let mut taken =
            Taken { unknown: self.unknown_of(named.unwrap_or_default()), ..Taken::default() };
        for (index, pieces) in self.wanted(named) {
            let line = &mut self.lines[index];
            let ordered = (line.quantity - line.shipped).max(0);
            let asked_for = pieces.unwrap_or_else(|| line.left());
            if asked_for > ordered {
                taken.surplus.insert(line.placed.line_id.clone());
            }
            let from = line.shipped;
            line.shipped += asked_for.min(ordered);
            if line.shipped > from {
                taken.units.push(Units { line: index, from, to: line.shipped });
            }
        }
        self.trim_asks();
        taken
    }

    /// Cancels what is named, else everything that is left to ship. Units count from the line's last.
    pub fn cancel(&mut self, named: Option<&[LineQuantity]>) -> Taken {
        let mut taken =
            Taken { unknown: self.unknown_of(named.unwrap_or_default()), ..Taken::default() };
        for (index, pieces) in self.wanted(named) {
            let line = &mut self.lines[index];
            let pieces = pieces.unwrap_or(i64::MAX).min(line.left());
            if pieces > 0 {
                let to = line.quantity - line.cancelled;
                line.cancelled += pieces;
                taken.units.push(Units { line: index, from: to - pieces, to });
            }
        }
        self.trim_asks();
        taken
    }

    /// Records what can't be shipped, cut to what is left and not asked about already.
    /// `None` where nothing remains of it.
    pub fn ask(&mut self, named: &[LineQuantity]) -> Option<usize> {
        let unasked_before: i64 = self.standing().map(|(_, line)| line.unasked()).sum();
        let mut pieces = BTreeMap::new();
        for (index, wanted) in self.known(named).collect::<Vec<_>>() {
            let line = &mut self.lines[index];
            let cut = wanted.unwrap_or(i64::MAX).min(line.unasked());
            if cut > 0 {
                line.asked += cut;
                *pieces.entry(index).or_insert(0) += cut;
            }
        }
        let total: i64 = pieces.values().sum();
        if total == 0 {
            return None;
        }
        let wants_consent = total < unasked_before || self.shipped() > 0;
        self.asks.push(Ask { pieces, wants_consent, answer: Answer::Awaited, refunded: false });
        Some(self.asks.len() - 1)
    }

    /// One answer is for all that was asked before it, and the latest counts.
    pub fn answer(&mut self, granted: Option<usize>) {
        for ask in &mut self.asks {
            ask.answer = match (&ask.answer, granted) {
                (Answer::Granted(first), Some(_)) => Answer::Granted(*first),
                (_, Some(consent)) => Answer::Granted(consent),
                (_, None) => Answer::Denied,
            };
        }
        self.count_asked();
    }

    /// Pieces that were cancelled, shipped or changed away after all are no longer
    /// asked about: the latest asks give way first.
    fn trim_asks(&mut self) {
        for index in 0..self.lines.len() {
            let line = &self.lines[index];
            let room = (line.quantity - line.cancelled - line.shipped).max(0);
            let mut excess = line.asked - room;
            for ask in self.asks.iter_mut().rev() {
                if excess <= 0 {
                    break;
                }
                let Some(pieces) = ask.pieces.get_mut(&index) else { continue };
                let cut = excess.min(*pieces);
                *pieces -= cut;
                excess -= cut;
                if *pieces == 0 {
                    ask.pieces.remove(&index);
                }
            }
        }
        self.count_asked();
    }

    fn count_asked(&mut self) {
        for line in &mut self.lines {
            (line.asked, line.granted) = (0, 0);
        }
        for ask in &self.asks {
            for (index, pieces) in &ask.pieces {
                self.lines[*index].asked += pieces;
                if ask.is_granted() {
                    self.lines[*index].granted += pieces;
                }
            }
        }
    }

    /// Changes quantities and, where the actor may, prices. Refused whole where a total
    /// would pass 10^15.
    pub fn change(&mut self, changes: &[LineChange], prices_too: bool) -> Result<(), OutOfRange> {
        let mut changed = self.clone();
        for change in changes {
            let Some(index) = changed.by_id.get(&change.line_id).copied() else { continue };
            let line = &mut changed.lines[index];
            if let Some(price) = change.unit_price.filter(|_| prices_too) {
                line.unit_price = price.minor_units();
            }
            match change.quantity.map(|quantity| quantity.pieces()) {
                Some(0) => {
                    line.quantity = 0;
                    changed.by_id.remove(&change.line_id);
                }
                Some(quantity) => line.quantity = quantity,
                None => {}
            }
        }
        let totals = changed.totals();
        if [totals.items, totals.tax, totals.shipping].into_iter().any(|total| total > TOTAL_MAX) {
            return Err(OutOfRange);
        }
        changed.trim_asks();
        *self = changed;
        Ok(())
    }

    /// Units as an event lists them, summed by line.
    pub fn listed<'a>(&self, units: impl IntoIterator<Item = &'a Units>) -> Vec<LinePieces> {
        let mut by_line = BTreeMap::new();
        for units in units {
            *by_line.entry(units.line).or_insert(0) += units.pieces();
        }
        by_line
            .into_iter()
            .map(|(index, quantity)| LinePieces {
                line_id: self.lines[index].placed.line_id.clone(),
                quantity,
            })
            .collect()
    }

    /// The pieces of an ask as an event lists them.
    pub fn listed_ask(&self, ask: usize) -> Vec<LinePieces> {
        self.asks[ask]
            .pieces
            .iter()
            .map(|(index, quantity)| LinePieces {
                line_id: self.lines[*index].placed.line_id.clone(),
                quantity: *quantity,
            })
            .collect()
    }

    /// The lines that a request is about, with the pieces of each: all lines where it names none.
    pub fn concerned(&self, named: Option<&[LineQuantity]>) -> BTreeMap<usize, i64> {
        let Some(named) = named else {
            return self
                .standing()
                .map(|(index, line)| (index, (line.quantity - line.cancelled).max(0)))
                .collect();
        };
        let mut concerned = BTreeMap::new();
        for (index, pieces) in self.known(named) {
            let line = &self.lines[index];
            let most = (line.quantity - line.cancelled).max(0);
            let entry = concerned.entry(index).or_insert(0);
            *entry = pieces.map_or(most, |pieces| pieces.saturating_add(*entry)).min(most);
        }
        concerned
    }
}

/// A change that would bring a total over 10^15.
#[derive(Debug)]
pub(super) struct OutOfRange;

/// What an event did to lines, beside the event that did it.
pub(super) struct TakenBy<'a> {
    pub event: &'a Event,
    pub taken: Taken,
}
