//! What is measured, and the table's rows.

use crate::appliance::Server;
use crate::people::{Crowd, VERBS};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// How many faults are kept in words.
const FAULTS_SAID_MAX: usize = 10;

/// What acts came to; latencies since the last row, faults for good.
pub struct Figures(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    latencies_us: BTreeMap<&'static str, Vec<u64>>,
    faults: usize,
    said: Vec<String>,
    /// When the last row was taken, and the CPU time that the program had used by then; in seconds.
    last: (f64, f64),
}

impl Figures {
    pub fn begin(server: &Server) -> Self {
        Self(Mutex::new(Counted { last: (0.0, server.cpu_seconds()), ..Counted::default() }))
    }

    pub fn note(&self, verb: &'static str, latency: Duration) {
        let mut counted = self.0.lock().unwrap();
        counted.latencies_us.entry(verb).or_default().push(latency.as_micros() as u64);
    }

    pub fn note_fault(&self, what: &str, fault: &str) {
        let mut counted = self.0.lock().unwrap();
        counted.faults += 1;
        if counted.said.len() < FAULTS_SAID_MAX {
            counted.said.push(format!("{what}: {fault}"));
        }
    }

    pub fn faults(&self) -> usize {
        self.0.lock().unwrap().faults
    }

    pub fn said(&self) -> String {
        self.0.lock().unwrap().said.join("\n")
    }

    /// Prints what was since the last row.
    pub fn print_row(&self, since_start: Duration, server: &Server, crowd: &Crowd) {
        let (live, blacklist) = crowd.count().unwrap_or_else(|fault| {
            self.note_fault("overview", &fault);
            (0, 0)
        });
        let mut counted = self.0.lock().unwrap();
        let now = (since_start.as_secs_f64(), server.cpu_seconds());
        let cpu = 100.0 * (now.1 - counted.last.1) / (now.0 - counted.last.0);
        counted.last = now;
        let mut latencies = std::mem::take(&mut counted.latencies_us);
        let mut cells = vec![
            format!("{:.1}", now.0 / 60.0),
            format!("{:.0}", server.resident_mib()),
            format!("{:.1}", server.home.disk_mib()),
            live.to_string(),
            blacklist.to_string(),
            server.home.sequence().to_string(),
            format!("{cpu:.0}"),
        ];
        for verb in &VERBS {
            let all = latencies.entry(verb.name).or_default();
            all.sort_unstable();
            cells.push(format!("{:.1} / {:.0}", percentile_ms(all, 50), percentile_ms(all, 99)));
        }
        cells.push(counted.faults.to_string());
        print_cells(&cells);
    }
}

pub fn print_head() {
    let columns = ["minute", "MiB resident", "MiB on disk", "live", "blacklist", "sequence", "% cpu"];
    let mut cells: Vec<_> = columns.map(str::to_owned).into();
    cells.extend(VERBS.iter().map(|verb| format!("{} p50 / p99 ms", verb.name)));
    cells.push("faults".into());
    print_cells(&cells);
    print_cells(&vec!["---:".to_owned(); cells.len()]);
}

fn print_cells(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// The value below which so many of a hundred lie.
fn percentile_ms(sorted_us: &[u64], percent: usize) -> f64 {
    let rank = (sorted_us.len() * percent).div_ceil(100);
    sorted_us.get(rank.max(1) - 1).map_or(f64::NAN, |us| *us as f64 / 1e3)
}
