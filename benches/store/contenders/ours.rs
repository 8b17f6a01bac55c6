//! Our own engine.

use super::{Contender, SignIn};
use hallpass::store::engine::{Batch, Engine, Expect, Op, Options, Outcome, StoreKeys, Switches};
use std::path::Path;

struct Ours(Engine);

pub fn open(at: &Path, switches: Switches) -> Box<dyn Contender> {
    Box::new(Ours(Engine::open(options(at, switches), Box::new(|_| {})).expect("a new store")))
}

/// As the program opens its store, under keys that everybody knows.
pub fn options(at: &Path, switches: Switches) -> Options {
    let keys = StoreKeys::new(&[1; 32], [2; 32]);
    Options { initialise: Some([7; 16]), switches, ..Options::new(at, keys) }
}

impl Contender for Ours {
    fn commit(&self, work: SignIn) {
        let absent = |(key, _): &(Vec<u8>, _)| Expect::Absent(key.clone());
        let batch = Batch {
            expects: work.records.iter().map(absent).collect(),
            ops: work.records.into_iter().map(|(key, payload)| Op::Put(key, payload)).collect(),
        };
        let outcome = self.0.commit_blocking(batch).expect("the store takes it");
        assert!(matches!(outcome, Outcome::Committed(_)), "every record is new");
    }
}
