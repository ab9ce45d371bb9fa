//! One event in one transaction. An order's row is always written first, so that two messages of
//! an order wait for one another and never lock each other out.

use anyhow::Result;
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::event::{Consent, Event, Follows, Lines, Message, Paid, Parcel, Placed};

/// Whether something was put into the outbox.
pub async fn apply(pool: &PgPool, event: &Event) -> Result<bool> {
    let mut transaction = pool.begin().await?;
    let conn = &mut *transaction;
    let inserted = sqlx::query(
        "INSERT INTO habit.inbox (source, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(&event.source)
    .bind(&event.id)
    .execute(&mut *conn)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    let follows = match event.event_type.as_str() {
        "order-placed" => placed(conn, event).await?,
        "payment-authorized" => paid(conn, event, "authorized").await?,
        "payment-failed" => paid(conn, event, "failed").await?,
        "payment-refunded" => paid(conn, event, "refunded").await?,
        "order-cancelled" => cancelled(conn, event).await?,
        "change-requested" => changed(conn, event).await?,
        "lines-unshippable" => unshippable(conn, event).await?,
        "shipment-dispatched" => dispatched(conn, event).await?,
        "shipment-updated" => updated(conn, event).await?,
        "message-sent" => message(conn, event).await?,
        _ => requested(conn, event).await?,
    };
    if let Some(follows) = &follows {
        sqlx::query(
            "INSERT INTO habit.outbox (event_id, type, routing_key, body) VALUES ($1, $2, $3, $4)",
        )
        .bind(follows.id(event))
        .bind(follows.event_type)
        .bind(follows.routing_key())
        .bind(follows.body(event))
        .execute(&mut *conn)
        .await?;
    }
    transaction.commit().await?;
    Ok(follows.is_some())
}

async fn placed(conn: &mut PgConnection, event: &Event) -> Result<Option<Follows>> {
    let order: Placed = event.data()?;
    let payment = order.payment.as_ref().map_or("pending", |payment| payment.status.as_str());
    let payment: String = sqlx::query_scalar(
        "INSERT INTO habit.orders (order_id, seller_id, buyer_id, payment_status, currency,
             buyer_name, relay_email, phone, ship_to, placed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::timestamptz)
         ON CONFLICT (order_id) DO UPDATE SET seller_id = excluded.seller_id,
             buyer_id = excluded.buyer_id, currency = excluded.currency,
             buyer_name = excluded.buyer_name, relay_email = excluded.relay_email,
             phone = excluded.phone, ship_to = excluded.ship_to, placed_at = excluded.placed_at,
             payment_status = CASE WHEN orders.payment_status = 'pending'
                 THEN excluded.payment_status ELSE orders.payment_status END,
             updated_at = now()
         RETURNING payment_status",
    )
    .bind(event.order())
    .bind(&order.seller_id)
    .bind(&order.buyer_id)
    .bind(payment)
    .bind(&order.currency)
    .bind(&order.buyer_name)
    .bind(&order.relay_email)
    .bind(&order.phone)
    .bind(&order.ship_to)
    .bind(&event.time)
    .fetch_one(&mut *conn)
    .await?;
    let lines = &order.lines;
    sqlx::query(
        "INSERT INTO habit.order_lines (order_id, line_id, sku, title, quantity, unit_price, tax,
             shipping_fee)
         SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
                                  $7::bigint[], $8::bigint[])
         ON CONFLICT DO NOTHING",
    )
    .bind(event.order())
    .bind(lines.iter().map(|line| line.line_id.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.sku.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.title.as_deref()).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.quantity).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.unit_price).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.tax).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.shipping_fee).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    let is_authorized = payment == "authorized";
    Ok(is_authorized.then(|| ship(event.order(), order.seller_id, &event.time)))
}

fn ship(order: &str, seller: String, since: &str) -> Follows {
    Follows::new(
        "shipment-required",
        order,
        seller,
        json!({ "rule": "S1", "authorized_at": since }),
    )
}

/// An order's payment or shipment may come before the order itself: then its row waits for the
/// rest. Returns the seller, where he is known, and whether the order is paid.
async fn touch(
    conn: &mut PgConnection,
    order: &str,
    status: Option<&str>,
    payment: Option<&str>,
) -> Result<(Option<String>, bool)> {
    Ok(sqlx::query_as(
        "INSERT INTO habit.orders (order_id, status, payment_status)
         VALUES ($1, coalesce($2, 'pending'), coalesce($3, 'pending'))
         ON CONFLICT (order_id) DO UPDATE SET status = coalesce($2, orders.status),
             payment_status = coalesce($3, orders.payment_status), updated_at = now()
         RETURNING seller_id, payment_status = 'authorized'",
    )
    .bind(order)
    .bind(status)
    .bind(payment)
    .fetch_one(conn)
    .await?)
}

async fn paid(conn: &mut PgConnection, event: &Event, kind: &str) -> Result<Option<Follows>> {
    let payment: Paid = event.data()?;
    let status = Some(kind).filter(|kind| *kind != "refunded");
    let (seller, _) = touch(conn, event.order(), None, status).await?;
    sqlx::query(
        "INSERT INTO habit.payments (order_id, payment_id, kind, amount, at)
         VALUES ($1, $2, $3, $4, $5::text::timestamptz)
         ON CONFLICT (order_id, payment_id, kind) DO UPDATE SET amount = excluded.amount",
    )
    .bind(event.order())
    .bind(&payment.attempt_id)
    .bind(kind)
    .bind(payment.amount)
    .bind(&event.time)
    .execute(conn)
    .await?;
    let seller = seller.filter(|_| kind == "authorized");
    Ok(seller.map(|seller| ship(event.order(), seller, &event.time)))
}

async fn cancelled(conn: &mut PgConnection, event: &Event) -> Result<Option<Follows>> {
    let (seller, paid) = touch(conn, event.order(), Some("cancelled"), None).await?;
    Ok(seller.filter(|_| paid).map(|seller| refund(event.order(), seller, "cancelled")))
}

fn refund(order: &str, seller: String, reason: &str) -> Follows {
    let data = json!({ "rule": "R1", "reason": reason, "refund_key": format!("{order}/{reason}") });
    Follows::new("refund-required", order, seller, data)
}

async fn changed(conn: &mut PgConnection, event: &Event) -> Result<Option<Follows>> {
    let Lines { lines } = event.data()?;
    touch(conn, event.order(), None, None).await?;
    for line in lines {
        sqlx::query(
            "UPDATE habit.order_lines SET quantity = coalesce($3, quantity)
             WHERE order_id = $1 AND line_id = $2",
        )
        .bind(event.order())
        .bind(&line.line_id)
        .bind(line.quantity)
        .execute(&mut *conn)
        .await?;
    }
    Ok(None)
}

async fn unshippable(conn: &mut PgConnection, event: &Event) -> Result<Option<Follows>> {
    let Lines { lines } = event.data()?;
    let (seller, _) = touch(conn, event.order(), None, None).await?;
    let lines: Vec<String> = lines.into_iter().map(|line| line.line_id).collect();
    sqlx::query(
        "UPDATE habit.order_lines SET unshippable = true
         WHERE order_id = $1 AND line_id = ANY ($2)",
    )
    .bind(event.order())
    .bind(&lines)
    .execute(conn)
    .await?;
    let data = json!({ "rule": "S4", "lines": lines });
    Ok(seller.map(|seller| Follows::new("consent-required", event.order(), seller, data)))
}

async fn dispatched(conn: &mut PgConnection, event: &Event) -> Result<Option<Follows>> {
    let parcel: Parcel = event.data()?;
    let (seller, _) = touch(conn, event.order(), Some("shipped"), None).await?;
    sqlx::query(
        "INSERT INTO habit.shipments (order_id, package_id, carrier, tracking_number, status,
             dispatched_at, updated_at)
         VALUES ($1, $2, $3, $4, 'dispatched', $5::text::timestamptz, $5::text::timestamptz)
         ON CONFLICT (order_id, package_id) DO UPDATE SET carrier = excluded.carrier,
             tracking_number = excluded.tracking_number, dispatched_at = excluded.dispatched_at",
    )
    .bind(event.order())
    .bind(&parcel.package_id)
    .bind(&parcel.carrier)
    .bind(&parcel.tracking_number)
    .bind(&event.time)
    .execute(conn)
    .await?;
    let data = json!({
        "rule": "S2", "package_id": parcel.package_id, "carrier": parcel.carrier,
        "tracking_number": parcel.tracking_number,
    });
    Ok(seller.map(|seller| Follows::new("ship-notice-required", event.order(), seller, data)))
}

async fn updated(conn: &mut PgConnection, event: &Event) -> Result<Option<Follows>> {
    let parcel: Parcel = event.data()?;
    let status = parcel.status.as_deref().unwrap_or("in-transit");
    // A late report doesn't overrule a newer one.
    sqlx::query(
        "INSERT INTO habit.shipments (order_id, package_id, status, updated_at)
         VALUES ($1, $2, $3, $4::text::timestamptz)
         ON CONFLICT (order_id, package_id) DO UPDATE SET status = excluded.status,
             updated_at = excluded.updated_at
         WHERE shipments.updated_at <= excluded.updated_at",
    )
    .bind(event.order())
    .bind(&parcel.package_id)
    .bind(status)
    .bind(&event.time)
    .execute(&mut *conn)
    .await?;
    if status != "returned" {
        return Ok(None);
    }
    let seller = seller(conn, event.order()).await?;
    Ok(seller.map(|seller| refund(event.order(), seller, "returned")))
}

async fn seller(conn: &mut PgConnection, order: &str) -> Result<Option<String>> {
    let found = sqlx::query_scalar("SELECT seller_id FROM habit.orders WHERE order_id = $1")
        .bind(order)
        .fetch_optional(conn)
        .await?;
    Ok(found.flatten())
}

async fn message(conn: &mut PgConnection, event: &Event) -> Result<Option<Follows>> {
    let message: Message = event.data()?;
    let order: Option<String> = match &event.order_id {
        Some(order) => Some(order.clone()),
        None => {
            sqlx::query_scalar(
                "SELECT order_id FROM habit.orders WHERE seller_id = $1 AND buyer_id = $2
                 ORDER BY placed_at DESC LIMIT 1",
            )
            .bind(&message.seller_id)
            .bind(&message.buyer_id)
            .fetch_optional(&mut *conn)
            .await?
        }
    };
    sqlx::query(
        "INSERT INTO habit.messages (message_id, thread_id, order_id, seller_id, sent_from, topic,
             body, sent_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::timestamptz) ON CONFLICT DO NOTHING",
    )
    .bind(&message.message_id)
    .bind(&message.thread_id)
    .bind(&order)
    .bind(&message.seller_id)
    .bind(&message.from)
    .bind(&message.topic)
    .bind(&message.body)
    .bind(&event.time)
    .execute(conn)
    .await?;
    if message.from != "buyer" {
        return Ok(None);
    }
    let event_type = match (&event.order_id, &order, message.topic.as_deref()) {
        (None, Some(_), _) => "inquiry-matched",
        (None, None, _) => "inquiry-unmatched",
        (_, _, Some("not-received")) => "non-receipt-opened",
        _ => "reply-required",
    };
    let data = json!({
        "rule": "M1", "thread_id": message.thread_id, "message_id": message.message_id,
        "topic": message.topic,
    });
    let order = order.unwrap_or_default();
    Ok(Some(Follows::new(event_type, &order, message.seller_id, data)))
}

/// What is only noted, and at times answered.
async fn requested(conn: &mut PgConnection, event: &Event) -> Result<Option<Follows>> {
    let (seller, _) = touch(conn, event.order(), None, None).await?;
    sqlx::query(
        "INSERT INTO habit.requests (order_id, event_id, kind, at)
         VALUES ($1, $2, $3, $4::text::timestamptz) ON CONFLICT DO NOTHING",
    )
    .bind(event.order())
    .bind(&event.id)
    .bind(&event.event_type)
    .bind(&event.time)
    .execute(conn)
    .await?;
    let event_type = match event.event_type.as_str() {
        "cancel-requested" => "cancellation-required",
        "consent-recorded" if !event.data::<Consent>()?.granted => "cancellation-required",
        "non-receipt-handled" => "carrier-inquiry-required",
        "guarantee-claimed" => "refund-required",
        _ => return Ok(None),
    };
    let data = json!({ "rule": "G1", "reason": event.event_type });
    Ok(seller.map(|seller| Follows::new(event_type, event.order(), seller, data)))
}
