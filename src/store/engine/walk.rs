//! The cursor scan: a walk over all records while the store is written to, exact at its end.
//!
//! Between groups the writer reads a slice of records behind the cursor. A group that writes at or before the cursor
//! is passed on as changes; what it writes beyond is met later. So at the end the walk has seen the store exactly as it
//! is then, and the sums of what it saw must be those of the head. It is how damage is found, and what a backup is.

use super::head::{Head, StoreKeys, Totals, Touched};
use super::{Key, StoreError};
use crate::clock::Stopwatch;
use crate::store::tables;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use tokio::sync::oneshot;

/// How many records one slice reads: the writer is away for as long.
const SLICE_RECORDS: usize = 1000;
/// And how long one may take where reading is slow, as of a large store from a cold disk.
const SLICE_US_MAX: u64 = 10_000;
/// How many pieces may wait before the walk pauses.
const BACKLOG_PIECES: usize = 4;
/// How many may wait when groups go on while the walk pauses; then whoever takes the dump is too slow.
const BACKLOG_PIECES_MAX: usize = 100_000;

/// What a dump is made of. Carried out in order, its pieces make the store as it was at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// In the order of keys. Values are whole records as in the tree: format, version, payload.
    Records(Vec<(Key, Vec<u8>)>),
    /// What a group changed behind the cursor. `None`: removed.
    Changes(Vec<(Key, Option<Vec<u8>>)>),
    /// The end, and what the pieces before it come to.
    End(Head),
}

/// The pieces of a dump, as the writer makes them.
pub struct Dump {
    pieces: mpsc::Receiver<Result<Piece, StoreError>>,
    waiting: Arc<AtomicUsize>,
}

impl Iterator for Dump {
    type Item = Result<Piece, StoreError>;

    /// Waits for the next piece; `None` after the last, or when the writer is gone.
    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.pieces.recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(piece)
    }
}

/// Who wants to know.
pub(super) enum Listener {
    /// The scan that the store makes for itself.
    Nobody,
    Verdict(oneshot::Sender<Result<Head, StoreError>>),
    Dump(mpsc::Sender<Result<Piece, StoreError>>, Arc<AtomicUsize>),
}

impl Listener {
    pub fn dump() -> (Self, Dump) {
        let (sender, pieces) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        (Self::Dump(sender, Arc::clone(&waiting)), Dump { pieces, waiting })
    }
}

/// Whether a walk goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Further,
    /// Everything was read, and is as it was written.
    AtEnd,
    /// Nobody takes the pieces any more.
    GivenUp,
}

pub(super) struct Walk {
    listener: Listener,
    /// The last key that was read.
    cursor: Option<Key>,
    totals: Totals,
    /// What all records take by themselves, as they were read.
    bytes: u64,
}

impl Walk {
    pub fn new(listener: Listener) -> Self {
        Self { listener, cursor: None, totals: Totals::default(), bytes: 0 }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The table that it is in.
    pub fn table(&self) -> Option<u8> {
        self.cursor.as_ref().and_then(|key| key.first().copied())
    }

    /// Somebody waits for it: then it makes haste.
    pub fn is_awaited(&self) -> bool {
        !matches!(self.listener, Listener::Nobody)
    }

    /// Reads on.
    ///
    /// # Errors
    /// `Corrupt`, naming the tables, when the end is reached and the sums are not the head's.
    pub fn read_slice(&mut self, db: &sled::Db, keys: &StoreKeys, head: &Head) -> Result<Step, StoreError> {
        if let Listener::Dump(_, waiting) = &self.listener
            && waiting.load(Ordering::Relaxed) > BACKLOG_PIECES
        {
            return Ok(Step::Further);
        }
        let from = self.cursor.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let wants_records = matches!(self.listener, Listener::Dump(..));
        let (mut read, mut records, mut is_at_end) = (0, Vec::new(), true);
        let watch = Stopwatch::start();
        for found in db.range::<Key, _>((from, Bound::Unbounded)) {
            let (key, value) = found?;
            read += 1;
            self.totals.add(keys, &key, &value);
            self.bytes += (key.len() + value.len()) as u64;
            if wants_records && key != super::head::HEAD_KEY {
                records.push((key.to_vec(), value.to_vec()));
            }
            self.cursor = Some(key.to_vec());
            if read == SLICE_RECORDS || watch.elapsed_us() > SLICE_US_MAX {
                is_at_end = false;
                break;
            }
        }
        if !records.is_empty() && self.pass_on(Piece::Records(records)) == Step::GivenUp {
            return Ok(Step::GivenUp);
        }
        if !is_at_end {
            return Ok(Step::Further);
        }
        compare(&self.totals, &head.totals)?;
        match std::mem::replace(&mut self.listener, Listener::Nobody) {
            Listener::Nobody => {}
            // Whoever went away needs no answer.
            Listener::Verdict(answer) => drop(answer.send(Ok(head.clone()))),
            dump @ Listener::Dump(..) => {
                self.listener = dump;
                self.pass_on(Piece::End(head.clone()));
            }
        }
        Ok(Step::AtEnd)
    }

    /// Takes in what a group has written.
    pub fn follow(&mut self, keys: &StoreKeys, group: &[Touched]) -> Step {
        let Some(cursor) = &self.cursor else { return Step::Further };
        let behind = || group.iter().filter(|touched| touched.key <= *cursor);
        for touched in behind() {
            self.totals.replace(keys, &touched.key, touched.old.as_deref(), touched.new.as_deref());
        }
        let Listener::Dump(sender, waiting) = &self.listener else { return Step::Further };
        let changes: Vec<_> = behind().map(|touched| (touched.key.clone(), touched.new.clone())).collect();
        if changes.is_empty() {
            return Step::Further;
        }
        if waiting.load(Ordering::Relaxed) > BACKLOG_PIECES_MAX {
            let _ = sender.send(Err(StoreError::Overloaded));
            return Step::GivenUp;
        }
        self.pass_on(Piece::Changes(changes))
    }

    /// Tells who waits that it came to nothing.
    pub fn break_off(self, error: &StoreError) {
        match self.listener {
            Listener::Nobody => {}
            Listener::Verdict(answer) => drop(answer.send(Err(error.clone()))),
            Listener::Dump(sender, _) => drop(sender.send(Err(error.clone()))),
        }
    }

    fn pass_on(&self, piece: Piece) -> Step {
        let Listener::Dump(sender, waiting) = &self.listener else { return Step::Further };
        waiting.fetch_add(1, Ordering::Relaxed);
        if sender.send(Ok(piece)).is_ok() { Step::Further } else { Step::GivenUp }
    }
}

/// Whether the records that were found come to what must be there.
pub(super) fn compare(found: &Totals, wanted: &Totals) -> Result<(), StoreError> {
    let differing = found.differences(wanted);
    if differing.is_empty() {
        return Ok(());
    }
    let said: Vec<_> = differing.iter().map(|table| difference(*table, found, wanted)).collect();
    Err(StoreError::Corrupt(said.join("; ")))
}

/// What differs in one table, in words.
pub(super) fn difference(table: u8, found: &Totals, wanted: &Totals) -> String {
    let (name, found, wanted) = (tables::name(table), found.of(table).count, wanted.of(table).count);
    if found == wanted {
        format!("table {name}: {found} records, but not those that were written")
    } else {
        format!("table {name}: {found} records where {wanted} were written")
    }
}
