//! What many sessions cost: time to start, memory, disk.

use super::Bench;
use super::load::Ring;
use super::machine::disk_mib;
use super::report::{Table, median};
use super::server::Server;
use super::stock::{self, Stock};
use hallpass::clock::Stopwatch;
use hallpass::model::app::Strategy;

const STARTS: usize = 3;
const CHECKED: usize = 10_000;
const CHECK_SECONDS: f64 = 3.0;

pub fn run(bench: &Bench) {
    let columns = [
        "live sessions",
        "start to first answer, ms",
        "MiB resident",
        "MiB after checks of 10,000",
        "checks a second, the first of each session",
        "MiB on disk",
        "s to fill",
    ];
    let table = Table::new("Many sessions", &columns);
    for count in [10_000, (1e6 * bench.scale.min(1.0)) as usize] {
        let directory = bench.directory("growth");
        stock::set_up(directory.path(), 1);
        let watch = Stopwatch::start();
        let stock = Stock::open(directory.path());
        let puts = stock.put_sessions(Strategy::Session, count);
        stock.close();
        let filled = watch.elapsed_us() as f64 / 1e6;
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            starts.push(Server::appliance(directory.path(), &bench.cores).up_after_ms);
        }
        let server = Server::appliance(directory.path(), &bench.cores);
        let resident = server.resident_mib();
        // Scattered, as callers are.
        let mut turn = puts.iter().step_by((count / CHECKED).max(1)).cycle();
        let pace = Ring::open(server.port, 16).run(CHECK_SECONDS * bench.scale, |_, _, out| {
            let secret = &turn.next().expect("a cycle has no end").secret;
            let head = "GET /api/v1/auth/session HTTP/1.1\r\nHost: localhost\r\nCookie: __Host-hp-hallpass=";
            out.extend_from_slice(format!("{head}{secret}\r\n\r\n").as_bytes());
        });
        table.row(&[
            count.to_string(),
            format!("{:.0}", median(starts)),
            format!("{resident:.0}"),
            format!("{:.0}", server.resident_mib()),
            format!("{:.0}", pace.per_second()),
            format!("{:.0}", disk_mib(&directory.path().join("data/store"))),
            format!("{filled:.0}"),
        ]);
    }
    println!("\nTen sessions a user. Files lay in the system's memory; medians of {STARTS} starts.");
}
