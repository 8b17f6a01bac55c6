//! The one thread that writes.

use super::sidecar::{Sidecar, Witness};
use super::version_of;
use super::{
    Batch, Change, Expect, GROUP_OPERATIONS_MAX, Key, Op, Outcome, Record, Request, Shared, StoreError,
};
use std::collections::HashMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use tokio::sync::oneshot;

/// Takes in a group's changes, before anyone is answered.
pub type Publish = Box<dyn FnMut(&[Change]) + Send>;

pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub requests: Receiver<Request>,
    pub publish: Publish,
    /// sled's data file: what it flushes, we sync.
    pub data_file: File,
    pub sidecar: Sidecar,
    /// Of the last group that was synced.
    pub witness: Witness,
    /// Off only in the crash test's negative control.
    pub sync: bool,
}

/// What the batches of a group come to.
#[derive(Default)]
struct Group {
    /// The version of each touched key after the group's batches so far.
    versions: HashMap<Key, Option<u64>>,
    /// What is to be written of each touched key.
    values: HashMap<Key, Option<Vec<u8>>>,
    changes: Vec<Change>,
    sequence: u64,
}

type Answer = oneshot::Sender<Result<Outcome, StoreError>>;

impl Writer {
    /// Runs until the last sender is gone.
    pub fn run(mut self) {
        while let Ok(first) = self.requests.recv() {
            let requests = self.gather(first);
            self.shared.queued.fetch_sub(requests.len(), Ordering::Relaxed);
            let (batches, answers): (Vec<Batch>, Vec<Answer>) =
                requests.into_iter().map(|request| (request.batch, request.answer)).unzip();
            // A panic inside sled leaves its memory in doubt: it counts as an error of the disk.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.write(&batches)))
                .unwrap_or_else(|_| Err(StoreError::Failed("the writer panicked".into())));
            match outcome {
                Ok(outcomes) => answers.into_iter().zip(outcomes).for_each(|(answer, outcome)| {
                    // Whoever stopped waiting learns nothing; the batch counts all the same.
                    let _ = answer.send(Ok(outcome));
                }),
                Err(error) => {
                    self.shared.failed.store(true, Ordering::Release);
                    tracing::error!(%error, "the store has failed: nothing is written or read any more");
                    for answer in answers {
                        let _ = answer.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    fn gather(&self, first: Request) -> Vec<Request> {
        let mut operations = first.batch.ops.len();
        let mut requests = vec![first];
        while operations < GROUP_OPERATIONS_MAX {
            let Ok(next) = self.requests.try_recv() else { break };
            operations += next.batch.ops.len();
            requests.push(next);
        }
        requests
    }

    fn write(&mut self, batches: &[Batch]) -> Result<Vec<Outcome>, StoreError> {
        self.shared.refuse_if_failed()?;
        let mut group = Group { sequence: self.witness.sequence, ..Group::default() };
        let mut outcomes = Vec::with_capacity(batches.len());
        for batch in batches {
            outcomes.push(self.take_in(&mut group, batch)?);
        }
        // A group without operations relies only on what is synced already.
        if group.sequence > self.witness.sequence {
            self.make_durable(&group)?;
            self.shared.batches.fetch_add(group.sequence - self.witness.sequence, Ordering::Relaxed);
            self.shared.groups.fetch_add(1, Ordering::Relaxed);
            self.shared.sequence.store(group.sequence, Ordering::Relaxed);
            self.witness.sequence = group.sequence;
            (self.publish)(&group.changes);
        }
        Ok(outcomes)
    }

    fn take_in(&self, group: &mut Group, batch: &Batch) -> Result<Outcome, StoreError> {
        for expect in &batch.expects {
            let (key, wanted) = match expect {
                Expect::Version(key, version) => (key, Some(*version)),
                Expect::Absent(key) => (key, None),
            };
            if self.version(group, key)? != wanted {
                return Ok(Outcome::Conflict);
            }
        }
        if batch.ops.is_empty() {
            return Ok(Outcome::Committed(group.sequence));
        }
        group.sequence += 1;
        let sequence = group.sequence;
        for (index, op) in batch.ops.iter().enumerate() {
            match op {
                Op::Put(key, payload) => group.set(key.clone(), Some(payload)),
                Op::Remove(key) => group.set(key.clone(), None),
                Op::Append(table, payload) => {
                    let mut key = vec![*table];
                    key.extend_from_slice(&sequence.to_be_bytes());
                    key.extend_from_slice(&(index as u32).to_be_bytes());
                    group.set(key, Some(payload));
                }
            }
        }
        Ok(Outcome::Committed(sequence))
    }

    fn version(&self, group: &Group, key: &Key) -> Result<Option<u64>, StoreError> {
        if let Some(version) = group.versions.get(key) {
            return Ok(*version);
        }
        let bytes = self.shared.db.get(key).map_err(failed)?;
        Ok(bytes.and_then(|bytes| version_of(&bytes)))
    }

    /// Apply, flush, sync, note: in this order, and never again after an error.
    fn make_durable(&mut self, group: &Group) -> Result<(), StoreError> {
        let mut merged = sled::Batch::default();
        for (key, value) in &group.values {
            match value {
                Some(value) => merged.insert(key.as_slice(), value.as_slice()),
                None => merged.remove(key.as_slice()),
            }
        }
        merged.insert(SEQUENCE_KEY, Record::encode(group.sequence, &group.sequence.to_be_bytes()));
        self.shared.db.apply_batch(merged).map_err(failed)?;
        if self.sync {
            self.shared.db.flush().map_err(failed)?;
            self.data_file.sync_data().map_err(failed)?;
            let witness = Witness { sequence: group.sequence, ..self.witness };
            self.sidecar.write(witness).map_err(failed)?;
        }
        Ok(())
    }
}

impl Group {
    fn set(&mut self, key: Key, payload: Option<&Vec<u8>>) {
        let version = payload.map(|_| self.sequence);
        self.versions.insert(key.clone(), version);
        let value = payload.map(|payload| Record::encode(self.sequence, payload));
        self.values.insert(key.clone(), value);
        let new = payload.map(|payload| Record { version: self.sequence, payload: payload.clone() });
        self.changes.push(Change { key, new });
    }
}

/// `meta/sequence`.
pub(super) const SEQUENCE_KEY: &[u8] = b"\x01sequence";

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Failed(error.to_string())
}
