//! Sign-ins per second against argon2id alone, and what a flood of them does to the checking of sessions.

use super::Bench;
use super::load::{Pace, Ring};
use super::report::{Aim, Table, judged, median, percentile};
use super::server::Server;
use super::stock::{self, Put, Stock};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use hallpass::auth::hasher::HashSetting;
use hallpass::clock::Stopwatch;
use hallpass::model::app::Strategy;
use std::time::Duration;

const ROUNDS: usize = 4;
const SLICE_SECONDS: f64 = 3.0;
/// Enough that no core waits for a client.
const CLIENTS_PER_CORE: usize = 4;
const STROLL_PER_SECOND: u32 = 1000;
const SESSIONS: usize = 1000;
/// The access log gathers lines before it writes them.
const LOG_DELAY: Duration = Duration::from_millis(100);
/// As the server gives its own hashing threads.
const NICE: i32 = 19;

pub fn run(bench: &Bench) {
    let directory = bench.directory("sign-ins");
    let clients = CLIENTS_PER_CORE * bench.cores.count();
    stock::set_up(directory.path(), clients);
    let stock = Stock::open(directory.path());
    let sessions = stock.put_sessions(Strategy::Session, SESSIONS);
    stock.close();
    let server = Server::appliance(directory.path(), &bench.cores);
    let seconds = SLICE_SECONDS * bench.scale;
    rate(bench, &server, clients, seconds);
    latency(&server, &sessions, clients, seconds);
}

fn rate(bench: &Bench, server: &Server, clients: usize, seconds: f64) {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let raw = hashes_per_second(bench.cores.count(), seconds);
        rounds.push((raw, flood(server.port, clients, seconds).per_second()));
    }
    let table = Table::new("Sign-ins against argon2id", &["", "a second", "ratio", "aim"]);
    let middle = |of: fn(&(f64, f64)) -> f64| median(rounds.iter().map(of).collect());
    let (raw, ours) = (middle(|round| round.0), middle(|round| round.1));
    table.row(&["argon2id at the shipped setting, a thread per core".into(), format!("{raw:.1}")]);
    let ratio = middle(|round| round.1 / round.0);
    let name = format!("sign-ins, {clients} clients, each an account of its own");
    table.row(&[vec![name, format!("{ours:.1}")], judged(ratio, Aim::AtLeast(0.9)).into()].concat());
    println!(
        "\nServer and load generator shared core {}; the generator only waits. {ROUNDS} interleaved rounds of \
         {seconds:.1} s each, medians.",
        bench.cores
    );
}

/// What of a hundred checks took no longer.
const PERCENTS: [f64; 3] = [50.0, 99.0, 99.9];
const P99: usize = 1;

#[derive(Default)]
struct Latencies {
    idle: Vec<[f64; 3]>,
    flooded: Vec<[f64; 3]>,
}

fn latency(server: &Server, sessions: &[Put], clients: usize, seconds: f64) {
    let mut turn = sessions.iter().cycle();
    let mut check = |_: usize, _: &[u8], out: &mut Vec<u8>| {
        let secret = &turn.next().expect("a cycle has no end").secret;
        let head = "GET /api/v1/auth/session HTTP/1.1\r\nHost: localhost\r\nCookie: __Host-hp-hallpass=";
        out.extend_from_slice(format!("{head}{secret}\r\n\r\n").as_bytes());
    };
    let mut ring = Ring::open(server.port, CLIENTS_PER_CORE);
    let mut slice = |flooded: bool| {
        server.clear_log();
        std::thread::scope(|scope| {
            if flooded {
                scope.spawn(|| flood(server.port, clients, seconds));
            }
            ring.stroll(seconds, STROLL_PER_SECOND, &mut check);
        });
        std::thread::sleep(LOG_DELAY);
        let all = server.latencies_us("/api/v1/auth/session");
        PERCENTS.map(|percent| percentile(&all, percent))
    };
    let mut rounds = Latencies::default();
    for _ in 0..ROUNDS {
        rounds.idle.push(slice(false));
        rounds.flooded.push(slice(true));
    }
    let columns = ["session checks", "p50 µs", "p99 µs", "p99.9 µs", "ratio of p99", "aim"];
    let table = Table::new("Session checks during a flood of sign-ins", &columns);
    let row = |name: &str, all: &[[f64; 3]]| {
        let middle = |n: usize| median(all.iter().map(|slice| slice[n]).collect());
        [vec![name.to_owned()], [0, 1, 2].map(|n| format!("{:.0}", middle(n))).into()].concat()
    };
    let pairs = rounds.idle.iter().zip(&rounds.flooded);
    let ratio = median(pairs.map(|(idle, flooded)| flooded[P99] / idle[P99]).collect());
    table.row(&row("without sign-ins", &rounds.idle));
    let verdict = judged(ratio, Aim::AtMost(2.0)).into();
    table.row(&[row("during the flood", &rounds.flooded), verdict].concat());
    println!(
        "\n{STROLL_PER_SECOND} checks a second, one after the other; latencies from the server's access log. \
         {ROUNDS} interleaved rounds, medians."
    );
}

/// Signs in over and over, every client to its own account.
fn flood(port: u16, clients: usize, seconds: f64) -> Pace {
    let requests: Vec<_> = (0..clients)
        .map(|n| {
            let body = format!(r#"{{"login":"{}","password":"{}"}}"#, stock::login(n), stock::PASSWORD);
            format!(
                "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        })
        .collect();
    let script =
        |client: usize, _: &[u8], out: &mut Vec<u8>| out.extend_from_slice(requests[client].as_bytes());
    Ring::open(port, clients).run(seconds, script)
}

/// The rate of the library alone, on so many threads of the same priority, each with memory of its own.
fn hashes_per_second(threads: usize, seconds: f64) -> f64 {
    let HashSetting { memory_kib, iterations, parallelism } = HashSetting::DEFAULT;
    let params = Params::new(memory_kib, iterations, parallelism, None).expect("the shipped setting");
    let watch = Stopwatch::start();
    let work = || {
        // Some of the cores may be busy otherwise: then both yield to it alike.
        let _ = rustix::process::setpriority_process(None, NICE);
        let mut memory = vec![Block::default(); params.block_count()];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let mut count = 0;
        while (watch.elapsed_us() as f64) < seconds * 1e6 {
            let mut out = [0; 32];
            let password = stock::PASSWORD.as_bytes();
            argon2.hash_password_into_with_memory(password, &[7; 16], &mut out, &mut memory).expect("a hash");
            count += 1;
        }
        count
    };
    let count: u32 = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().expect("a hash")).sum()
    });
    f64::from(count) / (watch.elapsed_us() as f64 / 1e6)
}
