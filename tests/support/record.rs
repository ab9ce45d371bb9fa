//! What a subscriber of everything may rely on, held against all that it ever received.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::marketplace::Arrived;

/// A case, a type and a key: of these, one event stands at most.
type Name = (String, String, String);

/// Plays back what arrived, as a subscriber who keeps what stands, and compares that with
/// what stands in the store.
///
/// # Panics
/// When an id came with two contents; when an event came before the one that it replaces
/// was withdrawn; when a case's events came out of order; or when at the end another set
/// stands than the store's.
pub async fn assert_lawful(pool: &PgPool, arrived: &[Arrived]) {
    let names = names(pool).await;
    let mut contents: HashMap<&str, &[u8]> = HashMap::new();
    let mut last: HashMap<&str, i64> = HashMap::new();
    let mut standing: BTreeMap<&Name, &str> = BTreeMap::new();
    for message in arrived {
        let id = message.message_id.as_str();
        assert_eq!(message.event["id"], id, "a message is called as its event");
        if let Some(content) = contents.insert(id, &message.bytes) {
            assert_eq!(content, message.bytes, "{id} was published with two contents");
            continue;
        }
        if message.event_type == "event-dead-lettered" {
            continue;
        }
        let case = message.event["subject"].as_str().expect("an event has a subject");
        let before = last.insert(case, message.sequence()).unwrap_or(0);
        assert!(before < message.sequence(), "{case}: {} behind {before}", message.sequence());
        play(&mut standing, &names, message);
    }
    let subscribers: BTreeSet<&str> = standing.into_values().collect();
    let stores = standing_ids(pool).await;
    assert_eq!(subscribers, stores.iter().map(String::as_str).collect(), "another set stands");
}

fn play<'a>(
    standing: &mut BTreeMap<&'a Name, &'a str>,
    names: &'a HashMap<String, Name>,
    message: &'a Arrived,
) {
    let id = message.message_id.as_str();
    if message.event_type == "derived-withdrawn" {
        let gone = message.event["data"]["withdraws"].as_str().expect("it names an event");
        let name = names.get(gone).expect("what is withdrawn is on record");
        assert_eq!(standing.remove(name), Some(gone), "{gone} is withdrawn, but doesn't stand");
    } else {
        let name = names.get(id).unwrap_or_else(|| panic!("{id} is not on record"));
        let other = standing.insert(name, id);
        assert_eq!(other, None, "{name:?} stands under two ids: {id} and {other:?}");
    }
}

async fn names(pool: &PgPool) -> HashMap<String, Name> {
    let rows: Vec<(Uuid, String, String, String)> =
        sqlx::query_as("SELECT event_id, case_key, type, key FROM derived_events")
            .fetch_all(pool)
            .await
            .expect("the derived events");
    rows.into_iter().map(|(id, case, kind, key)| (id.to_string(), (case, kind, key))).collect()
}

async fn standing_ids(pool: &PgPool) -> BTreeSet<String> {
    let rows: Vec<Uuid> = sqlx::query_scalar(
        "SELECT event_id FROM derived_events WHERE withdrawn_at IS NULL AND NOT suppressed",
    )
    .fetch_all(pool)
    .await
    .expect("the derived events");
    rows.iter().map(Uuid::to_string).collect()
}

/// The `data` of an arrived event.
pub fn data(message: &Arrived) -> &Value {
    &message.event["data"]
}
