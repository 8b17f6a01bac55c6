//! Our own engine.

use super::{Contender, SignIn};
use hallpass::store::engine::{Batch, Engine, Expect, Op, Options, Outcome};
use std::path::Path;

/// What of the protocol is done.
#[derive(Clone, Copy)]
pub struct Switches {
    pub sync: bool,
}

impl Switches {
    pub const ALL_ON: Self = Self { sync: true };
}

struct Ours(Engine);

pub fn open(at: &Path, switches: Switches) -> Box<dyn Contender> {
    let options = Options { initialise: Some([7; 16]), sync: switches.sync, ..Options::new(at) };
    Box::new(Ours(Engine::open(options, Box::new(|_| {})).expect("a new store")))
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
