//! The fuzz targets on their seeds, and on what becomes of these by chance: a minute's worth of what
//! `cargo fuzz` does for hours. `OTODOKE_HISTORIES` sets how many inputs, and the seed is printed.

use std::fs;
use std::path::Path;

#[path = "../fuzz/targets/binary.rs"]
mod binary;
#[path = "../fuzz/targets/intake.rs"]
mod intake;
#[path = "../fuzz/targets/repair.rs"]
mod repair;
#[path = "../fuzz/targets/report.rs"]
mod report;
#[path = "../fuzz/targets/schemas.rs"]
mod schemas;

/// Pieces that parsers choke on.
const PIECES: [&[u8]; 22] = [
    b"\\u0000",
    b"\\ud800",
    b"1e400",
    b"-1e-999999999",
    b"1e999999999",
    b"null",
    b"[[[[[[[[",
    b"{}",
    b"\"id\":\"x\",",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\x00",
    b"\n",
    b"\t",
    b"0.1",
    b"-0",
    b"true",
    b"99999999999999999999",
    b"\"\"",
    b"/-",
    b"~01",
    b"2026-02-28T23:59:60Z",
];

/// A sequence that is the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let (at, end) = (self.below(bytes.len() + 1), self.below(24));
        let end = (at + end).min(bytes.len());
        match self.below(6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..end, PIECES[self.below(PIECES.len())].iter().copied())),
            3 => drop(bytes.splice(at..at, PIECES[self.below(PIECES.len())].iter().copied())),
            4 => {
                let piece = bytes[at..end].to_vec();
                let place = self.below(bytes.len() + 1);
                drop(bytes.splice(place..place, piece));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = self.below(256) as u8;
                }
            }
        }
    }
}

fn fuzz(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let seeds: Vec<Vec<u8>> = files.map(|file| fs::read(file).unwrap()).collect();
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| run(seed));
    let count = std::env::var("OTODOKE_HISTORIES").ok().and_then(|count| count.parse().ok());
    let first = std::env::var("OTODOKE_SEED").ok().and_then(|seed| seed.parse().ok());
    let first: u64 = first.unwrap_or(0x9e37_79b9_7f4a_7c15);
    println!("{target}: OTODOKE_SEED={first}");
    let mut chance = Chance(first);
    for _ in 0..count.unwrap_or(3_000) {
        let mut input = seeds[chance.below(seeds.len())].clone();
        for _ in 0..=chance.below(5) {
            chance.change(&mut input);
        }
        if std::panic::catch_unwind(|| run(&input)).is_err() {
            panic!("{target} fails on {:?}", String::from_utf8_lossy(&input));
        }
    }
}

#[test]
fn any_bytes_are_an_event_or_a_dead_letter() {
    fuzz("intake", intake::run);
}

#[test]
fn any_headers_are_an_event_or_a_dead_letter_and_judged_as_in_structured_mode() {
    fuzz("binary", binary::run);
}

#[test]
fn a_repair_is_applied_whole_or_refused() {
    fuzz("repair", repair::run);
}

#[test]
fn any_bytes_are_a_report_or_none() {
    fuzz("report", report::run);
}

#[test]
fn intake_and_the_schemas_are_of_one_mind() {
    fuzz("schemas", schemas::run);
}
