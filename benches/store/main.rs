//! Measures the store alone, against others at the same work in the same run: `cargo bench --bench store`.
//!
//! `… -- commits` runs one of its parts; `BENCH_SCALE=0.2` makes all slices shorter and all stores smaller.

mod commits;
mod contenders;
#[path = "../shared/mod.rs"]
mod shared;
mod sizes;

use shared::machine::{load, processor};
use shared::report;
use std::path::Path;

/// What all parts share.
struct Bench {
    scale: f64,
}

impl Bench {
    /// On the disk that we are built on: temporary files often lie in memory, where a sync costs nothing.
    fn directory(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory")
    }
}

type Part = (&'static str, fn(&Bench));
const PARTS: [Part; 3] =
    [("commits", commits::against_others), ("switches", commits::switches), ("sizes", sizes::run)];

fn main() {
    if let Some(directory) = std::env::var_os(sizes::CHILD) {
        return sizes::measure(Path::new(&directory));
    }
    let wanted: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let scale =
        std::env::var("BENCH_SCALE").map_or(1.0, |scale| scale.parse().expect("BENCH_SCALE is a number"));
    let bench = Bench { scale };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("# The store measured\n\n- {cores} cores ({}); load {} at the start", processor(), load());
    for (name, run) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            run(&bench);
        }
    }
    println!("\nLoad {} at the end. Figures mean something only on a quiet machine.", load());
}
