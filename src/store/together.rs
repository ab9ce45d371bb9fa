//! Statements that only write, sent as one: what a transaction has to write takes one round
//! trip, however many tables it goes to.
//!
//! All of them see the tables as they are before any of them, so no two may touch one row.
//!
//! Every set of parts is a statement of its own to the database, which plans it once by
//! connection; that takes longer than doing it. So what is often written is always a part,
//! also where there is nothing to write now.

use std::fmt::Write;

use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments, AssertSqlSafe, Encode, PgConnection, Postgres, Type};

use super::Result;

/// Statements to be executed together. Nothing is written before [`Together::execute`].
#[derive(Default)]
pub struct Together {
    sql: String,
    arguments: PgArguments,
    problem: Option<BoxDynError>,
}

/// A statement among others, whose parameters are to be bound.
pub struct Part<'a>(&'a mut Together);

impl Together {
    /// Adds a statement under a name by which later ones may read what it returns. Its
    /// parameters are numbered from `$1`, as if it stood alone.
    pub fn add(&mut self, name: &'static str, statement: &'static str) -> Part<'_> {
        self.sql.push_str(if self.sql.is_empty() { "WITH " } else { ", " });
        self.sql.push_str(name);
        self.sql.push_str(" AS (");
        renumber(&mut self.sql, statement, self.arguments.len());
        self.sql.push(')');
        Part(self)
    }

    /// Executes them all; none at all where there is none.
    pub async fn execute(self, conn: &mut PgConnection) -> Result<()> {
        if let Some(problem) = self.problem {
            return Err(sqlx::Error::Encode(problem));
        }
        if self.sql.is_empty() {
            return Ok(());
        }
        // Made of literals of this program only; what comes from outside is bound.
        let sql = AssertSqlSafe(self.sql + " SELECT");
        sqlx::query_with(sql, self.arguments).execute(conn).await?;
        Ok(())
    }
}

impl Part<'_> {
    /// Binds the next parameter.
    pub fn bind<'t, T: Encode<'t, Postgres> + Type<Postgres>>(self, value: T) -> Self {
        if let Err(problem) = self.0.arguments.add(value) {
            self.0.problem.get_or_insert(problem);
        }
        self
    }
}

/// Adds to the number of each parameter.
fn renumber(into: &mut String, statement: &str, offset: usize) {
    let mut pieces = statement.split('$');
    into.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = piece.split_at(digits);
        let number = number.parse::<usize>().map_or(0, |number| number + offset);
        let _ = write!(into, "${number}{rest}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_through() {
        let mut together = Together::default();
        together.add("a", "INSERT INTO a SELECT $1, $2::text[]").bind(1).bind("x");
        together.add("b", "UPDATE b SET x = $2 WHERE y = $1").bind(2).bind(3);
        together.add("c", "DELETE FROM c WHERE x = $1 OR y = $10");
        assert_eq!(
            together.sql,
            "WITH a AS (INSERT INTO a SELECT $1, $2::text[]), \
             b AS (UPDATE b SET x = $4 WHERE y = $3), \
             c AS (DELETE FROM c WHERE x = $5 OR y = $14)"
        );
        assert_eq!(together.arguments.len(), 4);
    }
}
