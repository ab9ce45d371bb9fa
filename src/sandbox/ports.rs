//! Free loopback ports.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below the range that Linux takes outgoing connections from (32768 to 60999):
/// a port picked here can't be lost to one before the server binds it.
const RANGE: Range<u16> = 20_100..32_700;

/// Ports on 127.0.0.1 that nobody listens on, all different.
///
/// Between this and the server's bind another program may take one; the sandbox
/// then starts over.
pub(super) fn free_ports<const COUNT: usize>() -> io::Result<[u16; COUNT]> {
    // Held until all are found, so that none is found twice.
    let mut held: Vec<TcpListener> = Vec::with_capacity(COUNT);
    let mut tries = candidates();
    let mut ports = [0; COUNT];
    for port in &mut ports {
        let listener = tries
            .find_map(|candidate| TcpListener::bind((Ipv4Addr::LOCALHOST, candidate)).ok())
            .ok_or_else(|| io::Error::new(io::ErrorKind::AddrInUse, "all of them are taken"))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// The whole range once, from a random place on: sandboxes that start at the same
/// time begin their search in different places.
fn candidates() -> impl Iterator<Item = u16> {
    let length = RANGE.end - RANGE.start;
    let random = RandomState::new().hash_one(());
    let first = (random % u64::from(length)) as u16;
    (0..length).map(move |step| RANGE.start + (first + step) % length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_all_different_and_free() {
        let ports = free_ports::<16>().unwrap();
        let listeners: Vec<_> =
            ports.iter().map(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port))).collect();
        assert!(listeners.iter().all(Result::is_ok));
    }

    #[test]
    fn the_search_covers_the_whole_range() {
        let mut all: Vec<u16> = candidates().collect();
        all.sort_unstable();
        assert_eq!(all, RANGE.collect::<Vec<_>>());
    }
}
