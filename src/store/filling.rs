//! A database as years of work would have left it, made by a few statements: what the growth
//! benchmark fills its own database with.
//!
//! Each order has six events, from its placing to its delivery, and two derived ones. Sellers are
//! those of the benchmark's workload, buyers and orders are others, so that nothing that is
//! filled in is ever decided again.

use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgConnection};

use super::Result;
use crate::rules::Policy;

/// How much there is to be.
#[derive(Clone, Copy, Debug)]
pub struct Filling {
    /// Events in the history.
    pub history: i64,
    /// Further cases, of which each has a deadline in a year.
    pub deadlines: i64,
    /// Open dead letters.
    pub dead_letters: i64,
}

/// Events of an order.
const EVENTS: i64 = 6;
/// Events that the ledger counts in a row.
const BATCH: i64 = 100;

/// A table, where its rows come from, and what each column says.
struct Source {
    table: &'static str,
    rows: String,
    columns: &'static [(&'static str, &'static str)],
}

/// An order, and what its columns are made from.
fn orders(filling: &Filling) -> String {
    format!(
        "(SELECT n, lpad(n::text, 9, '0') AS number, 'F-' || lpad(n::text, 9, '0') AS order_id,
                 'SELLER' || lpad((n % 200)::text, 3, '0') AS seller_id,
                 'FILLED' || n * 2 / 3 AS buyer_id,
                 now() - interval '700 days' + n * interval '600 days' / {0} AS at
          FROM generate_series(1, {0}) AS n) o",
        (filling.history / EVENTS).max(1)
    )
}

/// An event, and what its columns are made from.
fn events(filling: &Filling) -> String {
    format!(
        "(SELECT o.*, e.*, o.at + e.step * interval '5 hours' AS time,
                 'filled-' || o.number || '-' || e.step AS event_id
          FROM {} CROSS JOIN (VALUES
              (0, 'order-placed'), (1, 'payment-authorized'), (2, 'shipment-dispatched'),
              (3, 'shipment-updated'), (4, 'shipment-updated'), (5, 'shipment-updated'))
              AS e (step, type)) o",
        orders(filling)
    )
}

const KEY: &str = "substr(sha256(convert_to(event_id, 'UTF8')), 1, 16)";

const FACTS: &str = "CASE step
    WHEN 0 THEN json_build_object('order_id', order_id, 'seller_id', seller_id,
        'buyer_id', buyer_id, 'sold_by', 'seller', 'fulfilled_by', 'seller', 'currency', 'JPY',
        'payment', json_build_object('status', 'pending', 'method', 'convenience-store'),
        'buyer_name', 'Hanako Sato', 'relay_email', 'f' || n || '@marketplace.example',
        'ship_to', json_build_object('postal_code', '100-0001', 'region', 'Tokyo',
            'address_lines', json_build_array('House ' || n), 'country', 'JP'),
        'lines', json_build_array(json_build_object('line_id', 'L1', 'sku', 'SKU-' || n % 50000,
            'title', 'Hojicha roasted green tea, single origin, 200 g', 'quantity', 1,
            'unit_price', 1200, 'tax', 109, 'shipping_fee', 350)))
    WHEN 1 THEN json_build_object('order_id', order_id, 'attempt_id', 'A1', 'amount', 1550,
        'currency', 'JPY', 'method', 'convenience-store')
    WHEN 2 THEN json_build_object('order_id', order_id, 'package_id', 'P-' || order_id,
        'carrier', 'Yamato', 'tracking_number', lpad(n::text, 12, '0'), 'insured', true)
    ELSE json_build_object('order_id', order_id, 'package_id', 'P-' || order_id,
        'status', (ARRAY['in-transit', 'out-for-delivery', 'delivered'])[step - 2])
    END";

const UNREAD: &str = "json_build_object('meta', json_build_object('tenant', 'jp-1',
    'request_id', md5(event_id) || md5(type), 'producer', type || '-service',
    'facility', json_build_object('name', 'Chiyoda base', 'code', n % 9000),
    'note', 'handed over in good condition; the label was legible, no damage was seen'))";

fn sources(filling: &Filling) -> Vec<Source> {
    let (orders, events) = (orders(filling), events(filling));
    let source = |table, rows: &str, columns| Source { table, rows: rows.to_owned(), columns };
    let derived = format!(
        "(SELECT * FROM {orders} CROSS JOIN (VALUES
             (1, 'shipment-required', ''), (2, 'ship-notice-required', 'P')) AS d (step, type, key)) o"
    );
    let numbers = |count: i64| format!("generate_series(1, {count}) AS n");
    vec![
        source("event_keys", &events, &[("key", KEY), ("content", KEY)]),
        source(
            "cases",
            &orders,
            &[
                ("key", "'o/' || order_id"),
                ("policy", "(SELECT min(id) FROM policies)"),
                ("opened_at", "at"),
                ("as_of", "at + interval '25 hours'"),
                ("last_sequence", "2"),
                ("written", "sha256(convert_to(order_id, 'UTF8'))"),
                ("version", "6"),
            ],
        ),
        source(
            "cases",
            &numbers(filling.deadlines),
            &[
                ("key", "'o/W-' || lpad(n::text, 9, '0')"),
                ("policy", "(SELECT min(id) FROM policies)"),
                ("opened_at", "now() - interval '1 day'"),
                ("as_of", "now()"),
                ("next_at", "now() + interval '1 year' + n * interval '1 second'"),
            ],
        ),
        source(
            "history",
            &events,
            &[
                ("case_key", "'o/' || order_id"),
                ("key", KEY),
                ("source", "'/marketplace/filled'"),
                ("event_id", "event_id"),
                ("type", "type"),
                ("time", "time"),
                ("facts", FACTS),
                ("unread", UNREAD),
                ("received_at", "time"),
                ("opened", "date_trunc('month', at AT TIME ZONE 'UTC')::date"),
            ],
        ),
        source(
            "identities",
            &orders,
            &[
                ("order_id", "order_id"),
                ("seller_id", "seller_id"),
                ("buyer_id", "buyer_id"),
                ("relay_email", "'f' || n || '@marketplace.example'"),
                ("placed_at", "at"),
            ],
        ),
        source(
            "releases",
            &orders,
            &[
                ("order_id", "order_id"),
                ("seller_id", "seller_id"),
                ("buyer_id", "buyer_id"),
                ("address", "substr(sha256(convert_to(order_id, 'UTF8')), 1, 16)"),
                ("address_key", "'100-0001 tokyo house ' || n"),
                ("released_at", "at + interval '5 hours'"),
                ("ready_from", "at + interval '5 hours'"),
                ("ready_until", "at + interval '10 hours'"),
            ],
        ),
        source(
            "read_model.orders",
            &orders,
            &[
                ("order_id", "order_id"),
                ("seller_id", "seller_id"),
                ("buyer_id", "buyer_id"),
                ("status", "'shipped'"),
                ("sold_by", "'seller'"),
                ("fulfilled_by", "'seller'"),
                ("payment_status", "'authorized'"),
                ("payment_method", "'convenience-store'"),
                ("currency", "'JPY'"),
                ("items_total", "1200"),
                ("tax_total", "109"),
                ("shipping_total", "350"),
                ("placed_at", "at"),
                ("authorized_at", "at + interval '5 hours'"),
                ("ship_by", "at + interval '53 hours'"),
                ("buyer_name", "'Hanako Sato'"),
                ("relay_email", "'f' || n || '@marketplace.example'"),
                (
                    "ship_to",
                    "jsonb_build_object('postal_code', '100-0001', 'region', 'Tokyo',
                     'address_lines', jsonb_build_array('House ' || n), 'country', 'JP')",
                ),
                ("updated_at", "at + interval '25 hours'"),
                ("version", "6"),
            ],
        ),
        source(
            "read_model.order_lines",
            &orders,
            &[
                ("order_id", "order_id"),
                ("line_id", "'L1'"),
                ("sku", "'SKU-' || n % 50000"),
                ("title", "'Hojicha roasted green tea, single origin, 200 g'"),
                ("quantity", "1"),
                ("unit_price", "1200"),
                ("tax", "109"),
                ("shipping_fee", "350"),
                ("quantity_shipped", "1"),
                ("quantity_unshippable", "0"),
                ("quantity_cancelled", "0"),
            ],
        ),
        source(
            "read_model.packages",
            &orders,
            &[
                ("order_id", "order_id"),
                ("package_id", "'P-' || order_id"),
                ("carrier", "'Yamato'"),
                ("tracking_number", "lpad(n::text, 12, '0')"),
                ("insured", "true"),
                ("status", "'delivered'"),
                ("dispatched_at", "at + interval '10 hours'"),
                ("delivered_at", "at + interval '25 hours'"),
                ("lines", "'[{\"line_id\": \"L1\", \"quantity\": 1}]'"),
            ],
        ),
        source(
            "derived_events",
            &derived,
            &[
                ("event_id", "md5(order_id || type)::uuid"),
                ("case_key", "'o/' || order_id"),
                ("type", "type"),
                ("key", "key"),
                ("n", "1"),
                ("sequence", "step"),
                ("order_id", "order_id"),
                ("seller_id", "seller_id"),
                ("rule", "'S' || step"),
                ("time", "at + step * interval '5 hours'"),
                (
                    "data",
                    "jsonb_build_object('order_id', order_id, 'seller_id', seller_id,
                     'rule', 'S' || step, 'ship_by', at + interval '53 hours')",
                ),
                ("content", "substr(sha256(convert_to(order_id || type, 'UTF8')), 1, 16)"),
                ("cause_source", "'/marketplace/filled'"),
                ("cause_id", "'filled-' || number || '-' || step"),
                ("suppressed", "false"),
                ("recorded_at", "at + step * interval '5 hours'"),
                // What was numbered before all to come, and is published.
                ("position", "-(n * 2 + step)"),
            ],
        ),
        source(
            "publications",
            "(VALUES (0)) AS o",
            &[("last", "0"), ("first", "-4611686018427387904"), ("published_at", "now()")],
        ),
        source(
            "dead_letters",
            &numbers(filling.dead_letters),
            &[
                ("id", "md5('dead' || n)::uuid"),
                ("fingerprint", "substr(sha256(convert_to('dead' || n, 'UTF8')), 1, 16)"),
                ("stream", "(ARRAY['orders', 'payments', 'shipments', 'messages'])[n % 4 + 1]"),
                ("routing_key", "'orders.order-placed'"),
                ("content_type", "'application/cloudevents+json'"),
                ("event_source", "'/marketplace/filled'"),
                ("event_id", "'dead-' || n"),
                ("event_type", "'order-placed'"),
                (
                    "code",
                    "(ARRAY['not-json', 'schema-violation', 'unknown-type', 'bad-envelope'])[n % 4 + 1]",
                ),
                ("detail", "'`/data/order_id` must be a text, in message ' || n"),
                ("pointer", "'/data/order_id'"),
                ("attempts", "1"),
                ("first_seen_at", "now() - interval '30 days' + n * interval '1 second'"),
                ("last_seen_at", "now() - interval '30 days' + n * interval '1 second'"),
                ("status", "'open'"),
                ("body", "convert_to(repeat(md5(n::text), 30), 'UTF8')"),
                ("headers", "'{}'"),
            ],
        ),
        source(
            "ledger",
            &numbers(filling.history / BATCH),
            &[
                ("stream", "(ARRAY['orders', 'payments', 'shipments', 'messages'])[n % 4 + 1]"),
                ("received", "100"),
                ("accepted", "100"),
                ("duplicates", "0"),
                ("dead", "0"),
                ("committed_at", "now() - interval '1 day'"),
            ],
        ),
    ]
}

/// How many steps [`fill`] tells of.
pub fn steps() -> u64 {
    sources(&Filling { history: 0, deadlines: 0, dead_letters: 0 }).len() as u64 + 1
}

/// Fills a database that was only set up, and has it cleaned and analysed. `told` hears of each
/// table before it is filled.
pub async fn fill(
    conn: &mut PgConnection,
    filling: &Filling,
    mut told: impl FnMut(&str),
) -> Result<()> {
    sqlx::query("INSERT INTO policies (content) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(Json(Policy::default()))
        .execute(&mut *conn)
        .await?;
    months(conn, filling).await?;
    for source in sources(filling) {
        told(source.table);
        let (names, values): (Vec<&str>, Vec<&str>) = source.columns.iter().copied().unzip();
        let (table, rows) = (source.table, &source.rows);
        let (names, values) = (names.join(", "), values.join(", "));
        let insert = format!("INSERT INTO {table} ({names}) SELECT {values} FROM {rows}");
        sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut *conn).await?;
    }
    told("all tables, which are cleaned and analysed");
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut *conn).await?;
    // Not everybody may: the first run then writes some of what was filled.
    let _ = sqlx::raw_sql("CHECKPOINT").execute(conn).await;
    Ok(())
}

/// Makes the history's tables of the filled months.
async fn months(conn: &mut PgConnection, filling: &Filling) -> Result<()> {
    let months: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT format('CREATE TABLE IF NOT EXISTS history_%s PARTITION OF history
                        FOR VALUES FROM (%L) TO (%L)',
                    to_char(month, 'YYYY_MM'), month, (month + interval '1 month')::date)
         FROM (SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC')::date AS month
               FROM {}) months
         ORDER BY month",
        orders(filling)
    )))
    .fetch_all(&mut *conn)
    .await?;
    for month in months {
        sqlx::raw_sql(AssertSqlSafe(month)).execute(&mut *conn).await?;
    }
    Ok(())
}
