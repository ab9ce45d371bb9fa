//! A day of the marketplace: stories of one order or one inquiry each, in the order in
//! which they are told.
//!
//! Time is compressed by dating events in the past, so that deadlines of days are due at
//! once. Where nothing is to be overdue, a story took place within the last day.

mod asking;
mod changing;
mod paying;
mod people;
mod refusing;
mod returning;
mod shipping;
mod waiting;

pub use people::BUYERS;
use people::{Buyer, SWEETS, Seller};

use serde_json::{Map, Value, json};

use crate::contract::{Identifier, InputType, Span, Stream, Timestamp};
use crate::operator::model::Sent;

/// Stripped wherever they stand (V2): recognised by values that stand nowhere else.
pub const POINTS_USED: i64 = 48_151_623;
pub const PAYMENT_NUMBER: &str = "8812-4471-9935";
/// The fields in which they are sent.
pub const STRIPPED: [&str; 3] = ["points_used", "payment_number", "confirmation_number"];

/// The seller whose order report is held against the stories (O1).
pub fn sweets() -> Identifier {
    Identifier::new(SWEETS.id).expect("the sellers' ids are constants")
}

/// What happens in a story, one after the other.
pub enum Step {
    Send(Sent),
    /// Everything sent so far is processed, deadlines included, before it goes on.
    Settle,
    /// What a seller sees of this order now is remembered (V1).
    Look(String),
}

/// A story: one order, or one inquiry.
pub struct Story {
    pub title: &'static str,
    pub steps: Vec<Step>,
    order: String,
    thread: String,
    seller: &'static Seller,
    buyer: &'static Buyer,
    /// Each story has a buyer's account of its own, unless it says otherwise.
    account: String,
    begin: Timestamp,
    events: usize,
}

/// What the stories of one run share: its ids are unique, its times relative to its start.
pub struct Day {
    now: Timestamp,
    /// Seven digits, as in the middle of an order number.
    run: String,
    stories: usize,
}

impl Day {
    pub fn new(now: Timestamp, run: u32) -> Day {
        // Whole seconds are easier to read.
        let now = Timestamp::from_micros(now.micros() / 1_000_000 * 1_000_000);
        Day { now, run: format!("{:07}", run % 10_000_000), stories: 0 }
    }

    /// All of it.
    pub fn stories(mut self) -> Vec<Story> {
        let chapters = [
            paying::stories,
            shipping::stories,
            returning::stories,
            changing::stories,
            asking::stories,
            waiting::stories,
            refusing::stories,
        ];
        chapters.iter().flat_map(|chapter| chapter(&mut self)).collect()
    }

    /// A story that began some time ago, such as `20h` or `16d`.
    fn story(
        &mut self,
        ago: &str,
        title: &'static str,
        seller: &'static Seller,
        buyer: &'static Buyer,
    ) -> Story {
        self.stories += 1;
        let order = format!("503-{}-{:07}", self.run, self.stories);
        let begin = Timestamp::from_micros(self.now.micros() - span(ago).micros());
        let thread = format!("T-{}-{}", self.run, self.stories);
        let account = format!("{}-{}-{}", buyer.id, self.run, self.stories);
        let steps = Vec::new();
        Story { title, steps, order, thread, seller, buyer, account, begin, events: 0 }
    }
}

impl Story {
    /// The order is placed as authorised by card, unless `extra` says otherwise; lines are
    /// (title, quantity, price, shipping).
    fn placed(self, lines: &[(&str, i64, i64, i64)], extra: Value) -> Story {
        let lines: Vec<Value> = lines.iter().enumerate().map(line).collect();
        let base = json!({
            "seller_id": self.seller.id, "buyer_id": self.account, "sold_by": "seller",
            "fulfilled_by": "seller", "currency": "JPY",
            "payment": { "status": "authorized", "method": "card", "captured": true },
            "buyer_name": self.buyer.name, "relay_email": self.buyer.email,
            "phone": self.buyer.phone, "ship_to": self.buyer.address(), "lines": lines,
        });
        self.after("0s", "order-placed", merged(base, extra))
    }

    /// A message of the story's thread.
    fn message(self, after: &str, from: &str, topic: &str, body: &str, extra: Value) -> Story {
        let base = json!({
            "message_id": format!("{}-M{}", self.thread, self.events + 1),
            "thread_id": self.thread, "seller_id": self.seller.id, "buyer_id": self.account,
            "from": from, "channel": "form", "topic": topic, "body": body,
        });
        self.after(after, "message-sent", merged(base, extra))
    }

    /// An event of the story's order, some time after the story's beginning.
    fn after(self, after: &str, event_type: &str, data: Value) -> Story {
        let id = format!("{}-E{}", self.order, self.events + 1);
        let time = self.begin + span(after);
        self.event(&id, time, event_type, data)
    }

    fn event(mut self, id: &str, time: Timestamp, event_type: &str, data: Value) -> Story {
        let stream = InputType::from_name(event_type).map_or(Stream::Orders, InputType::stream);
        let data = without_nulls(merged(json!({ "order_id": self.order }), data));
        let body = json!({
            "specversion": "1.0", "id": id, "source": format!("/marketplace/{}", stream.name()),
            "type": event_type, "time": time.to_string(), "data": data,
        });
        self.events += 1;
        self.raw(stream, id, event_type, body.to_string().into_bytes())
    }

    /// Any bytes, to the stream's queue.
    fn raw(mut self, stream: Stream, id: &str, event_type: &str, body: Vec<u8>) -> Story {
        self.steps.push(Step::Send(Sent {
            stream,
            routing_key: format!("{}.{event_type}", stream.name()),
            event_id: id.to_owned(),
            event_type: event_type.to_owned(),
            body,
        }));
        self
    }

    /// The seller does something about a parcel that didn't arrive.
    fn handled(self, after: &str, action: &str) -> Story {
        let data = json!({ "thread_id": self.thread, "action": action });
        self.after(after, "non-receipt-handled", data)
    }

    /// The buyer is a regular customer: the account is the same in all stories that say so.
    fn regular(mut self) -> Story {
        let (account, _) = self.account.rsplit_once('-').expect("an account ends with a number");
        self.account = account.to_owned();
        self
    }

    fn settle(mut self) -> Story {
        self.steps.push(Step::Settle);
        self
    }

    fn look(mut self) -> Story {
        self.steps.push(Step::Look(self.order.clone()));
        self
    }

    /// The last message changed, sent once more.
    fn again(mut self, change: impl FnOnce(&mut Sent)) -> Story {
        let last = self.steps.iter().rev().find_map(|step| match step {
            Step::Send(sent) => Some(sent.clone()),
            _ => None,
        });
        let mut sent = last.expect("a story repeats only what it told");
        change(&mut sent);
        self.steps.push(Step::Send(sent));
        self
    }

    /// The last two messages arrive in the other order.
    fn swapped(mut self) -> Story {
        let last = self.steps.len() - 1;
        self.steps.swap(last - 1, last);
        self
    }
}

fn line((index, (title, quantity, price, shipping)): (usize, &(&str, i64, i64, i64))) -> Value {
    json!({
        "line_id": format!("L{}", index + 1), "sku": format!("SKU-{price}"), "title": title,
        "quantity": quantity, "unit_price": price, "tax": quantity * price / 11,
        "shipping_fee": shipping,
    })
}

/// `extra`'s members over those of `base`.
fn merged(base: Value, extra: Value) -> Value {
    let (Value::Object(mut members), Value::Object(extra)) = (base, extra) else {
        return Value::Object(Map::new());
    };
    members.extend(extra);
    Value::Object(members)
}

/// A `null` takes away what stood there by default.
fn without_nulls(mut data: Value) -> Value {
    if let Value::Object(members) = &mut data {
        members.retain(|_, value| !value.is_null());
    }
    data
}

fn span(text: &str) -> Span {
    text.parse().expect("the stories' spans are constants")
}
