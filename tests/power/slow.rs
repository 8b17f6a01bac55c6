//! A disk that is slow, hangs, or is full.

use crate::recording::{Load, Recording, started};
use crate::server::{ADMIN_PASSWORD, House};
use crate::shim::{Calls, Fault, Shim, library};
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SLOW_SYNC_MS: u32 = 300;
/// For the watchdog's limit of two seconds, the five for checks, and a busy machine.
const END_OF_A_HANG: Duration = Duration::from_secs(2 + 5 + 8);

/// Longer than a process lives on once it has given its store up.
const AFTER_A_FAILURE: Duration = Duration::from_secs(7);

#[test]
fn while_every_sync_takes_300_ms_checks_are_as_quick_as_ever() {
    let Some(library) = library() else { return };
    let mut house = House::new();
    let shim = Shim::over(&mut house, library);
    let server = house.start();
    let bearer = server.api.boss();
    shim.delay_syncs(SLOW_SYNC_MS);
    let is_over = AtomicBool::new(false);
    let (mut checks, writes) = std::thread::scope(|scope| {
        let write = || {
            let mut took = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                server.api.boss();
                took.push(began.elapsed());
            }
            took
        };
        let writer = scope.spawn(write);
        let checks: Vec<Duration> = (0..60)
            .map(|_| {
                let began = Instant::now();
                assert!(server.api.get("/api/v1/auth/session", Some(&bearer)).unwrap().is_ok());
                let took = began.elapsed();
                std::thread::sleep(Duration::from_millis(20));
                took
            })
            .collect();
        is_over.store(true, Ordering::Relaxed);
        (checks, writer.join().unwrap())
    });
    checks.sort();
    println!("checks: median {:?}, slowest {:?}; writes: {writes:?}", checks[30], checks[59]);
    assert!(writes.iter().all(|took| *took >= Duration::from_millis(SLOW_SYNC_MS.into())));
    // A tenth for a busy machine; all would be slow if checks waited for the disk.
    assert!(checks[54] < Duration::from_millis(100), "{checks:?}");
}

#[test]
fn on_a_slow_disk_everything_stays_right() {
    let Some(library) = library() else { return };
    let (mut dice, mut house) = (crate::dice(), House::new());
    let load = Load { people: 4, time: Duration::from_secs(3), sync_ms: 100 };
    let promises = Recording::of(&mut house, library, load, &mut dice).promises;
    assert_eq!(promises.hold(&house, u64::MAX), [""; 0]);
}

#[test]
fn a_sync_that_never_returns_ends_the_process_in_words_and_nothing_answered_is_lost() {
    let Some(library) = library() else { return };
    let mut house = House::new();
    house.variables.push(("HALLPASS_STORE__WRITE_SECONDS_MAX", "2".into()));
    let shim = Shim::over(&mut house, library);
    let mut server = house.start();
    let (alive, ended) = (server.api.boss(), server.api.boss());
    assert!(
        server.api.post("/api/v1/auth/logout", Some(&ended), json!({ "scope": "local" })).unwrap().is_ok()
    );
    shim.arm(1, Calls::Syncs, Fault::Hang, true);
    let api = server.api.clone();
    let began = Instant::now();
    let (status, answer) = std::thread::scope(|scope| {
        let write = scope.spawn(|| api.sign_in("admin", ADMIN_PASSWORD, "hallpass"));
        let mut checks = 0;
        let status = loop {
            if let Some(status) = server.has_ended() {
                break status;
            }
            assert!(began.elapsed() < END_OF_A_HANG, "it hangs for ever");
            let check = |bearer| api.get("/api/v1/auth/session", Some(bearer));
            checks += usize::from(check(&alive).is_some_and(|answer| answer.is_ok()));
            assert!(check(&ended).is_none_or(|answer| !answer.is_ok()));
            std::thread::sleep(Duration::from_millis(50));
        };
        assert!(checks > 10, "only {checks} checks went on");
        (status, write.join().unwrap())
    });
    assert!(answer.is_none_or(|answer| answer.status == 503), "a sign-in was answered that is on no disk");
    assert_eq!(status.code(), Some(hallpass::serve::EXIT_STORE_FAILED));
    let said = house.logged() + &server.said();
    assert!(said.contains("the disk has not answered a write for 2 s"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    Shim::off(&mut house);
    let open = |bearer: &str| house.start().api.get("/api/v1/auth/session", Some(bearer)).unwrap().is_ok();
    assert!(open(&alive) && !open(&ended));
}

/// As of a log that lies on the same disk.
#[test]
fn a_log_that_hangs_as_well_does_not_hold_the_end_up() {
    let Some(library) = library() else { return };
    let mut house = House::new();
    house.variables.push(("HALLPASS_STORE__WRITE_SECONDS_MAX", "2".into()));
    // A pipe that nobody reads.
    std::fs::remove_file(house.log()).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, house.log(), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let mut pipe = std::fs::OpenOptions::new().read(true).write(true).open(house.log()).unwrap();
    let shim = Shim::over(&mut house, library);
    let mut server = house.start();
    let bearer = server.api.boss();
    rustix::io::ioctl_fionbio(&pipe, true).unwrap();
    while pipe.write(&[b'.'; 512]).is_ok() {}
    shim.arm(1, Calls::Syncs, Fault::Hang, true);
    let (api, began) = (server.api.clone(), Instant::now());
    std::thread::scope(|scope| {
        scope.spawn(|| api.sign_in("admin", ADMIN_PASSWORD, "hallpass"));
        while server.has_ended().is_none() {
            assert!(began.elapsed() < END_OF_A_HANG, "it hangs for ever");
            let _ = api.get("/api/v1/auth/session", Some(&bearer));
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert_eq!(server.wait().code(), Some(hallpass::serve::EXIT_STORE_FAILED));
}

#[test]
fn a_process_that_is_stopped_in_a_write_and_goes_on_is_not_taken_for_one_that_hangs() {
    let Some(library) = library() else { return };
    let mut house = House::new();
    house.variables.push(("HALLPASS_STORE__WRITE_SECONDS_MAX", "2".into()));
    let shim = Shim::over(&mut house, library);
    let mut server = house.start();
    server.api.boss();
    shim.delay_syncs(1000);
    let api = server.api.clone();
    let signed_in = std::thread::scope(|scope| {
        let write = scope.spawn(|| api.sign_in("admin", ADMIN_PASSWORD, "hallpass"));
        std::thread::sleep(Duration::from_millis(500));
        server.signal(rustix::process::Signal::STOP);
        std::thread::sleep(Duration::from_secs(4));
        server.signal(rustix::process::Signal::CONT);
        write.join().unwrap()
    });
    assert!(signed_in.is_some_and(|answer| answer.is_ok()));
    assert!(server.wait_for(AFTER_A_FAILURE).is_none(), "{}", house.logged());
}

/// Free space of the disk, in MB.
fn free_mb(path: &Path) -> u64 {
    let disk = rustix::fs::statvfs(path).unwrap();
    (disk.f_bavail * disk.f_frsize) >> 20
}

/// The floor lies below what is free now; a large file takes the rest, and gives it back.
#[test]
fn below_the_floor_nothing_is_written_and_checks_go_on_until_there_is_space_again() {
    let mut house = House::new();
    // Others use this disk, too: they must not decide.
    let step_mb = (free_mb(house.directory()) / 8).min(2048);
    assert!(step_mb >= 64, "there must be 512 MB free for this test");
    let floor_mb = free_mb(house.directory()) - step_mb;
    house.variables.push(("HALLPASS_STORE__FREE_FLOOR_MB", floor_mb.to_string()));
    let server = house.start();
    let api = &server.api;
    let bearer = api.boss();
    let session = || api.get("/api/v1/auth/session", Some(&bearer)).unwrap();
    let make = |login: &str| {
        let body = json!({ "login": login, "password": "a quiet river in autumn" });
        api.post("/api/v1/admin/users", Some(&bearer), body).unwrap()
    };
    let users = || {
        let answer = api.get("/api/v1/admin/users", Some(&bearer)).unwrap();
        assert!(answer.is_ok(), "{answer:?}");
        answer.body["items"].as_array().map(Vec::len).unwrap_or_else(|| panic!("no list: {answer:?}"))
    };
    assert!(make("before").is_ok());
    let there = users();

    let filler = std::fs::File::create(house.directory().join("filler")).unwrap();
    let bytes = (2 * step_mb) << 20;
    rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, bytes).unwrap();
    for _ in 0..5 {
        let refused = make("meanwhile");
        assert_eq!(
            (refused.status, refused.text("code").as_deref()),
            (503, Some("storage_full")),
            "{refused:?}"
        );
        assert!(!api.sign_in("admin", ADMIN_PASSWORD, "hallpass").unwrap().is_ok());
        assert!(session().is_ok());
        assert_eq!(users(), there);
    }
    filler.set_len(0).unwrap();
    assert!(make("after").is_ok());
    assert_eq!(users(), there + 1);
    drop(server);
    house.variables.clear();
    let opens = |api: &crate::server::Api| {
        let answer = |login| api.sign_in(login, "a quiet river in autumn", "default").unwrap().is_ok();
        let found = ["before", "meanwhile", "after"].map(answer);
        if found == [true, false, true] { vec![] } else { vec![format!("{found:?}")] }
    };
    assert_eq!(started(&house, opens), [""; 0]);
}
