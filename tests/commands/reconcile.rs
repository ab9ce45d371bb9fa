//! `reconcile`: a report against what the door has stored.

use std::io::Write;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::shop::{Shop, order_placed};

pub const HEADER: &str = "amazon-order-id\tpurchase-date\torder-status\tfulfillment-channel\tsku\t\
                      quantity\tcurrency\titem-price\tship-city";

pub fn file(content: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file
}

/// An all-orders report: rows of order, status, quantity and price, all placed on one day.
pub fn all_orders(rows: &[(&str, &str, i64, &str)]) -> NamedTempFile {
    let mut text = HEADER.to_owned();
    for (order, status, quantity, price) in rows {
        let date = "2026-03-01T09:00:00+09:00";
        let row =
            format!("\n{order}\t{date}\t{status}\tMerchant\tTEA\t{quantity}\tJPY\t{price}\t千代田");
        text.push_str(&row);
    }
    file(text.as_bytes())
}

/// Runs the command where it should find something, or where it shouldn't; with `--json`.
pub fn reconcile(shop: &Shop, report: &NamedTempFile, more: &[&str], code: i32) -> Value {
    let path = report.path().to_str().unwrap();
    let ran = shop.run(&[&["reconcile", path, "--json"], more].concat());
    assert_eq!(ran.code, code, "{} {}", ran.out, ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

pub fn ids(orders: &Value) -> Vec<&str> {
    orders.as_array().unwrap().iter().map(|order| order["order_id"].as_str().unwrap()).collect()
}

const GAPS: [&str; 4] = ["missing_here", "missing_in_report", "differences", "malformed_rows"];

pub fn assert_nothing(told: &Value) {
    for gaps in GAPS {
        assert_eq!(told[gaps], json!([]), "{gaps} of {told}");
    }
}

/// Orders of every status, one in euro, one with a SKU that isn't ASCII, and one of another
/// seller.
pub async fn shop_with_orders() -> Shop {
    const DAY: &str = "2026-03-01T09:00:00.123456+09:00";
    let shop = Shop::open().await;
    for order in ["O-unshipped", "O-shipped", "O-partial", "O-cancelled"] {
        shop.place(order, DAY).await;
    }
    let pending = order_placed("O-pending", "pending");
    shop.take("order-placed", "pending", "2026-03-02T00:30:00+09:00", pending).await;
    let mut euro = order_placed("O-euro", "authorized");
    euro["currency"] = "EUR".into();
    euro["fulfilled_by"] = "marketplace".into();
    euro["lines"] = json!([
        { "line_id": "L1", "sku": " 茶器セット\u{301C}①\t", "title": "茶\r\n器", "quantity": 3, "unit_price": 1999 },
        { "line_id": "L2", "sku": "TEA", "quantity": 1, "unit_price": 5 },
        { "line_id": "L3", "sku": "TEA", "quantity": 4, "unit_price": 7, "tax": 1 },
    ]);
    shop.take("order-placed", "euro", "2026-03-01T10:00:00+09:00", euro).await;
    let mut other = order_placed("O-other", "authorized");
    other["seller_id"] = "S2".into();
    shop.take("order-placed", "other", "2026-03-01T10:00:00+09:00", other).await;

    let time = "2026-03-01T12:00:00+09:00";
    for (order, quantity) in [("O-shipped", 2), ("O-partial", 1)] {
        let lines = json!([{ "line_id": "L1", "quantity": quantity }]);
        let data = json!({ "order_id": order, "package_id": "PK", "lines": lines });
        shop.take("shipment-dispatched", order, time, data).await;
    }
    let cancelled = json!({ "order_id": "O-cancelled", "actor": "marketplace" });
    shop.take("order-cancelled", "c", time, cancelled).await;
    shop
}

#[tokio::test]
async fn gaps_on_both_sides_and_differences_are_told_without_personal_data() {
    let shop = shop_with_orders().await;
    let report = all_orders(&[
        ("O-unshipped", "Shipped", 2, "1980.00"),
        ("O-shipped", "Shipped - Delivered to Buyer", 3, "2000"),
        ("O-partial", "PartiallyShipped", 2, ""),
        ("250-0000000-0000001", "Pending", 1, ""),
    ]);
    let told = reconcile(&shop, &report, &["--to", "2026-03-31"], 1);
    assert_eq!(ids(&told["missing_here"]), ["250-0000000-0000001"]);
    assert_eq!(ids(&told["missing_in_report"]), ["O-cancelled", "O-euro", "O-pending"]);
    assert_eq!(ids(&told["pending"]), ["250-0000000-0000001", "O-pending"]);
    let differences = told["differences"].as_array().unwrap().iter();
    let differences: Vec<Value> = differences
        .map(|found| json!([found["order_id"], found["what"], found["report"], found["ours"]]))
        .collect();
    assert_eq!(
        differences,
        [
            json!(["O-shipped", "quantity", 3, 2]),
            json!(["O-shipped", "item_price", "2000", "1980"]),
            json!(["O-unshipped", "status", "Shipped", "unshipped"]),
        ]
    );
    let text = shop.run(&["reconcile", report.path().to_str().unwrap(), "--to", "2026-03-31"]);
    assert_eq!((text.code, text.err.as_str()), (1, ""));
    for told in ["missing here", "missing in the report", "quantity of TEA", "O-euro", "unshipped"]
    {
        assert!(text.out.contains(told), "{told} is missing in {}", text.out);
    }
    for hidden in ["千代田", "Chiyoda", "Hanako", "Taro", "k2x9"] {
        assert!(!text.out.contains(hidden) && !told.to_string().contains(hidden), "{hidden}");
    }
}

#[tokio::test]
async fn reports_of_paid_orders_miss_neither_pending_ones_nor_the_marketplaces() {
    let shop = shop_with_orders().await;
    let rows = |header: &str, rows: &[&str]| {
        let line = |row: &&str| format!("{row}\n");
        file(format!("{header}\n{}", rows.iter().map(line).collect::<String>()).as_bytes())
    };
    let paid = rows(
        "order-id\torder-item-id\tpurchase-date\tsku\tquantity-purchased\tcurrency\titem-price",
        &[
            "O-unshipped\tL1\t01-03-2026T00:00:00+ 00:00\tTEA\t2\tJPY\t1980",
            "O-partial\tL1\t01-03-2026T00:00:00+ 00:00\tTEA\t2\tJPY\t1980",
        ],
    );
    let told = reconcile(&shop, &paid, &["--to", "2026-03-31"], 1);
    assert_eq!(told["kind"], "order-report");
    assert_eq!(ids(&told["missing_in_report"]), ["O-shipped"]);
    assert_eq!((ids(&told["pending"]), &told["differences"]), (vec!["O-pending"], &json!([])));

    let unshipped = rows(
        "order-id\torder-item-id\tpurchase-date\tsku\tquantity-purchased\tquantity-to-ship",
        &[
            "O-partial\tL1\t2026-03-01T00:00:00Z\tTEA\t2\t2",
            "O-shipped\tL1\t2026-03-01T00:00:00Z\tTEA\t2\t2",
        ],
    );
    let told = reconcile(&shop, &unshipped, &["--to", "2026-03-31"], 1);
    assert_eq!(told["kind"], "unshipped-orders");
    assert_eq!(ids(&told["missing_in_report"]), ["O-unshipped"]);
    assert_eq!(ids(&told["pending"]), ["O-pending"]);
    let differences = &told["differences"];
    assert_eq!(
        [&differences[0]["what"], &differences[1]["what"]],
        ["quantity_to_ship", "status"],
        "{differences}"
    );
}

#[tokio::test]
async fn the_seller_is_that_of_the_orders_or_has_to_be_said() {
    let shop = shop_with_orders().await;
    let run = |report: &NamedTempFile, more: &[&str]| {
        shop.run(&[&["reconcile", report.path().to_str().unwrap()], more].concat())
    };
    let unknown = all_orders(&[("O-404", "Pending", 1, "")]);
    let ran = run(&unknown, &[]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("O-404"), "{}", ran.out);
    assert!(ran.err.contains("--seller"), "{}", ran.err);
    assert_eq!(run(&unknown, &["--seller", "S1"]).code, 1);

    let rows = [("O-other", "Unshipped", 2, "1980"), ("O-shipped", "Shipped", 2, "1980")];
    let both = all_orders(&rows);
    let ran = run(&both, &[]);
    assert!(ran.err.contains("S1, S2") && ran.err.contains("--seller"), "{}", ran.err);
    let told = reconcile(&shop, &both, &["--seller", "S2"], 1);
    assert_eq!(told["differences"][0]["what"], "seller_id");
    assert_eq!((&told["missing_in_report"], &told["seller_id"]), (&json!([]), &"S2".into()));
}

#[tokio::test]
async fn a_time_narrows_what_is_compared_and_widens_what_is_missed() {
    let shop = shop_with_orders().await;
    let report =
        all_orders(&[("O-shipped", "Shipped", 2, "1980"), ("O-404", "Shipped", 2, "1980")]);
    // Placed a fraction of a second after the report's only purchase-date.
    let told = reconcile(&shop, &report, &[], 1);
    assert_eq!(
        (ids(&told["missing_here"]), &told["missing_in_report"]),
        (vec!["O-404"], &json!([]))
    );
    let told = reconcile(&shop, &report, &["--to", "2026-03-01"], 1);
    assert_eq!(told["missing_in_report"].as_array().unwrap().len(), 4);
    let told = reconcile(&shop, &report, &["--seller", "S1", "--from", "2026-03-02"], 0);
    assert_eq!((&told["left_out"], &told["orders"]), (&2.into(), &0.into()));
    let path = report.path().to_str().unwrap();
    let none = ["reconcile", path, "--from", "2026-03-02", "--to", "2026-03-01"];
    assert_eq!(shop.run(&none).code, 2);
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_told_and_the_others_compared() {
    let shop = shop_with_orders().await;
    let report = all_orders(&[
        ("O-shipped", "Unshipped", 3, "19,80"),
        ("O-unshipped", "Shipped", 2, "1980"),
        ("O-partial", "Misplaced", 2, "1980"),
        ("O-cancelled", "Canceled", 0, ""),
    ]);
    let told = reconcile(&shop, &report, &[], 1);
    assert_eq!(told["malformed_rows"][0]["line"], 2);
    assert_eq!(told["malformed_rows"][0]["order_id"], "O-shipped");
    assert_eq!(ids(&told["differences"]), ["O-shipped", "O-unshipped"]);
    assert_eq!(told["differences"][0]["what"], "status", "of its lines nothing is known");
    assert_eq!(told["missing_in_report"], json!([]), "O-shipped is in the report");
    assert_eq!(told["unknown_statuses"], json!([{ "status": "Misplaced", "orders": 1 }]));
    let ran = shop.run(&["reconcile", report.path().to_str().unwrap()]);
    assert!(ran.err.contains(":2: item-price is no amount"), "{}", ran.err);
    assert!(ran.out.contains("Misplaced") && !ran.err.contains("19,80"), "{}", ran.out);
}

#[tokio::test]
async fn an_unknown_status_alone_is_no_difference() {
    let shop = shop_with_orders().await;
    let told = reconcile(&shop, &all_orders(&[("O-shipped", "Misplaced", 2, "1980")]), &[], 0);
    assert_eq!(told["unknown_statuses"][0]["status"], "Misplaced");
}

#[tokio::test]
async fn what_is_no_report_is_told_as_such() {
    let shop = Shop::open().await;
    for (content, told) in [
        (&b""[..], "the report is empty"),
        (b"order-id,sku\n", "no tab"),
        (b"order-id\tpurchase-date\tquantity\n", "the column sku (in All orders, Order report"),
        (b"order-id\tx\n\xFF\xFE\n", "neither UTF-8 nor Shift_JIS"),
    ] {
        let report = file(content);
        let ran = shop.run(&["reconcile", report.path().to_str().unwrap()]);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""));
        assert!(ran.err.contains(told), "{}", ran.err);
    }
    let ran = shop.run(&["reconcile", "/nowhere/report.tsv"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("can't read /nowhere/report.tsv"), "{}", ran.err);
    assert_eq!(shop.run(&["reconcile"]).code, 2);
    assert_eq!(shop.run(&["reconcile", "-", "--encoding", "latin-1"]).code, 2);
}
