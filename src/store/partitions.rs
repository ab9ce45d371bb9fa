//! The tables that the history is made of: one for each month in which cases were opened, and
//! one for what has none yet, so that nothing ever fails for the want of a table.

use std::fmt;

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::Result;

/// The month (UTC) in which a case was opened: where its events stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(NaiveDate);

impl Month {
    pub fn of(moment: DateTime<Utc>) -> Month {
        let day = moment.date_naive();
        Month(day.with_day(1).expect("every month has a first day"))
    }

    /// Its first day, as it stands in `history.opened`.
    pub fn first_day(self) -> NaiveDate {
        self.0
    }

    fn next(self) -> Month {
        Month(self.0.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX))
    }

    fn table(self) -> String {
        format!("history_{:04}_{:02}", self.0.year(), self.0.month())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

/// How many months, beside the present one, have their table ahead of time.
const AHEAD: usize = 2;

/// Two processors may look after the tables at once: one of them does.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('otodoke'), 1)";
/// Everything else waits behind who waits for the lock of a whole table.
const PATIENCE: &str = "SET LOCAL lock_timeout = '2s'";

/// Makes the tables of this month and the next two, and of all months of which events stand in
/// the default table, and moves those. Returns which it made; normally none, by two short
/// statements.
///
/// Fails with SQLSTATE 55P03 where it would have to wait for long, and is to be tried again:
/// nothing is missing meanwhile.
pub async fn prepare(conn: &mut PgConnection) -> Result<Vec<Month>> {
    let mut made = Vec::new();
    for month in missing(&mut *conn).await? {
        let mut transaction = conn.begin().await?;
        transaction.execute(LOCK).await?;
        transaction.execute(PATIENCE).await?;
        if missing(&mut transaction).await?.contains(&month) {
            make(&mut transaction, month).await?;
            made.push(month);
        }
        transaction.commit().await?;
    }
    Ok(made)
}

async fn missing(conn: &mut PgConnection) -> Result<Vec<Month>> {
    let (now, there, astray): (DateTime<Utc>, Vec<String>, Vec<NaiveDate>) = sqlx::query_as(
        "SELECT clock_timestamp(),
                array(SELECT c.relname::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
                      WHERE inhparent = 'history'::regclass),
                array(SELECT DISTINCT opened FROM history_default)",
    )
    .persistent(false)
    .fetch_one(conn)
    .await?;
    let ahead = std::iter::successors(Some(Month::of(now)), |month| Some(month.next()));
    let mut months: Vec<Month> = ahead.take(AHEAD + 1).collect();
    months.extend(astray.into_iter().map(Month));
    months.sort_unstable();
    months.dedup();
    months.retain(|month| !there.contains(&month.table()));
    Ok(months)
}

/// Makes a table beside the others and attaches it, which holds up nobody who reads or writes
/// them; only the default table is locked as a whole.
async fn make(conn: &mut PgConnection, month: Month) -> Result<()> {
    // A name and two dates, all made here.
    let (table, from, to) = (month.table(), month.first_day(), month.next().first_day());
    for statement in [
        "LOCK TABLE history_default IN ACCESS EXCLUSIVE MODE".to_owned(),
        format!("CREATE TABLE {table} (LIKE history INCLUDING ALL)"),
        format!(
            "COMMENT ON TABLE {table} IS 'Events of the cases that were opened in this month.'"
        ),
        format!(
            "WITH astray AS (DELETE FROM history_default WHERE opened = '{from}' RETURNING *)
             INSERT INTO {table} SELECT * FROM astray"
        ),
        format!(
            "ALTER TABLE history ATTACH PARTITION {table} FOR VALUES FROM ('{from}') TO ('{to}')"
        ),
    ] {
        conn.execute(AssertSqlSafe(statement)).await?;
    }
    Ok(())
}

/// The tables of past months, the oldest first, in which nothing stands. Not looked for longer
/// than it takes to find one row in each.
async fn empty(conn: &mut PgConnection) -> Result<Vec<Month>> {
    let (now, there): (DateTime<Utc>, Vec<String>) = sqlx::query_as(
        "SELECT clock_timestamp(),
                array(SELECT c.relname::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
                      WHERE inhparent = 'history'::regclass ORDER BY 1)",
    )
    .persistent(false)
    .fetch_one(&mut *conn)
    .await?;
    let mut empty = Vec::new();
    for month in there.iter().filter_map(|table| month_of(table)) {
        if month < Month::of(now) && !has_rows(conn, month).await? {
            empty.push(month);
        }
    }
    Ok(empty)
}

fn month_of(table: &str) -> Option<Month> {
    let (year, month) = table.strip_prefix("history_")?.split_once('_')?;
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1).map(Month)
}

async fn has_rows(conn: &mut PgConnection, month: Month) -> Result<bool> {
    // The name is made here.
    let statement = format!("SELECT EXISTS (SELECT FROM {})", month.table());
    sqlx::query_scalar(AssertSqlSafe(statement)).persistent(false).fetch_one(conn).await
}

/// Drops the tables of past months in which nothing stands any more; which. Fails with SQLSTATE
/// 55P03 where the history is too busy to be locked for a moment.
pub async fn drop_empty(conn: &mut PgConnection) -> Result<Vec<Month>> {
    let mut dropped = Vec::new();
    for month in empty(conn).await? {
        let mut transaction = conn.begin().await?;
        transaction.execute(LOCK).await?;
        transaction.execute(PATIENCE).await?;
        // The whole before its part, as everybody does.
        transaction.execute("LOCK TABLE ONLY history IN ACCESS EXCLUSIVE MODE").await?;
        let table = month.table();
        let lock = format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
        transaction.execute(AssertSqlSafe(lock)).await?;
        if !has_rows(&mut transaction, month).await? {
            transaction.execute(AssertSqlSafe(format!("DROP TABLE {table}"))).await?;
            dropped.push(month);
        }
        transaction.commit().await?;
    }
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_named_by_its_table() {
        let moment: DateTime<Utc> = "2026-12-31T23:59:59Z".parse().unwrap();
        let month = Month::of(moment);
        assert_eq!(
            (month.table().as_str(), month.to_string().as_str()),
            ("history_2026_12", "2026-12")
        );
        assert_eq!(month_of("history_2026_12"), Some(month));
        assert_eq!(month.next().to_string(), "2027-01");
        assert_eq!((month_of("history_default"), month_of("history_2026_13")), (None, None));
    }
}
