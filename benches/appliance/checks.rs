//! Checks per second against bare Rocket: by cookie, by a bearer seen before, by one at first sight.

use super::load::Ring;
use super::report::{Aim, Table, judged, median};
use super::server::{Cores, Server};
use super::stock::{self, Put, Stock};
use super::{Bench, cpu_seconds};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use hallpass::clock::Stopwatch;
use hallpass::model::app::Strategy;

const ROUNDS: usize = 5;
const SLICE_SECONDS: f64 = 1.5;
const CONNECTIONS: usize = 16;
const SESSIONS: usize = 1000;

/// What one answer costs, in microseconds.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    /// Of the server's threads.
    cpu: f64,
    /// Of the load generator.
    load: f64,
}

/// One round's costs, measured one after the other.
struct Round {
    hello: Cost,
    cookie: Cost,
    seen: Cost,
    first: Cost,
    /// Of one signature's verification, by the library alone.
    verify: f64,
}

pub fn run(bench: &Bench) {
    let directory = bench.directory("checks");
    stock::set_up(directory.path(), 1);
    let stock = Stock::open(directory.path());
    let cookies: Vec<_> = stock.put_sessions(Strategy::Session, SESSIONS).iter().map(by_cookie).collect();
    let puts = stock.put_sessions(Strategy::Refresh, SESSIONS);
    let mint = stock.close();
    let seen: Vec<_> = puts.iter().map(|put| by_bearer(&mint.access_token(put))).collect();
    let mut signed = mint.access_token(&puts[0]);

    let (ours, servers) = bench.cores.split();
    ours.take();
    let bare = Server::bare(directory.path(), &servers);
    let appliance = Server::appliance(directory.path(), &servers);
    let mut to_bare = Ring::open(bare.port, CONNECTIONS);
    let mut to_appliance = Ring::open(appliance.port, CONNECTIONS);
    let hello = ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()];
    let seconds = SLICE_SECONDS * bench.scale;

    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let verify = verify_us(&signed, &mint.public_key(), &servers, seconds / 5.0);
        ours.take();
        // No check can be faster than its verification, so these are enough.
        let enough = (seconds * 1e6 / verify * servers.count() as f64) as usize;
        let fresh: Vec<_> =
            puts.iter().cycle().take(enough).map(|put| by_bearer(&mint.access_token(put))).collect();
        rounds.push(Round {
            hello: cost(&bare, &mut to_bare, seconds, &hello),
            cookie: cost(&appliance, &mut to_appliance, seconds, &cookies),
            seen: cost(&appliance, &mut to_appliance, seconds, &seen),
            first: cost(&appliance, &mut to_appliance, seconds, &fresh),
            verify,
        });
        signed = mint.access_token(&puts[0]);
    }
    bench.cores.take();
    print(&rounds);
    println!(
        "\nThe load generator had core {ours}, each server core {servers}; {CONNECTIONS} connections. \
         {ROUNDS} interleaved rounds of {seconds:.1} s each, medians."
    );
}

fn print(rounds: &[Round]) {
    let columns = [
        "answer",
        "a second",
        "µs each",
        "µs cpu each",
        "load generator's µs cpu",
        "ratio",
        "aim",
        "ratio by cpu",
    ];
    let table = Table::new("Checks against bare Rocket", &columns);
    let middle = |of: &dyn Fn(&Round) -> f64| median(rounds.iter().map(of).collect());
    let figures = |of: &dyn Fn(&Round) -> Cost| {
        let wall = middle(&|round| of(round).wall);
        let cpu = middle(&|round| of(round).cpu);
        let load = middle(&|round| of(round).load);
        [format!("{:.0}", 1e6 / wall), format!("{wall:.1}"), format!("{cpu:.1}"), format!("{load:.1}")]
    };
    let row = |name: &str, of: &dyn Fn(&Round) -> Cost, verify: f64, aim: f64| {
        let best = |round: &Round| verify * round.verify;
        let wall = middle(&|round| (round.hello.wall + best(round)) / of(round).wall);
        let cpu = middle(&|round| (round.hello.cpu + best(round)) / of(round).cpu);
        let cells = [vec![name.to_owned()], figures(of).into(), judged(wall, Aim::AtLeast(aim)).into()];
        table.row(&[cells.concat(), vec![format!("{cpu:.2}")]].concat());
    };
    table.row(&[vec!["bare Rocket: hello".into()], figures(&|round| round.hello).into()].concat());
    row("session check by cookie, against hello", &|round| round.cookie, 0.0, 0.85);
    row("bearer check, token seen before, against hello", &|round| round.seen, 0.0, 0.8);
    row("bearer check, first sight, against hello + verification", &|round| round.first, 1.0, 0.85);
    table.row(&["raw ES256 verification".to_owned(), String::new(), format!("{:.1}", middle(&|r| r.verify))]);
}

fn by_cookie(put: &Put) -> String {
    request(&format!("Cookie: __Host-hp-hallpass={}", put.secret))
}

fn by_bearer(token: &str) -> String {
    request(&format!("Authorization: Bearer {token}"))
}

fn request(credential: &str) -> String {
    format!("GET /api/v1/auth/session HTTP/1.1\r\nHost: localhost\r\n{credential}\r\n\r\n")
}

/// Sends the requests in turn, over and over.
fn cost(server: &Server, ring: &mut Ring, seconds: f64, requests: &[String]) -> Cost {
    let mut turn = requests.iter().cycle();
    let used = || [server.cpu_seconds(), cpu_seconds("self")];
    let before = used();
    let pace = ring.run(seconds, |_, _, out| {
        out.extend_from_slice(turn.next().expect("a cycle has no end").as_bytes());
    });
    let after = used();
    server.clear_log();
    let [cpu, load] = [0, 1].map(|whose| (after[whose] - before[whose]) * 1e6 / pace.answers as f64);
    Cost { wall: pace.microseconds_each(), cpu, load }
}

/// One verification by the library that we use, its key parsed once, on the server's cores.
fn verify_us(token: &str, public_key: &[u8], cores: &Cores, seconds: f64) -> f64 {
    cores.take();
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public_key).expect("a key");
    let (message, signature) = token.rsplit_once('.').expect("a token");
    let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let watch = Stopwatch::start();
    let mut count = 0_u32;
    while (watch.elapsed_us() as f64) < seconds * 1e6 {
        key.verify_sig(message.as_bytes(), &signature).expect("a good signature");
        count += 1;
    }
    watch.elapsed_us() as f64 / f64::from(count)
}
