//! Lookups, scans, opening, memory and disk of small and large stores, each measured in a process of its own.

use super::Bench;
use super::contenders::{options, payload, scattered, session_id};
use super::report::{Table, median};
use super::shared::machine::{cpu_seconds, disk_mib, resident_mib};
use hallpass::store::engine::{Batch, Direction, Engine, Op, Options, Range, Switches};
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The variables that make this program be the process that is measured: its data directory, and its cache.
pub const CHILD: &str = "BENCH_STORE_CHILD";
const CACHE_MB: &str = "BENCH_STORE_CACHE_MB";
const RECORDS: &str = "BENCH_STORE_RECORDS";

const SESSIONS: u8 = 0x10;
const CREDENTIALS: u8 = 0x11;
const DEFAULT_CACHE_MB: u64 = 128;
const FILL_CACHE_MB: u64 = 2048;
const BATCH: u64 = 500;
const LOOKUPS: u64 = 100_000;
const PAGES: u64 = 1000;
const PAGE: usize = 100;
const SLICE: usize = 1000;

const COLUMNS: [&str; 11] = [
    "records of 300 bytes",
    "cache, MiB",
    "MiB on disk",
    "opened and verified, cold, ms",
    "the same warm",
    "opened only",
    "MiB resident then",
    "µs a lookup",
    "µs a page of 100",
    "records a second, scanned",
    "MiB resident at the end",
];

pub fn run(bench: &Bench) {
    let directory = bench.directory();
    let scaled = |count: f64| (count * bench.scale.min(1.0)) as u64;
    let table = Table::new("Lookups and scans by size", &COLUMNS);
    let mut filled = 0;
    let mut caches = Vec::new();
    let sizes: [(u64, usize, &[u64]); 3] =
        [(10_000, 3, &[]), (scaled(1e6), 3, &[8, 32, 512]), (scaled(3e6), 1, &[512])];
    for (count, opens, cache_sizes) in sizes {
        fill(directory.path(), filled, count);
        filled = count;
        table.row(&row(directory.path(), count, DEFAULT_CACHE_MB, opens));
        caches.extend(cache_sizes.iter().map(|cache_mb| row(directory.path(), count, *cache_mb, 1)));
    }
    let table = Table::new("What the cache is worth", &COLUMNS);
    caches.iter().for_each(|cells| table.row(cells));
    println!(
        "\nA third lies in the table of sessions, the others in that of credentials. Lookups anywhere, one after the \
         other; cold means that no page of the files was in memory."
    );
}

/// Every third record is a session.
fn key(number: u64) -> Vec<u8> {
    match number % 3 {
        0 => [&[SESSIONS], session_id(number).as_slice()].concat(),
        _ => [&[CREDENTIALS], scattered(number).as_slice(), &scattered(!number)].concat(),
    }
}

fn open(directory: &Path, cache_mb: u64, switches: Switches) -> Engine {
    let options = Options { cache_bytes: cache_mb << 20, ..options(directory, switches) };
    Engine::open(options, Box::new(|_| {})).expect("a store")
}

/// Closing it syncs once; what a crash would lose can be made again.
fn fill(directory: &Path, from: u64, to: u64) {
    let engine = open(directory, FILL_CACHE_MB, Switches { sync: false, ..Switches::default() });
    let mut number = from;
    while number < to {
        let numbers = number..to.min(number + BATCH);
        number = numbers.end;
        let ops = numbers.map(|number| Op::Put(key(number), payload(number))).collect();
        engine.commit_blocking(Batch { expects: Vec::new(), ops }).expect("the store takes it");
    }
}

fn row(directory: &Path, count: u64, cache_mb: u64, opens: usize) -> Vec<String> {
    let child = || {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.env(CHILD, directory).env(CACHE_MB, cache_mb.to_string()).env(RECORDS, count.to_string());
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said.split_whitespace().map(|figure| figure.parse().expect("figures")).collect::<Vec<f64>>()
    };
    forget_pages(directory);
    let cold = child()[0];
    let runs: Vec<_> = (0..opens).map(|_| child()).collect();
    let middle = |nth: usize| median(runs.iter().map(|figures| figures[nth]).collect());
    let figures = [
        disk_mib(&directory.join("store")),
        cold,
        middle(0),
        middle(1),
        middle(2),
        middle(3),
        middle(4),
        middle(5),
        middle(6),
    ];
    let cells =
        figures.map(|figure| if figure < 20.0 { format!("{figure:.1}") } else { format!("{figure:.0}") });
    [vec![count.to_string(), cache_mb.to_string()], cells.into()].concat()
}

/// As after a start of the machine, but for these files alone.
fn forget_pages(directory: &Path) {
    for path in ["store/db", "store/conf"].map(|name| directory.join(name)) {
        let file = File::open(path).expect("sled's file");
        file.sync_all().expect("a sync");
        fadvise(&file, 0, None, Advice::DontNeed).expect("advice is heard");
    }
}

/// The child: prints its figures in the order of the table's columns.
pub fn measure(directory: &Path) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok()).expect("a number");
    let (cache_mb, count): (u64, u64) = (number(CACHE_MB), number(RECORDS));
    let began = Instant::now();
    let engine = open(directory, cache_mb, Switches::default());
    let verified_ms = began.elapsed().as_secs_f64() * 1e3;
    let resident = resident_mib("self");
    drop(engine);
    // Without the scan that an open store makes in the background.
    let began = Instant::now();
    let engine = open(directory, cache_mb, Switches { digests: false, ..Switches::default() });
    let opened_ms = began.elapsed().as_secs_f64() * 1e3;

    let anywhere = |nth: u64| u128::from_be_bytes(scattered(nth ^ count << 32)) as u64 % count;
    let cpu = cpu_seconds("self");
    for nth in 0..LOOKUPS {
        engine.get_blocking(&key(anywhere(nth))).expect("a read").expect("every record is there");
    }
    let lookup_us = (cpu_seconds("self") - cpu) * 1e6 / LOOKUPS as f64;

    let began = Instant::now();
    for nth in 0..PAGES {
        let range = Range::prefix(vec![SESSIONS]).before(&key(anywhere(nth) / 3 * 3));
        engine.scan_blocking(&range, Direction::Descending, PAGE).expect("a page");
    }
    let page_us = began.elapsed().as_secs_f64() * 1e6 / PAGES as f64;

    let began = Instant::now();
    let (mut range, mut scanned) = (Range::prefix(vec![CREDENTIALS]), 0);
    loop {
        let found = engine.scan_blocking(&range, Direction::Ascending, SLICE).expect("a slice");
        scanned += found.len() as u64;
        let Some((last, _)) = found.last() else { break };
        range = range.after(last);
    }
    assert_eq!(scanned, count - count.div_ceil(3), "the scan sees every credential");
    let per_second = scanned as f64 / began.elapsed().as_secs_f64();
    println!(
        "{verified_ms} {opened_ms} {resident} {lookup_us} {page_us} {per_second} {}",
        resident_mib("self")
    );
}
