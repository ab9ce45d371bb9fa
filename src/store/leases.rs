//! What a processor has for as long as its connection lasts: the timers, and a backlog
//! that others have to wait for. A processor that dies has neither any more.

use sqlx::PgConnection;

use super::Result;

/// What tells these locks from the program's other advisory locks.
const LEASES: i32 = 0x6f74_6c65;
const TIMERS: i32 = 1;
const BACKLOG: i32 = 2;

/// Has a lease end where nothing is heard of its holder for a minute: a machine that froze keeps its
/// connections, and nobody else would do its work. Holders ask something every second, or nearly.
pub async fn prepare(conn: &mut PgConnection) -> Result<()> {
    sqlx::raw_sql("SET idle_session_timeout = '60s'").execute(conn).await?;
    Ok(())
}

/// Leases the timers: one processor looks after time.
pub async fn try_timers(conn: &mut PgConnection) -> Result<bool> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)")
        .bind(LEASES)
        .bind(TIMERS)
        .fetch_one(conn)
        .await
}

/// Says that this processor has a backlog; any number may.
pub async fn have_backlog(conn: &mut PgConnection) -> Result<()> {
    sqlx::query("SELECT pg_advisory_lock_shared($1, $2)")
        .bind(LEASES)
        .bind(BACKLOG)
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes that back.
pub async fn have_no_backlog(conn: &mut PgConnection) -> Result<()> {
    sqlx::query("SELECT pg_advisory_unlock_shared($1, $2)")
        .bind(LEASES)
        .bind(BACKLOG)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether any processor says that it has a backlog.
pub async fn anyone_has_backlog(conn: &mut PgConnection) -> Result<bool> {
    anyone_has(conn, BACKLOG).await
}

/// Whether any processor looks after time, and so after all that tables hold to be done.
pub async fn anyone_has_timers(conn: &mut PgConnection) -> Result<bool> {
    anyone_has(conn, TIMERS).await
}

async fn anyone_has(conn: &mut PgConnection, lease: i32) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_locks
             WHERE locktype = 'advisory' AND classid = $1 AND objid = $2 AND objsubid = 2
               AND granted AND database = (SELECT oid FROM pg_database
                                           WHERE datname = current_database()))",
    )
    .bind(sqlx::postgres::types::Oid(LEASES.unsigned_abs()))
    .bind(sqlx::postgres::types::Oid(lease.unsigned_abs()))
    .fetch_one(conn)
    .await
}
