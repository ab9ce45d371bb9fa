//! The outbox's way to the broker: as many rows as wait are sent one behind the other, and taken
//! out when the broker has confirmed them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use uuid::Uuid;

use super::Shared;

const FETCH: i64 = 500;
/// How long nobody looks where nobody was told of anything.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
const PERSISTENT: u8 = 2;

/// Sends for ever; what fails is tried again on a new connection.
pub async fn relay(shared: Arc<Shared>, url: String, exchange: String) {
    loop {
        if let Err(error) = session(&shared, &url, &exchange).await {
            eprintln!("the relay begins anew: {error:#}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

async fn session(shared: &Shared, url: &str, exchange: &str) -> Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    loop {
        if send(shared, &channel, exchange).await? < FETCH as usize {
            let _ = tokio::time::timeout(LOOK_AGAIN, shared.filled.notified()).await;
        }
    }
}

async fn send(shared: &Shared, channel: &Channel, exchange: &str) -> Result<usize> {
    // Planned each time: a plan of an empty table would read all of a full one.
    let rows: Vec<(i64, Uuid, String, String, String)> = sqlx::query_as(
        "SELECT position, event_id, type, routing_key, body FROM habit.outbox
         ORDER BY position LIMIT $1",
    )
    .persistent(false)
    .bind(FETCH)
    .fetch_all(&shared.pool)
    .await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let mut confirms = Vec::with_capacity(rows.len());
    for (_, id, event_type, routing_key, body) in &rows {
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/cloudevents+json".into())
            .with_message_id(id.to_string().as_str().into())
            .with_type(event_type.as_str().into());
        let (exchange, routing_key) = (exchange.into(), routing_key.as_str().into());
        let options = BasicPublishOptions::default();
        let confirm =
            channel.basic_publish(exchange, routing_key, options, body.as_bytes(), properties);
        confirms.push(confirm.await?);
    }
    for confirm in confirms {
        if !matches!(confirm.await?, Confirmation::Ack(_)) {
            bail!("the broker didn't take a message");
        }
    }
    let sent: Vec<i64> = rows.iter().map(|row| row.0).collect();
    sqlx::query("DELETE FROM habit.outbox WHERE position = ANY ($1)")
        .persistent(false)
        .bind(sent)
        .execute(&shared.pool)
        .await?;
    Ok(rows.len())
}
