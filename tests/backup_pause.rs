//! How long a write waits while a backup is made. `HALLPASS_BACKUP_RECORDS=1000000` asks for the figures that count; by
//! default the store is small, and only what would be wrong anywhere is held against it.

use hallpass::model::Time;
use hallpass::store::backup::{Header, Unopened, Writer};
use hallpass::store::engine::{Batch, Engine, Op, Options, Outcome, Piece, StoreKeys};
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// As large as a session's record.
const PAYLOAD_BYTES: usize = 300;
const BATCH: usize = 500;

fn key(number: u64) -> Vec<u8> {
    // Spread as digests are, so that reading them in order is not reading them as they were written.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [&[0x70][..], &spread.to_be_bytes(), &number.to_be_bytes()].concat()
}

fn payload(number: u64) -> Vec<u8> {
    (0..PAYLOAD_BYTES as u64).map(|at| (number.wrapping_mul(31).wrapping_add(at * at) >> 3) as u8).collect()
}

fn commit(engine: &Engine, ops: Vec<Op>) {
    let outcome = engine.commit_blocking(Batch { expects: Vec::new(), ops }).expect("the store takes it");
    assert!(matches!(outcome, Outcome::Committed(_)));
}

/// Writes one record after the other until `stop`, and says how long each took.
fn write_on(engine: &Engine, records: u64, stop: &AtomicBool) -> Vec<Duration> {
    let mut took = Vec::new();
    let mut number = 0u64;
    while !stop.load(Ordering::Relaxed) {
        number = number.wrapping_add(7919) % records;
        let begun = Instant::now();
        commit(engine, vec![Op::Put(key(number), payload(number + 1))]);
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took
}

fn said(what: &str, took: &[Duration]) {
    let (middle, end) = (took[took.len() / 2], took[took.len() - 1]);
    let late = took[took.len() * 99 / 100];
    println!("{what}: {} writes, median {middle:.1?}, p99 {late:.1?}, longest {end:.1?}", took.len());
}

#[test]
fn a_write_waits_for_a_slice_of_the_dump_and_no_longer() {
    let records: u64 =
        std::env::var("HALLPASS_BACKUP_RECORDS").map_or(20_000, |text| text.parse().expect("a number"));
    let dir = tempfile::tempdir().unwrap();
    let keys = StoreKeys::new(&[1; 32], [2; 32]);
    let cache_bytes = if records > 200_000 { 512 << 20 } else { 64 << 20 };
    let options = Options { initialise: Some([9; 16]), cache_bytes, ..Options::new(dir.path(), keys) };
    let engine = Engine::open(options, Box::new(|_| {})).unwrap();
    let begun = Instant::now();
    for first in (0..records).step_by(BATCH) {
        let numbers = first..(first + BATCH as u64).min(records);
        commit(&engine, numbers.map(|number| Op::Put(key(number), payload(number))).collect());
    }
    println!("{records} records written in {:.1?}", begun.elapsed());

    let path = dir.path().join("a.backup");
    let stop = AtomicBool::new(false);
    let (before, during, took) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_on(&engine, records, &stop));
        std::thread::sleep(Duration::from_secs(2));
        stop.store(true, Ordering::Relaxed);
        let before = writer.join().unwrap();
        stop.store(false, Ordering::Relaxed);
        let writer = scope.spawn(|| write_on(&engine, records, &stop));
        let begun = Instant::now();
        let header = Header {
            store_id: engine.store_id(),
            generation: engine.generation(),
            made_at: Time::from_ms(0),
            program: String::new(),
            sealed: None,
        };
        let out = BufWriter::new(File::create(&path).unwrap());
        let (out, _) = Writer::begin(out, &header, None).unwrap().all(engine.dump().unwrap()).unwrap();
        out.into_inner().unwrap().sync_all().unwrap();
        let took = begun.elapsed();
        stop.store(true, Ordering::Relaxed);
        (before, writer.join().unwrap(), took)
    });
    said("without a backup", &before);
    said("during a backup", &during);
    println!("the backup: {took:.1?}, {} KiB", std::fs::metadata(&path).unwrap().len() >> 10);

    // Every record is in it once, and it ends where the store stood.
    let reader = Unopened::read(BufReader::new(File::open(&path).unwrap())).unwrap().open(None).unwrap();
    let (mut found, mut end) = (0, None);
    for piece in reader {
        match piece.unwrap() {
            Piece::Records(part) => found += part.iter().filter(|(key, _)| key[0] == 0x70).count() as u64,
            Piece::Changes(_) => {}
            Piece::End(head) => end = Some(head),
        }
    }
    assert_eq!(found, records);
    assert_eq!(end.expect("an end").totals.of(0x70).count, records);
    let longest = during.last().copied().unwrap_or_default();
    // On a machine with other work a write may wait for other reasons, too.
    assert!(longest < Duration::from_secs(3), "a write waited {longest:?}");
}
