//! What readers and the writer share: sled, the figures, and the failure that ends it all.

use super::head::{Head, StoreKeys};
use super::quiet::quietly;
use super::{Direction, GROUP_SIZES, Key, Range, Record, SYNC_US, StoreError};
use crate::store::doubt;
use crate::tally::Histogram;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

pub(super) struct Shared {
    pub db: sled::Db,
    pub keys: StoreKeys,
    /// The data directory.
    pub directory: PathBuf,
    /// Of the last group that was published.
    pub head: Mutex<Head>,
    pub generation: AtomicU64,
    /// Batches in each group, and the time of each sync.
    pub group_sizes: Histogram<10>,
    pub sync_us: Histogram<14>,
    pub queued: AtomicUsize,
    pub verifications: AtomicU64,
    /// What the records take by themselves, at the last of these readings.
    pub live_bytes: AtomicU64,
    /// Odd while the writer is at work. A watchdog that sees one odd number for long knows that the disk hangs.
    pub beats: AtomicU64,
    failure: OnceLock<StoreError>,
}

impl Shared {
    pub fn new(db: sled::Db, keys: StoreKeys, directory: PathBuf, head: Head, generation: u64) -> Self {
        Self {
            db,
            keys,
            directory,
            head: Mutex::new(head),
            generation: AtomicU64::new(generation),
            group_sizes: Histogram::new(GROUP_SIZES),
            sync_us: Histogram::new(SYNC_US),
            queued: AtomicUsize::new(0),
            verifications: AtomicU64::new(0),
            live_bytes: AtomicU64::new(0),
            beats: AtomicU64::new(0),
            failure: OnceLock::new(),
        }
    }

    /// Ends the store's life: from now on nothing is read from the tree and nothing is written.
    pub fn fail(&self, error: StoreError) {
        // First of all: what follows may wait for a disk that hangs.
        let is_first = self.failure.set(error.clone()).is_ok();
        if let StoreError::Corrupt(_) = error {
            // Whoever starts next looks at everything before the first answer.
            doubt::raise(&self.directory);
        }
        if is_first {
            tracing::error!(%error, "the store has failed: nothing is written or read any more");
        }
    }

    pub fn failure(&self) -> Option<&StoreError> {
        self.failure.get()
    }

    pub fn refuse_if_failed(&self) -> Result<(), StoreError> {
        match self.failure() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        self.read(key.first().copied(), |db| db.get(key)?.map(|bytes| Record::decode(&bytes)).transpose())
    }

    pub fn scan(
        &self,
        range: &Range,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Record)>, StoreError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.read(range.table(), |db| {
            let iter = db.range::<Key, _>(range.bounds());
            let read = |found: sled::Result<(sled::IVec, sled::IVec)>| {
                let (key, bytes) = found?;
                Ok((key.to_vec(), Record::decode(&bytes)?))
            };
            match direction {
                Direction::Ascending => iter.take(limit).map(read).collect(),
                Direction::Descending => iter.rev().take(limit).map(read).collect(),
            }
        })
    }

    /// A read that fails, or that panics inside sled, is no less a sign of damage than a write.
    fn read<T>(
        &self,
        table: Option<u8>,
        read: impl FnOnce(&sled::Db) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.refuse_if_failed()?;
        let result = quietly(|| read(&self.db)).unwrap_or_else(|_| Err(unreadable()));
        result.map_err(|error| error.in_table(table)).inspect_err(|error| self.fail(error.clone()))
    }

    /// The writer goes to work, or comes back from it.
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is said of a panic inside sled, and of what it calls corrupt.
pub(super) fn unreadable() -> StoreError {
    StoreError::Corrupt("a record cannot be read".into())
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Corruption { .. } => {
                tracing::error!(%error, "the database found damage");
                unreadable()
            }
            other => Self::Failed(other.to_string()),
        }
    }
}
