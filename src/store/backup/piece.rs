//! Pieces of a dump as bytes: a kind, then entries until the end.
//!
//! ```text
//! 1 records: key's length 2 · key · value's length 4 · value, in the order of their keys
//! 2 changes: the same; a length of 0xffffffff: removed
//! 3 end:     number of records 8 · number of changes 8 · head
//! ```

use super::BackupError;
use crate::store::engine::{Head, Key, Piece};

const RECORDS: u8 = 1;
const CHANGES: u8 = 2;
const END: u8 = 3;
const REMOVED: u32 = u32::MAX;
const DAMAGED: BackupError = BackupError::Damaged("a frame holds no pieces");

/// A key with its value, or without where it is removed.
type Entry = (Key, Option<Vec<u8>>);

/// How many there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub records: u64,
    pub changes: u64,
}

/// Collects entries of one kind until they are a frame's worth.
pub(super) struct Packer {
    bytes: Vec<u8>,
}

impl Packer {
    pub fn records() -> Self {
        Self { bytes: vec![RECORDS] }
    }

    pub fn changes() -> Self {
        Self { bytes: vec![CHANGES] }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.len() == 1
    }

    /// # Errors
    /// A key or a value that no frame could hold.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>, max: usize) -> Result<(), BackupError> {
        let size = key.len() + value.map_or(0, <[u8]>::len) + 6;
        let length = u16::try_from(key.len()).ok().filter(|_| size < max);
        let length = length.ok_or(BackupError::TooLarge(size))?;
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(key);
        let length = value.map_or(REMOVED, |value| value.len() as u32);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value.unwrap_or_default());
        Ok(())
    }

    /// What was collected; begins anew.
    pub fn take(&mut self) -> Vec<u8> {
        let kind = self.bytes[0];
        std::mem::replace(&mut self.bytes, vec![kind])
    }
}

pub(super) fn pack_end(counts: Counts, head: &Head) -> Vec<u8> {
    let mut bytes = vec![END];
    bytes.extend_from_slice(&counts.records.to_be_bytes());
    bytes.extend_from_slice(&counts.changes.to_be_bytes());
    bytes.extend_from_slice(&head.to_bytes());
    bytes
}

/// A piece from a frame's bytes, and for the end what it says of the others.
pub(super) fn unpack(bytes: &[u8]) -> Result<(Piece, Option<Counts>), BackupError> {
    let (kind, rest) = bytes.split_first().ok_or(DAMAGED)?;
    match *kind {
        RECORDS => {
            let entries = unpack_entries(rest)?;
            let whole = |(key, value): Entry| Some((key, value?));
            let records: Option<Vec<_>> = entries.into_iter().map(whole).collect();
            Ok((Piece::Records(records.ok_or(DAMAGED)?), None))
        }
        CHANGES => Ok((Piece::Changes(unpack_entries(rest)?), None)),
        END => {
            let (records, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
            let (changes, head) = rest.split_first_chunk().ok_or(DAMAGED)?;
            let counts =
                Counts { records: u64::from_be_bytes(*records), changes: u64::from_be_bytes(*changes) };
            Ok((Piece::End(Head::from_bytes(head).ok_or(DAMAGED)?), Some(counts)))
        }
        _ => Err(DAMAGED),
    }
}

fn unpack_entries(mut rest: &[u8]) -> Result<Vec<Entry>, BackupError> {
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk().ok_or(DAMAGED)?;
        // A key's first byte is its table: there is none without.
        let length = Some(usize::from(u16::from_be_bytes(*length))).filter(|length| *length > 0);
        let (key, after) = after.split_at_checked(length.ok_or(DAMAGED)?).ok_or(DAMAGED)?;
        let (length, after) = after.split_first_chunk().ok_or(DAMAGED)?;
        let (value, after) = match u32::from_be_bytes(*length) {
            REMOVED => (None, after),
            length => {
                let (value, after) = after.split_at_checked(length as usize).ok_or(DAMAGED)?;
                (Some(value.to_vec()), after)
            }
        };
        entries.push((key.to_vec(), value));
        rest = after;
    }
    Ok(entries)
}
