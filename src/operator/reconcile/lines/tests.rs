use super::*;
use crate::contract::Timestamp;

fn ours(lines: Vec<store::Line>) -> Ours {
    let moment: Timestamp = "2026-03-01T09:00:00Z".parse().unwrap();
    Ours {
        order: store::Order {
            order_id: "O-1".to_owned(),
            seller_id: "S1".to_owned(),
            status: "unshipped".to_owned(),
            fulfilled_by: "seller".to_owned(),
            currency: "JPY".to_owned(),
            placed_at: moment.to_chrono().unwrap(),
        },
        lines,
    }
}

fn own(line_id: &str, sku: &str, quantity: i64) -> store::Line {
    store::Line {
        order_id: "O-1".to_owned(),
        line_id: line_id.to_owned(),
        sku: sku.to_owned(),
        quantity,
        unit_price: 990,
        tax: Some(90 * quantity),
        shipping_fee: None,
        quantity_shipped: 0,
        quantity_unshippable: 0,
        quantity_cancelled: 0,
    }
}

/// A row; the price as it is written, where it is.
fn row(line_id: &str, sku: &str, quantity: i64, price: &str) -> ReportedLine {
    ReportedLine {
        line_id: Identifier::new(line_id),
        sku: sku.to_owned(),
        quantity,
        item_price: Amount::from_text(price),
        ..ReportedLine::default()
    }
}

/// `what sku: report / ours` of everything that differs.
fn differences(rows: Vec<ReportedLine>, ours: &Ours) -> Vec<String> {
    let reported = Reported { lines: rows, ..Reported::default() };
    let found = compare(&reported, ours, With { prices: true, to_ship: true });
    let text = |line: Line| format!("{} {}: {} / {}", line.what, line.sku, line.report, line.ours);
    found.into_iter().map(text).collect()
}

#[test]
fn the_price_is_for_the_whole_row_with_or_without_decimals() {
    let order = ours(vec![own("L1", "TEA", 2)]);
    for price in ["1980", "1980.00", ""] {
        assert_eq!(differences(vec![row("", "TEA", 2, price)], &order), [""; 0]);
    }
    let found = differences(vec![row("", "TEA", 2, "990")], &order);
    assert_eq!(found, ["item_price TEA: \"990\" / \"1980\""]);
}

#[test]
fn tax_and_shipping_are_compared_where_both_say_them() {
    let mut told = row("L1", "TEA", 2, "1980");
    told.item_tax = Amount::from_text("100");
    told.shipping_price = Amount::from_text("500");
    let mut order = ours(vec![own("L1", "TEA", 2)]);
    let found = differences(vec![told.clone()], &order);
    assert_eq!(found, ["item_tax TEA: \"100\" / \"180\"", "shipping_price TEA: \"500\" / \"0\""]);
    (order.lines[0].tax, order.lines[0].shipping_fee) = (None, Some(500));
    assert_eq!(differences(vec![told], &order), [""; 0]);
}

#[test]
fn a_line_is_known_by_its_id_and_else_by_its_sku() {
    let order = ours(vec![own("L1", "TEA", 2), own("L2", "TEA", 1)]);
    let swapped = vec![row("L2", "TEA", 2, ""), row("L1", "TEA", 1, "")];
    assert_eq!(differences(swapped, &order).len(), 2);
    let foreign = vec![row("7", "TEA", 2, "1980"), row("8", "TEA", 1, "990")];
    assert_eq!(differences(foreign, &order), [""; 0]);
    let other = vec![row("L1", "CUP", 2, ""), row("L2", "TEA", 1, "")];
    assert_eq!(differences(other, &order), ["sku TEA: \"CUP\" / \"TEA\""]);
}

#[test]
fn lines_of_one_sku_are_added_up() {
    let order = ours(vec![own("L1", "TEA", 2), own("L2", "TEA", 1)]);
    let split =
        |price| vec![row("", "TEA", 1, price), row("", "TEA", 1, price), row("", "TEA", 1, price)];
    assert_eq!(differences(split("990"), &order), [""; 0]);
    assert_eq!(differences(split("1000"), &order), ["item_price TEA: \"3000\" / \"2970\""]);
    let merged = differences(vec![row("", "TEA", 4, "")], &order);
    assert_eq!(merged, ["quantity TEA: 4 / 3"]);
}

#[test]
fn a_line_that_one_side_lacks_is_told() {
    let order = ours(vec![own("L1", "TEA", 2)]);
    let found = differences(vec![row("", "CUP", 3, "")], &order);
    assert_eq!(found, ["line CUP: 3 / null", "line TEA: null / 2"]);
    assert_eq!(differences(vec![row("", "TEA", 2, ""), row("", "CUP", 0, "")], &order), [""; 0]);
    let gone = ours(vec![own("L1", "TEA", 2), own("L2", "CUP", 0)]);
    assert_eq!(differences(vec![row("", "TEA", 2, "")], &gone), [""; 0]);
}

#[test]
fn a_quantity_is_with_or_without_what_was_cancelled() {
    let mut order = ours(vec![own("L1", "TEA", 3)]);
    order.lines[0].quantity_cancelled = 1;
    assert_eq!(differences(vec![row("", "TEA", 3, "2970")], &order), [""; 0]);
    assert_eq!(differences(vec![row("", "TEA", 2, "1980")], &order), [""; 0]);
    assert_eq!(differences(vec![row("", "TEA", 2, "2970")], &order).len(), 1);
    assert_eq!(differences(vec![row("", "TEA", 1, "")], &order), ["quantity TEA: 1 / 3"]);
    order.order.status = "cancelled".to_owned();
    assert_eq!(differences(vec![row("", "TEA", 0, "0.00")], &order), [""; 0]);
    assert_eq!(differences(vec![], &order), [""; 0]);
}

#[test]
fn amounts_of_another_currency_are_not_compared() {
    let order = ours(vec![own("L1", "TEA", 2)]);
    let reported = Reported { lines: vec![row("", "TEA", 2, "12.00")], ..Reported::default() };
    let found = compare(&reported, &order, With { prices: false, to_ship: true });
    assert!(found.is_empty());
}
