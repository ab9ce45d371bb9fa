//! The first half of the limit: the same rows, written in bulk from memory, with no broker and
//! nothing decided. Each transaction holds what belongs to 500 events, and is durable; two
//! connections write at once. The rows of the outbox, gone in the end, are written and deleted.

use anyhow::{Context, Result, ensure};
use otodoke::operator::bench::cost::own_cpu_seconds;
use otodoke::operator::bench::meter::{Cost, Meter};
use otodoke::operator::stage::Stage;
use otodoke::processor::pool;
use sqlx::{PgConnection, PgPool};

use crate::tables::{Table, clear};

/// How many events' rows a transaction has.
const BATCH: usize = 500;
const CONNECTIONS: usize = 2;

/// What a run has left, and what it has put into the outbox.
pub struct Rows {
    pub tables: Vec<Table>,
    pub partitions: Vec<String>,
    /// Rows as they stood in the outbox of another run; `None`: there is no such table.
    pub outbox: Option<Table>,
    /// How many rows went through the outbox.
    pub queued: usize,
}

/// Writes the rows of so many events into the database of a fresh stage.
pub async fn measure(stage: &Stage, rows: &Rows, events: usize) -> Result<Cost> {
    let pool = pool(&stage.settings)?;
    let conn = &mut *pool.acquire().await?;
    is_durable(conn).await?;
    clear(conn, &rows.partitions).await?;
    for table in rows.tables.iter().filter(|table| table.is_referred_to) {
        table.write(conn, table.rows(0..table.len())).await?;
    }
    let (meter, before) = (Meter::start(stage, &pool).await?, own_cpu_seconds());
    let writers: Vec<_> = (0..CONNECTIONS).map(|first| write(&pool, rows, events, first)).collect();
    futures_util::future::try_join_all(writers).await?;
    let cost = meter.read(&pool, events, own_cpu_seconds() - before).await?;
    compare(conn, &rows.tables).await?;
    Ok(cost)
}

/// Every second batch, say.
async fn write(pool: &PgPool, rows: &Rows, events: usize, first: usize) -> Result<()> {
    let batches = events.div_ceil(BATCH).max(1);
    let share = |all: usize, batch: usize| all * batch / batches..all * (batch + 1) / batches;
    let outbox = rows.outbox.as_ref().filter(|outbox| outbox.len() > 0);
    let conn = &mut *pool.acquire().await?;
    let mut sent = None;
    for batch in (first..batches).step_by(CONNECTIONS) {
        sqlx::raw_sql("BEGIN").execute(&mut *conn).await?;
        for table in rows.tables.iter().filter(|table| !table.is_referred_to) {
            let range = share(table.len(), batch);
            if !range.is_empty() {
                table.write(conn, table.rows(range)).await?;
            }
        }
        if let Some(outbox) = outbox {
            let (range, page) = (share(rows.queued, batch), outbox.pages(conn).await?);
            outbox.write(conn, outbox.repeated(range.clone())?).await?;
            if let Some((sent, page)) = sent.replace((range, (page - 1).max(0))) {
                outbox.delete(conn, sent, page).await?;
            }
        }
        sqlx::raw_sql("COMMIT").execute(&mut *conn).await?;
    }
    // From the first page on: what stands where something else was deleted goes now.
    if let (Some(outbox), true) = (outbox, sent.is_some()) {
        outbox.delete(conn, 0..rows.queued, 0).await?;
    }
    Ok(())
}

async fn is_durable(conn: &mut PgConnection) -> Result<()> {
    for setting in ["fsync", "synchronous_commit"] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&mut *conn)
            .await?;
        ensure!(value == "on", "{setting} is {value}: turn it on, or nothing is comparable");
    }
    Ok(())
}

/// All rows must be there, and none in the outbox.
async fn compare(conn: &mut PgConnection, expected: &[Table]) -> Result<()> {
    let found = crate::tables::read_all(conn).await?;
    for table in expected {
        let found = found.iter().find(|found| found.name == table.name);
        let found = found.with_context(|| format!("{} isn't there", table.name))?.len();
        ensure!(found == table.len(), "{}: {found} rows instead of {}", table.name, table.len());
    }
    Ok(())
}
