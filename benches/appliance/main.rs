//! Measures the release binary, as ratios taken in one run: `cargo bench`, about six minutes.
//!
//! `cargo bench -- checks refreshes` runs some of its parts; `BENCH_SCALE=0.2` makes all slices shorter.

// Nothing waits for this program but the person who started it.
#![allow(clippy::disallowed_methods)]

mod bare;
mod checks;
mod growth;
mod load;
mod refreshes;
mod server;
mod sign_ins;
mod stock;

#[path = "../shared/mod.rs"]
mod shared;

use server::Cores;
use shared::machine::{self, load, processor};
use shared::report;

/// What all parts share.
struct Bench {
    cores: Cores,
    scale: f64,
}

impl Bench {
    fn directory(&self, part: &str) -> tempfile::TempDir {
        tempfile::Builder::new().prefix(&format!("bench-{part}-")).tempdir().expect("a temporary directory")
    }
}

type Part = (&'static str, fn(&Bench));
const PARTS: [Part; 4] = [
    ("checks", checks::run),
    ("sign-ins", sign_ins::run),
    ("refreshes", refreshes::run),
    ("growth", growth::run),
];

fn main() {
    if let Some(port) = std::env::var(bare::PORT).ok().and_then(|port| port.parse().ok()) {
        return bare::serve(port);
    }
    let wanted: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let scale =
        std::env::var("BENCH_SCALE").map_or(1.0, |scale| scale.parse().expect("BENCH_SCALE is a number"));
    let bench = Bench { cores: Cores::all(), scale };
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_hallpass")).expect("the binary").len();
    println!("# Hallpass measured\n");
    println!("- {} cores ({}); load {} at the start", bench.cores.count(), processor(), load());
    println!("- binary: {:.1} MiB", size as f64 / 1048576.0);
    for (name, run) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            run(&bench);
        }
    }
    println!("\nLoad {} at the end. Ratios near an aim mean something only on a quiet machine.", load());
}
