//! Every field that may say something of a person is thought of, and equal stays equal.

use serde_json::{Value, json};

use super::*;
use crate::contract::{InputType, schema};

/// Texts that are a person's: each is left out, or gets a pseudonym.
const PERSONS: [&str; 13] = [
    "/buyer_name",
    "/relay_email",
    "/phone",
    "/ship_to/recipient",
    "/ship_to/postal_code",
    "/ship_to/region",
    "/ship_to/city",
    "/ship_to/address_lines/*",
    "/ship_to/country",
    "/body",
    "/reason",
    "/ship_to",
    "/ship_to/address_lines",
];
/// Texts that are the books'.
const BOOKS: [&str; 6] =
    ["/lines/*/sku", "/lines/*/title", "/settles", "/carrier", "/tracking_number", "/reply_by"];

/// Where texts that nobody limits to a form stand in a schema.
fn free_texts(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    let says_text = |kind: &Value| kind == "string";
    let kind = &schema["type"];
    let is_text = says_text(kind) || kind.as_array().is_some_and(|k| k.iter().any(says_text));
    let is_text = is_text && schema["enum"].is_null();
    if is_text && schema["pattern"].is_null() && schema["format"].is_null() {
        // An open list of words is one of ours, or `other`.
        let is_word = schema["examples"].is_array();
        found.extend((!is_word).then(|| at.to_owned()));
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        free_texts(member, &format!("{at}/{name}"), found);
    }
    if schema["items"].is_object() {
        free_texts(&schema["items"], &format!("{at}/*"), found);
    }
    for way in ["anyOf", "oneOf", "allOf"] {
        for part in schema[way].as_array().into_iter().flatten() {
            free_texts(part, at, found);
        }
    }
}

#[test]
fn every_text_of_the_contract_is_a_persons_or_the_books() {
    let mut found = BTreeSet::new();
    for kind in InputType::ALL {
        let document = schema::document(kind.name()).unwrap();
        free_texts(&document["properties"]["data"], "", &mut found);
        free_texts(&serde_json::to_value(kind.data_schema()).unwrap(), "", &mut found);
    }
    assert!(found.len() > 8, "the schemas' texts are not found: {found:?}");
    let known: BTreeSet<&str> = PERSONS.into_iter().chain(BOOKS).collect();
    let unknown: Vec<&String> = found.iter().filter(|at| !known.contains(at.as_str())).collect();
    assert!(unknown.is_empty(), "is it a person's, or the books'? {unknown:?}");
}

fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new(b"salt".to_vec())
}

fn address(postal_code: &str, lines: &[&str]) -> Address {
    serde_json::from_value(json!({
        "recipient": "Taro Sato", "postal_code": postal_code, "region": "Tokyo",
        "address_lines": lines, "country": "JP",
    }))
    .unwrap()
}

#[test]
fn addresses_that_were_the_same_stay_so() {
    let names = pseudonyms();
    let one = names.address(&address("100-0001", &["Chiyoda 1"]));
    assert_eq!(one, names.address(&address("１００-0001", &["CHIYODA", "1"])));
    assert_ne!(one, names.address(&address("100-0002", &["Chiyoda 1"])));
    assert_eq!(names.address(&one), one, "a second time changes nothing");
    let key = address_key(&address("100-0001", &["Chiyoda 1"]));
    assert_eq!(names.address_key(&key), address_key(&one));
    assert_eq!(names.address_key(&address_key(&one)), address_key(&one));
    let other = Pseudonyms::new(b"pepper".to_vec());
    assert_ne!(one, other.address(&address("100-0001", &["Chiyoda 1"])));
}

#[test]
fn what_only_looks_like_a_pseudonym_is_replaced() {
    let digits = "0123456789abcdef".repeat(2);
    assert!(is_pseudonym(&format!("forgotten-{digits}")));
    for text in [format!("forgotten-{digits}a"), format!("forgotten-{}", digits.to_uppercase())] {
        assert!(!is_pseudonym(&text), "{text}");
    }
    let mut half = pseudonyms().address(&address("1", &[]));
    half.address_lines.push(Text("Chiyoda 1".to_owned()));
    assert!(!pseudonyms().address(&half).address_lines.iter().any(|line| line.0 == "Chiyoda 1"));
}

fn input(kind: InputType, data: Value) -> Input {
    kind.read(data).unwrap()
}

fn message(members: Value) -> Input {
    let mut data = json!({ "message_id": "M1", "thread_id": "T1", "seller_id": "S1",
                           "from": "buyer", "body": "Please" });
    data.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    input(InputType::MessageSent, data)
}

#[test]
fn a_message_is_the_buyers_by_id_by_address_by_thread_or_by_order() {
    let id = |text: &str| Identifier::new(text).unwrap();
    let mut trail = Trail::of(id("B1"));
    trail.orders.insert(id("O1"));
    let home = id("O1");
    let of =
        |trail: &Trail, home: Option<&Identifier>, members| trail.share(home, &message(members));
    assert_eq!(of(&trail, None, json!({})), None);
    assert_eq!(of(&trail, Some(&home), json!({})), Some(Share::Whole));
    assert_eq!(of(&trail, Some(&home), json!({ "buyer_id": "B2" })), None);
    let named = message(json!({ "buyer_id": "B1", "relay_email": "K2@Market.example" }));
    trail.learn(None, &named);
    assert_eq!(of(&trail, None, json!({})), Some(Share::Whole), "the same thread");
    let same = json!({ "thread_id": "T2", "relay_email": "k2@market.EXAMPLE" });
    assert_eq!(of(&trail, None, same), Some(Share::Whole));
    let shared = json!({ "thread_id": "T2", "relay_email": "k2@market.example", "buyer_id": "B2" });
    assert_eq!(of(&trail, None, shared), Some(Share::Email));
}

#[test]
fn nothing_of_a_person_is_left() {
    let names = pseudonyms();
    let mut placed = input(
        InputType::OrderPlaced,
        json!({
            "order_id": "O1", "seller_id": "S1", "buyer_id": "B1", "sold_by": "seller",
            "fulfilled_by": "seller", "currency": "JPY", "buyer_name": "Hanako",
            "relay_email": "K2@Market.example", "phone": "+81-3-1",
            "ship_to": address("100-0001", &["Chiyoda 1"]),
            "lines": [{ "line_id": "L1", "sku": "TEA", "quantity": 1, "unit_price": 990 }],
        }),
    );
    forget(&mut placed, Share::Email, &names);
    let text = placed.facts().to_string();
    assert!(text.contains("Hanako") && !text.contains("Market"), "{text}");
    forget(&mut placed, Share::Whole, &names);
    let text = placed.facts().to_string();
    for gone in ["Hanako", "Market", "+81", "100-0001", "Tokyo", "Chiyoda", "Taro"] {
        assert!(!text.contains(gone), "{gone}: {text}");
    }
    assert!(text.contains("TEA") && text.contains("990"), "the books stay");
    let before = text;
    forget(&mut placed, Share::Whole, &names);
    assert_eq!(placed.facts().to_string(), before);
}
