//! Who does it: the name that is kept beside what an operator decides.

use sqlx::PgConnection;

use crate::store;

/// OTODOKE_OPERATOR, else the user of this machine, else the database's.
pub async fn who(conn: &mut PgConnection) -> Result<String, sqlx::Error> {
    let named = ["OTODOKE_OPERATOR", "USER"].into_iter().find_map(|variable| {
        std::env::var(variable).ok().filter(|name| !name.trim().is_empty() && !name.contains('\0'))
    });
    match named {
        Some(name) => Ok(name.trim().to_owned()),
        None => store::user(conn).await,
    }
}
