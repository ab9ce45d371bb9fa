//! `report orders`.

use std::collections::HashMap;

use serde_json::Value;

use crate::shop::{Shop, order_placed};

/// The rows by the names of their columns.
fn rows(report: &str) -> Vec<HashMap<&str, &str>> {
    let mut lines = report.lines();
    let header: Vec<&str> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            assert_eq!(fields.len(), header.len(), "{line}");
            header.iter().copied().zip(fields).collect()
        })
        .collect()
}

async fn shop_with_orders() -> Shop {
    let shop = Shop::open().await;
    shop.place("O-1", "2026-03-01T09:00:00+09:00").await;
    let pending = order_placed("O-2", "pending");
    shop.take("order-placed", "placed-2", "2026-03-02T00:30:00+09:00", pending).await;
    let mut euro = order_placed("O-3", "authorized");
    euro["currency"] = "EUR".into();
    euro["seller_id"] = "S2".into();
    shop.take("order-placed", "placed-3", "2026-03-01T09:00:00+09:00", euro).await;
    shop
}

#[tokio::test]
async fn the_report_has_the_marketplaces_columns_and_a_row_for_each_line() {
    let shop = shop_with_orders().await;
    let ran = shop.run(&["report", "orders", "--seller", "S1"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rows = rows(&ran.out);
    assert_eq!(rows.len(), 2);
    for (column, value) in [
        ("amazon-order-id", "O-1"),
        ("purchase-date", "2026-03-01T00:00:00Z"),
        ("order-status", "Unshipped"),
        ("fulfillment-channel", "Merchant"),
        ("product-name", "Tea set"),
        ("quantity", "2"),
        ("currency", "JPY"),
        ("item-price", "1980"),
        ("item-tax", "180"),
        ("shipping-price", "500"),
        ("ship-state", "Tokyo"),
        ("order-item-id", "L1"),
        ("quantity-to-ship", "2"),
        ("buyer-name", "Hanako Sato"),
        ("ship-address-3", "Floor 7 Door 8"),
    ] {
        assert_eq!(rows[0][column], value, "{column}");
    }
}

#[tokio::test]
async fn a_pending_order_is_listed_as_such_and_says_nothing_of_the_buyer() {
    let shop = shop_with_orders().await;
    let ran = shop.run(&["report", "orders", "--seller", "S1"]);
    let rows = rows(&ran.out);
    assert_eq!((rows[1]["order-status"], rows[1]["quantity-to-ship"]), ("Pending", "0"));
    for hidden in ["buyer-name", "buyer-phone-number", "ship-postal-code", "ship-address-1"] {
        assert_eq!(rows[1][hidden], "", "{hidden}");
    }
}

#[tokio::test]
async fn a_period_is_counted_in_days_of_the_time_zone() {
    let shop = shop_with_orders().await;
    let orders = |period: &[&str]| -> Vec<String> {
        let ran = shop.run(&[&["report", "orders", "--seller", "S1"], period].concat());
        rows(&ran.out).iter().map(|row| row["amazon-order-id"].to_owned()).collect()
    };
    assert_eq!(orders(&["--to", "2026-03-01"]), ["O-1"]);
    assert_eq!(orders(&["--from", "2026-03-02", "--to", "2026-03-02"]), ["O-2"]);
    assert_eq!(orders(&["--from", "2026-03-03"]), [""; 0]);
    assert_eq!(shop.run(&["report", "orders", "--seller", "S1", "--from", "soon"]).code, 2);
}

#[tokio::test]
async fn as_json_each_row_is_an_object_and_amounts_have_their_currencys_decimals() {
    let shop = shop_with_orders().await;
    let ran = shop.run(&["report", "orders", "--seller", "S2", "--json"]);
    let rows: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["item-price"], &rows[0]["quantity"]), (&"19.80".into(), &2.into()));
}
