//! How often somebody may fail to sign in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Failures of one address in a while, and of all addresses.
const MOST: u32 = 5;
const MOST_OF_ALL: u32 = 100;
const WHILE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Attempts(Mutex<HashMap<Option<IpAddr>, Failures>>);

struct Failures {
    since: Instant,
    count: u32,
}

impl Attempts {
    /// How many seconds this address has to wait until it may try again.
    pub fn must_wait(&self, client: IpAddr) -> Option<u64> {
        let failures = self.failures();
        let wait = |key: Option<IpAddr>, most: u32| {
            let failures = failures.get(&key).filter(|failures| failures.count >= most)?;
            let left = WHILE.checked_sub(failures.since.elapsed())?;
            Some(left.as_secs() + 1)
        };
        wait(Some(group(client)), MOST).or_else(|| wait(None, MOST_OF_ALL))
    }

    pub fn failed(&self, client: IpAddr) {
        let mut failures = self.failures();
        failures.retain(|_, failures| failures.since.elapsed() < WHILE);
        for key in [Some(group(client)), None] {
            let new = Failures { since: Instant::now(), count: 0 };
            failures.entry(key).or_insert(new).count += 1;
        }
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, HashMap<Option<IpAddr>, Failures>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Who has one address of the new kind has a whole network of them.
fn group(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_too_often_waits_and_nobody_else_does() {
        let attempts = Attempts::default();
        let [one, same, other]: [IpAddr; 3] =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(|text| text.parse().unwrap());
        (0..MOST).for_each(|_| attempts.failed(one));
        assert!(attempts.must_wait(one).is_some() && attempts.must_wait(same).is_some());
        assert_eq!(attempts.must_wait(other), None);
    }

    #[test]
    fn all_together_may_not_fail_for_ever() {
        let attempts = Attempts::default();
        for n in 0..MOST_OF_ALL {
            attempts.failed(IpAddr::V4(n.into()));
        }
        assert!(attempts.must_wait("192.0.2.1".parse().unwrap()).is_some());
    }
}
