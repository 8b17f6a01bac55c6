//! Reading a backup. Nothing that it says is believed before it was checked.

use super::frame::{FrameReader, Seal, read_up_to};
use super::piece::{Counts, unpack};
use super::{BackupError, FORMAT, HASH_BYTES, HEADER_BYTES_MAX, Header, MAGIC, Piece, SealedBy, SealingKey};
use crate::store::codec;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use std::io::Read;

/// A backup of which only the header is read.
pub struct Unopened<R> {
    pub header: Header,
    beginning: Vec<u8>,
    input: R,
}

impl<R: Read> Unopened<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// `NotABackup`, `NewerFormat`, `CutOff`, `Damaged`.
    pub fn read(mut input: R) -> Result<Self, BackupError> {
        let begins = read_up_to(&mut input, MAGIC.len()).map_err(|_| BackupError::NotABackup)?;
        if begins != MAGIC {
            return Err(BackupError::NotABackup);
        }
        let mut beginning = begins;
        let mut next = |length: usize| -> Result<Vec<u8>, BackupError> {
            let part = read_up_to(&mut input, length)?;
            beginning.extend_from_slice(&part);
            Ok(part)
        };
        let format = u16::from_be_bytes([next(1)?[0], next(1)?[0]]);
        let length = next(4)?.try_into().map_or(0, u32::from_be_bytes) as usize;
        if format > FORMAT {
            return Err(BackupError::NewerFormat(format));
        }
        if format == 0 || length > HEADER_BYTES_MAX {
            return Err(BackupError::Damaged("its header is too long"));
        }
        let header = next(length)?;
        let wanted = digest(&SHA256, &beginning);
        let hash = read_up_to(&mut input, HASH_BYTES)?;
        if wanted.as_ref() != hash {
            return Err(BackupError::Damaged("its header was altered"));
        }
        beginning.extend_from_slice(&hash);
        let header =
            codec::decode(&header).map_err(|_| BackupError::Damaged("its header reads as nothing"))?;
        Ok(Self { header, beginning, input })
    }

    /// Goes on to the pieces.
    ///
    /// # Errors
    /// A key where none is needed, none where one is, or a wrong one.
    pub fn open(self, key: Option<&SealingKey>) -> Result<Reader<R>, BackupError> {
        let seal = match (&self.header.sealed, key) {
            (None, None) => None,
            (None, Some(_)) => return Err(BackupError::NotSealed),
            (Some(sealed), None) => {
                return Err(match sealed.by {
                    SealedBy::Passphrase { .. } => BackupError::NeedsPassphrase,
                    SealedBy::KeyFile => BackupError::NeedsKeyFile,
                });
            }
            (Some(sealed), Some(key)) => {
                verify_slices_are_equal(&key.check(&sealed.salt), &sealed.check).map_err(
                    |_| match sealed.by {
                        SealedBy::Passphrase { .. } => BackupError::WrongPassphrase,
                        SealedBy::KeyFile => BackupError::WrongKeyFile,
                    },
                )?;
                Some(Seal::new(&key.of_file(&sealed.salt, &self.beginning)))
            }
        };
        let frames = FrameReader::new(self.input, &self.beginning, seal);
        Ok(Reader { frames: Some(frames), counts: Counts::default(), last_key: Vec::new() })
    }
}

/// The pieces of a backup. The end comes only once the whole file was found to be as it was written.
pub struct Reader<R> {
    /// `None` after the end, or after an error.
    frames: Option<FrameReader<R>>,
    counts: Counts,
    last_key: Vec<u8>,
}

impl<R: Read> Reader<R> {
    fn read(&mut self, mut frames: FrameReader<R>) -> Result<Piece, BackupError> {
        let (bytes, last) = frames.read()?;
        let (piece, said) = unpack(&bytes)?;
        if last != said.is_some() {
            return Err(BackupError::Damaged("its end is not at its end"));
        }
        match (&piece, said) {
            (Piece::Records(records), _) => {
                for (key, _) in records {
                    if *key <= self.last_key {
                        return Err(BackupError::Damaged("records are not in order"));
                    }
                    self.last_key.clone_from(key);
                }
                self.counts.records += records.len() as u64;
            }
            (Piece::Changes(changes), _) => self.counts.changes += changes.len() as u64,
            (Piece::End(_), said) => {
                if said != Some(self.counts) {
                    return Err(BackupError::Damaged("records are missing"));
                }
                frames.finish()?;
                return Ok(piece);
            }
        }
        self.frames = Some(frames);
        Ok(piece)
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Piece, BackupError>;

    fn next(&mut self) -> Option<Self::Item> {
        let frames = self.frames.take()?;
        Some(self.read(frames))
    }
}
