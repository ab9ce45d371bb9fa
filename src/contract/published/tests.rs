use serde_json::json;

use super::*;
use crate::contract::derived::ShipmentRequired;

fn identifier(text: &str) -> Identifier {
    Identifier::new(text).unwrap()
}

fn label(id: u128) -> Label<'static> {
    Label {
        id: Uuid::from_u128(id),
        source: "/otodoke",
        subject: "O1".into(),
        sequence: Sequence(7),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        tracestate: None,
    }
}

fn shipment_required() -> Published {
    let moment = |text: &str| text.parse::<Timestamp>().unwrap();
    let derived = Derived {
        rule: Rule::P2,
        time: moment("2026-03-01T00:00:00Z"),
        order_id: Some(identifier("O1")),
        seller_id: identifier("S.1"),
        key: String::new(),
        cause: Some(EventRef { source: "/shop".into(), id: "e1".into() }),
        derivation: ShipmentRequired { ship_by: moment("2026-03-03T00:00:00Z") }.into(),
    };
    Published::derived(&derived, label(1))
}

fn withdrawn() -> Published {
    let withdrawal = Withdrawal {
        withdraws: Uuid::from_u128(1),
        withdrawn_type: DerivedType::ShipmentRequired,
        replaced_by: None,
        time: "2026-03-01T00:00:00Z".parse().unwrap(),
        order_id: None,
        seller_id: &identifier("S.1"),
        rule: Rule::P2,
    };
    Published::withdrawn(&withdrawal, label(2))
}

fn alert(stream: Option<Stream>) -> Published {
    let alert = EventDeadLettered {
        dead_letter_id: Uuid::from_u128(9),
        code: RejectionCode::NotJson,
        stream: stream.into(),
        pointer: None,
        detail: "the body is empty".into(),
        event_source: None,
        event_id: None,
        event_type: None,
    };
    let time = "2026-03-01T00:00:00Z".parse().unwrap();
    Published::dead_lettered(&alert, Uuid::from_u128(3), "/otodoke", time)
}

#[test]
fn a_derived_event_goes_out_with_every_attribute_of_the_contract() {
    let body: Value = serde_json::from_slice(shipment_required().to_text().as_bytes()).unwrap();
    let expected = json!({
        "specversion": "1.0",
        "id": "00000000-0000-0000-0000-000000000001",
        "source": "/otodoke",
        "type": "shipment-required",
        "time": "2026-03-01T00:00:00Z",
        "subject": "O1",
        "datacontenttype": "application/json",
        "dataschema": "urn:otodoke:schema:shipment-required",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "sequence": "7",
        "causationid": "/shop e1",
        "data": {
            "order_id": "O1", "seller_id": "S.1", "rule": "P2", "ship_by": "2026-03-03T00:00:00Z",
        },
    });
    assert_eq!(body, expected);
}

#[test]
fn a_withdrawal_also_goes_where_the_withdrawn_event_went() {
    let withdrawn = withdrawn();
    assert_eq!(withdrawn.routing_key(), "derived-withdrawn.S_1");
    assert_eq!(withdrawn.copy_routing_key().as_deref(), Some("shipment-required.S_1"));
    assert_eq!(withdrawn.copy_routing_key().unwrap(), shipment_required().routing_key());
    assert_eq!(shipment_required().copy_routing_key(), None);
}

#[test]
fn an_alert_is_routed_by_its_stream() {
    assert_eq!(alert(Some(Stream::Orders)).routing_key(), "event-dead-lettered.orders");
    assert_eq!(alert(None).routing_key(), "event-dead-lettered.none");
    let body = serde_json::to_value(alert(None)).unwrap();
    assert_eq!(body["subject"], body["data"]["dead_letter_id"]);
    assert!(body.get("sequence").is_none() && body["data"].get("seller_id").is_none());
}

#[test]
fn what_was_published_is_read_the_same() {
    for published in [shipment_required(), withdrawn(), alert(None)] {
        assert_eq!(Published::from_body(published.to_text().as_bytes()).unwrap(), published);
    }
    assert_eq!(shipment_required().rule(), Some(Rule::P2));
    assert_eq!(withdrawn().order_id(), None);
}

#[test]
fn what_is_published_follows_its_schema() {
    for published in [shipment_required(), withdrawn(), alert(None), alert(Some(Stream::Orders))] {
        let schema = schema::document(&published.event_type).unwrap();
        let event = serde_json::to_value(&published).unwrap();
        let options = jsonschema::options().should_validate_formats(true);
        let errors: Vec<_> =
            options.build(&schema).unwrap().iter_errors(&event).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}
