//! A step of an order as the message that an upstream system sends: about 1 KB on average, a
//! good part of it fields that the contract doesn't name, as real systems send them.

use serde_json::{Value, json};

use super::dice::Dice;
use super::story::{Order, Step};
use crate::contract::{InputType, Timestamp};
use crate::operator::model::Sent;

/// The `source` of the whole workload.
pub const SOURCE: &str = "/marketplace/bench";

const TITLES: [&str; 4] = [
    "Hojicha roasted green tea, single origin, 200 g, resealable bag",
    "Enamel kettle 1.2 l, white, for gas and induction",
    "Notebook A5, dotted, 160 pages, bound to lie flat",
    "Linen apron, washed, with two pockets, indigo",
];
const NAMES: [&str; 4] = ["Hanako Sato", "Taro Suzuki", "Yui Tanaka", "Ren Watanabe"];
const CITIES: [(&str, &str, &str); 4] = [
    ("100-0001", "Tokyo", "Chiyoda"),
    ("530-0001", "Osaka", "Kita"),
    ("460-0008", "Aichi", "Nagoya"),
    ("810-0001", "Fukuoka", "Chuo"),
];
const BODIES: [&str; 2] = [
    "Thank you for your message. The parcel was handed over to the carrier, and should arrive \
     within two working days; please let us know if it doesn't. We are sorry for the \
     inconvenience, and hope that you enjoy what you ordered. Our shop is closed on Sundays \
     and public holidays; messages are answered on the next working day.",
    "Hello, I ordered something from your shop last week and have a question about it. Could \
     you have a look at it and tell me how to go on? I am at home in the evenings and can be \
     reached by telephone then. Thank you very much in advance, and kind regards.",
];

/// The message; `place` is the step's place in its order's story.
pub fn message(order: &Order, place: usize, step: Step, at: Timestamp) -> Sent {
    let id = format!("{}-{place}", order.id);
    let kind = step.kind();
    let mut data = data(order, step, at);
    data["order_id"] = match step {
        Step::Write { named: false, .. } => Value::Null,
        _ => json!(order.id),
    };
    data["meta"] = meta(order, place, kind);
    let event = json!({
        "specversion": "1.0", "id": id, "source": SOURCE, "type": kind.name(),
        "time": at.to_string(), "datacontenttype": "application/json",
        "dataschema": format!("urn:otodoke:{}", kind.name()), "data": data,
    });
    Sent {
        stream: kind.stream(),
        routing_key: format!("{}.{}", kind.stream().name(), kind.name()),
        event_id: id,
        event_type: kind.name().to_owned(),
        body: event.to_string().into_bytes(),
    }
}

/// What every system of the marketplace sends along, and nobody reads here.
fn meta(order: &Order, place: usize, kind: InputType) -> Value {
    let number = Dice::new(order.seed ^ place as u64).number();
    json!({
        "schema_version": 3, "tenant": "jp-1", "region": "ap-northeast-1",
        "producer": format!("{}-service-7f9c{:04x}", kind.stream().name(), number & 0xffff),
        "request_id": format!("{number:016x}-{:016x}", order.seed),
        "partition": number % 64, "sales_channel": "marketplace.example", "attempt": 1,
    })
}

fn data(order: &Order, step: Step, at: Timestamp) -> Value {
    match step {
        Step::Place { authorized } => placed(order, authorized),
        Step::Fail => json!({ "attempt_id": "A0", "reason": "declined", "processor": processor() }),
        Step::Pay => json!({
            "attempt_id": "A1", "amount": total(order), "currency": "JPY",
            "method": "convenience-store", "processor": processor(),
        }),
        Step::Refund => json!({
            "refund_id": "R1", "amount": total(order), "currency": "JPY",
            "settles": format!("{}/R1/{}", order.id, package(order, 0)), "processor": processor(),
        }),
        Step::Change => json!({
            "actor": "buyer", "lines": [{ "line_id": "L1", "quantity": 1 }], "form": form(),
        }),
        Step::AskToCancel => {
            json!({ "actor": "buyer", "reason": "ordered by mistake", "form": form() })
        }
        Step::Cancel { by_seller } => json!({
            "actor": if by_seller { "seller" } else { "marketplace" }, "reason": "out of stock",
            "form": form(),
        }),
        Step::CannotShip => {
            json!({ "lines": [{ "line_id": "L1" }], "reason": "out of stock", "form": form() })
        }
        Step::Consent { granted } => json!({ "granted": granted, "form": form() }),
        Step::Write { .. } => written(order, step),
        Step::Dispatch { package: number, of } => dispatched(order, number, of),
        Step::Update { package: number, status, reason } => json!({
            "package_id": package(order, number), "status": status, "reason": reason,
            "scan": scan(order, status, at),
        }),
        Step::AskToReturn => json!({ "reason": "doesn't fit", "form": form() }),
        Step::Handle => json!({
            "thread_id": thread(order, super::story::MISSING), "action": "contact-carrier",
            "form": form(),
        }),
        Step::Claim => {
            json!({ "claim_id": "C1", "reason": "not-received", "form": form() })
        }
    }
}

fn placed(order: &Order, authorized: bool) -> Value {
    let (buyer, name) = (order.buyer, NAMES[order.buyer % NAMES.len()]);
    let (postal_code, region, city) = CITIES[order.buyer % CITIES.len()];
    let lines: Vec<Value> = goods(order)
        .enumerate()
        .map(|(index, (sku, quantity, price))| {
            json!({
                "line_id": format!("L{}", index + 1), "sku": format!("SKU-{sku:06}"),
                "title": TITLES[sku % TITLES.len()], "quantity": quantity, "unit_price": price,
                "tax": quantity * price / 11, "shipping_fee": SHIPPING_FEE,
            })
        })
        .collect();
    let mut data = json!({
        "seller_id": seller(order), "buyer_id": account(order), "sold_by": "seller",
        "fulfilled_by": if order.fulfilled { "marketplace" } else { "seller" }, "currency": "JPY",
        "payment": { "status": if authorized { "authorized" } else { "pending" },
                     "method": if authorized { "card" } else { "convenience-store" } },
        "buyer_name": name, "relay_email": email(order), "phone": "+81-3-0000-0000",
        "ship_to": {
            "recipient": name, "postal_code": postal_code, "region": region, "city": city,
            "address_lines": [format!("{}-{}-{}", buyer % 30 + 1, buyer % 20 + 1, buyer % 9 + 1),
                              format!("House {buyer}, 7th floor")], "country": "JP",
        },
        "gift_note": null, "lines": lines,
    });
    // Stripped before anything else sees it.
    if order.seed.is_multiple_of(20) {
        data["points_used"] = json!(order.seed % 500);
    }
    data
}

fn written(order: &Order, step: Step) -> Value {
    let Step::Write { thread: in_thread, number, from_buyer, topic, .. } = step else {
        return json!({});
    };
    json!({
        "message_id": format!("M-{}-{in_thread}-{number}", order.id),
        "thread_id": thread(order, in_thread), "seller_id": seller(order),
        "buyer_id": account(order), "relay_email": email(order),
        "from": if from_buyer { "buyer" } else { "seller" }, "channel": "form", "topic": topic,
        "body": BODIES[usize::from(from_buyer)],
        "client": { "language": "ja", "user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1)" },
    })
}

fn dispatched(order: &Order, number: u8, of: u8) -> Value {
    // The first of two takes one line, the second the rest.
    let lines = (of > 1 && number == 0).then(|| json!([{ "line_id": "L1" }]));
    json!({
        "package_id": package(order, number), "carrier": "Yamato", "insured": true,
        "tracking_number": tracking_number(order), "lines": lines,
        "warehouse": {
            "code": "NRT-4", "dock": order.seed % 40, "picker": order.seed % 500,
            "weight_grams": 200 + order.seed % 4_000, "box": "60 cm", "label_format": "ZPL",
            "service_level": "standard", "cut_off": "15:00", "checked_by_scale": true,
            "contents": "household goods", "handling": ["this side up", "keep dry"],
        },
    })
}

/// What a carrier reports of a scan.
fn scan(order: &Order, status: &str, at: Timestamp) -> Value {
    let (postal_code, region, city) = CITIES[order.seed as usize % CITIES.len()];
    json!({
        "carrier": "Yamato", "tracking_number": tracking_number(order), "carrier_status": status,
        "carrier_code": 4_000 + order.seed % 90, "scanned_at": at.to_string(),
        "facility": { "name": format!("{city} base"), "code": order.seed % 9_000,
                      "postal_code": postal_code, "region": region,
                      "position": { "latitude": 35.6812, "longitude": 139.7671 } },
        "vehicle": format!("truck-{:04}", order.seed % 3_000), "temperature": "ambient",
        "device": format!("handy-terminal-{:05}", order.seed % 20_000),
        "note": "handed over in good condition; the label was legible, no damage was seen",
    })
}

fn processor() -> Value {
    json!({
        "name": "pay.example", "merchant": "MRC-2290-1182", "terminal": "web", "risk_score": 12,
        "three_d_secure": "not-required", "statement_text": "MARKETPLACE.EXAMPLE TOKYO",
        "settlement_batch": "daily", "acquirer": "first bank of examples", "fee_permille": 32,
        "checks": { "address": "match", "velocity": "ok", "device": "known", "country": "match" },
    })
}

fn form() -> Value {
    json!({
        "form_id": "self-service-12", "revision": 44, "language": "ja", "entry": "order-history",
        "user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)",
        "answers": [{ "question": "q1", "answer": "yes" }, { "question": "q2", "answer": "no" },
                    { "question": "q3", "answer": "I would like to be told by e-mail" }],
        "accepted_terms": "2026-04", "confirmed": true,
    })
}

const SHIPPING_FEE: i64 = 350;

/// Number, quantity and price of what was ordered.
fn goods(order: &Order) -> impl Iterator<Item = (usize, i64, i64)> {
    let mut dice = Dice::new(!order.seed);
    (0..order.lines).map(move |_| {
        (dice.below(50_000), 1 + dice.below(3) as i64, 480 + dice.below(9_000) as i64)
    })
}

fn total(order: &Order) -> i64 {
    goods(order).map(|(_, quantity, price)| quantity * price + SHIPPING_FEE).sum()
}

fn seller(order: &Order) -> String {
    format!("SELLER{:03}", order.seller)
}

fn account(order: &Order) -> String {
    format!("BUYER{}-{:07}", order.tag, order.buyer)
}

fn email(order: &Order) -> String {
    format!("b{}.{:07}@marketplace.example", order.tag, order.buyer)
}

fn thread(order: &Order, number: u8) -> String {
    format!("T-{}-{number}", order.id)
}

fn package(order: &Order, number: u8) -> String {
    format!("P-{}-{number}", order.id)
}

fn tracking_number(order: &Order) -> String {
    format!("{:012}", order.seed % 1_000_000_000_000)
}
