//! The one thread that writes.

use super::disk::free_bytes;
use super::head::{HEAD_KEY, Head, Identity, Touched};
use super::meta::GENERATION_KEY;
use super::options::Switches;
use super::quiet::{is_broken, quietly};
use super::record::version_of;
use super::shared::{Shared, unreadable};
use super::sidecar::{Sidecar, Witness};
use super::walk::{Listener, Step, Walk};
use super::{Batch, Change, Expect, GROUP_OPERATIONS_MAX, Key, Op, Outcome, Record, StoreError};
use crate::clock::Stopwatch;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Takes in a group's changes, before anyone is answered.
pub type Publish = Box<dyn FnMut(&[Change]) + Send>;

/// What the writer is asked for.
pub(super) enum Request {
    Commit {
        batch: Batch,
        answer: Answer,
    },
    /// The store's past is replaced: its generation becomes the present one plus 1, or this where it is higher.
    BeginGeneration {
        at_least: u64,
        answer: Answer,
    },
    Walk(Listener),
}

type Answer = oneshot::Sender<Result<Outcome, StoreError>>;

/// How long the writer waits for requests before it reads on, for itself and for somebody who waits.
const WALK_PAUSE: Duration = Duration::from_millis(10);
const AWAITED_WALK_PAUSE: Duration = Duration::from_micros(500);
/// How many groups are written between two slices when there is always something to write.
const GROUPS_BETWEEN_SLICES: u64 = 4;

pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub requests: Receiver<Request>,
    pub publish: Publish,
    /// sled's directory.
    pub store: PathBuf,
    /// sled's data file: what it flushes, we sync.
    pub data_file: File,
    pub sidecar: Sidecar,
    pub identity: Identity,
    /// Of the last group that was synced.
    pub head: Head,
    pub walks: VecDeque<Walk>,
    pub switches: Switches,
    /// Below so many bytes of free space nothing is written.
    pub free_floor_bytes: u64,
}

/// What the batches of a group come to.
struct Group {
    /// What lay at the keys that were expected to be so. A read costs as much as all else of a small write.
    read: HashMap<Key, Option<sled::IVec>>,
    /// Each touched key, with what lay there before the group and after its batches so far.
    touched: HashMap<Key, (Option<sled::IVec>, Option<Vec<u8>>)>,
    changes: Vec<Change>,
    sequence: u64,
}

impl Writer {
    /// Runs until the last sender is gone.
    pub fn run(mut self) {
        let mut groups = 0;
        loop {
            // One that nobody waits for may stand in the way of one that somebody does.
            let is_awaited = self.walks.iter().any(Walk::is_awaited);
            let request = match (self.walks.is_empty(), is_awaited) {
                (true, _) => self.requests.recv().map_err(RecvTimeoutError::from),
                (_, true) => self.requests.recv_timeout(AWAITED_WALK_PAUSE),
                (_, false) => self.requests.recv_timeout(WALK_PAUSE),
            };
            match request {
                Ok(request) => {
                    self.serve(request);
                    groups += 1;
                    if groups % GROUPS_BETWEEN_SLICES == 0 {
                        self.walk_on();
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.walk_on(),
                Err(RecvTimeoutError::Disconnected) => return self.close(),
            }
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Commit { batch, answer } => {
                let mut batches = vec![batch];
                let mut answers = vec![answer];
                let other = self.gather(&mut batches, &mut answers);
                self.shared.queued.fetch_sub(batches.len(), Ordering::Relaxed);
                self.write_and_answer(&batches, answers, self.identity);
                if let Some(other) = other {
                    self.serve(other);
                }
            }
            Request::BeginGeneration { at_least, answer } => {
                let generation = at_least.max(self.identity.generation.saturating_add(1));
                let payload = generation.to_be_bytes().to_vec();
                let batch = Batch { expects: vec![], ops: vec![Op::Put(GENERATION_KEY.into(), payload)] };
                let identity = Identity { generation, ..self.identity };
                self.write_and_answer(&[batch], vec![answer], identity);
            }
            Request::Walk(listener) => self.walks.push_back(Walk::new(listener)),
        }
    }

    /// Takes what else is queued. What is no batch ends the group and is served after it.
    fn gather(&self, batches: &mut Vec<Batch>, answers: &mut Vec<Answer>) -> Option<Request> {
        let mut operations = batches[0].ops.len();
        while operations < GROUP_OPERATIONS_MAX {
            match self.requests.try_recv() {
                Ok(Request::Commit { batch, answer }) => {
                    operations += batch.ops.len();
                    batches.push(batch);
                    answers.push(answer);
                }
                Ok(other) => return Some(other),
                Err(_) => return None,
            }
        }
        None
    }

    fn write_and_answer(&mut self, batches: &[Batch], answers: Vec<Answer>, identity: Identity) {
        self.shared.beat();
        // A panic inside sled leaves its memory in doubt: it counts as an error of the disk.
        let outcome = quietly(|| self.write(batches, identity))
            .unwrap_or_else(|_| Err(StoreError::Failed("the writer stopped inside".into())));
        self.shared.beat();
        match outcome {
            Ok(outcomes) => answers.into_iter().zip(outcomes).for_each(|(answer, outcome)| {
                // Whoever stopped waiting learns nothing; the batch counts all the same.
                let _ = answer.send(outcome);
            }),
            Err(error) => {
                self.shared.fail(error.clone());
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    fn write(
        &mut self,
        batches: &[Batch],
        identity: Identity,
    ) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
        self.shared.refuse_if_failed()?;
        let has_room = self.has_room();
        let (read, touched) = (HashMap::new(), HashMap::new());
        let mut group = Group { read, touched, changes: Vec::new(), sequence: self.head.sequence };
        let mut outcomes = Vec::with_capacity(batches.len());
        for batch in batches {
            outcomes.push(match batch.ops.is_empty() || has_room {
                true => Ok(self.take_in(&mut group, batch)?),
                false => Err(StoreError::Full),
            });
        }
        // A group without operations relies only on what is synced already.
        if group.sequence > self.head.sequence {
            self.make_durable(group, identity)?;
        }
        Ok(outcomes)
    }

    /// Whether there is more free space than the floor: an error of sled's in the middle of a write ends everything.
    fn has_room(&self) -> bool {
        // Where the file system does not say, it is left to the write.
        free_bytes(&self.store).is_none_or(|free| free >= self.free_floor_bytes)
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
                Op::Put(key, payload) => self.set(group, key.clone(), Some(payload))?,
                Op::Remove(key) => self.set(group, key.clone(), None)?,
                Op::Append(table, payload) => {
                    let mut key = vec![*table];
                    key.extend_from_slice(&sequence.to_be_bytes());
                    key.extend_from_slice(&(index as u32).to_be_bytes());
                    self.set(group, key, Some(payload))?;
                }
            }
        }
        Ok(Outcome::Committed(sequence))
    }

    fn version(&self, group: &mut Group, key: &Key) -> Result<Option<u64>, StoreError> {
        if let Some((_, new)) = group.touched.get(key) {
            return Ok(new.as_deref().and_then(version_of));
        }
        if let Some(bytes) = group.read.get(key) {
            return Ok(bytes.as_deref().and_then(version_of));
        }
        let bytes = self.read(key)?;
        let version = bytes.as_deref().and_then(version_of);
        group.read.insert(key.clone(), bytes);
        Ok(version)
    }

    fn read(&self, key: &Key) -> Result<Option<sled::IVec>, StoreError> {
        self.shared.db.get(key).map_err(|error| StoreError::from(error).in_table(key.first().copied()))
    }

    fn set(&self, group: &mut Group, key: Key, payload: Option<&Vec<u8>>) -> Result<(), StoreError> {
        let value = payload.map(|payload| Record::encode(group.sequence, payload));
        match group.touched.get_mut(&key) {
            Some((_, new)) => *new = value,
            None => {
                // No blind writes: what lay there is taken out of the digest.
                let old = match group.read.remove(&key) {
                    Some(old) => old,
                    None => self.read(&key)?,
                };
                group.touched.insert(key.clone(), (old, value));
            }
        }
        let new = payload.map(|payload| Record { version: group.sequence, payload: payload.clone() });
        group.changes.push(Change { key, new });
        Ok(())
    }

    /// Apply, flush, sync, note, publish: in this order, and never again after an error.
    fn make_durable(&mut self, group: Group, identity: Identity) -> Result<(), StoreError> {
        let touched: Vec<Touched> =
            group.touched.into_iter().map(|(key, (old, new))| Touched { key, old, new }).collect();
        let mut head = Head { sequence: group.sequence, totals: self.head.totals.clone() };
        let mut merged = sled::Batch::default();
        for Touched { key, old, new } in &touched {
            if self.switches.digests {
                head.totals.replace(&self.shared.keys, key, old.as_deref(), new.as_deref());
            }
            match new {
                Some(value) => merged.insert(key.as_slice(), value.as_slice()),
                None => merged.remove(key.as_slice()),
            }
        }
        let (sealed, head_tag) = head.seal(&self.shared.keys, &identity);
        merged.insert(HEAD_KEY, sealed);
        self.shared.db.apply_batch(merged)?;
        if self.switches.sync {
            self.sync(Witness { identity, sequence: head.sequence, head_tag })?;
        }
        // Whoever watches may have given the sync up; and a thread of sled's may have died with what it was to write.
        self.shared.refuse_if_failed()?;
        if is_broken() {
            return Err(StoreError::Failed("a thread of the database has died".into()));
        }
        self.shared.group_sizes.note(head.sequence - self.head.sequence);
        self.shared.generation.store(identity.generation, Ordering::Relaxed);
        self.shared.head.lock().clone_from(&head);
        (self.head, self.identity) = (head, identity);
        let keys = &self.shared.keys;
        self.walks.retain_mut(|walk| walk.follow(keys, &touched) == Step::Further);
        (self.publish)(&group.changes);
        Ok(())
    }

    fn sync(&mut self, witness: Witness) -> Result<(), StoreError> {
        let watch = Stopwatch::start();
        self.shared.db.flush()?;
        self.data_file.sync_data().map_err(failed)?;
        if self.switches.sidecar {
            self.sidecar.write(witness).map_err(failed)?;
        }
        self.shared.sync_us.note(watch.elapsed_us());
        Ok(())
    }

    /// Lets the first walk read a slice.
    fn walk_on(&mut self) {
        let Some(mut walk) = self.walks.pop_front() else { return };
        self.shared.beat();
        let step = self.shared.refuse_if_failed().and_then(|()| {
            quietly(|| walk.read_slice(&self.shared.db, &self.shared.keys, &self.head))
                .unwrap_or_else(|_| Err(unreadable()))
                // There, or at the beginning of the next one.
                .map_err(|error| error.in_table(walk.table()))
        });
        self.shared.beat();
        match step {
            Ok(Step::Further) => self.walks.push_front(walk),
            Ok(Step::AtEnd) => {
                self.shared.live_bytes.store(walk.bytes(), Ordering::Relaxed);
                self.shared.verifications.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Step::GivenUp) => {}
            Err(error) => {
                walk.break_off(&error);
                self.walks.drain(..).for_each(|walk| walk.break_off(&error));
                self.shared.fail(error);
            }
        }
    }

    /// A clean end. What was switched off is made good.
    fn close(mut self) {
        if self.shared.failure().is_some() || self.switches == Switches::default() {
            return;
        }
        let (_, head_tag) = self.head.seal(&self.shared.keys, &self.identity);
        self.switches = Switches::default();
        let witness = Witness { identity: self.identity, sequence: self.head.sequence, head_tag };
        if let Err(error) = self.sync(witness) {
            tracing::error!(%error, "the store could not be closed");
        }
    }
}

fn failed(error: std::io::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}
