//! What a run costs, as the kernel counts it.

use std::collections::HashMap;
use std::fs;

/// The kernel's unit of CPU time on every Linux that this runs on, in seconds.
const TICK: f64 = 0.01;

/// What the kernel tells of a process.
struct Stat {
    parent: u32,
    /// Of itself, in ticks.
    own: u64,
    /// Of its children that have ended, in ticks.
    ended: u64,
}

/// CPU seconds of a process with all below it, those too that have ended.
pub fn cpu_seconds(root: u32) -> f64 {
    let stats = stats();
    let is_below = |mut id: u32| {
        // No tree of processes is deeper; a circle would be the kernel's fault.
        for _ in 0..64 {
            match stats.get(&id) {
                _ if id == root => return true,
                Some(stat) => id = stat.parent,
                None => return false,
            }
        }
        false
    };
    let ticks: u64 =
        stats.iter().filter(|(id, _)| is_below(**id)).map(|(_, stat)| stat.own + stat.ended).sum();
    ticks as f64 * TICK
}

/// CPU seconds of this process alone: the private servers below it are counted by themselves.
pub fn own_cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").ok().and_then(|text| stat(&text));
    stat.map_or(0.0, |stat| stat.own as f64 * TICK)
}

fn stats() -> HashMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id: u32| {
        Some((id, stat(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)?))
    })
    .collect()
}

fn stat(text: &str) -> Option<Stat> {
    // The program's name, in brackets, may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Of the fields that proc(5) counts from 1, this list begins with the third.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(4)?).ok()?,
        own: number(14)? + number(15)?,
        ended: number(16)? + number(17)?,
    })
}

/// The most memory that a process ever had, in MiB.
pub fn peak_mib(id: u32) -> f64 {
    memory(id, "VmHWM:")
}

/// The memory that a process has now, in MiB.
pub fn memory_mib(id: u32) -> f64 {
    memory(id, "VmRSS:")
}

fn memory(id: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_is_no_field() {
        let text = "7 (a) b) S 3 7 7 0 -1 4194304 100 0 0 0 11 12 13 14 20 0 1 0 5 6 7";
        let stat = stat(text).unwrap();
        assert_eq!((stat.parent, stat.own, stat.ended), (3, 11 + 12, 13 + 14));
    }

    #[test]
    fn this_process_has_used_time_and_memory() {
        let id = std::process::id();
        assert!(peak_mib(id) > 1.0);
        assert!(cpu_seconds(id) >= 0.0);
        assert!(cpu_seconds(1) >= cpu_seconds(id));
    }
}
