//! Plausible histories of a whole marketplace, made from a seed: the same seed
//! gives the same events on every machine, for ever. Few sellers and buyers, so
//! that orders meet; times that like to fall on a limit or on each other; and
//! everything that goes wrong: unknown orders, late and doubled events, payments
//! that fail, parcels that leave too early. Every event is valid at the door.

use otodoke::contract::{Event, EventRef, InputType, Timestamp};
use serde_json::{Value, json};

/// What an event looks like on the queue, in structured mode.
pub fn to_cloudevent(event: &Event) -> Value {
    json!({
        "specversion": "1.0",
        "id": event.key.id,
        "source": event.key.source,
        "type": event.input.input_type().name(),
        "time": event.time.to_string(),
        "datacontenttype": "application/json",
        "data": event.input.facts(),
    })
}

/// A small fast generator of numbers (SplitMix64), the same on every machine.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66_D1CE_4E5B)
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 up to, but not including, `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit.max(1) as u64) as usize
    }

    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Makes histories. `Generator::new(seed).events(n)` is all that most need.
#[derive(Clone)]
pub struct Generator {
    seed: u64,
    start: Timestamp,
    prefix: String,
}

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Spans on which rules turn, in microseconds: an event that comes this long
/// after another falls on a limit, or a second beside it.
const TURNS: &[i64] = &[
    0,
    0,
    SECOND,
    MINUTE,
    5 * MINUTE,
    5 * MINUTE + SECOND,
    15 * MINUTE,
    15 * MINUTE + SECOND,
    HOUR,
    2 * DAY - SECOND,
    2 * DAY,
    2 * DAY + SECOND,
    6 * DAY,
    6 * DAY + SECOND,
    14 * DAY - SECOND,
    14 * DAY,
    14 * DAY + SECOND,
];

impl Generator {
    pub fn new(seed: u64) -> Self {
        let start = "2026-03-01T00:00:00Z".parse().expect("a moment");
        Generator { seed, start, prefix: String::new() }
    }

    /// When the first orders are placed. What is published live must not lie in the future:
    /// a history reaches some 40 days beyond it.
    #[allow(dead_code, reason = "for live tests: a history of the past")]
    pub fn starting_at(mut self, start: Timestamp) -> Self {
        self.start = start;
        self
    }

    /// Put before every id, so that several histories can share an installation.
    #[allow(dead_code, reason = "for live tests that share an installation")]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.to_owned();
        self
    }

    /// `count` events in the order in which they arrive: roughly by time, some late, some twice.
    pub fn events(&self, count: usize) -> Vec<Event> {
        let mut story = Story::new(self.clone(), count);
        while story.events.len() < count {
            story.tell_next();
        }
        story.arrivals(count)
    }
}

/// An order as far as the story needs to remember it.
#[derive(Clone)]
struct Known {
    order_id: String,
    seller: String,
    buyer: String,
    email: String,
    placed: i64,
    lines: usize,
    authorized: bool,
    packages: usize,
    threads: Vec<String>,
}

struct Story {
    settings: Generator,
    dice: Dice,
    events: Vec<Event>,
    orders: Vec<Known>,
    /// Of microseconds since 1970, all times of the order being told.
    now: i64,
    sellers: usize,
    buyers: usize,
    numbers: usize,
}

impl Story {
    fn new(settings: Generator, count: usize) -> Self {
        let dice = Dice::new(settings.seed);
        let (sellers, buyers) = (2 + count / 400, 2 + count / 100);
        let now = settings.start.micros();
        Story { settings, dice, events: vec![], orders: vec![], now, sellers, buyers, numbers: 0 }
    }

    /// One order with all that belongs to it, or now and then a thread without one.
    fn tell_next(&mut self) {
        if self.dice.percent(10) {
            return self.stray_thread();
        }
        let mut order = self.new_order();
        if self.dice.percent(92) {
            self.place(&mut order);
        }
        self.orders.push(order.clone());
        for _ in 0..self.dice.below(9) {
            self.happening(&mut order);
        }
        *self.orders.last_mut().expect("just pushed") = order;
    }

    fn happening(&mut self, order: &mut Known) {
        match self.dice.below(100) {
            0..16 => self.payment(order),
            16..36 => self.dispatch(order),
            36..48 => self.update(order),
            48..54 => self.unshippable(order),
            54..60 => self.cancel(order),
            60..66 => self.change(order),
            66..89 => self.conversation(order),
            89..92 => self.return_request(order),
            92..94 => self.refunded(order),
            94..97 => self.claim(order),
            97..99 => self.place(order),
            _ => self.stray_thread(),
        }
    }

    fn new_order(&mut self) -> Known {
        let number = self.orders.len() + 1;
        let buyer = 1 + self.dice.below(self.buyers);
        // Now and then half a year before, where the look-up window ends.
        let day = if self.dice.percent(4) { -180 } else { self.dice.below(4) as i64 };
        let minute = *self.dice.pick(&[0, 0, 1, 60, 61, 300]);
        Known {
            order_id: self.id(&format!("O{number}")),
            seller: self.seller(),
            buyer: self.id(&format!("B{buyer}")),
            email: format!("{}b{buyer}@relay.example", self.settings.prefix.to_lowercase()),
            placed: self.settings.start.micros() + day * DAY + minute * MINUTE,
            lines: 1 + self.dice.below(3),
            authorized: false,
            packages: 0,
            threads: vec![],
        }
    }

    fn seller(&mut self) -> String {
        let number = 1 + self.dice.below(self.sellers);
        self.id(&format!("S{number}"))
    }

    fn id(&self, name: &str) -> String {
        format!("{}{name}", self.settings.prefix)
    }

    /// A name that no other thing of the history has.
    fn fresh(&mut self, kind: &str) -> String {
        self.numbers += 1;
        self.id(&format!("{kind}{}", self.numbers))
    }

    /// A time after the order's last event, after its placing, or, by a wrong clock, before either.
    fn time(&mut self, order: &Known) -> i64 {
        let span = match self.dice.below(10) {
            0..5 => *self.dice.pick(TURNS),
            5..9 => self.dice.below(3 * 24 * 60) as i64 * MINUTE,
            _ => -(self.dice.below(10) as i64) * MINUTE,
        };
        let since = if self.dice.percent(40) { order.placed } else { self.now.max(order.placed) };
        // Orders of one history end within the days that `starting_at` promises.
        self.now = (since + span).min(self.settings.start.micros() + 40 * DAY);
        self.now
    }

    fn tell(&mut self, kind: InputType, time: i64, data: Value) {
        self.numbers += 1;
        let source = *self.dice.pick(&["/shop", "/shop", "/carrier"]);
        let id = format!("{}e{:06}", self.settings.prefix, self.shuffled_number());
        let input = kind.read(&data).unwrap_or_else(|fault| panic!("{kind:?}: {fault}: {data}"));
        input.check().unwrap_or_else(|fault| panic!("{kind:?}: {fault:?}: {data}"));
        let key = EventRef { source: source.to_owned(), id };
        self.events.push(Event { time: Timestamp::from_micros(time), key, input });
    }

    /// Numbers that don't rise with the story, so that events of one moment come in any order.
    fn shuffled_number(&self) -> usize {
        (self.numbers * 7_919) % 1_000_003
    }

    fn place(&mut self, order: &mut Known) {
        self.now = order.placed;
        if self.dice.percent(2) {
            self.now += *self.dice.pick(TURNS);
        }
        let lines: Vec<Value> = (1..=order.lines).map(|number| self.order_line(number)).collect();
        let mut data = json!({
            "order_id": order.order_id, "seller_id": order.seller, "buyer_id": order.buyer,
            "sold_by": if self.dice.percent(92) { "seller" } else { "marketplace" },
            "fulfilled_by": if self.dice.percent(85) { "seller" } else { "marketplace" },
            "currency": "JPY", "lines": lines,
        });
        let payment = self.placed_payment(order);
        self.maybe(&mut data, 95, "payment", payment);
        let email = order.email.clone().into();
        self.maybe(&mut data, 75, "relay_email", email);
        let address = self.address();
        self.maybe(&mut data, 85, "ship_to", address);
        self.maybe(&mut data, 30, "buyer_name", "Yamada Hanako".into());
        self.maybe(&mut data, 30, "phone", "0312345678".into());
        for (chance, name) in [(25, "latest_ship_at"), (35, "latest_delivery_at")] {
            let moment = self.moment_after(order.placed);
            self.maybe(&mut data, chance, name, moment);
        }
        let moment = self.moment_after(order.placed - HOUR);
        self.maybe(&mut data, 8, "placed_at", moment);
        self.tell(InputType::OrderPlaced, self.now, data);
    }

    fn maybe(&mut self, data: &mut Value, chance: usize, name: &str, value: Value) {
        if self.dice.percent(chance) {
            data[name] = value;
        }
    }

    fn moment_after(&mut self, micros: i64) -> Value {
        let turn = *self.dice.pick(TURNS);
        Timestamp::from_micros(micros + turn).to_string().into()
    }

    fn order_line(&mut self, number: usize) -> Value {
        let mut line = json!({
            "line_id": format!("L{number}"), "sku": format!("SKU-{number}"),
            "quantity": 1 + self.dice.below(4), "unit_price": self.dice.pick(&[1000, 500, 333, 0]),
        });
        let fee = *self.dice.pick(&[100, 500, 1, 0]);
        self.maybe(&mut line, 70, "shipping_fee", fee.into());
        self.maybe(&mut line, 50, "tax", 45.into());
        line
    }

    fn placed_payment(&mut self, order: &mut Known) -> Value {
        let status = *self.dice.pick(&["pending", "authorized", "authorized"]);
        order.authorized |= status == "authorized";
        let mut payment = json!({ "status": status });
        let method = *self.dice.pick(&["card", "convenience-store", "cash-on-delivery", "points"]);
        self.maybe(&mut payment, 80, "method", method.into());
        self.maybe(&mut payment, if status == "pending" { 2 } else { 40 }, "captured", true.into());
        let due = self.moment_after(order.placed);
        self.maybe(&mut payment, 20, "due_at", due);
        payment
    }

    /// A few addresses, written in several ways.
    fn address(&mut self) -> Value {
        let (code, town) = *self.dice.pick(&[
            ("150-0001", "1-2-3 Jingumae"),
            ("150-0001", "1-2-3 Jingumae"),
            ("１５０-０００１", "1-2-3 ＪＩＮＧＵＭＡＥ"),
            ("530-0001", "4-5 Umeda"),
        ]);
        json!({ "postal_code": code, "region": "Tokyo", "address_lines": [town], "country": "JP" })
    }

    fn payment(&mut self, order: &mut Known) {
        let attempt = *self.dice.pick(&["A1", "A1", "A2"]);
        let time = self.time(order);
        let mut data = json!({ "order_id": order.order_id, "attempt_id": attempt });
        if self.dice.percent(30) {
            data["reason"] = (*self.dice.pick(&["declined", "expired"])).into();
            return self.tell(InputType::PaymentFailed, time, data);
        }
        order.authorized = true;
        data["amount"] = (*self.dice.pick(&[1000, 1100, 2500, 7, 0])).into();
        let method = *self.dice.pick(&["card", "convenience-store", "cash-on-delivery"]);
        self.maybe(&mut data, 50, "method", method.into());
        let captured = self.dice.percent(70);
        self.maybe(&mut data, 50, "captured", captured.into());
        let currency = *self.dice.pick(&["JPY", "JPY", "USD"]);
        self.maybe(&mut data, 20, "currency", currency.into());
        self.tell(InputType::PaymentAuthorized, time, data);
    }

    fn refunded(&mut self, order: &mut Known) {
        let time = self.time(order);
        let refund = self.fresh("RF");
        let amount = *self.dice.pick(&[1000, 500, 1100, 2000]);
        let mut data = json!({ "order_id": order.order_id, "refund_id": refund, "amount": amount });
        let rule = *self.dice.pick(&["R6", "R1/PK1", "R1/PK2", "P4/A1", "S6/PK1"]);
        let settled = format!("{}/{rule}", order.order_id);
        self.maybe(&mut data, 50, "settles", settled.into());
        self.maybe(&mut data, 5, "currency", "USD".into());
        self.tell(InputType::PaymentRefunded, time, data);
    }

    fn dispatch(&mut self, order: &mut Known) {
        let again = order.packages > 0 && self.dice.percent(10);
        order.packages += usize::from(!again);
        let time = self.time(order);
        let mut data = json!({
            "order_id": order.order_id, "package_id": format!("PK{}", order.packages),
        });
        let lines = self.some_lines(order, false);
        self.maybe(&mut data, 60, "lines", lines);
        self.maybe(&mut data, 50, "carrier", "Yamato".into());
        self.maybe(&mut data, 40, "tracking_number", "1234-5678".into());
        self.maybe(&mut data, 20, "insured", true.into());
        if self.dice.percent(25) {
            let other = self.dice.below(self.orders.len().max(1));
            let other = self.orders.get(other).map_or("O1".into(), |known| known.order_id.clone());
            data["combined_with"] = json!([other]);
            data["shipping_fee_actual"] = (*self.dice.pick(&[0, 50, 99, 400])).into();
        }
        self.tell(InputType::ShipmentDispatched, time, data);
    }

    /// Pieces of some lines, now and then too many or of a line that isn't there.
    fn some_lines(&mut self, order: &Known, change: bool) -> Value {
        let first = self.dice.below(order.lines);
        let count = 1 + self.dice.below(order.lines - first);
        let mut lines: Vec<Value> = (first..first + count)
            .map(|number| {
                let mut line = json!({ "line_id": format!("L{}", number + 1) });
                let quantity = if change { self.dice.below(6) } else { 1 + self.dice.below(3) };
                self.maybe(&mut line, 75, "quantity", quantity.into());
                line
            })
            .collect();
        if self.dice.percent(4) {
            lines.push(json!({ "line_id": "L9", "quantity": 1 }));
        }
        lines.into()
    }

    fn update(&mut self, order: &mut Known) {
        let time = self.time(order);
        let package = format!("PK{}", 1 + self.dice.below(order.packages.max(1)));
        let status = *self.dice.pick(&[
            "in-transit",
            "delivered",
            "delivered",
            "lost",
            "returning",
            "returned",
            "returned",
        ]);
        let mut data =
            json!({ "order_id": order.order_id, "package_id": package, "status": status });
        let reason =
            *self.dice.pick(&["undeliverable", "refused", "unknown-address", "buyer-return"]);
        self.maybe(&mut data, 60, "reason", reason.into());
        self.tell(InputType::ShipmentUpdated, time, data);
    }

    fn unshippable(&mut self, order: &mut Known) {
        let time = self.time(order);
        let lines = self.some_lines(order, false);
        let data = json!({ "order_id": order.order_id, "lines": lines });
        self.tell(InputType::LinesUnshippable, time, data);
        for _ in 0..self.dice.below(3) {
            let time = self.time(order);
            let granted = self.dice.percent(60);
            let data = json!({ "order_id": order.order_id, "granted": granted });
            self.tell(InputType::ConsentRecorded, time, data);
        }
    }

    fn cancel(&mut self, order: &mut Known) {
        let time = self.time(order);
        let mut data = json!({ "order_id": order.order_id, "actor": "buyer" });
        if self.dice.percent(35) {
            return self.tell(InputType::CancelRequested, time, data);
        }
        data["actor"] = (*self.dice.pick(&["buyer", "seller", "marketplace"])).into();
        let lines = self.some_lines(order, false);
        self.maybe(&mut data, 50, "lines", lines);
        self.tell(InputType::OrderCancelled, time, data);
    }

    fn change(&mut self, order: &mut Known) {
        let time = self.time(order);
        let actor = *self.dice.pick(&["buyer", "buyer", "seller", "marketplace"]);
        let mut data = json!({ "order_id": order.order_id, "actor": actor });
        let mut lines = self.some_lines(order, true);
        if self.dice.percent(30) {
            lines[0]["unit_price"] = (*self.dice.pick(&[800, 1200, 1_000_000_000_000i64])).into();
        }
        if self.dice.percent(5) {
            lines[0]["quantity"] = 1_000_000.into();
        }
        self.maybe(&mut data, 80, "lines", lines);
        let address = self.address();
        self.maybe(&mut data, 30, "ship_to", address);
        self.tell(InputType::ChangeRequested, time, data);
    }

    fn thread_of(&mut self, order: &mut Known) -> String {
        if order.threads.is_empty() || self.dice.percent(25) {
            // Now and then another order's thread: people answer old mail.
            let others = self.orders.iter().flat_map(|known| known.threads.clone());
            let others: Vec<String> = others.collect();
            let thread = if self.dice.percent(6) && !others.is_empty() {
                self.dice.pick(&others).clone()
            } else {
                self.fresh("T")
            };
            order.threads.push(thread);
        }
        self.dice.pick(&order.threads).clone()
    }

    fn conversation(&mut self, order: &mut Known) {
        let thread = self.thread_of(order);
        for _ in 0..1 + self.dice.below(3) {
            let time = self.time(order);
            let from =
                *self.dice.pick(&["buyer", "buyer", "buyer", "seller", "seller", "marketplace"]);
            let mut data = self.message(&thread, from, time);
            data["seller_id"] = order.seller.clone().into();
            self.maybe(&mut data, 65, "order_id", order.order_id.clone().into());
            self.maybe(&mut data, 80, "buyer_id", order.buyer.clone().into());
            self.maybe(&mut data, 40, "relay_email", order.email.to_uppercase().into());
            if self.dice.percent(6) {
                data["seller_id"] = self.seller().into();
            }
            if self.dice.percent(4) {
                data["buyer_id"] = self.id("B1").into();
            }
            self.tell(InputType::MessageSent, time, data);
        }
        if self.dice.percent(12) {
            let time = self.time(order);
            let action = *self.dice.pick(&["contact-carrier", "ask-to-wait"]);
            let data = json!({ "order_id": order.order_id, "thread_id": thread, "action": action });
            self.tell(InputType::NonReceiptHandled, time, data);
        }
    }

    fn message(&mut self, thread: &str, from: &str, time: i64) -> Value {
        const TOPICS: &[&str] = &[
            "ship-now",
            "where-is-it",
            "not-received",
            "not-received",
            "price-breakdown",
            "payment-details",
            "payment-number",
            "points",
            "change-order",
            "receipt",
            "damaged",
            "missing-parts",
            "cancel",
            "cancel",
            "unknown-order",
            "other",
            "other",
        ];
        let message = self.fresh("M");
        let mut data = json!({ "message_id": message, "thread_id": thread, "from": from });
        let topic = *self.dice.pick(TOPICS);
        self.maybe(&mut data, 75, "topic", topic.into());
        self.maybe(&mut data, 10, "automatic", true.into());
        let limit = match self.dice.percent(30) {
            true => "2026-03-05".into(),
            false => self.moment_after(time),
        };
        self.maybe(&mut data, if from == "seller" { 35 } else { 3 }, "reply_by", limit);
        data
    }

    /// A thread that belongs to no order, or whose order must be found.
    fn stray_thread(&mut self) {
        let thread = self.fresh("T");
        let mut order = match self.orders.len() {
            0 => self.new_order(),
            known => self.orders[self.dice.below(known)].clone(),
        };
        order.placed += self.dice.below(4) as i64 * DAY;
        for _ in 0..1 + self.dice.below(3) {
            let time = self.time(&order);
            let from = *self.dice.pick(&["buyer", "buyer", "buyer", "buyer", "seller"]);
            let mut data = self.message(&thread, from, time);
            data["seller_id"] = order.seller.clone().into();
            self.maybe(&mut data, 80, "buyer_id", order.buyer.clone().into());
            self.maybe(&mut data, 40, "relay_email", order.email.clone().into());
            let unknown = self.id("O999999");
            self.maybe(&mut data, 8, "order_id", unknown.into());
            if self.dice.percent(8) {
                data["order_id"] = order.order_id.clone().into();
                data["seller_id"] = self.seller().into();
            }
            self.tell(InputType::MessageSent, time, data);
        }
    }

    fn return_request(&mut self, order: &mut Known) {
        let thread = self.thread_of(order);
        let time = self.time(order);
        let mut data = json!({ "order_id": order.order_id });
        self.maybe(&mut data, 60, "thread_id", thread.into());
        let lines = self.some_lines(order, false);
        self.maybe(&mut data, 50, "lines", lines);
        self.tell(InputType::ReturnRequested, time, data);
    }

    fn claim(&mut self, order: &mut Known) {
        let time = self.time(order);
        let claim = self.fresh("C");
        let mut data = json!({ "order_id": order.order_id, "claim_id": claim });
        self.maybe(&mut data, 50, "reason", "not-received".into());
        self.tell(InputType::GuaranteeClaimed, time, data);
    }

    /// By time, with delays; about one in twenty arrives twice.
    fn arrivals(mut self, count: usize) -> Vec<Event> {
        self.events.truncate(count);
        for _ in 0..count / 20 {
            let (twice, instead) = (self.dice.below(count), self.dice.below(count));
            self.events[instead] = self.events[twice].clone();
        }
        let mut delayed: Vec<(i64, usize, Event)> = Vec::with_capacity(count);
        for (number, event) in std::mem::take(&mut self.events).into_iter().enumerate() {
            let delay = match self.dice.below(20) {
                0 => self.dice.below(20) as i64 * DAY,
                1..4 => self.dice.below(90) as i64 * MINUTE,
                _ => self.dice.below(60) as i64 * SECOND,
            };
            delayed.push((event.time.micros() + delay, number, event));
        }
        delayed.sort_by_key(|(arrives, number, _)| (*arrives, *number));
        delayed.into_iter().map(|(_, _, event)| event).collect()
    }
}
