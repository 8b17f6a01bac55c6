//! Frames: deflated, sealed where there is a key, hashed. What is read is not trusted: no length, and nothing
//! that inflates.

use super::{BackupError, HASH_BYTES};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{Context, SHA256};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use std::io::{Read, Write};

/// How large frames usually become.
pub(super) const FRAME_BYTES_USUAL: usize = 256 << 10;
/// The most that a frame may hold.
pub(super) const FRAME_BYTES_MAX: usize = 1 << 20;
/// Deflating makes little of what cannot be made smaller; and there is the seal's tag.
const STORED_BYTES_MAX: usize = FRAME_BYTES_MAX + (64 << 10);
/// In the length: this is the last frame.
const LAST: u32 = 1 << 31;

/// The seal of one file.
pub(super) struct Seal(LessSafeKey);

impl Seal {
    pub fn new(key: &[u8; 32]) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has 32 bytes")))
    }

    /// No two frames of one key have the same: the key is of one file.
    fn nonce(number: u64, last: bool) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        nonce[NONCE_LEN - 1] = u8::from(last);
        Nonce::assume_unique_for_key(nonce)
    }
}

pub(super) struct FrameWriter<W> {
    out: W,
    hash: Context,
    seal: Option<Seal>,
    number: u64,
}

impl<W: Write> FrameWriter<W> {
    /// Begins with what is before the frames.
    pub fn begin(mut out: W, beginning: &[u8], seal: Option<Seal>) -> Result<Self, BackupError> {
        let mut hash = Context::new(&SHA256);
        hash.update(beginning);
        out.write_all(beginning)?;
        Ok(Self { out, hash, seal, number: 0 })
    }

    pub fn write(&mut self, bytes: &[u8], last: bool) -> Result<(), BackupError> {
        let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
        deflate.write_all(bytes)?;
        let mut body = deflate.finish()?;
        if let Some(Seal(key)) = &self.seal {
            key.seal_in_place_append_tag(Seal::nonce(self.number, last), Aad::empty(), &mut body)
                .expect("a frame is not too long");
        }
        self.number += 1;
        let length = body.len() as u32 | if last { LAST } else { 0 };
        for part in [&length.to_be_bytes()[..], &body] {
            self.hash.update(part);
            self.out.write_all(part)?;
        }
        Ok(())
    }

    /// Ends with the checksum.
    pub fn finish(mut self) -> Result<W, BackupError> {
        self.out.write_all(self.hash.finish().as_ref())?;
        Ok(self.out)
    }
}

pub(super) struct FrameReader<R> {
    input: R,
    hash: Context,
    seal: Option<Seal>,
    number: u64,
}

impl<R: Read> FrameReader<R> {
    pub fn new(input: R, beginning: &[u8], seal: Option<Seal>) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(beginning);
        Self { input, hash, seal, number: 0 }
    }

    /// A frame's bytes, and whether it says that it is the last.
    pub fn read(&mut self) -> Result<(Vec<u8>, bool), BackupError> {
        let mut prefix = [0; 4];
        self.input.read_exact(&mut prefix)?;
        self.hash.update(&prefix);
        let prefix = u32::from_be_bytes(prefix);
        let (length, last) = ((prefix & !LAST) as usize, prefix & LAST != 0);
        if length > STORED_BYTES_MAX {
            return Err(BackupError::Damaged("a frame is too long"));
        }
        let mut body = read_up_to(&mut self.input, length)?;
        self.hash.update(&body);
        if let Some(Seal(key)) = &self.seal {
            let opened = key.open_in_place(Seal::nonce(self.number, last), Aad::empty(), &mut body);
            let length = opened.map_err(|_| BackupError::Damaged("a frame was altered or moved"))?.len();
            body.truncate(length);
        }
        self.number += 1;
        Ok((inflate(&body)?, last))
    }

    /// The checksum, and nothing behind it.
    pub fn finish(mut self) -> Result<(), BackupError> {
        let mut wanted = [0; HASH_BYTES];
        self.input.read_exact(&mut wanted)?;
        if self.hash.finish().as_ref() != wanted {
            return Err(BackupError::Damaged("the checksum is another"));
        }
        match self.input.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(BackupError::Damaged("something is behind its end")),
        }
    }
}

/// Memory is taken for what comes, never for what was announced.
pub(super) fn read_up_to(input: &mut impl Read, length: usize) -> Result<Vec<u8>, BackupError> {
    let mut bytes = Vec::new();
    input.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() == length { Ok(bytes) } else { Err(BackupError::CutOff) }
}

fn inflate(body: &[u8]) -> Result<Vec<u8>, BackupError> {
    const DAMAGED: BackupError = BackupError::Damaged("a frame does not inflate");
    let mut bytes = Vec::new();
    let mut decoder = ZlibDecoder::new(body);
    let bounded = Read::by_ref(&mut decoder).take(FRAME_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    bounded.map_err(|_| DAMAGED)?;
    if bytes.len() > FRAME_BYTES_MAX || decoder.total_in() != body.len() as u64 {
        return Err(DAMAGED);
    }
    Ok(bytes)
}
