//! The engine: one sled tree, one writer thread, batches that are applied whole or not at all.
//!
//! sled acknowledges writes from memory and does not sync by itself what it flushes. So the writer alone writes:
//! it merges the queued batches into one sled batch, flushes, syncs the file, notes the sequence in the sidecar,
//! publishes the changes to the mirrors, and only then answers. Nothing above knows of sled.

mod open;
mod sidecar;
mod writer;

#[cfg(test)]
mod tests;

pub use open::{OpenError, Options};

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A key: its first byte is the table.
pub type Key = Vec<u8>;

/// How many operations a batch may have: a larger one would hold all readers up.
pub const BATCH_OPERATIONS_MAX: usize = 500;
/// How many operations the writer gathers into a group before it stops waiting for more.
const GROUP_OPERATIONS_MAX: usize = 1000;
/// The only format so far: `1 · version (8, big endian) · payload`.
const FORMAT: u8 = 1;

/// A record as it lies in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The sequence number of the batch that wrote it.
    pub version: u64,
    pub payload: Vec<u8>,
}

impl Record {
    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let (head, payload) =
            bytes.split_at_checked(9).ok_or_else(|| StoreError::Corrupt("a record is too short".into()))?;
        if head[0] != FORMAT {
            return Err(StoreError::Corrupt(format!("a record has the unknown format {}", head[0])));
        }
        Ok(Self { version: version_of(bytes).unwrap_or_default(), payload: payload.to_vec() })
    }

    fn encode(version: u64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(9 + payload.len());
        bytes.push(FORMAT);
        bytes.extend_from_slice(&version.to_be_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }
}

fn version_of(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(1..9)?.try_into().ok()?))
}

/// What a batch relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    Version(Key, u64),
    Absent(Key),
}

/// One operation of a batch. Later ones win over earlier ones on the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Put(Key, Vec<u8>),
    Remove(Key),
    /// Into a log: the writer makes the key, `table · sequence 8 · index 4`.
    Append(u8, Vec<u8>),
}

/// Expectations and operations: a plain value that can be logged, replayed, simulated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub expects: Vec<Expect>,
    pub ops: Vec<Op>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Applied and on disk, under this sequence number. A batch without operations has the latest one's.
    Committed(u64),
    /// Something that it relied on is not so any more. Nothing was applied.
    Conflict,
}

/// A change of one record, as published to the mirrors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: Key,
    /// `None`: removed.
    pub new: Option<Record>,
}

/// The store cannot do it. Whether a write that was under way took place is not promised.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The queue is full; nothing was done.
    #[error("the store's queue is full")]
    Overloaded,
    /// A batch of too many operations; nothing was done.
    #[error("a batch of {0} operations is too large")]
    TooLarge(usize),
    /// An error from the disk or from sled: memory may be ahead of the disk, so nothing is read or written any more.
    #[error("the store has failed: {0}")]
    Failed(String),
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

/// A stretch of keys.
#[derive(Clone, Debug)]
pub struct Range {
    from: Bound<Key>,
    to: Bound<Key>,
}

impl Range {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: Key) -> Self {
        let mut end = prefix.clone();
        while end.last() == Some(&u8::MAX) {
            end.pop();
        }
        let to = match end.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(end)
            }
            None => Bound::Unbounded,
        };
        Self { from: Bound::Included(prefix), to }
    }

    /// Only what comes after `key`.
    pub fn after(mut self, key: &[u8]) -> Self {
        self.from = Bound::Excluded(key.to_vec());
        self
    }

    /// Only what comes before `key`.
    pub fn before(mut self, key: &[u8]) -> Self {
        self.to = Bound::Excluded(key.to_vec());
        self
    }
}

/// Figures for diagnostics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    pub sequence: u64,
    pub groups: u64,
    pub batches: u64,
    pub queued: usize,
    pub size_on_disk: u64,
}

pub(crate) struct Request {
    batch: Batch,
    answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

struct Shared {
    db: sled::Db,
    /// Set for ever by the first error from apply, flush or sync.
    failed: AtomicBool,
    sequence: AtomicU64,
    groups: AtomicU64,
    batches: AtomicU64,
    queued: AtomicUsize,
}

/// The engine's face: read, scan, commit.
pub struct Engine {
    shared: Arc<Shared>,
    sender: Option<SyncSender<Request>>,
    writer: Option<JoinHandle<()>>,
    store_id: [u8; 16],
    generation: u64,
    directory: PathBuf,
}

impl Engine {
    /// One record.
    ///
    /// # Errors
    /// When the store has failed or the record is damaged.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        let key = key.to_vec();
        self.off_the_workers(move |shared| shared.get(&key)).await
    }

    /// Records of several keys, in their order.
    ///
    /// # Errors
    /// As [`Engine::get`].
    pub async fn get_many(&self, keys: Vec<Key>) -> Result<Vec<Option<Record>>, StoreError> {
        self.off_the_workers(move |shared| keys.iter().map(|key| shared.get(key)).collect()).await
    }

    /// Up to `limit` records of a range.
    ///
    /// # Errors
    /// As [`Engine::get`].
    pub async fn scan(
        &self,
        range: &Range,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Record)>, StoreError> {
        let range = range.clone();
        self.off_the_workers(move |shared| shared.scan(&range, direction, limit)).await
    }

    /// Applies a batch. When it answers `Committed`, the batch is on disk; an empty batch says that all it read is.
    ///
    /// # Errors
    /// When the queue is full, the batch too large, or the store has failed.
    pub async fn commit(&self, batch: Batch) -> Result<Outcome, StoreError> {
        let answer = self.send(batch)?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// As [`Engine::get`], on this thread.
    ///
    /// # Errors
    /// As [`Engine::get`].
    pub fn get_blocking(&self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        self.shared.get(key)
    }

    /// As [`Engine::scan`], on this thread.
    ///
    /// # Errors
    /// As [`Engine::get`].
    pub fn scan_blocking(
        &self,
        range: &Range,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Record)>, StoreError> {
        self.shared.scan(range, direction, limit)
    }

    /// As [`Engine::commit`], waiting on this thread.
    ///
    /// # Errors
    /// As [`Engine::commit`].
    pub fn commit_blocking(&self, batch: Batch) -> Result<Outcome, StoreError> {
        self.send(batch)?.blocking_recv().unwrap_or_else(|_| Err(gone()))
    }

    /// Whether an error has ended the store's life: the process should end as well.
    pub fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire)
    }

    pub fn store_id(&self) -> [u8; 16] {
        self.store_id
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn directory(&self) -> &std::path::Path {
        &self.directory
    }

    pub fn stats(&self) -> Stats {
        Stats {
            sequence: self.shared.sequence.load(Ordering::Relaxed),
            groups: self.shared.groups.load(Ordering::Relaxed),
            batches: self.shared.batches.load(Ordering::Relaxed),
            queued: self.shared.queued.load(Ordering::Relaxed),
            size_on_disk: self.shared.db.size_on_disk().unwrap_or_default(),
        }
    }

    fn send(&self, batch: Batch) -> Result<oneshot::Receiver<Result<Outcome, StoreError>>, StoreError> {
        if batch.ops.len() > BATCH_OPERATIONS_MAX {
            return Err(StoreError::TooLarge(batch.ops.len()));
        }
        self.shared.refuse_if_failed()?;
        let sender = self.sender.as_ref().ok_or_else(gone)?;
        let (answer, receiver) = oneshot::channel();
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        sender.try_send(Request { batch, answer }).map_err(|e| {
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
            match e {
                TrySendError::Full(_) => StoreError::Overloaded,
                TrySendError::Disconnected(_) => gone(),
            }
        })?;
        Ok(receiver)
    }

    async fn off_the_workers<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || read(&shared))
            .await
            .unwrap_or_else(|_| Err(StoreError::Failed("a read panicked".into())))
    }
}

/// Lets the writer finish what is queued, then closes the files.
impl Drop for Engine {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(writer) = self.writer.take() {
            // The writer catches its own panics; there is nobody left to tell anyway.
            let _ = writer.join();
        }
    }
}

impl Shared {
    fn get(&self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        self.refuse_if_failed()?;
        let bytes = self.db.get(key).map_err(|e| StoreError::Failed(e.to_string()))?;
        bytes.map(|bytes| Record::decode(&bytes)).transpose()
    }

    fn scan(
        &self,
        range: &Range,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Record)>, StoreError> {
        self.refuse_if_failed()?;
        // A cursor from outside may lie beyond the end: sled panics on such a range.
        if is_empty(range) {
            return Ok(Vec::new());
        }
        let iter = self.db.range::<Key, _>((range.from.clone(), range.to.clone()));
        let read = |found: sled::Result<(sled::IVec, sled::IVec)>| {
            let (key, bytes) = found.map_err(|e| StoreError::Failed(e.to_string()))?;
            Ok((key.to_vec(), Record::decode(&bytes)?))
        };
        match direction {
            Direction::Ascending => iter.take(limit).map(read).collect(),
            Direction::Descending => iter.rev().take(limit).map(read).collect(),
        }
    }

    fn refuse_if_failed(&self) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(StoreError::Failed("an earlier write did not reach the disk".into()));
        }
        Ok(())
    }
}

fn is_empty(range: &Range) -> bool {
    match (&range.from, &range.to) {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
            from >= to
        }
    }
}

fn gone() -> StoreError {
    StoreError::Failed("the writer is gone".into())
}
