//! Durable refreshes per second: every answer's rotation is on disk before it leaves.

use super::Bench;
use super::load::Ring;
use super::report::{Table, median};
use super::server::Server;
use super::stock::{self, Stock};
use hallpass::model::app::Strategy;

const ROUNDS: usize = 3;
const SLICE_SECONDS: f64 = 2.5;

pub fn run(bench: &Bench) {
    let directory = bench.directory("refreshes");
    stock::set_up(directory.path(), 1);
    let stock = Stock::open(directory.path());
    let counts = [1, 64];
    let chains = counts.map(|count| stock.put_sessions(Strategy::Refresh, count));
    stock.close();
    let server = Server::appliance(directory.path(), &bench.cores);
    let mut rings = counts.map(|count| Ring::open(server.port, count));
    let seconds = SLICE_SECONDS * bench.scale;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push([0, 1].map(|n| {
            let cpu = server.cpu_seconds();
            let pace = rings[n].run(seconds, |client, answer, out| {
                let token = successor(answer).unwrap_or(&chains[n][client].secret);
                let body = format!(r#"{{"refresh_token":"{token}"}}"#);
                let head = "POST /api/v1/auth/refresh HTTP/1.1\r\nHost: localhost\r\n\
                    Content-Type: application/json\r\nContent-Length: ";
                out.extend_from_slice(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes());
            });
            server.clear_log();
            (pace.per_second(), (server.cpu_seconds() - cpu) * 1e6 / pace.answers as f64)
        }));
    }
    let table = Table::new("Durable refreshes", &["clients", "a second", "µs cpu each"]);
    for (n, count) in counts.iter().enumerate() {
        let per_second = median(rounds.iter().map(|round| round[n].0).collect());
        let cpu = median(rounds.iter().map(|round| round[n].1).collect());
        table.row(&[count.to_string(), format!("{per_second:.0}"), format!("{cpu:.0}")]);
    }
    println!(
        "\nServer and load generator shared core {}. {ROUNDS} interleaved rounds of {seconds:.1} s each, medians.",
        bench.cores
    );
}

/// The refresh token in an answer.
fn successor(answer: &[u8]) -> Option<&str> {
    let (_, rest) = std::str::from_utf8(answer).ok()?.split_once(r#""refresh_token":""#)?;
    rest.split('"').next()
}
