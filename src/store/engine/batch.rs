//! What a verb asks for, and what becomes of it.

use super::{Key, Record};
use crate::store::tables;

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
    /// A value that sled would lay aside in a file of its own, which nobody syncs; nothing was done.
    #[error("a value of {0} bytes is too long")]
    TooLong(usize),
    /// The disk has less room than is kept free; nothing was done.
    #[error("the disk is almost full")]
    Full,
    /// An error from the disk or from sled: memory may be ahead of the disk, so nothing is read or written any more.
    #[error("the store has failed: {0}")]
    Failed(String),
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// The same with the name of the table that was read.
    pub(super) fn in_table(self, table: Option<u8>) -> Self {
        match (self, table) {
            (Self::Corrupt(what), Some(table)) if !what.starts_with("table ") => {
                Self::Corrupt(format!("table {}: {what}", tables::name(table)))
            }
            (other, _) => other,
        }
    }
}
