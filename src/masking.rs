//! Addresses of services without their passwords, for messages and settings.

const MASK: &str = "***";

/// The address with every password in it replaced by `***`: the one before the
/// host, and those among the parameters.
///
/// Meant for addresses that may be malformed as well, since those are what
/// messages quote: in doubt it hides too much.
pub fn masked_url(url: &str) -> String {
    let (address, parameters) = match url.split_once('?') {
        // A question mark before the last `@` may be part of a password.
        Some((address, parameters)) if !parameters.contains('@') => (address, Some(parameters)),
        _ => (url, None),
    };
    let parameters = parameters.map(|list| {
        let masked: Vec<String> = list.split('&').map(masked_parameter).collect();
        format!("?{}", masked.join("&"))
    });
    masked_authority(address) + &parameters.unwrap_or_default()
}

fn masked_authority(address: &str) -> String {
    let start = address.find("://").map_or(0, |at| at + "://".len());
    let (scheme, rest) = address.split_at(start);
    // The last `@`: a password may hold one that nobody encoded.
    let Some((user, host)) = rest.rsplit_once('@') else { return address.to_owned() };
    match user.split_once(':') {
        Some((name, _)) => format!("{scheme}{name}:{MASK}@{host}"),
        None => address.to_owned(),
    }
}

fn masked_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if name.to_lowercase().ends_with("password") => format!("{name}={MASK}"),
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::masked_url;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("amqp://app:secret@host:5672/%2f", "amqp://app:***@host:5672/%2f"),
            ("amqp://app:s/e?c@r:e#t@host/v", "amqp://app:***@host/v"),
            (
                "postgres://app:secret@host/db?sslmode=require",
                "postgres://app:***@host/db?sslmode=require",
            ),
            (
                "postgres://host/db?user=app&password=secret",
                "postgres://host/db?user=app&password=***",
            ),
            ("app:secret@host", "app:***@host"),
            ("amqp://:secret@host", "amqp://:***@host"),
        ] {
            assert_eq!(masked_url(url), shown);
        }
    }

    #[test]
    fn an_address_without_a_password_stays_as_it_is() {
        for url in ["amqp://localhost:5672/%2f", "amqp://app@[::1]/v?heartbeat=10", "", "nonsense"]
        {
            assert_eq!(masked_url(url), url);
        }
    }
}
