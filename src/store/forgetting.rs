//! Taking a person out of all tables, in one transaction: the cases keep their locks until it
//! ends, so no decision ever sees one half of it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

use super::{CaseSet, Digest, Result, case_id, case_keys, corrupt, digest, identifier, texts};
use crate::contract::{Address, Identifier, Input, InputType, Text};
use crate::rules::CaseId;
use crate::rules::personal::Trail;

/// Begins to forget a buyer, or goes on with what was interrupted: returns the salt of the
/// pseudonyms, which is a new one only where none was begun. To be committed before anything is
/// changed.
pub async fn begin(conn: &mut PgConnection, buyer: &Identifier) -> Result<Vec<u8>> {
    sqlx::query_scalar(
        "INSERT INTO forgettings AS old (buyer_id, salt, begun_at)
         VALUES ($1, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), clock_timestamp())
         ON CONFLICT (buyer_id) DO UPDATE SET salt = coalesce(old.salt, excluded.salt),
             begun_at = excluded.begun_at, ended_at = NULL
         RETURNING salt",
    )
    .bind(buyer.as_str())
    .fetch_one(conn)
    .await
}

/// It is done: nobody can find out any more what a pseudonym stands for.
pub async fn end(conn: &mut PgConnection, buyer: &Identifier) -> Result<()> {
    sqlx::query(
        "UPDATE forgettings SET salt = NULL, ended_at = clock_timestamp() WHERE buyer_id = $1",
    )
    .bind(buyer.as_str())
    .execute(conn)
    .await
    .map(drop)
}

/// The orders of a buyer, the archived ones too, and the e-mail addresses used with them. The
/// pairs of seller and buyer are those in which orders look at each other.
pub async fn orders(conn: &mut PgConnection, trail: &mut Trail) -> Result<BTreeSet<Identifier>> {
    let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
        "SELECT order_id, seller_id, relay_email FROM identities WHERE buyer_id = $1",
    )
    .bind(trail.buyer.as_str())
    .fetch_all(conn)
    .await?;
    let mut sellers = BTreeSet::new();
    for (order, seller, email) in rows {
        trail.orders.insert(identifier(order)?);
        trail.learn_email(email.map(Text).as_ref());
        sellers.insert(identifier(seller)?);
    }
    Ok(sellers)
}

/// An event that is a buyer's, or may be.
#[derive(Clone, Debug)]
pub struct Stored {
    pub home: CaseId,
    pub key: Digest,
    pub opened: NaiveDate,
    pub thread: Option<Identifier>,
    pub input: Input,
    /// Something beside the facts is kept: a message's body, unknown fields, a subject.
    pub has_more: bool,
}

#[derive(FromRow)]
struct Row {
    case_key: String,
    key: Vec<u8>,
    opened: NaiveDate,
    #[sqlx(rename = "type")]
    event_type: String,
    thread_id: Option<String>,
    facts: String,
    has_more: bool,
}

/// All events that a trail leads to. Reads the whole history: nobody else ever asks by these.
pub async fn events(conn: &mut PgConnection, trail: &Trail) -> Result<Vec<Stored>> {
    let homes: Vec<String> = trail.orders.iter().map(|order| format!("o/{order}")).collect();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT case_key, key, opened, type, thread_id, facts::text,
                unread IS NOT NULL OR subject IS NOT NULL AS has_more
         FROM history
         WHERE case_key = ANY ($1) OR thread_id = ANY ($2)
            OR (type IN ('order-placed', 'message-sent')
                AND (facts ->> 'buyer_id' = $3 OR lower(facts ->> 'relay_email') = ANY ($4)))",
    )
    .persistent(false)
    .bind(homes)
    .bind(texts(&trail.threads))
    .bind(trail.buyer.as_str())
    .bind(trail.emails.iter().map(String::as_str).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(read).collect()
}

fn read(row: Row) -> Result<Stored> {
    Ok(Stored {
        home: case_id(&row.case_key)?,
        key: row.key.try_into().map_err(|_| corrupt("a digest has 16 bytes"))?,
        opened: row.opened,
        thread: row.thread_id.map(identifier).transpose()?,
        input: read_input(&row.event_type, &row.facts)
            .ok_or_else(|| corrupt("an event of the history can't be read back"))?,
        has_more: row.has_more,
    })
}

/// The facts of an event as they stand in the history.
pub fn read_input(event_type: &str, facts: &str) -> Option<Input> {
    let kind = InputType::from_name(event_type)?;
    kind.read(&mut serde_json::Deserializer::from_str(facts)).ok()
}

/// Locks cases as the door does: threads before orders, each in the order of their keys.
/// Returns how many there are still.
pub async fn lock(conn: &mut PgConnection, cases: &CaseSet) -> Result<usize> {
    let (orders, threads): (Vec<&CaseId>, Vec<&CaseId>) =
        cases.iter().partition(|case| case.order_id().is_some());
    let mut locked = 0;
    for kind in [threads, orders] {
        let found = sqlx::query("SELECT FROM cases WHERE key = ANY ($1) ORDER BY key FOR UPDATE")
            .persistent(false)
            .bind(case_keys(kind))
            .execute(&mut *conn)
            .await?;
        locked += found.rows_affected() as usize;
    }
    Ok(locked)
}

/// Writes events anew, and without what is beside the facts where `has_more` is false.
pub async fn rewrite(conn: &mut PgConnection, events: &[Stored]) -> Result<()> {
    sqlx::query(
        "UPDATE history SET facts = new.facts::json, unread = CASE WHEN new.more THEN unread END,
             subject = CASE WHEN new.more THEN subject END
         FROM unnest($1::text[], $2::bytea[], $3::date[], $4::text[], $5::bool[])
             AS new (case_key, key, opened, facts, more)
         WHERE history.case_key = new.case_key AND history.key = new.key
           AND history.opened = new.opened",
    )
    .persistent(false)
    .bind(case_keys(events.iter().map(|event| &event.home)))
    .bind(events.iter().map(|event| event.key.as_slice()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.opened).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.input.facts().to_string()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.has_more).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map(drop)
}

/// What processors remember of cases is not to be used any more, and the read model is written
/// anew at their next decision.
pub async fn outdate(conn: &mut PgConnection, cases: &CaseSet) -> Result<()> {
    sqlx::query("UPDATE cases SET version = version + 1, written = NULL WHERE key = ANY ($1)")
        .persistent(false)
        .bind(case_keys(cases))
        .execute(conn)
        .await
        .map(drop)
}

/// An order as the read model has it.
#[derive(Clone, Debug, FromRow)]
pub struct Shown {
    pub order_id: String,
    pub relay_email: Option<String>,
    pub ship_to: Option<Json<Address>>,
    /// Of the buyer; else another's who uses the same address.
    pub is_own: bool,
}

/// The orders of the read model that hold something of a buyer.
pub async fn shown(conn: &mut PgConnection, trail: &Trail) -> Result<Vec<Shown>> {
    sqlx::query_as(
        "SELECT order_id, relay_email, ship_to, order_id = ANY ($1) AS is_own
         FROM read_model.orders
         WHERE order_id = ANY ($1) OR lower(relay_email) = ANY ($2)",
    )
    .persistent(false)
    .bind(texts(&trail.orders))
    .bind(trail.emails.iter().map(String::as_str).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
}

/// Gives orders of the read model what they hold from now on.
pub async fn show(conn: &mut PgConnection, orders: &[Shown]) -> Result<()> {
    sqlx::query(
        "UPDATE read_model.orders o SET relay_email = new.relay_email,
             buyer_name = CASE WHEN new.own THEN NULL ELSE buyer_name END,
             phone = CASE WHEN new.own THEN NULL ELSE phone END,
             ship_to = CASE WHEN new.own THEN new.ship_to ELSE o.ship_to END,
             version = version + 1, updated_at = clock_timestamp()
         FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::bool[])
             AS new (order_id, relay_email, ship_to, own)
         WHERE o.order_id = new.order_id
           AND ((new.own AND (o.buyer_name IS NOT NULL OR o.phone IS NOT NULL))
                OR o.relay_email IS DISTINCT FROM new.relay_email
                OR (new.own AND o.ship_to IS DISTINCT FROM new.ship_to))",
    )
    .persistent(false)
    .bind(orders.iter().map(|order| order.order_id.as_str()).collect::<Vec<_>>())
    .bind(orders.iter().map(|order| order.relay_email.as_deref()).collect::<Vec<_>>())
    .bind(orders.iter().map(|order| order.ship_to.as_ref()).collect::<Vec<_>>())
    .bind(orders.iter().map(|order| order.is_own).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map(drop)
}

/// Puts other e-mail addresses where orders are looked for by them; both as rules compare them.
pub async fn rename_emails(
    conn: &mut PgConnection,
    emails: &BTreeMap<String, String>,
) -> Result<()> {
    for statement in [
        "UPDATE identities SET relay_email = new.text FROM unnest($1::text[], $2::text[])
             AS new (old, text) WHERE relay_email = new.old",
        "UPDATE lookups SET relay_email = new.text FROM unnest($1::text[], $2::text[])
             AS new (old, text) WHERE relay_email = new.old",
    ] {
        sqlx::query(statement)
            .persistent(false)
            .bind(emails.keys().collect::<Vec<_>>())
            .bind(emails.values().collect::<Vec<_>>())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Puts other addresses where orders are to be shipped together, each as `renamed` has it.
pub async fn rename_addresses(
    conn: &mut PgConnection,
    orders: &BTreeSet<Identifier>,
    renamed: impl Fn(&str) -> String,
) -> Result<()> {
    let keys: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT address_key FROM releases WHERE order_id = ANY ($1)")
            .persistent(false)
            .bind(texts(orders))
            .fetch_all(&mut *conn)
            .await?;
    let new: Vec<String> = keys.iter().map(|key| renamed(key)).collect();
    let digests: Vec<Vec<u8>> = new.iter().map(|key| digest([key.as_bytes()]).to_vec()).collect();
    sqlx::query(
        "UPDATE releases SET address_key = new.text, address = new.digest
         FROM unnest($2::text[], $3::text[], $4::bytea[]) AS new (old, text, digest)
         WHERE order_id = ANY ($1) AND address_key = new.old",
    )
    .persistent(false)
    .bind(texts(orders))
    .bind(keys)
    .bind(new)
    .bind(digests)
    .execute(conn)
    .await
    .map(drop)
}

/// A dead letter, to find out whose it is.
#[derive(Clone, Debug, FromRow)]
pub struct Letter {
    pub id: uuid::Uuid,
    pub body: Vec<u8>,
    pub headers: Value,
}

/// A page of the letters that still hold what came, in the order of their ids.
pub async fn letters(
    conn: &mut PgConnection,
    after: Option<uuid::Uuid>,
    limit: i64,
) -> Result<Vec<Letter>> {
    sqlx::query_as(
        "SELECT id, body, headers FROM dead_letters
         WHERE ($1::uuid IS NULL OR id > $1) AND (body <> '' OR headers <> '{}')
         ORDER BY id LIMIT $2",
    )
    .persistent(false)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// The jobs in which letters wait.
pub async fn waiting_in(
    conn: &mut PgConnection,
    letters: &[uuid::Uuid],
) -> Result<Vec<uuid::Uuid>> {
    sqlx::query_scalar(
        "SELECT DISTINCT job FROM replay_letters WHERE letter = ANY ($1) AND outcome IS NULL",
    )
    .persistent(false)
    .bind(letters)
    .fetch_all(conn)
    .await
}

/// Empties letters: what is left says that there was one, and what was wrong with it. An open
/// one is discarded, since nothing can be replayed. The same message again is a new letter.
pub async fn empty(conn: &mut PgConnection, letters: &[uuid::Uuid]) -> Result<()> {
    sqlx::query("SELECT FROM dead_letters WHERE id = ANY ($1) ORDER BY fingerprint FOR UPDATE")
        .persistent(false)
        .bind(letters)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "UPDATE dead_letters SET body = '', headers = '{}', fingerprint = uuid_send(gen_random_uuid()),
             status = CASE status WHEN 'open' THEN 'discarded' ELSE status END
         WHERE id = ANY ($1)",
    )
    .persistent(false)
    .bind(letters)
    .execute(conn)
    .await
    .map(drop)
}

/// The repairs that were made with letters, by job.
pub async fn patches(
    conn: &mut PgConnection,
    letters: &[uuid::Uuid],
) -> Result<Vec<(uuid::Uuid, Value)>> {
    sqlx::query_as(
        "SELECT id, patch FROM replay_jobs WHERE patch IS NOT NULL AND EXISTS (
             SELECT FROM replay_letters WHERE job = replay_jobs.id AND letter = ANY ($1))",
    )
    .persistent(false)
    .bind(letters)
    .fetch_all(conn)
    .await
}

/// Gives a job's repair another form.
pub async fn set_patch(conn: &mut PgConnection, job: uuid::Uuid, patch: &Value) -> Result<()> {
    sqlx::query("UPDATE replay_jobs SET patch = $2 WHERE id = $1")
        .bind(job)
        .bind(patch)
        .execute(conn)
        .await
        .map(drop)
}

/// The archive files that this database names.
pub async fn archives(conn: &mut PgConnection) -> Result<Vec<String>> {
    sqlx::query_scalar("SELECT DISTINCT file FROM pruned_cases ORDER BY file")
        .persistent(false)
        .fetch_all(conn)
        .await
}

/// Locks what stands in archive files: no case comes back out of one until the transaction ends.
pub async fn lock_archives(conn: &mut PgConnection, files: &[String]) -> Result<()> {
    sqlx::query("SELECT FROM pruned_cases WHERE file = ANY ($1) ORDER BY key FOR UPDATE")
        .persistent(false)
        .bind(files)
        .execute(conn)
        .await
        .map(drop)
}
