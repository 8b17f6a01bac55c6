//! A store that was damaged while nobody looked: the program refuses it in clear words, or serves all that was
//! acknowledged, or finds the damage by itself within seconds and ends. It never goes on with less.

#[path = "../crash/acts.rs"]
mod acts;
#[path = "../crash/browser.rs"]
mod browser;
#[allow(dead_code)] // shared with the test of crashes
#[path = "../crash/crowd.rs"]
mod crowd;
#[path = "../crash/fact.rs"]
mod fact;
mod images;
#[path = "../crash/ledger.rs"]
mod ledger;
#[allow(dead_code)]
#[path = "../crash/office.rs"]
mod office;
#[allow(dead_code)]
#[path = "../crash/server.rs"]
mod server;

use crowd::Crowd;
use images::{HARMS, Harm, Originals};
use server::{House, Server, copy};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// Images in an ordinary `cargo test`.
const IMAGES: usize = 18;
/// Most of the time of each is waiting.
const AT_ONCE: usize = 3;
/// How long so small a store may take to be read whole after the start.
const SCANNED_WITHIN: Duration = Duration::from_secs(1);
/// How long the program may take to end by itself.
const NOTICED_WITHIN: Duration = Duration::from_secs(15);
const EXIT_STORE_FAILED: i32 = hallpass::serve::EXIT_STORE_FAILED;

/// What an image led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// It did not start, and said why.
    Refused,
    /// Everything is there.
    Whole,
    /// It started, found the damage, and ended.
    Noticed,
}

fn images() -> usize {
    match std::env::var("HALLPASS_DAMAGE_IMAGES") {
        Ok(text) => text.parse().expect("HALLPASS_DAMAGE_IMAGES is a number"),
        Err(_) => IMAGES,
    }
}

#[test]
fn a_damaged_store_is_refused_or_found_out_and_never_served_with_less() {
    let (house, other) = (House::new(), House::new());
    let kept = tempfile::tempdir().unwrap();
    let place = |name: &str| kept.path().join(name);
    let originals = Originals { whole: place("whole"), yesterday: place("yesterday"), other: place("other") };
    let mut crowd = Crowd::furnish(&house);
    crowd.crash_once(&house);
    crowd.verify(&house);
    copy(&house.data(), &originals.yesterday);
    crowd.crash_once(&house);
    // Enough that damage can lie where the start does not look.
    let mut server = house.start();
    crowd.verify_on(&server);
    crowd.act_until(&house, &mut server, |server| {
        std::thread::sleep(Duration::from_secs(4));
        server.kill();
    });
    crowd.verify(&house);
    assert_eq!(crowd.losses(), [""; 0]);
    assert!(crowd.acknowledged() > 0);
    copy(&house.data(), &originals.whole);
    Crowd::furnish(&other);
    copy(&other.data(), &originals.other);

    let queue = Mutex::new((0..images()).map(|n| HARMS[n % HARMS.len()]).collect::<Vec<_>>());
    let ends = Mutex::new(BTreeMap::<(Harm, End), usize>::new());
    let faults = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(harm) = queue.lock().unwrap().pop() else { return };
                    let house = House::new();
                    let what = originals.harm(harm, &house.data());
                    match end_of(&house, &crowd) {
                        Ok(end) => *ends.lock().unwrap().entry((harm, end)).or_default() += 1,
                        Err(fault) => {
                            let image = house.keep();
                            faults.lock().unwrap().push(format!("{what} ({}): {fault}", image.display()));
                        }
                    }
                }
            });
        }
    });
    print(&ends.into_inner().unwrap());
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
}

fn print(ends: &BTreeMap<(Harm, End), usize>) {
    println!("{:20} {:>8} {:>8} {:>8}", "", "refused", "noticed", "whole");
    for harm in HARMS {
        let count = |end| ends.get(&(harm, end)).copied().unwrap_or_default();
        let (refused, noticed, whole) = (count(End::Refused), count(End::Noticed), count(End::Whole));
        println!("{:20} {refused:8} {noticed:8} {whole:8}", format!("{harm:?}"));
    }
}

/// Starts the program on an image and sees what becomes of it.
fn end_of(house: &House, crowd: &Crowd) -> Result<End, String> {
    let mut server = match house.try_start() {
        Ok(server) => server,
        Err(said) if said.starts_with("exit status: 70: ") => return named(house, &said),
        Err(said) => return refused(&said),
    };
    // It goes on reading after the start, by itself.
    std::thread::sleep(SCANNED_WITHIN);
    if server.api.get("/readyz", None).is_none_or(|answer| answer.status != 200) {
        return noticed(house, &mut server);
    }
    let mut crowd = crowd.clone();
    let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| crowd.verify_on(&server)));
    if held.is_err() {
        return noticed(house, &mut server).map_err(|fault| format!("it stopped answering, and {fault}"));
    }
    if !crowd.losses().is_empty() {
        return Err(format!("it serves with less: {:#?}", crowd.losses()));
    }
    server.terminate();
    let said = server.said();
    match house.command(&["verify"]) {
        _ if said.contains("panicked") => Err(format!("a panic is seen: {said}")),
        Some(said) if said.contains("is whole") => Ok(End::Whole),
        said => Err(format!("it served, and is not whole afterwards: {said:?}")),
    }
}

/// It names what, and a way out.
fn refused(said: &str) -> Result<End, String> {
    let names = ["store", "sidecar", "key"].iter().any(|file| said.contains(&format!("/data/{file}")));
    let ways = ["estore a backup", "hallpass verify", "bring", "Move it away", "Bring"];
    let way_out = ways.iter().any(|way| said.contains(way));
    let ours = said.starts_with("exit status: 1: ") && !said.contains("panicked");
    if names && way_out && ours {
        Ok(End::Refused)
    } else {
        Err(format!("it refuses with the words: {said}"))
    }
}

/// It ends by itself, with its own code.
fn noticed(house: &House, server: &mut Server) -> Result<End, String> {
    let Some(status) = server.wait_for(NOTICED_WITHIN) else {
        return Err(format!("it does not end within {NOTICED_WITHIN:?}"));
    };
    let said = server.said();
    if status.code() == Some(EXIT_STORE_FAILED) {
        return named(house, &said);
    }
    Err(format!("it ended ({status}) with the words: {said}"))
}

/// Its log says in which table.
fn named(house: &House, said: &str) -> Result<End, String> {
    let log = house.logged();
    let named = log.lines().any(|line| line.contains("the store has failed") && line.contains("table "));
    let ours = named && !log.contains("panicked") && !said.contains("panicked");
    if ours { Ok(End::Noticed) } else { Err(format!("it ended with the words: {said}{log}")) }
}
