//! Random batches and reads from many threads through the real engine, with the moments of question and answer.

use crate::dice::Dice;
use crate::order::check;
use hallpass::store::engine::{
    Batch, Change, Direction, Engine, Expect, Key, Op, OpenError, Options, Outcome, Piece, Range, Record,
    StoreKeys,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const THREADS: u64 = 8;
const STEPS: usize = 120;
/// The engine is closed and opened again so often.
const LIVES: u64 = 2;
/// Few keys, so that callers meet.
const KEYS: usize = 6;
pub const TABLE: u8 = 0x70;
pub const LOG: u8 = 0x71;
/// Before and behind them lies so much that a dump takes several slices, with groups in between.
const AROUND: [u8; 2] = [0x6f, 0x72];
const AROUND_RECORDS: u32 = 2500;

/// A moment. Its order is that of real time.
pub type Tick = u64;

/// What somebody asked the engine, and what it answered.
#[derive(Debug)]
pub struct Event {
    pub asked: Tick,
    pub answered: Tick,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    Commit(Batch, Outcome),
    Get(Key, Option<Record>),
    /// Of all of [`TABLE`].
    Scan(Vec<(Key, Record)>),
    /// What a dump comes to, and the sequence that it claims to be of.
    Dump(BTreeMap<Key, Record>, u64),
}

/// A group as the mirrors got it.
#[derive(Debug)]
pub struct Published {
    pub at: Tick,
    pub changes: Vec<Change>,
    /// What the witness beside the store said in that moment.
    pub sidecar: Vec<u8>,
}

/// All that happened, in the order of the answers, and what was there afterwards.
#[derive(Default)]
pub struct History {
    pub events: Vec<Event>,
    pub published: Vec<Published>,
    pub left: Vec<(Key, Record)>,
}

struct Clock(AtomicU64);

impl Clock {
    fn tick(&self) -> Tick {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// One history from this seed. Threads meet as they will: the seed gives the same questions, not the same answers.
pub fn run(seed: u64) {
    let directory = tempfile::tempdir().unwrap();
    let mut history = History::default();
    let clock = Arc::new(Clock(AtomicU64::new(0)));
    lay_out(&open(directory.path(), &clock, &Arc::default()));
    for life in 0..LIVES {
        live(directory.path(), seed + life * THREADS, &clock, &mut history);
    }
    let engine = open(directory.path(), &clock, &Arc::default());
    for table in [TABLE, LOG] {
        let range = Range::prefix(vec![table]);
        history.left.extend(engine.scan_blocking(&range, Direction::Ascending, usize::MAX).unwrap());
    }
    if let Err(fault) = check(&history) {
        panic!("seed {seed}: {fault}");
    }
}

fn open(directory: &Path, clock: &Arc<Clock>, published: &Arc<Mutex<Vec<Published>>>) -> Engine {
    let keys = StoreKeys::new(&[1; 32], [2; 32]);
    let options =
        Options { initialise: Some([9; 16]), cache_bytes: 8 << 20, ..Options::new(directory, keys) };
    let sidecar = directory.join("sidecar");
    let publish = || {
        let (clock, sink, sidecar) = (Arc::clone(clock), Arc::clone(published), sidecar.clone());
        move |changes: &[Change]| {
            let sidecar = std::fs::read(&sidecar).unwrap();
            sink.lock().unwrap().push(Published { at: clock.tick(), changes: changes.to_vec(), sidecar });
        }
    };
    let opened = (0..500).find_map(|_| match Engine::open(options.clone(), Box::new(publish())) {
        // sled's own threads may hold the files a moment longer than the engine before.
        Err(OpenError::Locked(_)) => {
            std::thread::sleep(Duration::from_millis(10));
            None
        }
        opened => Some(opened.unwrap()),
    });
    opened.expect("the files are free")
}

fn lay_out(engine: &Engine) {
    for table in AROUND {
        let keys: Vec<u32> = (0..AROUND_RECORDS).collect();
        for keys in keys.chunks(500) {
            let put = |n: &u32| Op::Put([&[table][..], &n.to_be_bytes()].concat(), vec![7]);
            let batch = Batch { expects: Vec::new(), ops: keys.iter().map(put).collect() };
            engine.commit_blocking(batch).unwrap();
        }
    }
}

/// As it lies in the tree: format, version, payload.
fn record(bytes: &[u8]) -> Record {
    let version = u64::from_be_bytes(bytes[1..9].try_into().unwrap());
    Record { version, payload: bytes[9..].to_vec() }
}

/// Carries a dump's pieces out.
fn dump(engine: &Engine) -> What {
    let (mut state, mut sequence) = (BTreeMap::new(), None);
    let ours = |key: &Key| [TABLE, LOG].contains(&key[0]);
    for piece in engine.dump().unwrap() {
        let changes = match piece.unwrap() {
            Piece::Records(records) => records.into_iter().map(|(key, value)| (key, Some(value))).collect(),
            Piece::Changes(changes) => changes,
            Piece::End(head) => {
                sequence = Some(head.sequence);
                Vec::new()
            }
        };
        for (key, value) in changes.into_iter().filter(|(key, _)| ours(key)) {
            match value {
                Some(value) => _ = state.insert(key, record(&value)),
                None => _ = state.remove(&key),
            }
        }
    }
    What::Dump(state, sequence.expect("a dump has an end"))
}

fn live(directory: &Path, seed: u64, clock: &Arc<Clock>, history: &mut History) {
    let published = Arc::default();
    let engine = open(directory, clock, &published);
    let gate = std::sync::Barrier::new(THREADS as usize);
    let events: Vec<Event> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..THREADS)
            .map(|n| {
                let (engine, gate) = (&engine, &gate);
                let mut caller = Caller { dice: Dice::new(seed + n), known: Vec::new(), count: seed + n };
                scope.spawn(move || {
                    gate.wait();
                    (0..STEPS).map(|_| caller.step(engine, clock)).collect::<Vec<_>>()
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("the engine answers")).collect()
    });
    drop(engine);
    history.events.extend(events);
    history.published.append(&mut published.lock().unwrap());
}

struct Caller {
    dice: Dice,
    /// What was last read of some keys; most of it is no longer so.
    known: Vec<(Key, Option<u64>)>,
    count: u64,
}

impl Caller {
    fn step(&mut self, engine: &Engine, clock: &Clock) -> Event {
        let what = if self.dice.chance(1) { 10 } else { self.dice.below(10) };
        let (key, batch) = (self.key(), self.batch(what == 0));
        let asked = clock.tick();
        let what = match what {
            0..6 => {
                let outcome = engine.commit_blocking(batch.clone()).unwrap();
                What::Commit(batch, outcome)
            }
            6..=8 => What::Get(key.clone(), engine.get_blocking(&key).unwrap()),
            10 => dump(engine),
            _ => {
                let range = Range::prefix(vec![TABLE]);
                What::Scan(engine.scan_blocking(&range, Direction::Ascending, usize::MAX).unwrap())
            }
        };
        let answered = clock.tick();
        match &what {
            What::Get(key, found) => {
                self.known.push((key.clone(), found.as_ref().map(|record| record.version)))
            }
            What::Scan(found) => {
                self.known.extend(found.iter().map(|(key, record)| (key.clone(), Some(record.version))))
            }
            What::Commit(..) | What::Dump(..) => {}
        }
        let forgotten = self.known.len().saturating_sub(KEYS);
        self.known.drain(..forgotten);
        Event { asked, answered, what }
    }

    fn key(&mut self) -> Key {
        vec![TABLE, self.dice.below(KEYS) as u8]
    }

    fn batch(&mut self, empty: bool) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..self.dice.below(3) {
            let Some(at) = self.known.len().checked_sub(1 + self.dice.below(self.known.len())) else { break };
            batch.expects.push(match self.known[at].clone() {
                (key, Some(version)) => Expect::Version(key, version),
                (key, None) => Expect::Absent(key),
            });
        }
        for _ in 0..if empty { 0 } else { 1 + self.dice.below(4) } {
            self.count += 1_000;
            let payload = self.count.to_be_bytes().to_vec();
            batch.ops.push(match self.dice.below(10) {
                0..6 => Op::Put(self.key(), payload),
                6..8 => Op::Remove(self.key()),
                _ => Op::Append(LOG, payload),
            });
        }
        batch
    }
}
