use super::*;
use crate::contract::Timestamp;

fn ours(status: &str, fulfilled_by: &str) -> Ours {
    let moment: Timestamp = "2026-03-01T09:00:00Z".parse().unwrap();
    Ours {
        order: store::Order {
            order_id: "O-1".to_owned(),
            seller_id: "S1".to_owned(),
            status: status.to_owned(),
            fulfilled_by: fulfilled_by.to_owned(),
            currency: "JPY".to_owned(),
            placed_at: moment.to_chrono().unwrap(),
        },
        lines: vec![line(2, 0)],
    }
}

fn line(quantity: i64, shipped: i64) -> store::Line {
    store::Line {
        order_id: "O-1".to_owned(),
        line_id: "L1".to_owned(),
        sku: "TEA".to_owned(),
        quantity,
        unit_price: 990,
        tax: None,
        shipping_fee: None,
        quantity_shipped: shipped,
        quantity_unshippable: 0,
        quantity_cancelled: 0,
    }
}

fn reported(status: &str) -> Reported {
    let row = super::super::row::ReportedLine {
        sku: "TEA".to_owned(),
        quantity: 2,
        ..Default::default()
    };
    let status = (!status.is_empty()).then(|| status.to_owned());
    Reported { status, lines: vec![row], ..Reported::default() }
}

/// What differs, and what each side says.
fn differences(kind: Kind, reported: &Reported, ours: &Ours) -> Vec<(&'static str, Value, Value)> {
    let found = compare(kind, reported, ours, None).into_iter();
    found.map(|difference| (difference.what, difference.report, difference.ours)).collect()
}

#[test]
fn a_status_differs_in_the_words_of_each_side() {
    let found = differences(Kind::AllOrders, &reported("Shipped"), &ours("unshipped", "seller"));
    assert_eq!(found, [("status", "Shipped".into(), "unshipped".into())]);
    for (word, status) in [
        ("Shipped - Delivered to Buyer", "shipped"),
        ("Canceled", "cancelled"),
        ("Pending", "pending"),
    ] {
        assert_eq!(differences(Kind::AllOrders, &reported(word), &ours(status, "seller")), []);
    }
}

#[test]
fn a_status_that_nobody_knows_is_compared_with_nothing() {
    let found = differences(Kind::AllOrders, &reported("Misplaced"), &ours("shipped", "seller"));
    assert_eq!(found, []);
}

#[test]
fn standing_in_a_report_of_paid_orders_says_something_of_the_status() {
    let status = |kind, ours: &Ours| {
        let found = differences(kind, &reported(""), ours);
        found.into_iter().map(|(what, report, _)| (what, report)).collect::<Vec<_>>()
    };
    for (kind, ours, report) in [
        (Kind::OrderReport, ours("pending", "seller"), "paid"),
        (Kind::UnshippedOrders, ours("pending", "seller"), "to ship"),
        (Kind::UnshippedOrders, ours("shipped", "seller"), "to ship"),
        (Kind::UnshippedOrders, ours("cancelled", "seller"), "to ship"),
    ] {
        assert_eq!(status(kind, &ours), [("status", report.into())]);
    }
    for agreeing in ["unshipped", "partially-shipped", "shipped", "cancelled"] {
        assert_eq!(status(Kind::OrderReport, &ours(agreeing, "seller")), []);
    }
    let marketplaces = status(Kind::OrderReport, &ours("shipped", "marketplace"));
    assert_eq!(marketplaces, [("fulfilled_by", "seller".into())]);
}

#[test]
fn who_ships_the_currency_and_the_seller_are_compared() {
    let mut other = reported("Shipped");
    (other.fulfilled_by, other.currency) = (Some("marketplace"), Some("EUR".to_owned()));
    let order = ours("shipped", "seller");
    assert_eq!(
        differences(Kind::AllOrders, &other, &order),
        [
            ("fulfilled_by", "marketplace".into(), "seller".into()),
            ("currency", "EUR".into(), "JPY".into())
        ]
    );
    assert_eq!(compare(Kind::AllOrders, &reported("Shipped"), &order, Some("S1")), []);
    let found = compare(Kind::AllOrders, &reported("Shipped"), &order, Some("S2"));
    assert_eq!((found[0].what, &found[0].report), ("seller_id", &"S2".into()));
}

#[test]
fn lines_of_an_order_with_a_row_that_cannot_be_read_are_not_compared() {
    let mut partial = reported("Shipped");
    partial.lines.clear();
    let order = ours("shipped", "seller");
    assert_eq!(differences(Kind::AllOrders, &partial, &order).len(), 1);
    partial.is_partial = true;
    assert_eq!(differences(Kind::AllOrders, &partial, &order), []);
}

#[test]
fn what_is_to_ship_is_compared_where_the_status_agrees() {
    let mut to_ship = reported("");
    to_ship.lines[0].to_ship = Some(2);
    let mut order = ours("partially-shipped", "seller");
    order.lines = vec![line(2, 1)];
    let found = differences(Kind::UnshippedOrders, &to_ship, &order);
    assert_eq!(found, [("quantity_to_ship", 2.into(), 1.into())]);
    order.order.status = "shipped".to_owned();
    let found = differences(Kind::UnshippedOrders, &to_ship, &order);
    assert_eq!(found, [("status", "to ship".into(), "shipped".into())]);
}

#[test]
fn an_order_is_missed_only_where_a_report_of_this_kind_holds_it() {
    use Absence::{AsItShould, Gap, Pending};
    for (status, by, in_all, in_orders, in_unshipped) in [
        ("pending", "seller", Gap, Pending, Pending),
        ("unshipped", "seller", Gap, Gap, Gap),
        ("partially-shipped", "seller", Gap, Gap, Gap),
        ("shipped", "seller", Gap, Gap, AsItShould),
        ("cancelled", "seller", Gap, AsItShould, AsItShould),
        ("pending", "marketplace", Gap, AsItShould, AsItShould),
        ("unshipped", "marketplace", Gap, AsItShould, AsItShould),
    ] {
        let mut order = ours(status, by);
        order.lines = vec![line(2, if status == "shipped" { 2 } else { 0 })];
        let absences = [Kind::AllOrders, Kind::OrderReport, Kind::UnshippedOrders]
            .map(|kind| absence(kind, &order));
        assert_eq!(absences, [in_all, in_orders, in_unshipped], "{status} {by}");
    }
}
