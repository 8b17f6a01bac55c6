//! The engine: one sled tree, one writer thread, batches that are applied whole or not at all.
//!
//! sled acknowledges writes from memory and does not sync by itself what it flushes. So the writer alone writes:
//! it merges the queued batches into one sled batch, flushes, syncs the file, notes the sequence in the sidecar,
//! publishes the changes to the mirrors, and only then answers. Nothing above knows of sled.

mod batch;
mod database;
mod disk;
mod error;
mod examine;
mod head;
mod meta;
mod migrate;
mod open;
mod options;
mod place;
mod quiet;
mod range;
mod record;
mod restore;
mod shared;
mod sidecar;
mod walk;
mod writer;

#[cfg(test)]
mod tests;

pub use batch::{Batch, Change, Expect, Op, Outcome, StoreError};
pub(crate) use disk::{free_bytes, make_private_directory, sync_directory};
pub use error::OpenError;
pub use examine::{Compacted, Examination, Salvage, TableFound, compact};
pub use head::{Head, Identity, StoreKeys, Total, Totals};
pub use options::{Options, Switches};
pub use place::DirectoryLock;
pub use range::{Direction, Range};
pub use record::{Key, Record};
pub use restore::{RestoreError, Restored, restore};
pub use walk::{Dump, Piece};

use crate::tally::Distribution;
use shared::Shared;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use walk::Listener;
use writer::Request;

/// Bounds of the figures: batches in a group, and microseconds of a sync.
const GROUP_SIZES: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const SYNC_US: [u64; 14] = [
    250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 125_000, 250_000, 500_000, 1_000_000, 5_000_000,
];

/// How many operations a batch may have: a larger one would hold all readers up.
pub const BATCH_OPERATIONS_MAX: usize = 500;
/// How long a value may be: sled keeps much longer ones in files that are not synced with the rest.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// How many operations the writer gathers into a group before it stops waiting for more.
const GROUP_OPERATIONS_MAX: usize = 1000;

/// Figures for diagnostics.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub sequence: u64,
    pub groups: u64,
    pub batches: u64,
    /// How many batches shared a sync.
    pub group_sizes: Distribution,
    /// From the flush until the witness is on disk.
    pub sync_us: Distribution,
    pub queued: usize,
    pub size_on_disk: u64,
    /// Records by table.
    pub totals: Totals,
    /// How often every record was read and found as it was written, since the start.
    pub verifications: u64,
    /// What the records took by themselves when they were last read whole; 0 before that.
    pub live_bytes: u64,
}

/// The engine's face: read, scan, commit; and for the whole of it dump, verify, restore.
pub struct Engine {
    shared: Arc<Shared>,
    sender: Option<SyncSender<Request>>,
    writer: Option<JoinHandle<()>>,
    store_id: [u8; 16],
    /// Given back last, when all files are closed.
    _lock: DirectoryLock,
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
        let answer = self.send_batch(batch)?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// As [`Engine::commit`] for batches that do not build on one another: together they wait for one sync, not each
    /// for its own.
    ///
    /// # Errors
    /// As [`Engine::commit`], for any of them; the others count all the same.
    pub async fn commit_all(&self, batches: impl Iterator<Item = Batch>) -> Result<Vec<Outcome>, StoreError> {
        let answers = batches.map(|batch| self.send_batch(batch)).collect::<Result<Vec<_>, _>>()?;
        let mut outcomes = Vec::with_capacity(answers.len());
        for answer in answers {
            outcomes.push(answer.await.unwrap_or_else(|_| Err(gone()))?);
        }
        Ok(outcomes)
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
        self.send_batch(batch)?.blocking_recv().unwrap_or_else(|_| Err(gone()))
    }

    /// Replaces the generation by the next, or by `at_least` where that is higher: what refers to the store's past no
    /// longer does.
    ///
    /// # Errors
    /// As [`Engine::commit`].
    pub async fn begin_generation(&self, at_least: u64) -> Result<Outcome, StoreError> {
        let (answer, receiver) = oneshot::channel();
        self.send(Request::BeginGeneration { at_least, answer })?;
        receiver.await.unwrap_or_else(|_| Err(gone()))
    }

    /// All records as they are when the last piece comes, while writes go on. Whoever takes the pieces too slowly is
    /// given up.
    ///
    /// # Errors
    /// When the queue is full or the store has failed.
    pub fn dump(&self) -> Result<Dump, StoreError> {
        let (listener, dump) = Listener::dump();
        self.send(Request::Walk(listener))?;
        Ok(dump)
    }

    /// Reads every record, and compares each table with what must be there. A mismatch ends the store's life.
    ///
    /// # Errors
    /// `Corrupt` for a mismatch; otherwise as [`Engine::commit`].
    pub async fn verify(&self) -> Result<Head, StoreError> {
        let (answer, receiver) = oneshot::channel();
        self.send(Request::Walk(Listener::Verdict(answer)))?;
        receiver.await.unwrap_or_else(|_| Err(gone()))
    }

    /// As [`Engine::verify`], by and by, with nobody waiting for it.
    ///
    /// # Errors
    /// When the queue is full or the store has failed.
    pub fn verify_meanwhile(&self) -> Result<(), StoreError> {
        self.send(Request::Walk(Listener::Nobody))
    }

    /// What has ended the store's life: the process should end as well.
    pub fn failure(&self) -> Option<&StoreError> {
        self.shared.failure()
    }

    /// Gives the store up, as whoever watches does when the writer hangs.
    pub fn give_up(&self, why: &str) {
        self.shared.fail(StoreError::Failed(why.into()));
    }

    /// Odd while the writer is at work: one odd number for long means that the disk does not answer.
    pub fn beats(&self) -> u64 {
        self.shared.beats.load(Ordering::Relaxed)
    }

    pub fn store_id(&self) -> [u8; 16] {
        self.store_id
    }

    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Relaxed)
    }

    pub fn directory(&self) -> &std::path::Path {
        &self.shared.directory
    }

    pub fn stats(&self) -> Stats {
        let head = self.shared.head.lock().clone();
        let group_sizes = self.shared.group_sizes.read();
        Stats {
            sequence: head.sequence,
            groups: group_sizes.count(),
            batches: group_sizes.sum,
            group_sizes,
            sync_us: self.shared.sync_us.read(),
            queued: self.shared.queued.load(Ordering::Relaxed),
            size_on_disk: self.shared.db.size_on_disk().unwrap_or_default(),
            totals: head.totals,
            verifications: self.shared.verifications.load(Ordering::Relaxed),
            live_bytes: self.shared.live_bytes.load(Ordering::Relaxed),
        }
    }

    fn send_batch(&self, batch: Batch) -> Result<oneshot::Receiver<Result<Outcome, StoreError>>, StoreError> {
        if batch.ops.len() > BATCH_OPERATIONS_MAX {
            return Err(StoreError::TooLarge(batch.ops.len()));
        }
        let values = batch.ops.iter().filter_map(|op| match op {
            Op::Put(_, value) | Op::Append(_, value) => Some(value.len()),
            Op::Remove(_) => None,
        });
        if let Some(longest) = values.max().filter(|length| *length > VALUE_BYTES_MAX) {
            return Err(StoreError::TooLong(longest));
        }
        let (answer, receiver) = oneshot::channel();
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        let sent = self.send(Request::Commit { batch, answer });
        sent.inspect_err(|_| _ = self.shared.queued.fetch_sub(1, Ordering::Relaxed))?;
        Ok(receiver)
    }

    fn send(&self, request: Request) -> Result<(), StoreError> {
        self.shared.refuse_if_failed()?;
        self.sender.as_ref().ok_or_else(gone)?.try_send(request).map_err(|e| match e {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => gone(),
        })
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

fn gone() -> StoreError {
    StoreError::Failed("the writer is gone".into())
}
