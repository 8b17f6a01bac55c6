//! The witness beside the store: how far it had come when it was last synced. Never ahead of the data.

use super::disk::sync_directory;
use super::head::Identity;
use aws_lc_rs::digest::{SHA256, digest};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const SLOT_BYTES: usize = 512;
const MAGIC: &[u8; 16] = b"hallpass-sidecar";
/// Magic, format, store id, generation, sequence, 32 bytes: the head's tag, in the first format zeros.
const BODY_BYTES: usize = 16 + 1 + 16 + 8 + 8 + 32;
const FORMAT: u8 = 2;

/// What a slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness {
    pub identity: Identity,
    pub sequence: u64,
    /// Of the head at this sequence; zeros in the first format.
    pub head_tag: [u8; 32],
}

/// A witness of the store's first format noted no tag.
const NO_TAG: [u8; 32] = [0; 32];

impl Witness {
    /// Whether the program that wrote it knew an earlier format of the store.
    pub fn is_of_earlier_format(&self) -> bool {
        self.head_tag == NO_TAG
    }

    /// What later ones are greater in.
    pub fn place(&self) -> (u64, u64) {
        (self.identity.generation, self.sequence)
    }
}

/// Two slots, used in turn: a torn write spoils one and leaves the other.
pub struct Sidecar {
    file: File,
    next_slot: u64,
}

impl Sidecar {
    /// The newest witness, or `None` where there is no such file, or an empty one, as a first start leaves that broke
    /// off. A file without a valid slot is an error.
    pub fn read(path: &Path) -> io::Result<Option<Witness>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        if bytes.is_empty() {
            return Ok(None);
        }
        let newest = bytes.chunks(SLOT_BYTES).filter_map(decode).max_by_key(Witness::place);
        newest.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "neither slot is valid"))
    }

    /// Where there is none yet, `first` is its first word: the store must be on disk by then.
    pub fn open(path: &Path, first: Witness) -> io::Result<Self> {
        if Self::read(path)?.is_none() {
            create(path, first)?;
        }
        let file = OpenOptions::new().write(true).open(path)?;
        let slots = std::fs::read(path)?;
        // The first write must not hit the newest slot.
        let places = slots.chunks(SLOT_BYTES).map(|slot| decode(slot).map(|witness| witness.place()));
        let newest = places.enumerate().max_by_key(|(_, place)| *place);
        Ok(Self { file, next_slot: newest.map_or(0, |(slot, _)| (slot as u64 + 1) % 2) })
    }

    /// Notes how far the synced store has come, and syncs.
    pub fn write(&mut self, witness: Witness) -> io::Result<()> {
        self.file.write_all_at(&encode(witness), self.next_slot * SLOT_BYTES as u64)?;
        self.file.sync_data()?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }
}

/// Whole and on disk before it has its name: a file without a valid slot would stop every later start.
fn create(path: &Path, witness: Witness) -> io::Result<()> {
    let half = path.with_extension("half");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    file.write_all(&encode(witness))?;
    file.sync_all()?;
    std::fs::rename(&half, path)?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

fn encode(witness: Witness) -> [u8; SLOT_BYTES] {
    let mut body = Vec::with_capacity(BODY_BYTES);
    body.extend_from_slice(MAGIC);
    body.push(FORMAT);
    body.extend_from_slice(&witness.identity.store_id);
    body.extend_from_slice(&witness.identity.generation.to_be_bytes());
    body.extend_from_slice(&witness.sequence.to_be_bytes());
    body.extend_from_slice(&witness.head_tag);
    let mut slot = [0; SLOT_BYTES];
    slot[..BODY_BYTES].copy_from_slice(&body);
    slot[BODY_BYTES..BODY_BYTES + 32].copy_from_slice(digest(&SHA256, &body).as_ref());
    slot
}

fn decode(slot: &[u8]) -> Option<Witness> {
    let (body, check) = slot.get(..BODY_BYTES + 32)?.split_at(BODY_BYTES);
    if digest(&SHA256, body).as_ref() != check
        || !body.starts_with(MAGIC)
        || !(1..=FORMAT).contains(&body[16])
    {
        return None;
    }
    let number = |at: usize| body[at..at + 8].try_into().map(u64::from_be_bytes).ok();
    let identity = Identity { store_id: body[17..33].try_into().ok()?, generation: number(33)? };
    Some(Witness { identity, sequence: number(41)?, head_tag: body[49..81].try_into().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(sequence: u64) -> Witness {
        let identity = Identity { store_id: [7; 16], generation: 1 };
        Witness { identity, sequence, head_tag: [sequence as u8; 32] }
    }

    #[test]
    fn a_torn_slot_leaves_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sidecar");
        assert_eq!(Sidecar::read(&path).unwrap(), None);
        let mut sidecar = Sidecar::open(&path, witness(1)).unwrap();
        assert_eq!(Sidecar::read(&path).unwrap(), Some(witness(1)));
        for sequence in 1..=5 {
            sidecar.write(witness(sequence)).unwrap();
            assert_eq!(Sidecar::read(&path).unwrap(), Some(witness(sequence)));
        }
        // Opened again, the next write goes to the older slot.
        let mut sidecar = Sidecar::open(&path, witness(1)).unwrap();
        sidecar.write(witness(6)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let torn = bytes.chunks(SLOT_BYTES).position(|slot| decode(slot) == Some(witness(6))).unwrap();
        bytes[torn * SLOT_BYTES + 40] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Sidecar::read(&path).unwrap(), Some(witness(5)));
        std::fs::write(&path, [0; 1024]).unwrap();
        assert!(Sidecar::read(&path).is_err());
    }
}
