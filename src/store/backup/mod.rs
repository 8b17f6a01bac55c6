//! A backup as a file: a dump of the store, compressed, checksummed, and sealed where there is a key.
//!
//! ```text
//! magic 16 · format 2 · header's length 4 · header (MessagePack) · SHA-256 of all so far 32
//! frame, frame, …, last frame: length 4 with the last one's mark in its highest bit · body
//! SHA-256 of all before it 32, and nothing behind
//! ```
//!
//! A frame's body is a stretch of pieces (see `piece`), deflated, and in a sealed backup under AES-256-GCM by
//! a key of this file alone. The nonce is the frame's number with the mark of the last one, so frames that
//! were cut off, left out or moved do not open; and the key comes of the whole header, so that none opens
//! under another header. Without a key the checksum finds damage, but not intent: whoever can write to the
//! file can make another one.
//!
//! The master key is in no backup: all that it signed and sealed is replaced at a restore anyway, so another
//! one does.

mod frame;
mod piece;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use crate::store::engine::{Head, Piece};
pub use read::{Reader, Unopened};
pub use write::{Summary, Writer};

use crate::model::Time;
use aws_lc_rs::{digest, hkdf};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const MAGIC: &[u8; 16] = b"hallpass-backup\n";
/// Moves with every change that an older program could not read.
const FORMAT: u16 = 1;
/// A header is some two hundred bytes.
const HEADER_BYTES_MAX: usize = 4096;
const HASH_BYTES: usize = 32;

/// Why a backup is not read, or not written. Each in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("this is no backup of Hallpass")]
    NotABackup,
    #[error("the backup has format {0}, which is newer than this program: use the newer program")]
    NewerFormat(u16),
    #[error("the backup is damaged ({0}): take another one")]
    Damaged(&'static str),
    #[error("the backup is cut off: it was not copied whole")]
    CutOff,
    #[error("the backup is encrypted to a passphrase: name the file that holds it")]
    NeedsPassphrase,
    #[error("the backup is encrypted to a key file: name it")]
    NeedsKeyFile,
    #[error("the backup is not encrypted: give neither passphrase nor key file")]
    NotSealed,
    #[error("the passphrase is not the one of this backup")]
    WrongPassphrase,
    #[error("the key file is not the one of this backup")]
    WrongKeyFile,
    #[error("there is not enough room on the disk for what is in it")]
    NoRoom,
    #[error("a record of {0} bytes is too large for a backup")]
    TooLarge(usize),
    #[error("{0}")]
    Store(#[from] crate::store::StoreError),
    #[error("{0}")]
    Io(std::io::Error),
}

impl From<std::io::Error> for BackupError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::CutOff,
            _ => Self::Io(error),
        }
    }
}

/// What a backup says of itself, readable without a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    #[serde(with = "serde_bytes")]
    pub store_id: [u8; 16],
    pub generation: u64,
    pub made_at: Time,
    /// The version of the program that made it.
    pub program: String,
    /// `None`: readable by everybody.
    pub sealed: Option<Sealed>,
}

/// How a backup is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    pub by: SealedBy,
    /// Random: no two backups have the same key.
    #[serde(with = "serde_bytes")]
    pub salt: [u8; 32],
    /// What only the right key gives, so that a wrong passphrase is told from damage.
    #[serde(with = "serde_bytes")]
    check: [u8; 32],
}

/// What the key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SealedBy {
    /// By argon2id at this cost, with the salt.
    Passphrase {
        memory_kib: u32,
        iterations: u32,
        lanes: u32,
    },
    KeyFile,
}

/// What a backup is sealed with: a key file's bytes, or what a passphrase came to.
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl SealingKey {
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The bytes, to hand to a child process.
    pub fn expose_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn derive(&self, salt: &[u8; 32], label: &[u8], context: &[u8]) -> Zeroizing<[u8; 32]> {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(self.0.as_ref());
        let mut key = Zeroizing::new([0; 32]);
        prk.expand(&[label, context], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(key.as_mut()))
            .expect("32 bytes are within what HKDF gives");
        key
    }

    fn check(&self, salt: &[u8; 32]) -> [u8; 32] {
        *self.derive(salt, b"check", b"")
    }

    /// The key of the one file with this header.
    fn of_file(&self, salt: &[u8; 32], header: &[u8]) -> Zeroizing<[u8; 32]> {
        self.derive(salt, b"file", digest::digest(&digest::SHA256, header).as_ref())
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey")
    }
}

impl Sealed {
    /// For a new backup; `salt` is random.
    pub fn new(by: SealedBy, salt: [u8; 32], key: &SealingKey) -> Self {
        Self { by, salt, check: key.check(&salt) }
    }
}
