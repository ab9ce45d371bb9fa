//! `reconcile` of what `report orders` wrote, and of many orders.

use assert_cmd::Command;
use encoding_rs::SHIFT_JIS;

use crate::reconcile::{
    HEADER, all_orders, assert_nothing, file, ids, reconcile, shop_with_orders,
};
use crate::shop::{Ran, Shop};

#[tokio::test]
async fn our_own_report_reconciles_to_nothing_in_every_encoding() {
    let shop = shop_with_orders().await;
    let text = shop.run(&["report", "orders", "--seller", "S1"]).out;
    assert!(text.contains("茶器セット"));
    // Other systems know another character at the wave dash's place.
    let theirs = text.replace('\u{301C}', "\u{FF5E}");
    let (shift_jis, _, unmappable) = SHIFT_JIS.encode(&theirs);
    assert!(!unmappable, "{text}");
    let marked = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
    let crlf = text.replace('\n', "\r\n").into_bytes();
    for (bytes, encoding) in [
        (text.as_bytes(), "UTF-8"),
        (&marked, "UTF-8"),
        (&crlf, "UTF-8"),
        (&*shift_jis, "Shift_JIS"),
    ] {
        let told = reconcile(&shop, &file(bytes), &[], 0);
        assert_nothing(&told);
        assert_eq!((&told["encoding"], &told["seller_id"]), (&encoding.into(), &"S1".into()));
        assert_eq!((&told["orders"], &told["rows"]), (&6.into(), &8.into()));
        assert_eq!(ids(&told["pending"]), ["O-pending"]);
    }
    assert_nothing(&reconcile(&shop, &file(&shift_jis), &["--encoding", "shift-jis"], 0));
}

#[tokio::test]
async fn a_report_comes_from_standard_input_too_and_an_empty_one_is_in_order() {
    let shop = shop_with_orders().await;
    let read = |text: &str, more: &[&str]| -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_otodoke"));
        command.args(["reconcile", "-"]).args(more).write_stdin(text);
        command.env("DATABASE_URL", shop.services.database_url()).output().unwrap().into()
    };
    let day = ["--seller", "S1", "--from", "2026-03-01", "--to", "2026-03-01"];
    let text = shop.run(&[&["report", "orders"][..], &day].concat()).out;
    let ran = read(&text, &[]);
    assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
    assert!(ran.out.contains("orders 5, missing here 0, missing in the report 0"), "{}", ran.out);
    assert_eq!(read(HEADER, &[]).code, 0);
    assert_eq!(read(HEADER, &day).code, 1, "five orders are missing in it");
    assert_eq!(read(HEADER, &["--from", "2026-03-01"]).code, 2, "nobody knows the seller");
}

/// More orders than one page holds, several of them placed at one moment.
#[tokio::test]
async fn many_orders_are_compared_page_by_page() {
    let shop = Shop::open().await;
    for statement in [
        "INSERT INTO read_model.orders (order_id, seller_id, buyer_id, status, sold_by,
             fulfilled_by, payment_status, currency, items_total, tax_total, shipping_total,
             placed_at, authorized_at, updated_at, version)
         SELECT 'O-' || n, 'S1', 'B1', 'unshipped', 'seller', 'seller', 'authorized', 'JPY', 990,
             0, 0, timestamptz '2026-03-01Z' + (n / 100) * interval '1 minute', now(), now(), 1
         FROM generate_series(1, 12000) AS n",
        "INSERT INTO read_model.order_lines (order_id, line_id, sku, quantity, unit_price,
             quantity_shipped, quantity_unshippable, quantity_cancelled)
         SELECT order_id, 'L1', 'TEA', 1, 990, 0, 0, 0 FROM read_model.orders",
    ] {
        sqlx::query(statement).execute(&shop.pool).await.unwrap();
    }
    let text = shop.run(&["report", "orders", "--seller", "S1"]).out;
    let told = reconcile(&shop, &file(text.as_bytes()), &[], 0);
    assert_eq!(told["orders"], 12_000);
    assert_nothing(&told);

    let absent = ["O-5000", "O-5099", "O-10001", "O-11999"];
    let kept =
        text.lines().filter(|line| !absent.iter().any(|id| line.starts_with(&format!("{id}\t"))));
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    let told = reconcile(&shop, &file(kept.as_bytes()), &[], 1);
    assert_eq!(ids(&told["missing_in_report"]), absent);
    let only = all_orders(&[("O-1", "Unshipped", 1, "990")]);
    let told =
        reconcile(&shop, &only, &["--from", "2026-03-01T00:00:00Z", "--to", "2026-03-31"], 1);
    assert_eq!(told["missing_in_report"].as_array().unwrap().len(), 11_999);
}
