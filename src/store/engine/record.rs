//! What lies in the tree: `format 1 · version 8, big endian · payload`.

use super::StoreError;

/// A key: its first byte is the table.
pub type Key = Vec<u8>;

/// The only format of records so far.
const FORMAT: u8 = 1;

/// A record as it lies in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The sequence number of the batch that wrote it.
    pub version: u64,
    pub payload: Vec<u8>,
}

impl Record {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let (head, payload) =
            bytes.split_at_checked(9).ok_or_else(|| StoreError::Corrupt("a record is too short".into()))?;
        if head[0] != FORMAT {
            return Err(StoreError::Corrupt(format!("a record has the unknown format {}", head[0])));
        }
        Ok(Self { version: version_of(bytes).unwrap_or_default(), payload: payload.to_vec() })
    }

    pub(super) fn encode(version: u64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(9 + payload.len());
        bytes.push(FORMAT);
        bytes.extend_from_slice(&version.to_be_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }
}

pub(super) fn version_of(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(1..9)?.try_into().ok()?))
}
