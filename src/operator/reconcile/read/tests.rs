use super::*;
use crate::desk::amount::Amount;

const ALL: &str =
    "amazon-order-id\tbuyer-name\tpurchase-date\torder-status\tsku\tquantity\tcurrency\titem-price";

fn report(rows: &[&str]) -> Report {
    read(&[&[ALL], rows].concat().join("\n"), false).unwrap()
}

fn order<'a>(report: &'a Report, id: &str) -> &'a Reported {
    &report.orders[&Identifier::new(id).unwrap()]
}

/// What is told of each row that can't be read: its line, its order, and why.
fn told(report: &Report) -> Vec<(u64, Option<&str>, &str)> {
    let rows = report.malformed.iter();
    rows.map(|row| (row.line, row.order_id.as_ref().map(Identifier::as_str), &*row.reason))
        .collect()
}

#[test]
fn rows_of_one_order_are_put_together_wherever_they_stand() {
    let report = report(&[
        "O-1\tHanako\t2026-03-01T09:00:00+09:00\tShipped\tTEA\t2\tJPY\t1980.00",
        "O-2\t\t2026-03-02T09:00:00+09:00\tPending\tTEA\t1\t\t",
        "O-1\tHanako\t2026-03-01T09:00:00+09:00\tShipped\tCUP\t1\tJPY\t500",
    ]);
    assert_eq!((report.kind, report.rows, report.malformed.len()), (Kind::AllOrders, 3, 0));
    let both = order(&report, "O-1");
    assert_eq!((both.lines.len(), both.status.as_deref(), both.line), (2, Some("Shipped"), 2));
    assert_eq!(both.lines[0].item_price, Amount::from_text("1980"));
    let pending = order(&report, "O-2");
    assert_eq!((&pending.currency, &pending.lines[0].item_price), (&None, &None));
    assert!(!pending.is_partial && !pending.is_doubtful);
}

#[test]
fn a_row_that_cannot_be_read_is_told_by_its_line_without_its_values() {
    let report = report(&[
        "O-1\tHanako\t2026-03-01T09:00:00+09:00\tShipped\tTEA\ttwo\tJPY\t1980",
        "O-2\tHanako\tyesterday\tShipped\tTEA\t2\tJPY\t1980",
        "",
        "O-3\tHanako\t2026-03-01T09:00:00+09:00\tShipped\tTEA\t2\tJPY\t1,980",
        "O-4\tHanako\t2026-03-01T09:00:00+09:00\tShipped\tTEA\t-2\tJPY\t1980",
        "O 5\tHanako\t2026-03-01T09:00:00+09:00\tShipped\tTEA\t2\tJPY\t1980",
        "O-6\tHanako\t2026-03-01T09:00:00+09:00\t\tTEA\t2\tJPY\t1980",
        "O-7\tHanako\t2026-03-01T09:00:00+09:00\tShipped\tTEA\t2\tyen\t1980",
        "O-8\tHanako\t2026-03-01T09:00:00+09:00\tShipped\tTEA\t2\tJPY\t1980",
    ]);
    assert_eq!(report.rows, 1);
    let told = told(&report);
    let expected = [
        (2, Some("O-1"), "quantity is no whole number"),
        (3, Some("O-2"), "purchase-date is no time"),
        (5, Some("O-3"), "item-price is no amount"),
        (6, Some("O-4"), "quantity is no whole number"),
        (7, None, "the order's number is none"),
        (8, Some("O-6"), "order-status is empty"),
        (9, Some("O-7"), "currency is no code"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for ((line, order, reason), (at, id, beginning)) in told.iter().zip(expected) {
        assert_eq!((*line, *order), (at, id), "{reason}");
        assert!(reason.starts_with(beginning), "{reason}");
        assert!(!reason.contains("Hanako") && !reason.contains("yesterday"), "{reason}");
    }
    let partial = order(&report, "O-1");
    assert!(partial.is_partial && partial.lines.is_empty());
    assert_eq!(partial.status.as_deref(), Some("Shipped"), "it counts all the same");
}

#[test]
fn lines_are_counted_as_an_editor_does_whatever_ends_them() {
    let rows = "O-1\tx\ty\tz\tTEA\t1\tJPY\t1";
    let good = "O-9\t\t2026-03-01T09:00:00Z\tShipped\tTEA\t1\tJPY\t1";
    for end in ["\n", "\r\n"] {
        let text = [ALL, good, "", "", rows, "  ", rows, rows, ""].join(end);
        let report = read(&text, false).unwrap();
        let lines: Vec<u64> = report.malformed.iter().map(|row| row.line).collect();
        assert_eq!(lines, [5, 7, 8], "{end:?}");
        assert_eq!(order(&report, "O-9").line, 2);
    }
}

#[test]
fn of_a_row_whose_columns_slipped_nothing_is_taken_for_a_number() {
    let report = report(&[
        "O-1\t\t2026-03-01T09:00:00Z\tShipped\tTEA",
        "Sato\t2026-03-01T09:00:00Z\tShipped\tTEA\t1\tJPY\t1",
        "O-2\t\t2026-03-01T09:00:00Z\tShipped\tTEA\t1\tJPY\t1\tmore",
        "O-3\t\t2026-03-01T09:00:00Z\tShipped\tTEA\t1\tJPY\t1\t",
    ]);
    let told = told(&report);
    assert_eq!(
        told.iter().map(|row| (row.0, row.1)).collect::<Vec<_>>(),
        [(2, None), (3, None), (4, None)]
    );
    assert!(order(&report, "Sato").is_doubtful && order(&report, "O-1").is_doubtful);
    assert!(report.holds("O-1") && !order(&report, "O-3").is_doubtful);
}

#[test]
fn quotes_are_nothing_special_and_unknown_columns_are_passed_over() {
    let report = report(&[
        "O-1\t\"Tea\t2026-03-01T09:00:00Z\tShipped\t\"TEA\"\t1\tJPY\t1",
        "O-2\t\t2026-03-01T09:00:00Z\tShipped\tTEA\t1\tJPY\t1",
    ]);
    assert_eq!((report.orders.len(), report.malformed.len()), (2, 0));
    assert_eq!(order(&report, "O-1").lines[0].sku, "\"TEA\"");
}

#[test]
fn what_an_orders_rows_say_of_it_has_to_agree() {
    let row = |rest: &str| format!("O-1\t\t2026-03-01T09:00:00Z\t{rest}");
    let rows = [
        row("Shipped\tTEA\t1\tJPY\t1"),
        row("Pending\tTEA\t1\tJPY\t1"),
        row("Shipped\tTEA\t1\tEUR\t1"),
    ];
    let report = report(&rows.each_ref().map(String::as_str));
    let told = told(&report);
    assert!(told[0].2.starts_with("order-status isn't what") && told[0].2.ends_with("line 2"));
    assert!(told[1].2.starts_with("currency isn't what"), "{told:?}");
}

#[test]
fn an_order_report_is_read_with_its_continuations() {
    let text = "order-id\torder-item-id\tpurchase-date\tsku\tquantity-purchased\tquantity-to-ship\tpromotion\n\
                O-1\tL1\t2026-03-01T09:00:00Z\tTEA\t3\t1\tA\n\
                O-1\tL1\t\t\t\t\tB\n\
                O-1\tL1\t2026-03-01T09:00:00Z\tTEA\t3\t1\tA\n";
    let report = read(text, false).unwrap();
    assert_eq!(report.kind, Kind::UnshippedOrders);
    assert_eq!(order(&report, "O-1").lines[0].to_ship, Some(1));
    assert_eq!(
        told(&report),
        [(4, Some("O-1"), "order-item-id stands in this order a second time")]
    );
}

#[test]
fn bytes_without_a_meaning_matter_only_where_they_are_read() {
    let text = format!(
        "{ALL}\nO-1\t\u{FFFD}\t2026-03-01T09:00:00Z\tShipped\tTEA\t1\tJPY\t1\n\
         O-2\t\t2026-03-01T09:00:00Z\tShipped\tT\u{FFFD}\t1\tJPY\t1\n"
    );
    let report = read(&text, true).unwrap();
    assert_eq!((report.rows, told(&report)[0].0), (1, 3));
    assert!(told(&report)[0].2.starts_with("sku holds bytes"));
    assert_eq!(read(&text, false).unwrap().rows, 2);
}

#[test]
fn an_empty_file_is_no_report_and_a_header_alone_is() {
    assert_eq!(read("", false).unwrap_err(), Unusable::Empty);
    assert_eq!(read("\n\n", false).unwrap_err(), Unusable::Empty);
    assert_eq!(report(&[]).orders.len(), 0);
}
