//! Whole tables as they stand, in the client's memory: read by binary COPY, and written the same
//! way into a database with the same schema. What tables and columns there are is asked of the
//! database, so that no change of the schema needs one here.

use anyhow::{Context, Result, bail, ensure};
use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, PgConnection};

/// A table, or the parent of a partitioned one.
#[derive(Clone, Debug)]
pub struct Table {
    /// As it is written in a statement.
    pub name: String,
    /// Those that can be written: generated ones come by themselves.
    columns: String,
    /// Which of them the database would count by itself, and under which name.
    identity: Option<(usize, String)>,
    /// Other tables refer to it, so that its rows must be there before theirs.
    pub is_referred_to: bool,
    bytes: Vec<u8>,
    /// Where each row ends.
    ends: Vec<usize>,
}

/// What every binary COPY begins with: a signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What ends it.
const TRAILER: &[u8] = &[0xff, 0xff];

/// All tables with their rows, without the migrations'.
pub async fn read_all(conn: &mut PgConnection) -> Result<Vec<Table>> {
    let mut tables = list(conn).await?;
    for table in &mut tables {
        table.read(conn).await.with_context(|| format!("{} can't be read", table.name))?;
    }
    Ok(tables)
}

async fn list(conn: &mut PgConnection) -> Result<Vec<Table>> {
    let rows: Vec<(String, Vec<String>, Vec<bool>, bool)> = sqlx::query_as(
        "SELECT c.oid::regclass::text,
                array_agg(quote_ident(a.attname) ORDER BY a.attnum),
                array_agg(a.attidentity <> '' ORDER BY a.attnum),
                EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = c.oid)
         FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
           AND c.relname <> '_sqlx_migrations'
           AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
         GROUP BY c.oid ORDER BY 1",
    )
    .fetch_all(conn)
    .await?;
    let table =
        |(name, columns, identities, is_referred_to): (String, Vec<String>, Vec<bool>, _)| {
            let place = identities.iter().position(|is_identity| *is_identity);
            Table {
                name,
                identity: place.map(|place| (place, columns[place].clone())),
                columns: columns.join(", "),
                is_referred_to,
                bytes: Vec::new(),
                ends: Vec::new(),
            }
        };
    Ok(rows.into_iter().map(table).collect())
}

impl Table {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    async fn read(&mut self, conn: &mut PgConnection) -> Result<()> {
        // A parent can't be copied out by its name.
        let statement =
            format!("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT binary)", self.columns, self.name);
        let mut chunks = conn.copy_out_raw(&statement).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.try_next().await? {
            bytes.extend_from_slice(&chunk);
        }
        ensure!(bytes.starts_with(HEADER), "the database writes another format");
        bytes.drain(..HEADER.len());
        let mut at = 0;
        while let Some(end) = end_of_row(&bytes, at) {
            self.ends.push(end);
            at = end;
        }
        ensure!(bytes[at..] == *TRAILER, "a row can't be understood");
        bytes.truncate(at);
        self.bytes = bytes;
        Ok(())
    }

    fn row(&self, number: usize) -> &[u8] {
        let begin = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.bytes[begin..self.ends[number]]
    }

    /// The data of a COPY of these rows.
    pub fn rows(&self, range: std::ops::Range<usize>) -> Vec<u8> {
        let mut data = HEADER.to_vec();
        range.for_each(|number| data.extend_from_slice(self.row(number)));
        data.extend_from_slice(TRAILER);
        data
    }

    /// The data of a COPY of so many rows from the first on, over and over, each with a number
    /// of its own in the column that the database would count by itself.
    pub fn repeated(&self, numbers: std::ops::Range<usize>) -> Result<Vec<u8>> {
        let Some((column, _)) = &self.identity else {
            bail!("{} counts its rows by no column: they can't be deleted again", self.name);
        };
        let mut data = HEADER.to_vec();
        for number in numbers {
            let begin = data.len();
            data.extend_from_slice(self.row(number % self.len()));
            let place = field(&data[begin..], *column).context("a row is shorter than others")?;
            let width = place.len();
            let value = (number as u64 + 1).to_be_bytes();
            data[begin + place.start..begin + place.end].copy_from_slice(&value[8 - width..]);
        }
        data.extend_from_slice(TRAILER);
        Ok(data)
    }

    /// Writes the data of a COPY.
    pub async fn write(&self, conn: &mut PgConnection, data: Vec<u8>) -> Result<()> {
        let statement = format!("COPY {} ({}) FROM STDIN (FORMAT binary)", self.name, self.columns);
        let mut copy = conn.copy_in_raw(&statement).await?;
        copy.send(data).await?;
        copy.finish().await.with_context(|| format!("{} takes no rows", self.name))?;
        Ok(())
    }

    /// How many pages it has: what is written next stands behind them, as long as none is free.
    pub async fn pages(&self, conn: &mut PgConnection) -> Result<i64> {
        let statement = "SELECT pg_relation_size($1::text::regclass)
                             / current_setting('block_size')::bigint";
        Ok(sqlx::query_scalar(statement).bind(&self.name).fetch_one(conn).await?)
    }

    /// Deletes rows that were written with numbers of their own, on these pages and later ones:
    /// found without any index, since there need not be one of the numbers alone.
    pub async fn delete(
        &self,
        conn: &mut PgConnection,
        numbers: std::ops::Range<usize>,
        first_page: i64,
    ) -> Result<()> {
        let Some((_, column)) = &self.identity else { return Ok(()) };
        let statement = format!(
            "DELETE FROM {} WHERE ctid >= $3::text::tid AND {column} > $1 AND {column} <= $2",
            self.name
        );
        sqlx::query(AssertSqlSafe(statement))
            .bind(numbers.start as i64)
            .bind(numbers.end as i64)
            .bind(format!("({first_page},0)"))
            .execute(conn)
            .await?;
        Ok(())
    }
}

/// Where the row ends that begins at `at`; `None` at the trailer.
fn end_of_row(bytes: &[u8], mut at: usize) -> Option<usize> {
    let fields = i16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?);
    at += 2;
    for _ in 0..u16::try_from(fields).ok()? {
        let length = i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        at += 4 + usize::try_from(length).unwrap_or(0);
    }
    Some(at)
}

/// Where a field of a row stands.
fn field(row: &[u8], column: usize) -> Option<std::ops::Range<usize>> {
    let mut at = 2;
    for number in 0.. {
        let length = i32::from_be_bytes(row.get(at..at + 4)?.try_into().ok()?);
        let end = at + 4 + usize::try_from(length).unwrap_or(0);
        if number == column {
            return Some(at + 4..end);
        }
        at = end;
    }
    None
}

/// A table that is part of another, as a statement that creates it.
pub async fn partitions(conn: &mut PgConnection) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "SELECT format('CREATE TABLE IF NOT EXISTS %s PARTITION OF %s %s%s%s',
                    c.oid::regclass, i.inhparent::regclass, pg_get_expr(c.relpartbound, c.oid),
                    coalesce(' PARTITION BY ' || pg_get_partkeydef(c.oid), ''),
                    coalesce(' WITH (' || array_to_string(c.reloptions, ', ') || ')', ''))
         FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
         WHERE c.relispartition AND c.relkind IN ('r', 'p') ORDER BY c.oid",
    )
    .fetch_all(conn)
    .await?)
}

/// Makes a database that was only set up as empty as it can be, with the same partitions.
pub async fn clear(conn: &mut PgConnection, partitions: &[String]) -> Result<()> {
    let tables = list(conn).await?;
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let truncate = format!("TRUNCATE {} CASCADE", names.join(", "));
    sqlx::raw_sql(AssertSqlSafe(truncate)).execute(&mut *conn).await?;
    for partition in partitions {
        sqlx::raw_sql(AssertSqlSafe(partition.clone())).execute(&mut *conn).await?;
    }
    Ok(())
}
