//! The letters of jobs, from waiting to what became of them.

use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::super::{Result, SqlTime, sql_time};
use crate::contract::{Rejection, Timestamp};

/// Letters that wait in a job, the first ones, with the messages.
pub async fn waiting(
    conn: &mut PgConnection,
    job: Uuid,
    most: i64,
    most_bytes: i64,
) -> Result<Vec<Waiting>> {
    sqlx::query_as(
        "SELECT letter.id, stream, routing_key, content_type, event_type, headers, body
         FROM (SELECT letter, position, sum(octet_length(body)) OVER (ORDER BY position) AS bytes
               FROM (SELECT letter, position FROM replay_letters
                     WHERE job = $1 AND outcome IS NULL ORDER BY position LIMIT $2) first
               JOIN dead_letters ON dead_letters.id = first.letter) next
         JOIN dead_letters letter ON letter.id = next.letter
         WHERE bytes - octet_length(body) < $3
         ORDER BY position",
    )
    .bind(job)
    .bind(most)
    .bind(most_bytes)
    .fetch_all(conn)
    .await
}

/// A message that waits to be replayed.
#[derive(Clone, Debug, FromRow)]
pub struct Waiting {
    pub id: Uuid,
    pub stream: Option<String>,
    pub routing_key: String,
    pub content_type: Option<String>,
    pub event_type: Option<String>,
    pub headers: Value,
    pub body: Vec<u8>,
}

/// Locks those of a job's letters that still wait: the others were processed meanwhile.
pub async fn still_waiting(
    conn: &mut PgConnection,
    job: Uuid,
    letters: &[Uuid],
) -> Result<Vec<Uuid>> {
    sqlx::query_scalar(
        "SELECT letter FROM replay_letters
         WHERE job = $1 AND letter = ANY ($2) AND outcome IS NULL ORDER BY position FOR UPDATE",
    )
    .bind(job)
    .bind(letters)
    .fetch_all(conn)
    .await
}

/// What became of a letter.
#[derive(Clone, Debug)]
pub struct Processed<'a> {
    pub job: Uuid,
    pub letter: Uuid,
    pub fate: Fate<'a>,
    /// It went as it came: a new judgement is a judgement of the letter itself.
    pub unchanged: bool,
}

/// What the door made of a letter.
#[derive(Clone, Copy, Debug)]
pub enum Fate<'a> {
    Accepted,
    Duplicate,
    Refused(&'a Rejection),
}

impl Fate<'_> {
    fn name(self) -> &'static str {
        match self {
            Fate::Accepted => "accepted",
            Fate::Duplicate => "duplicate",
            Fate::Refused(_) => "refused",
        }
    }

    fn rejection(&self) -> Option<&Rejection> {
        match self {
            Fate::Refused(rejection) => Some(rejection),
            _ => None,
        }
    }
}

/// Records what became of letters, in the transaction that made it so. A letter whose event
/// is in the history now is replayed; one that was refused again stays as it is, with one
/// attempt more, and with the new judgement where nothing in it was changed.
pub async fn record(
    conn: &mut PgConnection,
    processed: &[Processed<'_>],
    now: Timestamp,
) -> Result<()> {
    let rejections = || processed.iter().map(|processed| processed.fate.rejection());
    let text = |text: Option<&String>| text.map(|text| text.replace('\0', "\u{fffd}"));
    sqlx::query(
        "WITH processed AS (
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[],
                                  $6::text[], $7::bool[])
                 AS new (job, letter, outcome, code, pointer, detail, unchanged)),
         told AS (
             UPDATE replay_letters old SET outcome = new.outcome, code = new.code,
                    pointer = new.pointer, detail = new.detail, finished_at = $8
             FROM processed new WHERE old.job = new.job AND old.letter = new.letter)
         UPDATE dead_letters old SET
             status = CASE WHEN new.code IS NULL THEN 'replayed' ELSE old.status END,
             attempts = old.attempts + CASE WHEN new.code IS NULL THEN 0 ELSE 1 END,
             last_seen_at = CASE WHEN new.code IS NULL THEN old.last_seen_at
                                 ELSE greatest(old.last_seen_at, $8) END,
             code = CASE WHEN new.unchanged THEN coalesce(new.code, old.code) ELSE old.code END,
             pointer = CASE WHEN new.unchanged AND new.code IS NOT NULL THEN new.pointer
                            ELSE old.pointer END,
             detail = CASE WHEN new.unchanged THEN coalesce(new.detail, old.detail)
                           ELSE old.detail END
         FROM processed new WHERE old.id = new.letter",
    )
    .bind(processed.iter().map(|processed| processed.job).collect::<Vec<_>>())
    .bind(processed.iter().map(|processed| processed.letter).collect::<Vec<_>>())
    .bind(processed.iter().map(|processed| processed.fate.name()).collect::<Vec<_>>())
    .bind(rejections().map(|rejection| rejection.map(|r| r.code.name())).collect::<Vec<_>>())
    .bind(
        rejections()
            .map(|rejection| text(rejection.and_then(|r| r.pointer.as_ref())))
            .collect::<Vec<_>>(),
    )
    .bind(rejections().map(|rejection| text(rejection.map(|r| &r.detail))).collect::<Vec<_>>())
    .bind(processed.iter().map(|processed| processed.unchanged).collect::<Vec<_>>())
    .bind(sql_time(now))
    .execute(conn)
    .await?;
    Ok(())
}

/// A letter's way through a job.
#[derive(Clone, Debug, FromRow)]
pub struct Attempt {
    pub job: Uuid,
    pub submitted_by: String,
    pub submitted_at: SqlTime,
    pub patch: Option<Value>,
    /// `None`: it waits.
    pub outcome: Option<String>,
    pub code: Option<String>,
    pub pointer: Option<String>,
    pub detail: Option<String>,
    pub finished_at: Option<SqlTime>,
}

/// The jobs that a letter was or is in, the first one first.
pub async fn attempts(conn: &mut PgConnection, letter: Uuid) -> Result<Vec<Attempt>> {
    sqlx::query_as(
        "SELECT job, submitted_by, submitted_at, patch, outcome, code, replay_letters.pointer,
                detail, finished_at
         FROM replay_letters JOIN replay_jobs ON replay_jobs.id = replay_letters.job
         WHERE letter = $1 ORDER BY submitted_at, job",
    )
    .bind(letter)
    .fetch_all(conn)
    .await
}

/// The letters of a job that were refused again, the first ones.
pub async fn refused(conn: &mut PgConnection, job: Uuid, limit: i64) -> Result<Vec<RefusedAgain>> {
    sqlx::query_as(
        "SELECT letter, code, pointer, detail FROM replay_letters
         WHERE job = $1 AND outcome = 'refused' ORDER BY position LIMIT $2",
    )
    .bind(job)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// A letter that was refused again.
#[derive(Clone, Debug, FromRow)]
pub struct RefusedAgain {
    pub letter: Uuid,
    pub code: String,
    pub pointer: Option<String>,
    pub detail: Option<String>,
}
