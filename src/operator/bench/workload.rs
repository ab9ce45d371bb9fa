//! A plausible month of a marketplace, made from a seed: pure. The same seed gives the same
//! messages, apart from their times, which all lie in the past.

use serde_json::{Value, json};

use crate::contract::{InputType, Span, Timestamp};
use crate::operator::model::Sent;

/// How far back the first order is placed: so far that every deadline has passed.
const AGO: Span = Span::days(80);
/// Over how many days orders are placed.
const DAYS: i64 = 30;
/// What an order comes to on average, all told.
const EVENTS_OF_AN_ORDER: usize = 6;
/// How far out of order an event arrives, at most.
const DISPLACED: usize = 200;

/// Makes messages.
pub struct Workload {
    dice: Dice,
    start: Timestamp,
    orders: usize,
    told: Vec<(Timestamp, Sent)>,
}

/// A small fast generator of numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit.max(1) as u64) as usize
    }

    fn permille(&mut self, chance: usize) -> bool {
        self.below(1_000) < chance
    }
}

/// An order under way.
struct Order {
    id: String,
    seller: String,
    buyer: String,
    email: String,
    lines: usize,
    total: i64,
    at: Timestamp,
}

impl Workload {
    pub fn new(seed: u64, now: Timestamp) -> Workload {
        let start = Timestamp::from_micros(now.micros() - AGO.micros());
        Workload { dice: Dice(seed), start, orders: 0, told: Vec::new() }
    }

    /// `count` messages in the order in which they arrive.
    pub fn events(mut self, count: usize) -> Vec<Sent> {
        let all = count.div_ceil(EVENTS_OF_AN_ORDER).max(1);
        while self.told.len() < count {
            self.order(all);
        }
        self.told.sort_by_key(|(at, _)| *at);
        let mut sent: Vec<Sent> = self.told.drain(..).map(|(_, sent)| sent).collect();
        sent.truncate(count);
        self.disturb(&mut sent);
        sent
    }

    /// 3 % out of order, 1 % in the place of another as a repetition, 0.1 % wrong.
    fn disturb(&mut self, sent: &mut [Sent]) {
        for index in 1..sent.len() {
            let before = index - 1 - self.dice.below(index.min(DISPLACED));
            if self.dice.permille(30) {
                sent.swap(index, before);
            } else if self.dice.permille(10) {
                sent[index] = sent[before].clone();
            } else if self.dice.permille(1) {
                sent[index].body = b"{\"specversion\": \"1.0\"".to_vec();
                sent[index].body.extend(index.to_string().bytes());
            }
        }
    }

    fn order(&mut self, all: usize) {
        let number = self.orders;
        self.orders += 1;
        let spread = DAYS * 86_400 * 1_000_000 * number as i64 / all as i64;
        let buyer = self.dice.below(all * 2 / 3 + 1);
        let mut order = Order {
            id: format!("250-{:07}-{:07}", self.dice.below(10_000_000), number),
            seller: format!("SELLER{:03}", self.dice.below(200)),
            buyer: format!("BUYER{buyer:07}"),
            email: format!("b{buyer:07}@marketplace.example"),
            lines: 1 + self.dice.below(3),
            total: 0,
            at: Timestamp::from_micros(self.start.micros() + spread),
        };
        let authorized = self.dice.permille(600);
        self.place(&mut order, authorized);
        if !authorized {
            self.pay(&mut order);
        }
        match self.dice.below(100) {
            0..=2 => return self.cancel(&mut order),
            3..=4 => self.change(&mut order),
            _ => {}
        }
        if self.dice.permille(150) {
            self.converse(&mut order);
        }
        self.ship(&mut order);
        match self.dice.below(100) {
            0..=2 => self.give_back(&mut order),
            3..=4 => self.miss(&mut order),
            5..=7 => self.inquire(&mut order),
            _ => {}
        }
    }

    fn wait(&mut self, order: &mut Order, hours: usize) {
        let seconds = 60 + self.dice.below(hours * 3_600) as i64;
        order.at = order.at + Span::seconds(seconds);
    }

    fn tell(&mut self, order: &Order, kind: InputType, data: Value) {
        let id = format!("{}-{}", order.id, self.told.len());
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/marketplace/bench", "type": kind.name(),
            "time": order.at.to_string(), "datacontenttype": "application/json",
            "dataschema": format!("urn:otodoke:{}", kind.name()), "data": data,
        });
        let sent = Sent {
            stream: kind.stream(),
            routing_key: format!("{}.{}", kind.stream().name(), kind.name()),
            event_id: id,
            event_type: kind.name().to_owned(),
            body: event.to_string().into_bytes(),
        };
        self.told.push((order.at, sent));
    }

    fn place(&mut self, order: &mut Order, authorized: bool) {
        let lines: Vec<Value> = (1..=order.lines)
            .map(|line| {
                let (quantity, price) = (1 + self.dice.below(3) as i64, 480 + self.dice.below(9_000) as i64);
                order.total += quantity * price + 350;
                json!({
                    "line_id": format!("L{line}"), "sku": format!("SKU-{:06}", self.dice.below(50_000)),
                    "title": "Hojicha roasted green tea, single origin, 200 g, resealable bag",
                    "quantity": quantity, "unit_price": price, "tax": quantity * price / 11,
                    "shipping_fee": 350,
                })
            })
            .collect();
        let data = json!({
            "order_id": order.id, "seller_id": order.seller, "buyer_id": order.buyer,
            "sold_by": "seller", "fulfilled_by": "seller", "currency": "JPY",
            "payment": { "status": if authorized { "authorized" } else { "pending" },
                         "method": if authorized { "card" } else { "convenience-store" } },
            "buyer_name": "Hanako Sato", "relay_email": order.email, "phone": "+81-3-0000-0000",
            "ship_to": {
                "recipient": "Hanako Sato", "postal_code": "100-0001", "region": "Tokyo",
                "city": "Chiyoda", "address_lines": [format!("{}-{}", order.buyer, "1-2-3"),
                "Chiyoda Tower, 7th floor"], "country": "JP",
            },
            "sales_channel": "marketplace.example", "gift_note": null, "lines": lines,
        });
        self.tell(order, InputType::OrderPlaced, data);
    }

    fn pay(&mut self, order: &mut Order) {
        self.wait(order, 20);
        if self.dice.permille(30) {
            let data = json!({ "order_id": order.id, "attempt_id": "A0", "reason": "declined" });
            self.tell(order, InputType::PaymentFailed, data);
            self.wait(order, 5);
        }
        let data = json!({
            "order_id": order.id, "attempt_id": "A1", "amount": order.total, "currency": "JPY",
            "method": "convenience-store",
        });
        self.tell(order, InputType::PaymentAuthorized, data);
    }

    fn cancel(&mut self, order: &mut Order) {
        self.wait(order, 10);
        let actor = if self.dice.permille(500) { "seller" } else { "marketplace" };
        let data = json!({ "order_id": order.id, "actor": actor, "reason": "out of stock" });
        self.tell(order, InputType::OrderCancelled, data);
    }

    fn change(&mut self, order: &mut Order) {
        self.wait(order, 1);
        let data = json!({
            "order_id": order.id, "actor": "buyer", "lines": [{ "line_id": "L1", "quantity": 1 }],
        });
        self.tell(order, InputType::ChangeRequested, data);
    }

    fn converse(&mut self, order: &mut Order) {
        let topic = ["where-is-it", "ship-now", "receipt"][self.dice.below(3)];
        for (number, from) in ["buyer", "seller"].into_iter().enumerate() {
            self.wait(order, 12);
            let data = self.message(order, number, from, topic, true);
            self.tell(order, InputType::MessageSent, data);
        }
    }

    /// Somebody asks about an order without naming it.
    fn inquire(&mut self, order: &mut Order) {
        self.wait(order, 48);
        let data = self.message(order, 9, "buyer", "damaged", false);
        self.tell(order, InputType::MessageSent, data);
        self.wait(order, 20);
        let data = self.message(order, 10, "seller", "damaged", false);
        self.tell(order, InputType::MessageSent, data);
    }

    fn message(
        &mut self,
        order: &Order,
        number: usize,
        from: &str,
        topic: &str,
        named: bool,
    ) -> Value {
        let mut data = json!({
            "message_id": format!("M-{}-{number}", order.id),
            "thread_id": format!("T-{}-{}", order.id, number / 9), "seller_id": order.seller,
            "buyer_id": order.buyer, "relay_email": order.email, "from": from, "channel": "form",
            "topic": topic,
            "body": "Thank you for your message. The parcel was handed over to the carrier, and \
                     should arrive within two working days; please let us know if it doesn't. \
                     We are sorry for the inconvenience, and hope that you enjoy the tea.",
        });
        if named {
            data["order_id"] = json!(order.id);
        }
        data
    }

    fn ship(&mut self, order: &mut Order) {
        self.wait(order, 40);
        let data = json!({
            "order_id": order.id, "package_id": format!("P-{}", order.id), "carrier": "Yamato",
            "tracking_number": format!("{:012}", self.dice.below(1_000_000_000)), "insured": true,
        });
        self.tell(order, InputType::ShipmentDispatched, data);
        for status in ["in-transit", "out-for-delivery", "delivered"] {
            self.wait(order, 20);
            self.update(order, status, None);
        }
    }

    fn update(&mut self, order: &Order, status: &str, reason: Option<&str>) {
        let data = json!({
            "order_id": order.id, "package_id": format!("P-{}", order.id), "status": status,
            "reason": reason, "scanned_at": "Tokyo base", "note": "handed over in good condition",
        });
        self.tell(order, InputType::ShipmentUpdated, data);
    }

    fn give_back(&mut self, order: &mut Order) {
        self.wait(order, 48);
        let data = json!({ "order_id": order.id, "reason": "doesn't fit" });
        self.tell(order, InputType::ReturnRequested, data);
        self.wait(order, 48);
        self.update(order, "returned", Some("buyer-return"));
        self.wait(order, 24);
        let data = json!({
            "order_id": order.id, "refund_id": "R1", "amount": order.total, "currency": "JPY",
            "settles": format!("{}/R1/P-{}", order.id, order.id),
        });
        self.tell(order, InputType::PaymentRefunded, data);
    }

    /// A parcel that didn't come: the seller is asked, and the guarantee claimed.
    fn miss(&mut self, order: &mut Order) {
        self.wait(order, 48);
        let data = self.message(order, 0, "buyer", "not-received", true);
        self.tell(order, InputType::MessageSent, data);
        self.wait(order, 24);
        let data = json!({
            "order_id": order.id, "thread_id": format!("T-{}-0", order.id),
            "action": "contact-carrier",
        });
        self.tell(order, InputType::NonReceiptHandled, data);
        order.at = order.at + Span::days(15);
        let data = json!({ "order_id": order.id, "claim_id": "C1", "reason": "not-received" });
        self.tell(order, InputType::GuaranteeClaimed, data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::model::Model;
    use std::collections::BTreeSet;

    fn sent(seed: u64, count: usize) -> Vec<Sent> {
        Workload::new(seed, "2026-11-01T00:00:00Z".parse().unwrap()).events(count)
    }

    #[test]
    fn the_same_seed_gives_the_same_messages() {
        let bodies = |seed| sent(seed, 500).into_iter().map(|sent| sent.body).collect::<Vec<_>>();
        assert_eq!(bodies(7), bodies(7));
        assert_ne!(bodies(7), bodies(8));
    }

    #[test]
    fn it_is_as_good_and_as_bad_as_is_said() {
        let sent = sent(1, 20_000);
        let mut model = Model::default();
        let now = "2026-11-01T00:00:00Z".parse().unwrap();
        sent.iter().for_each(|sent| model.take(sent, now, Span::minutes(10)));
        let wrong: i64 = model.dead.values().sum();
        assert!((5..60).contains(&wrong), "{:?}", model.dead);
        assert_eq!(model.dead.keys().collect::<Vec<_>>(), ["not-json"]);
        assert!((100..400).contains(&model.duplicates), "{}", model.duplicates);
        let types: BTreeSet<&str> = sent.iter().map(|sent| sent.event_type.as_str()).collect();
        assert!(types.len() >= 12, "{types:?}");
        let bytes: usize = sent.iter().map(|sent| sent.body.len()).sum();
        assert!((500..1_200).contains(&(bytes / sent.len())), "{} bytes each", bytes / sent.len());
    }
}
