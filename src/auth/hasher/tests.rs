//! Hashing and the queue before it.

use super::*;
use argon2::password_hash::PasswordVerifier as _;
use password_hash::phc::PasswordHash;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

const CHEAP: HashSetting = HashSetting { memory_kib: 32, iterations: 1, parallelism: 1 };

fn hasher(setting: HashSetting) -> Hasher {
    Hasher::new(setting, 1, 4, Entropy::seeded(1)).unwrap()
}

fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn hash(setting: HashSetting, text: &str) -> Phc {
    run(hasher(setting).hash(password(text))).unwrap()
}

fn verify(setting: HashSetting, text: &str, stored: Option<Phc>) -> Verified {
    run(hasher(setting).verify(password(text), stored)).unwrap()
}

/// Keeps the only worker busy until the sender is dropped.
fn block(hasher: &Hasher) -> mpsc::Sender<()> {
    let (hold, held) = mpsc::channel::<()>();
    let (started, begun) = mpsc::channel();
    let job = Box::new(move |_: &mut Bench| {
        started.send(()).unwrap();
        let _ = held.recv();
    });
    assert_eq!(hasher.queue.push(job), Ok(()));
    begun.recv().unwrap();
    hold
}

const NO_MATCH: Verified = Verified { matches: false, rehash: None };

#[test]
fn the_shipped_setting_is_the_recommended_one() {
    let HashSetting { memory_kib, iterations, parallelism } = HashSetting::DEFAULT;
    assert_eq!((memory_kib, iterations, parallelism), (19_456, 2, 1));
}

#[test]
fn a_setting_that_argon2_does_not_know_is_refused() {
    for (memory_kib, iterations, parallelism) in [(7, 1, 1), (32, 0, 1), (32, 1, 0), (32, 1, 5)] {
        let setting = HashSetting { memory_kib, iterations, parallelism };
        assert!(Hasher::new(setting, 1, 4, Entropy::seeded(1)).is_err());
    }
}

#[test]
fn another_password_and_an_unknown_user_do_not_match() {
    let stored = hash(CHEAP, "right");
    for wrong in ["", "Right", " right", "right ", "right\0"] {
        assert_eq!(verify(CHEAP, wrong, Some(stored.clone())), NO_MATCH);
    }
    assert_eq!(verify(CHEAP, "right", None), NO_MATCH);
}

#[test]
fn a_stored_hash_that_is_broken_foreign_or_too_dear_matches_nothing() {
    let good = hash(CHEAP, "right").0;
    for bad in [
        String::new(),
        "plain".into(),
        good[..good.len() - 1].into(),
        good[..good.rfind('$').unwrap()].into(),
        good.replace("argon2id", "argon2d"),
        good.replace("v=19", "v=16"),
        good.replace("$v=19", ""),
        good.replace("m=32", "m=262145"),
        good.replace("m=32", "m=4294967295"),
        good.replace("t=1", "t=17"),
        good.replace("p=1", "p=17"),
        good.replace("p=1", "p=1,data=AAAA"),
        format!("{}AAAA", &good[..=good.rfind('$').unwrap()]),
    ] {
        assert_eq!(verify(CHEAP, "right", Some(Phc(bad.clone()))), NO_MATCH, "{bad}");
    }
}

#[test]
fn the_right_password_matches_and_argon2_itself_agrees() {
    let stored = hash(CHEAP, "pässword 🦀");
    assert_eq!(verify(CHEAP, "pässword 🦀", Some(stored.clone())), Verified { matches: true, rehash: None });
    let parsed = PasswordHash::new(stored.as_str()).unwrap();
    Argon2::default().verify_password("pässword 🦀".as_bytes(), &parsed).unwrap();
}

#[test]
fn memory_used_before_changes_nothing() {
    let hasher = hasher(CHEAP);
    run(async {
        for text in ["a", "b", "c"] {
            let stored = hasher.hash(password(text)).await.unwrap();
            assert_eq!(stored.as_str().split('$').nth(3), Some("m=32,t=1,p=1"));
            assert!(hasher.verify(password(text), Some(stored.clone())).await.unwrap().matches);
            let fresh = PasswordHash::new(stored.as_str()).unwrap();
            Argon2::default().verify_password(text.as_bytes(), &fresh).unwrap();
        }
    });
}

#[test]
fn two_hashes_of_one_password_differ() {
    let hasher = hasher(CHEAP);
    let (a, b) = run(async { (hasher.hash(password("a")).await, hasher.hash(password("a")).await) });
    assert_ne!(a.unwrap().0, b.unwrap().0);
}

#[test]
fn a_risen_setting_gives_a_new_hash_only_to_the_right_password() {
    let stored = hash(CHEAP, "right");
    for risen in [
        HashSetting { memory_kib: 64, ..CHEAP },
        HashSetting { iterations: 2, ..CHEAP },
        HashSetting { parallelism: 2, ..CHEAP },
    ] {
        assert_eq!(verify(risen, "wrong", Some(stored.clone())), NO_MATCH);
        let verified = verify(risen, "right", Some(stored.clone()));
        let rehash = verified.rehash.unwrap();
        assert_eq!(verify(risen, "right", Some(rehash.clone())), Verified { matches: true, rehash: None });
        // A setting that has sunk leaves the stronger hash alone.
        assert_eq!(verify(CHEAP, "right", Some(rehash)), Verified { matches: true, rehash: None });
    }
}

#[test]
fn beyond_the_queue_the_answer_is_overloaded_at_once() {
    let hasher = hasher(CHEAP);
    let hold = block(&hasher);
    let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(hasher.hash(password("a")))).collect();
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.iter_mut().all(|future| future.as_mut().poll(&mut context).is_pending()));
    assert_eq!(hasher.queue_length(), 4);
    let mut fifth = Box::pin(hasher.verify(password("a"), None));
    assert_eq!(fifth.as_mut().poll(&mut context), Poll::Ready(Err(HashRefusal::Overloaded)));
    drop(hold);
    run(async {
        for future in waiting {
            future.await.unwrap();
        }
    });
}

#[test]
fn who_hung_up_is_not_worked_for() {
    let hasher = hasher(CHEAP);
    let hold = block(&hasher);
    let (worked, seen) = mpsc::channel();
    let mut gone = Box::pin(hasher.run(move |_| worked.send(()).unwrap()));
    assert!(gone.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(gone);
    drop(hold);
    run(hasher.hash(password("a"))).unwrap();
    assert!(seen.recv().is_err());
}

#[test]
fn workers_run_at_the_lowest_priority_and_nobody_else_does() {
    let hasher = hasher(CHEAP);
    let nice = run(hasher.run(|_| rustix::process::getpriority_process(None).unwrap())).unwrap();
    assert_eq!(nice, 19);
    assert!(rustix::process::getpriority_process(None).unwrap() < 19);
}

#[test]
fn after_the_hasher_is_gone_its_callers_are_told() {
    let hasher = hasher(CHEAP);
    let hold = block(&hasher);
    let (reply, answer) = oneshot::channel::<()>();
    assert_eq!(hasher.queue.push(Box::new(move |_| drop(reply))), Ok(()));
    drop(hasher);
    assert!(run(answer).is_err());
    drop(hold);
}

#[test]
fn debug_shows_only_the_name() {
    assert_eq!(format!("{:?}", Phc("$argon2id$x".into())), "Phc");
}
