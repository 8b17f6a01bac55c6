//! Writing a backup, piece by piece.

use super::frame::{FRAME_BYTES_MAX, FRAME_BYTES_USUAL, FrameWriter, Seal};
use super::piece::{Counts, Packer, pack_end};
use super::{BackupError, FORMAT, Head, Header, MAGIC, Piece, SealingKey};
use crate::store::codec;
use aws_lc_rs::digest::{SHA256, digest};
use std::io::Write;

/// What a backup came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub records: u64,
    pub changes: u64,
}

/// Takes in the pieces of a dump.
pub struct Writer<W> {
    frames: FrameWriter<W>,
    counts: Counts,
}

impl<W: Write> Writer<W> {
    /// Begins a backup. A sealed header needs the key that it was made for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(out: W, header: &Header, key: Option<&SealingKey>) -> Result<Self, BackupError> {
        let beginning = beginning(header);
        let seal = match (&header.sealed, key) {
            (Some(sealed), Some(key)) => Some(Seal::new(&key.of_file(&sealed.salt, &beginning))),
            (None, None) => None,
            (Some(_), None) => return Err(BackupError::NeedsPassphrase),
            (None, Some(_)) => return Err(BackupError::NotSealed),
        };
        Ok(Self { frames: FrameWriter::begin(out, &beginning, seal)?, counts: Counts::default() })
    }

    /// Everything but the end.
    ///
    /// # Errors
    /// When it cannot be written, or a record is too large.
    pub fn records(&mut self, records: &[(Vec<u8>, Vec<u8>)]) -> Result<(), BackupError> {
        self.counts.records += records.len() as u64;
        let entries = records.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice())));
        self.entries(Packer::records(), entries)
    }

    /// Changes of a group, behind the records.
    ///
    /// # Errors
    /// As [`Writer::records`].
    pub fn changes(&mut self, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), BackupError> {
        self.counts.changes += changes.len() as u64;
        let entries = changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        self.entries(Packer::changes(), entries)
    }

    fn entries<'a>(
        &mut self,
        mut packer: Packer,
        entries: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Result<(), BackupError> {
        for (key, value) in entries {
            let size = key.len() + value.map_or(0, <[u8]>::len);
            if !packer.is_empty() && packer.len() + size > FRAME_BYTES_USUAL {
                self.frames.write(&packer.take(), false)?;
            }
            packer.push(key, value, FRAME_BYTES_MAX)?;
        }
        if packer.is_empty() { Ok(()) } else { self.frames.write(&packer.take(), false) }
    }

    /// The last frame and the checksum. What it was written to comes back, to be synced.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self, head: &Head) -> Result<(W, Summary), BackupError> {
        self.frames.write(&pack_end(self.counts, head), true)?;
        let Counts { records, changes } = self.counts;
        Ok((self.frames.finish()?, Summary { records, changes }))
    }

    /// A whole dump.
    ///
    /// # Errors
    /// When it cannot be written, or the dump breaks off.
    pub fn all<E: Into<BackupError>>(
        mut self,
        pieces: impl IntoIterator<Item = Result<Piece, E>>,
    ) -> Result<(W, Summary), BackupError> {
        for piece in pieces {
            match piece.map_err(Into::into)? {
                Piece::Records(records) => self.records(&records)?,
                Piece::Changes(changes) => self.changes(&changes)?,
                Piece::End(head) => return self.finish(&head),
            }
        }
        Err(BackupError::CutOff)
    }
}

/// Everything before the frames.
pub(super) fn beginning(header: &Header) -> Vec<u8> {
    let header = codec::encode(header);
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    bytes.extend_from_slice(&(header.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&header);
    let hash = digest(&SHA256, &bytes);
    bytes.extend_from_slice(hash.as_ref());
    bytes
}
