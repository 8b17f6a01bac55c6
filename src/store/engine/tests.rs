//! The engine: batches whole or not at all, durable, refused when the store failed.

use super::*;
use parking_lot::Mutex;
use std::path::Path;

mod trust;

fn options(dir: &Path) -> Options {
    Options {
        initialise: Some([9; 16]),
        cache_bytes: 8 << 20,
        ..Options::new(dir, StoreKeys::new(&[1; 32], [2; 32]))
    }
}

fn open(dir: &Path) -> Engine {
    Engine::open(options(dir), Box::new(|_| {})).unwrap()
}

fn key(n: u8) -> Key {
    vec![0x70, n]
}

fn put(n: u8, value: &[u8]) -> Batch {
    Batch { expects: vec![], ops: vec![Op::Put(key(n), value.to_vec())] }
}

fn committed(engine: &Engine, batch: Batch) -> u64 {
    match engine.commit_blocking(batch).unwrap() {
        Outcome::Committed(sequence) => sequence,
        Outcome::Conflict => panic!("a conflict"),
    }
}

#[test]
fn a_stale_version_and_a_wrong_absence_conflict_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let first = committed(&engine, put(1, b"a"));
    let second = committed(&engine, put(1, b"b"));
    for expect in [Expect::Version(key(1), first), Expect::Absent(key(1)), Expect::Version(key(2), 1)] {
        let batch = Batch { expects: vec![expect], ..put(1, b"lost") };
        assert_eq!(engine.commit_blocking(batch).unwrap(), Outcome::Conflict);
    }
    let record = engine.get_blocking(&key(1)).unwrap().unwrap();
    assert_eq!((record.version, record.payload.as_slice()), (second, &b"b"[..]));
    let good =
        Batch { expects: vec![Expect::Version(key(1), second), Expect::Absent(key(2))], ..put(2, b"c") };
    committed(&engine, good);
}

#[test]
fn batches_of_one_group_see_each_other_and_are_published_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let engine =
        Engine::open(options(dir.path()), Box::new(move |changes| sink.lock().push(changes.to_vec())))
            .unwrap();
    let engine = Arc::new(engine);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // Of many that all want to be the first, one is, whatever groups they fall into.
    let winners: usize = runtime.block_on(async {
        let tries: Vec<_> = (0..64)
            .map(|n| {
                let engine = Arc::clone(&engine);
                tokio::spawn(async move {
                    let batch = Batch { expects: vec![Expect::Absent(key(1))], ..put(1, &[n]) };
                    usize::from(engine.commit(batch).await.unwrap() != Outcome::Conflict)
                })
            })
            .collect();
        let mut winners = 0;
        for attempt in tries {
            winners += attempt.await.unwrap();
        }
        winners
    });
    assert_eq!(winners, 1);
    assert_eq!(seen.lock().iter().flatten().count(), 1);
}

#[test]
fn sixty_four_counters_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Arc::new(open(dir.path()));
    committed(&engine, put(1, &0u64.to_be_bytes()));
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                loop {
                    let record = engine.get_blocking(&key(1)).unwrap().unwrap();
                    let count = u64::from_be_bytes(record.payload.try_into().unwrap()) + 1;
                    let expects = vec![Expect::Version(key(1), record.version)];
                    let batch = Batch { expects, ..put(1, &count.to_be_bytes()) };
                    if engine.commit_blocking(batch).unwrap() != Outcome::Conflict {
                        break;
                    }
                }
            });
        }
    });
    let record = engine.get_blocking(&key(1)).unwrap().unwrap();
    assert_eq!(record.payload, 64u64.to_be_bytes());
}

#[test]
fn the_writer_makes_log_keys_and_goes_on_counting_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let append =
        || Batch { expects: vec![], ops: vec![Op::Append(0x71, vec![1]), Op::Append(0x71, vec![2])] };
    let before = {
        let engine = open(dir.path());
        committed(&engine, append());
        committed(&engine, append())
    };
    let engine = open(dir.path());
    assert_eq!(committed(&engine, append()), before + 1);
    let log = engine.scan_blocking(&Range::prefix(vec![0x71]), Direction::Ascending, 100).unwrap();
    assert_eq!(log.iter().map(|(_, r)| r.payload[0]).collect::<Vec<_>>(), [1, 2, 1, 2, 1, 2]);
    assert!(log.is_sorted_by_key(|(key, _)| key.clone()));
    assert_eq!(engine.store_id(), [9; 16]);
}

#[test]
fn an_empty_batch_confirms_or_conflicts_without_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let version = committed(&engine, put(1, b"a"));
    let groups = engine.stats().groups;
    let confirm = |expect| engine.commit_blocking(Batch { expects: vec![expect], ops: vec![] }).unwrap();
    assert_eq!(confirm(Expect::Version(key(1), version)), Outcome::Committed(version));
    assert_eq!(confirm(Expect::Absent(key(1))), Outcome::Conflict);
    assert_eq!(engine.stats().groups, groups);
}

#[test]
fn the_figures_count_batches_groups_and_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let before = engine.stats();
    let waiting: Vec<_> = (0..20).map(|n| engine.send_batch(put(n, b"a")).unwrap()).collect();
    waiting.into_iter().for_each(|answer| _ = answer.blocking_recv().unwrap().unwrap());
    let after = engine.stats();
    assert_eq!(after.batches - before.batches, 20);
    assert_eq!(after.sequence - before.sequence, 20);
    assert_eq!(after.groups, after.sync_us.count());
    assert!(after.groups > before.groups && after.sync_us.sum > before.sync_us.sum);
}

#[test]
fn too_large_a_batch_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let batch = Batch { expects: vec![], ops: (0..=500).map(|_| Op::Remove(key(1))).collect() };
    assert!(matches!(engine.commit_blocking(batch), Err(StoreError::TooLarge(501))));
    assert!(matches!(engine.commit_blocking(put(1, &[0; 65_537])), Err(StoreError::TooLong(65_537))));
    committed(&engine, put(1, &[0; 65_536]));
}

#[test]
fn a_full_queue_says_so_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (entered, wait) = (Arc::new(std::sync::Barrier::new(2)), Arc::new(std::sync::Barrier::new(2)));
    let gates = (Arc::clone(&entered), Arc::clone(&wait));
    let mut first = true;
    let publish = move |_: &[Change]| {
        if std::mem::take(&mut first) {
            gates.0.wait();
            gates.1.wait();
        }
    };
    let engine = Engine::open(Options { queue_length: 2, ..options(dir.path()) }, Box::new(publish)).unwrap();
    let _slow = engine.send_batch(put(1, b"a")).unwrap();
    entered.wait();
    let waiting: Vec<_> = (0..2).map(|n| engine.send_batch(put(n, b"b")).unwrap()).collect();
    assert!(matches!(engine.send_batch(put(3, b"c")), Err(StoreError::Overloaded)));
    wait.wait();
    for answer in waiting {
        answer.blocking_recv().unwrap().unwrap();
    }
}

#[test]
fn scans_go_both_ways_and_bear_any_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    for n in 0..5 {
        committed(&engine, put(n, &[n]));
    }
    let scan = |range: Range, direction| -> Vec<u8> {
        engine.scan_blocking(&range, direction, 3).unwrap().iter().map(|(_, r)| r.payload[0]).collect()
    };
    let all = || Range::prefix(vec![0x70]);
    assert_eq!(scan(all(), Direction::Ascending), [0, 1, 2]);
    assert_eq!(scan(all(), Direction::Descending), [4, 3, 2]);
    assert_eq!(scan(all().after(&key(2)), Direction::Ascending), [3, 4]);
    assert_eq!(scan(all().before(&key(2)), Direction::Descending), [1, 0]);
    assert_eq!(scan(all().after(&[0xff]), Direction::Ascending), [0; 0]);
    assert_eq!(scan(all().before(&[0x00]), Direction::Descending), [0; 0]);
    assert_eq!(scan(Range::prefix(vec![0xff, 0xff]), Direction::Ascending), [0; 0]);
}

#[test]
fn a_second_opener_is_told_that_it_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let _engine = open(dir.path());
    let second = Engine::open(options(dir.path()), Box::new(|_| {}));
    assert!(matches!(second, Err(OpenError::Locked(_))));
}

#[test]
fn a_store_that_is_missing_empty_or_behind_is_refused() {
    let (dir, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let reopen = || Engine::open(options(dir.path()), Box::new(|_| {})).err();
    let store = dir.path().join("store");
    assert!(matches!(
        Engine::open(Options { initialise: None, ..options(dir.path()) }, Box::new(|_| {})),
        Err(OpenError::Missing(_))
    ));
    committed(&open(dir.path()), put(1, b"a"));
    copy(&store, &old.path().join("store"));
    committed(&open(dir.path()), put(1, b"revoked"));
    // An old copy brought back: what was revoked since would be alive again.
    std::fs::remove_dir_all(&store).unwrap();
    copy(&old.path().join("store"), &store);
    assert!(matches!(reopen(), Some(OpenError::Behind { .. })));
    std::fs::remove_dir_all(&store).unwrap();
    assert!(matches!(reopen(), Some(OpenError::Missing(_))));
    std::fs::create_dir(&store).unwrap();
    assert!(matches!(reopen(), Some(OpenError::Missing(_))));
    // Without any trace of what was there it may begin anew.
    std::fs::remove_file(dir.path().join("sidecar")).unwrap();
    assert!(reopen().is_none());
}

#[test]
fn a_torn_snapshot_does_not_stop_the_start() {
    let dir = tempfile::tempdir().unwrap();
    committed(&open(dir.path()), put(1, b"a"));
    let torn = dir.path().join("store/snap.0000000000000001.generating");
    std::fs::write(&torn, [0; 3]).unwrap();
    assert!(open(dir.path()).get_blocking(&key(1)).unwrap().is_some());
    assert!(!torn.exists());
}

#[test]
fn after_a_panic_in_the_writer_nothing_is_answered_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(options(dir.path()), Box::new(|_| panic!("as sled does"))).unwrap();
    assert!(matches!(engine.commit_blocking(put(1, b"a")), Err(StoreError::Failed(_))));
    assert!(engine.failure().is_some());
    assert!(matches!(engine.get_blocking(&key(1)), Err(StoreError::Failed(_))));
    assert!(matches!(engine.commit_blocking(put(2, b"a")), Err(StoreError::Failed(_))));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to)
        } else {
            std::fs::copy(entry.path(), to).map(drop).unwrap()
        }
    }
}
