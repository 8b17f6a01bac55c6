//! The library under our engine, as one would use it without: each request its own transaction, flush and file sync.

use super::{Contender, SignIn};
use sled::transaction::{ConflictableTransactionError, TransactionError};
use std::fs::File;
use std::path::Path;

struct SledAlone {
    db: sled::Db,
    /// sled's flush does not sync what it writes.
    data_file: File,
}

pub fn open(at: &Path) -> Box<dyn Contender> {
    let db = sled::Config::new().path(at).cache_capacity(128 << 20).open().expect("a new store");
    let data_file = File::open(at.join("db")).expect("its file");
    Box::new(SledAlone { db, data_file })
}

impl Contender for SledAlone {
    fn commit(&self, work: SignIn) {
        let done: Result<(), TransactionError<()>> = self.db.transaction(|tree| {
            for (key, payload) in &work.records {
                if tree.insert(key.as_slice(), payload.as_slice())?.is_some() {
                    return Err(ConflictableTransactionError::Abort(()));
                }
            }
            Ok(())
        });
        done.expect("every record is new");
        self.db.flush().expect("a flush");
        self.data_file.sync_data().expect("a sync");
    }
}
