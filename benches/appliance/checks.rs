//! Checks per second against bare Rocket: by cookie, by a bearer seen before, by one at first sight.

use super::Bench;
use super::load::Ring;
use super::machine::cpu_seconds;
use super::report::{Aim, Table, judged, median};
use super::server::Server;
use super::stock::{self, Put, Stock};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use hallpass::clock::Stopwatch;
use hallpass::model::app::Strategy;

const ROUNDS: usize = 5;
const SLICE_SECONDS: f64 = 1.5;
const VERIFY_SECONDS: f64 = 0.5;
/// Enough that a server always has something to do.
const CONNECTIONS: usize = 64;
const SESSIONS: usize = 1000;

/// What one answer costs, in microseconds.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    /// Of the server's threads.
    cpu: f64,
}

/// One round's costs, measured one after the other.
struct Round {
    hello: Cost,
    /// The check's own answer, byte for byte, from a constant of a bare Rocket that is asked the same.
    same_by_cookie: Cost,
    same_by_bearer: Cost,
    cookie: Cost,
    seen: Cost,
    first: Cost,
    /// One signature's verification, by the library alone.
    verify: Cost,
}

pub fn run(bench: &Bench) {
    let directory = bench.directory("checks");
    stock::set_up(directory.path(), 1);
    let stock = Stock::open(directory.path());
    let sessions = stock.put_sessions(Strategy::Session, SESSIONS);
    let puts = stock.put_sessions(Strategy::Refresh, SESSIONS);
    let mint = stock.close();
    let tokens: Vec<_> = puts.iter().map(|put| mint.access_token(put)).collect();
    let mut signed = mint.access_token(&puts[0]);

    let (ours, servers) = bench.cores.split();
    ours.take();
    let appliance = Server::appliance(directory.path(), &servers);
    let bare = Server::bare(directory.path(), &servers, &answer(&appliance, &sessions[0]));
    let mut to_bare = Ring::awake(bare.port, CONNECTIONS);
    let mut to_appliance = Ring::awake(appliance.port, CONNECTIONS);
    let by_cookies = |path| sessions.iter().map(|put| by_cookie(path, put)).collect::<Vec<_>>();
    let by_bearers = |path| tokens.iter().map(|token| by_bearer(path, token)).collect::<Vec<_>>();
    let (hello, same_cookies, same_bearers) = ([request("/", "")], by_cookies(SAME), by_bearers(SAME));
    let (cookies, seen) = (by_cookies(CHECK), by_bearers(CHECK));
    let seconds = SLICE_SECONDS * bench.scale;

    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        servers.take();
        let verify = verification(&signed, &mint.public_key());
        ours.take();
        // No check can be faster than its verification, so these are enough; the last ones are under way at the end.
        let enough = (seconds * 1e6 / verify.cpu * servers.count() as f64) as usize + 2 * CONNECTIONS;
        let fresh: Vec<_> =
            puts.iter().cycle().take(enough).map(|put| by_bearer(CHECK, &mint.access_token(put))).collect();
        rounds.push(Round {
            hello: cost(&bare, &mut to_bare, seconds, hello.iter().cycle()),
            same_by_cookie: cost(&bare, &mut to_bare, seconds, same_cookies.iter().cycle()),
            same_by_bearer: cost(&bare, &mut to_bare, seconds, same_bearers.iter().cycle()),
            cookie: cost(&appliance, &mut to_appliance, seconds, cookies.iter().cycle()),
            seen: cost(&appliance, &mut to_appliance, seconds, seen.iter().cycle()),
            first: cost(&appliance, &mut to_appliance, seconds, fresh.iter()),
            verify,
        });
        signed = mint.access_token(&puts[0]);
    }
    bench.cores.take();
    print(&rounds);
    println!(
        "\nThe load generator had core {ours} and never slept, each server core {servers}; {CONNECTIONS} \
         connections. {ROUNDS} interleaved rounds of {seconds:.1} s each, medians."
    );
}

fn print(rounds: &[Round]) {
    let table = Table::new(
        "Checks against bare Rocket",
        &[
            "answer",
            "a second",
            "µs each",
            "µs cpu each",
            "ratio",
            "aim",
            "ratio by cpu",
            "by cpu, to Rocket answering the same bytes",
        ],
    );
    let middle = |of: &dyn Fn(&Round) -> f64| median(rounds.iter().map(of).collect());
    let figures = |name: &str, of: &dyn Fn(&Round) -> Cost| {
        let wall = middle(&|round| of(round).wall);
        let cpu = middle(&|round| of(round).cpu);
        let figures = [1e6 / wall, wall, cpu].map(|figure| format!("{figure:.1}"));
        [vec![name.to_owned()], figures.into()].concat()
    };
    let check = |name: &str, of: &dyn Fn(&Round) -> Cost, same: &dyn Fn(&Round) -> Cost, verify: f64, aim| {
        let wall = middle(&|round| (round.hello.wall + verify * round.verify.wall) / of(round).wall);
        let cpu = |hello: &dyn Fn(&Round) -> Cost| {
            let ratio = middle(&|round| (hello(round).cpu + verify * round.verify.cpu) / of(round).cpu);
            format!("{ratio:.2}")
        };
        let ratios = vec![cpu(&|round| round.hello), cpu(same)];
        table.row(&[figures(name, of), judged(wall, Aim::AtLeast(aim)).into(), ratios].concat());
    };
    table.row(&figures("bare Rocket: hello", &|round| round.hello));
    table.row(&figures("bare Rocket: the check's answer, to a cookie", &|round| round.same_by_cookie));
    table.row(&figures("bare Rocket: the check's answer, to a bearer", &|round| round.same_by_bearer));
    table.row(&figures("ES256 verification alone", &|round| round.verify));
    let (by_cookie, by_bearer) = (|round: &Round| round.same_by_cookie, |round: &Round| round.same_by_bearer);
    check("session check by cookie", &|round| round.cookie, &by_cookie, 0.0, 0.85);
    check("bearer check, token seen before", &|round| round.seen, &by_bearer, 0.0, 0.8);
    let first = "bearer check at first sight, against hello + verification";
    check(first, &|round| round.first, &by_bearer, 1.0, 0.85);
}

/// The route of a check, and that of the same answer in bare Rocket.
const CHECK: &str = "/api/v1/auth/session";
const SAME: &str = "/same";

/// What the appliance answers to a check, without what every server adds by itself.
fn answer(appliance: &Server, put: &Put) -> String {
    let url = format!("http://127.0.0.1:{}{CHECK}", appliance.port);
    let asked = ureq::get(url).header("Cookie", format!("__Host-hp-hallpass={}", put.secret)).call();
    let mut answer = asked.expect("a live session");
    let mut text = String::new();
    for (name, value) in answer.headers() {
        if !matches!(name.as_str(), "date" | "content-length") {
            text += &format!("{name}: {}\n", value.to_str().expect("a header is ASCII"));
        }
    }
    text + "\n" + &answer.body_mut().read_to_string().expect("a body")
}

fn by_cookie(path: &str, put: &Put) -> String {
    request(path, &format!("Cookie: __Host-hp-hallpass={}\r\n", put.secret))
}

fn by_bearer(path: &str, token: &str) -> String {
    request(path, &format!("Authorization: Bearer {token}\r\n"))
}

fn request(path: &str, header: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n")
}

/// Sends the requests in turn.
fn cost<'a>(
    server: &Server,
    ring: &mut Ring,
    seconds: f64,
    mut requests: impl Iterator<Item = &'a String>,
) -> Cost {
    let before = server.cpu_seconds();
    let pace = ring.run(seconds, |_, _, out| {
        out.extend_from_slice(requests.next().expect("there are enough").as_bytes());
    });
    let cpu = (server.cpu_seconds() - before) * 1e6 / pace.answers as f64;
    server.clear_log();
    Cost { wall: pace.microseconds_each(), cpu }
}

/// Verification by the library that we use, its key parsed once.
fn verification(token: &str, public_key: &[u8]) -> Cost {
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public_key).expect("a key");
    let (message, signature) = token.rsplit_once('.').expect("a token");
    let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let (watch, before) = (Stopwatch::start(), cpu_seconds("self"));
    let mut count = 0.0;
    while (watch.elapsed_us() as f64) < VERIFY_SECONDS * 1e6 {
        key.verify_sig(message.as_bytes(), &signature).expect("a good signature");
        count += 1.0;
    }
    let cpu = (cpu_seconds("self") - before) * 1e6 / count;
    Cost { wall: watch.elapsed_us() as f64 / count, cpu }
}
