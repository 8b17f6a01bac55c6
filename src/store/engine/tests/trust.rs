//! What is missing, altered or exchanged does not go unnoticed, and what is whole is never refused.

use super::*;
use crate::store::{doubt, swap};

/// As a start long after the first.
fn reopen(dir: &Path) -> Result<Engine, OpenError> {
    Engine::open(Options { initialise: None, ..options(dir) }, Box::new(|_| {}))
}

/// Changes a store behind the engine's back.
fn tamper(dir: &Path, change: impl FnOnce(&sled::Db)) {
    let db = sled::Config::new().path(dir.join("store")).open().unwrap();
    change(&db);
    db.flush().unwrap();
}

fn remove(db: &sled::Db, key: &[u8]) {
    let mut batch = sled::Batch::default();
    batch.remove(key);
    db.apply_batch(batch).unwrap();
}

fn put_into(table: u8, n: u8) -> Batch {
    Batch { expects: vec![], ops: vec![Op::Put(vec![table, n], vec![n])] }
}

const USERS: u8 = crate::store::tables::table::USERS;
const CREDENTIALS: u8 = crate::store::tables::table::CREDENTIALS;

const WORDS: u8 = crate::store::tables::table::WORDS;

/// A store with a few records in a table that is looked at before the first answer, and in one that is not.
fn furnish(dir: &Path) {
    let engine = open(dir);
    for n in 0..5 {
        committed(&engine, put_into(USERS, n));
        committed(&engine, put_into(CREDENTIALS, n));
    }
    committed(&engine, Batch { expects: vec![], ops: vec![Op::Remove(vec![USERS, 0])] });
}

fn until_failed(engine: &Engine) -> StoreError {
    for _ in 0..500 {
        if let Some(error) = engine.failure() {
            return error.clone();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it goes on");
}

#[test]
fn a_lost_record_stops_the_start_or_soon_after_it() {
    let dir = tempfile::tempdir().unwrap();
    furnish(dir.path());
    tamper(dir.path(), |db| remove(db, &[CREDENTIALS, 3]));
    let engine = reopen(dir.path()).unwrap();
    let error = until_failed(&engine).to_string();
    assert!(error.contains("table credentials: 4 records where 5 were written"), "{error}");
    assert!(engine.commit_blocking(put(1, b"a")).is_err() && engine.get_blocking(&[USERS, 1]).is_err());
    drop(engine);
    // The next start does not answer anybody first.
    assert!(doubt::is_raised(dir.path()));
    let error = reopen(dir.path()).err().unwrap().to_string();
    assert!(error.contains("table credentials") && error.contains("hallpass verify"), "{error}");

    let dir = tempfile::tempdir().unwrap();
    furnish(dir.path());
    tamper(dir.path(), |db| remove(db, &[USERS, 3]));
    assert!(
        matches!(reopen(dir.path()), Err(OpenError::Lost(_, what)) if what.contains("table users: 3 records"))
    );
}

#[test]
fn an_altered_record_and_an_altered_head_stop_the_start() {
    let dir = tempfile::tempdir().unwrap();
    furnish(dir.path());
    let alter = |key: &[u8], at: usize| {
        tamper(dir.path(), |db| {
            let mut bytes = db.get(key).unwrap().unwrap().to_vec();
            bytes[at] ^= 1;
            let mut batch = sled::Batch::default();
            batch.insert(key, bytes);
            db.apply_batch(batch).unwrap();
        });
    };
    alter(&[USERS, 3], 9);
    assert!(matches!(reopen(dir.path()), Err(OpenError::Lost(_, what)) if what.contains("not those")));
    alter(&[USERS, 3], 9);
    reopen(dir.path()).unwrap();
    alter(b"\x01head", 20);
    assert!(matches!(reopen(dir.path()), Err(OpenError::Lost(_, what)) if what.contains("meta/head")));
    alter(b"\x01head", 20);
    reopen(dir.path()).unwrap();
    tamper(dir.path(), |db| remove(db, b"\x01head"));
    assert!(matches!(reopen(dir.path()), Err(OpenError::Lost(..))));
}

#[test]
fn another_key_another_stores_sidecar_and_none_are_told_apart() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    furnish(dir.path());
    let wrong = Options { keys: StoreKeys::new(&[7; 32], [7; 32]), initialise: None, ..options(dir.path()) };
    assert!(matches!(Engine::open(wrong, Box::new(|_| {})), Err(OpenError::WrongKey(_))));

    let sidecar = dir.path().join("sidecar");
    let own = std::fs::read(&sidecar).unwrap();
    std::fs::remove_file(&sidecar).unwrap();
    assert!(matches!(reopen(dir.path()), Err(OpenError::NoWitness { .. })));
    std::fs::write(&sidecar, "").unwrap();
    assert!(matches!(reopen(dir.path()), Err(OpenError::NoWitness { .. })));
    std::fs::write(&sidecar, [7; 1024]).unwrap();
    assert!(matches!(reopen(dir.path()), Err(OpenError::BadWitness(_))));

    let foreign = Options { initialise: Some([8; 16]), ..options(other.path()) };
    drop(Engine::open(foreign, Box::new(|_| {})).unwrap());
    std::fs::copy(other.path().join("sidecar"), &sidecar).unwrap();
    assert!(matches!(reopen(dir.path()), Err(OpenError::OtherStore { .. })));
    std::fs::write(&sidecar, own).unwrap();
    reopen(dir.path()).unwrap();
}

#[test]
fn two_stories_of_one_moment_are_refused() {
    let (dir, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    furnish(dir.path());
    copy(dir.path(), old.path());
    committed(&open(dir.path()), put_into(CREDENTIALS, 9));
    committed(&open(old.path()), put_into(CREDENTIALS, 8));
    std::fs::copy(old.path().join("sidecar"), dir.path().join("sidecar")).unwrap();
    assert!(matches!(reopen(dir.path()), Err(OpenError::OtherPast { .. })));
}

#[test]
fn a_newer_format_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    furnish(dir.path());
    tamper(dir.path(), |db| {
        let mut batch = sled::Batch::default();
        batch.insert(b"\x01format", Record::encode(1, &3u64.to_be_bytes()));
        db.apply_batch(batch).unwrap();
    });
    assert!(matches!(reopen(dir.path()), Err(OpenError::NewerFormat(_, 3))));
}

#[test]
fn below_the_floor_of_free_space_nothing_is_written_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    furnish(dir.path());
    let full = Options { free_floor_bytes: u64::MAX, ..options(dir.path()) };
    let engine = Engine::open(full, Box::new(|_| {})).unwrap();
    assert!(matches!(engine.commit_blocking(put(1, b"a")), Err(StoreError::Full)));
    let record = engine.get_blocking(&[USERS, 1]).unwrap().unwrap();
    let confirm = Batch { expects: vec![Expect::Version(vec![USERS, 1], record.version)], ops: vec![] };
    assert!(matches!(engine.commit_blocking(confirm), Ok(Outcome::Committed(_))));
    assert!(engine.failure().is_none());
}

#[test]
fn a_dump_under_writes_is_exact_and_restores_to_the_same_store() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = open(dir.path());
    for chunk in 0..60u8 {
        let ops = (0..200u8).map(|n| Op::Put(vec![CREDENTIALS, chunk, n], vec![n; 40])).collect();
        committed(&engine, Batch { expects: vec![], ops });
    }
    // While it is dumped, records before and behind the cursor come, go and change.
    let (stop, writes) = (std::sync::atomic::AtomicBool::new(false), std::sync::atomic::AtomicUsize::new(0));
    let pieces: Vec<Piece> = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0u8;
            while !stop.load(Ordering::Relaxed) {
                n = n.wrapping_add(37);
                let ops = vec![
                    Op::Put(vec![CREDENTIALS, n % 30, n], vec![n]),
                    Op::Remove(vec![CREDENTIALS, n % 31, n / 2]),
                    Op::Put(vec![USERS, n], vec![n]),
                ];
                committed(&engine, Batch { expects: vec![], ops });
                writes.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut dump = engine.dump().unwrap();
        let mut pieces = vec![dump.next().unwrap().unwrap()];
        let before = writes.load(Ordering::Relaxed);
        while writes.load(Ordering::Relaxed) < before + 20 {
            std::thread::yield_now();
        }
        pieces.extend(dump.map(Result::unwrap));
        stop.store(true, Ordering::Relaxed);
        pieces
    });
    assert!(pieces.iter().any(|piece| matches!(piece, Piece::Changes(_))));
    let Some(Piece::End(head)) = pieces.last().cloned() else { panic!("no end") };

    let to = Options { initialise: None, ..options(copy.path()) };
    let torn = pieces[..pieces.len() - 1].iter().cloned().map(Ok::<_, StoreError>);
    let broken = tempfile::tempdir().unwrap();
    let restored = restore(&options(broken.path()), torn);
    assert!(matches!(restored, Err(RestoreError::Incomplete)));
    let restored = restore(&to, pieces.into_iter().map(Ok::<_, StoreError>)).unwrap();
    assert!(restored.same_key && restored.head == head);
    doubt::raise(copy.path());
    let engine = reopen(copy.path()).unwrap();
    assert_eq!(
        (engine.store_id(), engine.generation(), engine.stats().sequence),
        ([9; 16], 1, head.sequence)
    );
    assert!(matches!(restore::<StoreError>(&to, std::iter::empty()), Err(RestoreError::NotEmpty(_))));
}

#[test]
fn a_dump_with_a_record_missing_is_no_store() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    furnish(dir.path());
    let engine = open(dir.path());
    let pieces = engine.dump().unwrap().map(|piece| {
        piece.map(|piece| match piece {
            Piece::Records(records) => {
                Piece::Records(records.into_iter().filter(|(key, _)| *key != [USERS, 2]).collect())
            }
            other => other,
        })
    });
    let restored = restore(&options(copy.path()), pieces);
    assert!(matches!(restored, Err(RestoreError::Mismatch(what)) if what.contains("table users")));
}

#[test]
fn a_dump_with_a_record_that_the_writer_would_not_take_is_no_store() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    furnish(dir.path());
    let long = Piece::Changes(vec![(vec![USERS, 2], Some(Record::encode(1, &[0; VALUE_BYTES_MAX + 1])))]);
    let dump = open(dir.path()).dump().unwrap();
    let restored = restore(&options(copy.path()), std::iter::once(Ok(long)).chain(dump));
    assert!(
        matches!(restored, Err(RestoreError::Store(OpenError::Damaged(what))) if what.contains("too long"))
    );
}

#[test]
fn a_new_generation_outlives_the_old_witness() {
    let dir = tempfile::tempdir().unwrap();
    furnish(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let engine = open(dir.path());
    runtime.block_on(engine.begin_generation(0)).unwrap();
    assert_eq!(engine.generation(), 2);
    runtime.block_on(engine.begin_generation(77)).unwrap();
    runtime.block_on(engine.verify()).unwrap();
    drop(engine);
    assert_eq!(reopen(dir.path()).unwrap().generation(), 77);
}

#[test]
fn what_is_left_of_a_damaged_store_can_be_read_and_is_told() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    furnish(dir.path());
    let whole = Salvage::open(&options(dir.path())).unwrap().examine().unwrap();
    // What was furnished is nothing that anybody understands.
    assert_eq!(whole.losses, ["9 records cannot be read"]);
    assert!(whole.tables.iter().all(TableFound::is_whole), "{whole:?}");
    tamper(dir.path(), |db| remove(db, &[USERS, 3]));
    let salvage = Salvage::open(&options(dir.path())).unwrap();
    let found = salvage.examine().unwrap();
    assert_eq!(found.unreadable.len(), 8);
    assert_eq!(found.losses[0], "table users: 3 records where 4 were written");
    let left: Vec<_> = salvage.pieces().collect();
    drop(salvage);
    restore(&options(copy.path()), left.into_iter()).unwrap();
    assert!(reopen(copy.path()).unwrap().get_blocking(&[USERS, 1]).unwrap().is_none());
}

#[test]
fn compaction_changes_nothing_but_the_size() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    for round in 0..60u8 {
        let ops = (0..100u8).map(|n| Op::Put(vec![WORDS, n], vec![round; 300])).collect();
        committed(&engine, Batch { expects: vec![], ops });
    }
    let before = engine.stats();
    assert!(matches!(compact(&options(dir.path())), Err(RestoreError::Store(OpenError::Locked(_)))));
    drop(engine);
    let compacted = compact(&Options { initialise: None, ..options(dir.path()) }).unwrap();
    assert!(compacted.after_bytes < compacted.before_bytes, "{compacted:?}");
    assert!(!swap::next(dir.path()).exists() && !dir.path().join("aside/discarded-0").exists());
    doubt::raise(dir.path());
    let after = reopen(dir.path()).unwrap().stats();
    assert_eq!((after.sequence, after.totals), (before.sequence, before.totals));
}

#[test]
fn a_swap_that_broke_off_anywhere_is_finished_and_an_unmarked_one_thrown_away() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    furnish(old.path());
    committed(&open(new.path()), put_into(USERS, 77));
    let is_new = |dir: &Path| reopen(dir).unwrap().get_blocking(&[USERS, 77]).unwrap().is_some();
    // Where it broke off: before the mark, at once after it, after each of the renames.
    for cut in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        copy(old.path(), dir.path());
        copy(new.path(), &swap::next(dir.path()));
        let aside = dir.path().join("aside/before-restore");
        if cut > 0 {
            swap::ready(dir.path(), swap::Old::SetAside("before-restore")).unwrap();
        }
        let renames = [("store", "aside"), ("next", "store"), ("sidecar", "aside"), ("next", "sidecar")];
        for (from, to) in renames.iter().take(usize::max(cut, 1) - 1) {
            std::fs::create_dir_all(&aside).unwrap();
            let (from, to) = match *to {
                "aside" => (dir.path().join(from), aside.join(from)),
                entry => (dir.path().join("next").join(entry), dir.path().join(entry)),
            };
            std::fs::rename(from, to).unwrap();
        }
        assert_eq!(is_new(dir.path()), cut > 0, "cut {cut}");
        assert!(!swap::next(dir.path()).exists());
        assert_eq!(aside.join("store").exists() && aside.join("sidecar").exists(), cut > 0);
    }
}

#[test]
fn what_is_damaged_while_it_runs_is_found_by_the_next_look() {
    let dir = tempfile::tempdir().unwrap();
    furnish(dir.path());
    let engine = reopen(dir.path()).unwrap();
    let until = |count| {
        let began = std::time::Instant::now();
        while engine.stats().verifications < count {
            assert!(engine.failure().is_none() && began.elapsed().as_secs() < 20);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    until(1);
    engine.verify_meanwhile().unwrap();
    until(2);
    remove(&engine.shared.db, &[CREDENTIALS, 1]);
    engine.verify_meanwhile().unwrap();
    assert!(matches!(until_failed(&engine), StoreError::Corrupt(what) if what.contains("table credentials")));
}
