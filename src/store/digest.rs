//! Digests that tables are keyed by: of texts that are too long, or too many, for an index.

use sha2::{Digest as _, Sha256};

/// The first 16 bytes of a SHA-256: nobody finds two texts that share them.
pub type Digest = [u8; 16];

/// A digest of several parts; `["ab", "c"]` and `["a", "bc"]` differ.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].try_into().expect("a SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_part_ends_counts() {
        assert_ne!(digest([&b"ab"[..], b"c"]), digest([&b"a"[..], b"bc"]));
        assert_eq!(digest([&b"ab"[..]]), digest([&b"ab"[..]]));
    }
}
