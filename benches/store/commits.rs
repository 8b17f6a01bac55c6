//! Durable commits a second, with one caller and with many.

use super::Bench;
use super::contenders::{self, Contender, Make, SignIn};
use super::report::{Aim, Table, judged, median, percentile};
use super::shared::machine::{cpu_seconds, disk_mib, settle};
use hallpass::store::engine::Switches;
use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CALLERS: [usize; 4] = [1, 16, 64, 256];
const ROUNDS: usize = 5;
const SLICE_SECONDS: f64 = 1.0;
/// Before the first round, so that nobody is measured on an empty store.
const WARM_UP_SECONDS: f64 = 1.0;

/// What one slice came to.
#[derive(Clone, Copy)]
struct Slice {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_us: f64,
}

/// A contender with a store of its own, and what it did: rounds by number of callers.
struct Entrant {
    name: &'static str,
    contender: Box<dyn Contender>,
    next: AtomicU64,
    slices: [Vec<Slice>; CALLERS.len()],
    directory: tempfile::TempDir,
}

impl Entrant {
    fn new(bench: &Bench, name: &'static str, make: &Make) -> Self {
        let directory = bench.directory();
        let (contender, slices) = (make(directory.path()), CALLERS.map(|_| Vec::new()));
        Self { name, contender, next: AtomicU64::new(0), slices, directory }
    }

    /// So many callers, each of whom asks again once it is answered.
    fn run(&self, callers: usize, seconds: f64) -> Slice {
        let (began, cpu) = (Instant::now(), cpu_seconds("self"));
        let ends = began + Duration::from_secs_f64(seconds);
        let call = || {
            let mut latencies_us = Vec::new();
            while Instant::now() < ends {
                let work = SignIn::nth(self.next.fetch_add(1, Ordering::Relaxed));
                let asked = Instant::now();
                self.contender.commit(work);
                latencies_us.push(asked.elapsed().as_micros() as u64);
            }
            latencies_us
        };
        let mut all: Vec<u64> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..callers).map(|_| scope.spawn(call)).collect();
            callers.into_iter().flat_map(|caller| caller.join().expect("every commit is taken")).collect()
        });
        all.sort_unstable();
        let cpu = cpu_seconds("self") - cpu;
        Slice {
            per_second: all.len() as f64 / began.elapsed().as_secs_f64(),
            p50_ms: percentile(&all, 50.0) / 1e3,
            p99_ms: percentile(&all, 99.0) / 1e3,
            cpu_us: cpu * 1e6 / all.len() as f64,
        }
    }

    fn middle(&self, nth: usize, of: fn(&Slice) -> f64) -> f64 {
        median(self.slices[nth].iter().map(of).collect())
    }
}

pub fn against_others(bench: &Bench) {
    let entrants = compete(bench, &contenders::all());
    print("Durable sign-ins, against others", &entrants);
    let table = Table::new("What grouping is worth", &["callers", "against", "ratio", "aim"]);
    for (against, callers, aim) in [(1, 0, 1.0), (1, 2, 3.0), (2, 2, 1.0), (4, 2, 1.0)] {
        let pairs = entrants[0].slices[callers].iter().zip(&entrants[against].slices[callers]);
        let ratio = median(pairs.map(|(ours, theirs)| ours.per_second / theirs.per_second).collect());
        let row = [CALLERS[callers].to_string(), entrants[against].name.to_owned()];
        table.row(&[row, judged(ratio, Aim::AtLeast(aim))].concat());
    }
}

/// What each part of the protocol costs.
pub fn switches(bench: &Bench) {
    let with = |switches: Switches| -> Make { Box::new(move |at| contenders::ours(at, switches)) };
    let all = Switches::default();
    let entrants = [
        ("all of it", with(all)),
        ("without sidecar", with(Switches { sidecar: false, ..all })),
        ("without digests", with(Switches { digests: false, ..all })),
        ("without both", with(Switches { sidecar: false, digests: false, ..all })),
        ("without any sync", with(Switches { sync: false, ..all })),
    ];
    print("What the parts of the protocol cost", &compete(bench, &entrants));
}

fn compete(bench: &Bench, makes: &[(&'static str, Make)]) -> Vec<Entrant> {
    let seconds = SLICE_SECONDS * bench.scale;
    let mut entrants: Vec<_> = makes.iter().map(|(name, make)| Entrant::new(bench, name, make)).collect();
    for entrant in &entrants {
        entrant.run(CALLERS[1], WARM_UP_SECONDS * bench.scale);
    }
    for _ in 0..ROUNDS {
        for (nth, callers) in CALLERS.into_iter().enumerate() {
            for entrant in &mut entrants {
                let slice = entrant.run(callers, seconds);
                settle(entrant.directory.path());
                entrant.slices[nth].push(slice);
            }
        }
    }
    entrants
}

fn print(title: &str, entrants: &[Entrant]) {
    let callers = CALLERS.map(|callers| format!("{callers} at a time"));
    let columns = [vec!["commits a second (to the first)".to_owned()], callers.into()].concat();
    let columns: Vec<_> = columns.iter().map(String::as_str).collect();
    let rows = |table: Table, cell: &dyn Fn(&Entrant, usize) -> String| {
        for entrant in entrants {
            let cells = (0..CALLERS.len()).map(|nth| cell(entrant, nth));
            table.row(&std::iter::once(entrant.name.to_owned()).chain(cells).collect::<Vec<_>>());
        }
    };
    rows(Table::new(title, &columns), &|entrant, nth| {
        let pairs = entrant.slices[nth].iter().zip(&entrants[0].slices[nth]);
        let ratio = median(pairs.map(|(theirs, first)| theirs.per_second / first.per_second).collect());
        format!("{:.0} ({ratio:.2})", entrant.middle(nth, |slice| slice.per_second))
    });
    println!();
    rows(Table::headed(&[&["ms: p50 / p99; µs cpu each"], &columns[1..]].concat()), &|entrant, nth| {
        let [p50, p99] =
            [entrant.middle(nth, |slice| slice.p50_ms), entrant.middle(nth, |slice| slice.p99_ms)];
        format!("{p50:.1} / {p99:.1}; {:.0}", entrant.middle(nth, |slice| slice.cpu_us))
    });
    println!();
    let table = Table::headed(&["", "sign-ins written", "MiB of records", "MiB on disk", "times as much"]);
    for entrant in entrants {
        let count = entrant.next.load(Ordering::Relaxed);
        let (records, disk) =
            (count as f64 * SignIn::bytes() / 1048576.0, disk_mib(entrant.directory.path()));
        let figures = [format!("{records:.0}"), format!("{disk:.0}"), format!("{:.1}", disk / records)];
        table.row(&[vec![entrant.name.to_owned(), count.to_string()], figures.into()].concat());
    }
    println!(
        "\n{ROUNDS} interleaved rounds, medians; each on a store of its own, on one file system, where a sync of 4 KiB \
         takes {:.0} µs.",
        sync_us()
    );
}

/// What the disk allows: a write of one page, and its sync.
fn sync_us() -> f64 {
    let mut file: File = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).expect("a file");
    let syncs = (0..200).map(|_| {
        let began = Instant::now();
        file.write_all(&[1; 4096]).and_then(|()| file.sync_data()).expect("a sync");
        began.elapsed().as_secs_f64() * 1e6
    });
    median(syncs.collect())
}
