//! What becomes of an order, as steps without words: so small that those of a whole month can
//! wait for their turn in memory.

use super::dice::Dice;
use crate::contract::{InputType, Span, Timestamp};

/// An order and who has to do with it.
pub struct Order {
    pub number: usize,
    /// Tells the accounts of one workload from those of another.
    pub tag: u64,
    /// What its goods, names and words are drawn from.
    pub seed: u64,
    pub id: String,
    pub seller: usize,
    pub buyer: usize,
    pub lines: usize,
    /// Whether the marketplace ships it.
    pub fulfilled: bool,
}

/// What happens, without the words that it is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Place { authorized: bool },
    Fail,
    Pay,
    Change,
    AskToCancel,
    Cancel { by_seller: bool },
    CannotShip,
    Consent { granted: bool },
    Write { thread: u8, number: u8, from_buyer: bool, topic: &'static str, named: bool },
    Dispatch { package: u8, of: u8 },
    Update { package: u8, status: &'static str, reason: Option<&'static str> },
    AskToReturn,
    Refund,
    Handle,
    Claim,
}

impl Step {
    pub fn kind(self) -> InputType {
        match self {
            Step::Place { .. } => InputType::OrderPlaced,
            Step::Fail => InputType::PaymentFailed,
            Step::Pay => InputType::PaymentAuthorized,
            Step::Change => InputType::ChangeRequested,
            Step::AskToCancel => InputType::CancelRequested,
            Step::Cancel { .. } => InputType::OrderCancelled,
            Step::CannotShip => InputType::LinesUnshippable,
            Step::Consent { .. } => InputType::ConsentRecorded,
            Step::Write { .. } => InputType::MessageSent,
            Step::Dispatch { .. } => InputType::ShipmentDispatched,
            Step::Update { .. } => InputType::ShipmentUpdated,
            Step::AskToReturn => InputType::ReturnRequested,
            Step::Refund => InputType::PaymentRefunded,
            Step::Handle => InputType::NonReceiptHandled,
            Step::Claim => InputType::GuaranteeClaimed,
        }
    }
}

/// The threads of an order: what is asked in passing, what didn't arrive, what names no order.
pub const CHAT: u8 = 0;
pub const MISSING: u8 = 1;
pub const NAMELESS: u8 = 2;

/// All that happens to an order, and when; most are placed, paid, shipped and delivered.
pub fn story(order: &Order, placed_at: Timestamp) -> Vec<(Timestamp, Step)> {
    let dice = Dice::new(order.seed);
    Teller { dice, at: placed_at, steps: Vec::with_capacity(8) }.tell(order)
}

struct Teller {
    dice: Dice,
    at: Timestamp,
    steps: Vec<(Timestamp, Step)>,
}

impl Teller {
    fn tell(mut self, order: &Order) -> Vec<(Timestamp, Step)> {
        let authorized = self.dice.permille(600);
        self.now(Step::Place { authorized });
        if !authorized {
            if self.dice.permille(30) {
                self.within(10, Step::Fail);
            }
            self.within(20, Step::Pay);
        }
        match self.dice.below(1_000) {
            0..20 => {
                let by_seller = self.dice.permille(500);
                self.within(10, Step::Cancel { by_seller });
                return self.steps;
            }
            20..30 => {
                self.within(8, Step::AskToCancel);
                self.within(8, Step::Cancel { by_seller: true });
                return self.steps;
            }
            30..50 => self.within(1, Step::Change),
            50..60 if order.lines > 1 => self.lack(),
            _ => {}
        }
        if self.dice.permille(150) {
            self.converse();
        }
        self.ship(order);
        match self.dice.below(1_000) {
            0..30 => self.give_back(),
            30..50 => self.miss(),
            50..80 => self.inquire(),
            _ => {}
        }
        self.steps
    }

    fn now(&mut self, step: Step) {
        self.steps.push((self.at, step));
    }

    /// A minute to so many hours later.
    fn within(&mut self, hours: usize, step: Step) {
        let seconds = 60 + self.dice.below(hours * 3_600) as i64;
        self.at = self.at + Span::seconds(seconds);
        self.now(step);
    }

    /// Something is out of stock, and the buyer says whether the rest may go.
    fn lack(&mut self) {
        self.within(12, Step::CannotShip);
        let granted = self.dice.permille(800);
        self.within(24, Step::Consent { granted });
    }

    fn converse(&mut self) {
        let topic = self.dice.one_of(&["where-is-it", "ship-now", "receipt", "price-breakdown"]);
        self.write(12, CHAT, 0, true, topic);
        self.write(12, CHAT, 1, false, topic);
    }

    fn write(
        &mut self,
        hours: usize,
        thread: u8,
        number: u8,
        from_buyer: bool,
        topic: &'static str,
    ) {
        let named = thread != NAMELESS;
        self.within(hours, Step::Write { thread, number, from_buyer, topic, named });
    }

    fn ship(&mut self, order: &Order) {
        let of = if order.lines > 1 && self.dice.permille(50) { 2 } else { 1 };
        for package in 0..of {
            self.within(40, Step::Dispatch { package, of });
            self.update(package, "in-transit", None);
            match self.dice.below(1_000) {
                0..10 => self.update(package, "attempt-failed", None),
                10..13 => {
                    self.update(package, "lost", None);
                    continue;
                }
                13..18 => {
                    self.update(package, "returning", Some("undeliverable"));
                    self.update(package, "returned", Some("undeliverable"));
                    continue;
                }
                _ => {}
            }
            self.update(package, "out-for-delivery", None);
            self.update(package, "delivered", None);
        }
    }

    fn update(&mut self, package: u8, status: &'static str, reason: Option<&'static str>) {
        self.within(20, Step::Update { package, status, reason });
    }

    fn give_back(&mut self) {
        self.within(48, Step::AskToReturn);
        self.within(
            48,
            Step::Update { package: 0, status: "returned", reason: Some("buyer-return") },
        );
        self.within(24, Step::Refund);
    }

    /// A parcel that didn't come: the seller is asked, and the guarantee claimed.
    fn miss(&mut self) {
        self.write(48, MISSING, 0, true, "not-received");
        self.within(24, Step::Handle);
        self.at = self.at + Span::days(15);
        self.now(Step::Claim);
    }

    /// Somebody asks about an order without naming it.
    fn inquire(&mut self) {
        self.write(48, NAMELESS, 0, true, "damaged");
        self.write(20, NAMELESS, 1, false, "damaged");
    }
}
