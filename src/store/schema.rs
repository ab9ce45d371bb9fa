//! Setting up the database: the tables, and who may read them.

use sqlx::migrate::MigrateError;
use sqlx::{Executor, PgConnection, PgPool};
use tracing::warn;

use super::partitions;

/// Brings the schema up to date and grants the read model to its roles.
///
/// Any number of processors may do so at once: one works, the others wait. What was applied
/// stays; a failure leaves the migrations before it. Fails on a database whose migrations
/// this version doesn't know, or that were changed after they were applied.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    sqlx::migrate!().run(pool).await?;
    grant(pool).await?;
    prepare(pool).await?;
    Ok(())
}

/// The history's tables of the months to come. Where the history is too busy for it just now, or
/// this user may not, there is time: the default table takes what has none.
async fn prepare(pool: &PgPool) -> Result<(), sqlx::Error> {
    match partitions::prepare(&mut *pool.acquire().await?).await {
        Err(sqlx::Error::Database(refusal)) => {
            warn!(%refusal, "the history's tables of the months to come are not made yet");
            Ok(())
        }
        made => made.map(drop),
    }
}

/// Roles belong to the whole server and may be out of this user's hands: then the read model
/// is as it was, and somebody has to be told.
async fn grant(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    transaction.execute("SELECT pg_advisory_xact_lock(hashtext('otodoke'), 0)").await?;
    for step in [ROLES, MEMBERSHIP, GRANTS] {
        if let Err(refusal) = attempt(&mut transaction, step).await? {
            warn!(%refusal, "the roles otodoke_reader and otodoke_operator are not set up: grant read_model by hand");
            break;
        }
    }
    transaction.commit().await
}

/// Runs a step so that its refusal leaves the transaction whole.
async fn attempt(
    conn: &mut PgConnection,
    step: &'static str,
) -> Result<Result<(), sqlx::Error>, sqlx::Error> {
    conn.execute("SAVEPOINT step").await?;
    let outcome = conn.execute(step).await;
    let Err(error) = outcome else {
        conn.execute("RELEASE SAVEPOINT step").await?;
        return Ok(Ok(()));
    };
    if error.as_database_error().is_none() {
        return Err(error);
    }
    conn.execute("ROLLBACK TO SAVEPOINT step").await?;
    Ok(Err(error))
}

/// Another database of the same server may be set up at this moment, hence the exceptions.
const ROLES: &str = "
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['otodoke_reader', 'otodoke_operator'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
    END LOOP;
END $$";

const MEMBERSHIP: &str = "
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_auth_members
        WHERE roleid = 'otodoke_reader'::regrole AND member = 'otodoke_operator'::regrole
    ) THEN
        GRANT otodoke_reader TO otodoke_operator;
    END IF;
EXCEPTION WHEN unique_violation THEN NULL;
END $$";

const GRANTS: &str = "
DO $$
BEGIN
    GRANT USAGE ON SCHEMA read_model TO otodoke_reader;
    GRANT SELECT ON read_model.orders, read_model.order_lines, read_model.packages,
        read_model.threads, read_model.refunds, read_model.guarantees, read_model.derived_events
        TO otodoke_reader;
    GRANT SELECT (message_id, thread_id, order_id, sent_from, channel, topic, automatic, sent_at)
        ON read_model.messages TO otodoke_reader;
    GRANT SELECT (id, stream, routing_key, event_source, event_id, event_type, code, detail,
        pointer, attempts, first_seen_at, last_seen_at, status)
        ON read_model.dead_letters TO otodoke_reader;
    GRANT SELECT ON read_model.messages, read_model.dead_letters TO otodoke_operator;
END $$";
