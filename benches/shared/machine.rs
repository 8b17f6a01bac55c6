//! What machine this is, and what a process takes of it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// How `/proc` counts: ticks of ten milliseconds on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

pub fn processor() -> String {
    let info = read("/proc/cpuinfo");
    let name = info.lines().find(|line| line.starts_with("model name"));
    name.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown").trim().to_owned()
}

/// How many processes wanted a core in the last minute.
pub fn load() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned()
}

/// User and system time of all threads of a process so far; `self` is this one.
pub fn cpu_seconds(process: &str) -> f64 {
    let stat = read(&format!("/proc/{process}/stat"));
    let (_, fields) = stat.rsplit_once(')').expect("the name stands in brackets");
    let ticks: f64 = fields.split_whitespace().skip(11).take(2).map(|n| n.parse().unwrap_or(0.0)).sum();
    ticks / TICKS_PER_SECOND
}

/// Memory of a process that is in RAM, in MiB.
pub fn resident_mib(process: &str) -> f64 {
    let status = read(&format!("/proc/{process}/status"));
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a running process");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib / 1024.0
}

/// What a directory with all in it takes on disk, in MiB.
pub fn disk_mib(directory: &Path) -> f64 {
    blocks(directory) as f64 * 512.0 / 1048576.0
}

fn blocks(directory: &Path) -> u64 {
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => blocks(&entry.path()),
        Ok(found) => found.blocks(),
        // It has just been replaced.
        Err(_) => 0,
    };
    std::fs::read_dir(directory).expect("a directory").flatten().map(size).sum()
}

/// Waits until a directory's files are on disk, so that nobody else has to.
pub fn settle(directory: &Path) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        match entry.metadata() {
            Ok(found) if found.is_dir() => settle(&entry.path()),
            // One that has gone meanwhile has nothing left to be written.
            _ => _ = std::fs::File::open(entry.path()).and_then(|file| file.sync_all()),
        }
    }
}

pub fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"))
}
