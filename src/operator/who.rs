//! Who does something, for the audit trail.

use std::env;

/// The name in OTODOKE_OPERATOR, else that of the system's user.
pub fn who() -> String {
    ["OTODOKE_OPERATOR", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.trim().is_empty()))
        .map_or_else(|| "somebody".to_owned(), |name| name.trim().chars().take(128).collect())
}
