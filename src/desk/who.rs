//! Who does something: the name that is kept beside what an operator decides.

use std::env;

/// The name in OTODOKE_OPERATOR, else that of the system's user.
pub fn who() -> String {
    ["OTODOKE_OPERATOR", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| env::var(name).ok().and_then(|value| cleaned(&value)))
        .unwrap_or_else(|| "somebody".to_owned())
}

/// As a column can hold it and a terminal can show it.
pub fn cleaned(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
