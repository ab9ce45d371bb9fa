//! Databases that fall silent: the connection stands, and no answer ever comes.
//!
//! A network that swallows packets, a pooler whose server is gone, a host that froze: none of them
//! closes a connection, and the client library waits without end, also before it takes a
//! connection back into the pool. So whatever the processor asks of the database has a deadline
//! here, and a connection that missed it is closed, not taken back.

use std::future::Future;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

/// How long a statement, or a few, may take.
const ANSWER: Duration = Duration::from_secs(15);
/// How long a transaction of the door may take. One that is cut off for its size is done in
/// halves, see [`super::failure`].
const TRANSACTION: Duration = Duration::from_secs(30);

/// An answer of the database, within the time that every answer has.
pub async fn answered<T>(
    question: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    within(ANSWER, question).await
}

/// A question on a connection of the pool.
pub async fn ask<T>(
    pool: &PgPool,
    question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    let mut lent = Lent::from(pool).await?;
    let answer = answered(question(&mut lent)).await;
    lent.give_back(answer)
}

/// A transaction, within the time that every transaction has.
pub async fn transacted<T>(
    transaction: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    within(TRANSACTION, transaction).await
}

async fn within<T>(
    limit: Duration,
    question: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(limit, question).await {
        Ok(answer) => answer,
        Err(_) => {
            let silence = format!("no answer within {limit:?}");
            Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, silence)))
        }
    }
}

/// Whether it is the deadline that failed, not the database.
pub fn is_silence(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// A connection of the pool that is closed when it is dropped, unless it was given back: whoever
/// is cancelled in the middle of a question doesn't know whether an answer will come.
#[derive(Debug)]
pub struct Lent(Option<PoolConnection<Postgres>>);

const GIVEN_BACK: &str = "a connection is given back last";

impl Lent {
    pub async fn from(pool: &PgPool) -> Result<Lent, sqlx::Error> {
        Ok(Lent(Some(pool.acquire().await?)))
    }

    /// Back to the pool, if it has answered; passes on what it answered.
    pub fn give_back<T>(mut self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        if !answer.as_ref().is_err_and(is_silence) {
            drop(self.0.take());
        }
        answer
    }
}

/// A connection that stays with one user. A pool asks each connection that comes back whether it
/// still lives, which takes as long as a statement.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<Mutex<Option<Lent>>>);

impl Kept {
    pub fn take(&self) -> Option<Lent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// To be called with a connection that has just answered.
    pub fn put(&self, lent: Lent) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(lent);
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect(GIVEN_BACK)
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect(GIVEN_BACK)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(mut connection) = self.0.take() {
            connection.close_on_drop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_ends_with_an_error_of_its_own() {
        let never = std::future::pending::<Result<(), sqlx::Error>>();
        let error = within(Duration::from_millis(1), never).await.unwrap_err();
        assert!(is_silence(&error));
        let reset = sqlx::Error::Io(io::ErrorKind::ConnectionReset.into());
        assert!(!is_silence(&reset));
    }
}
