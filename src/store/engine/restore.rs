//! A store from the pieces of a dump: exactly the one that was dumped, under the present master key.

use super::database::{make_durable, open_db, sum};
use super::error::OpenError;
use super::head::{HEAD_KEY, Head, StoreKeys, Totals};
use super::meta::identity;
use super::options::Options;
use super::place::Place;
use super::quiet::quietly;
use super::sidecar::{Sidecar, Witness};
use super::walk::{Piece, difference};
use super::{Key, Record, VALUE_BYTES_MAX};
use crate::store::codec;
use crate::store::tables::{KeyCheck, Stored};
use std::fs::File;

/// Why there is no restored store. What was made of it so far is good for nothing.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError<E> {
    /// The dump's source.
    #[error("{0}")]
    Source(E),
    #[error("the dump ends in the middle")]
    Incomplete,
    #[error("the dump does not come to what its end says: {0}")]
    Mismatch(String),
    #[error("{0} is not empty")]
    NotEmpty(std::path::PathBuf),
    #[error(transparent)]
    Store(#[from] OpenError),
}

/// What the writer takes, with what stands before a payload.
const RECORD_BYTES_MAX: usize = VALUE_BYTES_MAX + 9;

/// What was restored.
pub struct Restored {
    pub head: Head,
    /// Whether the digests were compared as well as the counts: only the master key that the dump was made under can.
    pub same_key: bool,
}

/// Makes a store in `options.directory`, which must hold none.
///
/// # Errors
/// When the pieces are not whole, or cannot be written.
pub fn restore<E>(
    options: &Options,
    pieces: impl Iterator<Item = Result<Piece, E>>,
) -> Result<Restored, RestoreError<E>> {
    let place = Place::new(&options.directory);
    if place.store.exists() || place.sidecar.exists() {
        return Err(RestoreError::NotEmpty(place.directory));
    }
    place.make_store_directory()?;
    let db = open_db(&place, options)?;
    let mut copy = Copy { db: &db, place: &place, keys: &options.keys, totals: Totals::default() };
    let mut end = None;
    for piece in pieces {
        if end.is_some() {
            return Err(RestoreError::Incomplete);
        }
        match piece.map_err(RestoreError::Source)? {
            Piece::Records(records) => {
                copy.apply(records.into_iter().map(|(key, value)| (key, Some(value))))?
            }
            Piece::Changes(changes) => copy.apply(changes.into_iter())?,
            Piece::End(head) => end = Some(head),
        }
    }
    let wanted = end.ok_or(RestoreError::Incomplete)?;
    let same_key = copy.compare(&wanted).map_err(RestoreError::Mismatch)?;
    let head = Head { sequence: wanted.sequence, totals: copy.finish()? };
    // Read again: what was written must also be what is found.
    let found = sum(&db, &options.keys, |_| true).map_err(|what| place.damaged(what))?;
    if found != head.totals {
        return Err(RestoreError::Mismatch("what was written is not what is read".into()));
    }
    seal(&db, &place, options, &head)?;
    Ok(Restored { head, same_key })
}

struct Copy<'a> {
    db: &'a sled::Db,
    place: &'a Place,
    keys: &'a StoreKeys,
    /// Under our keys.
    totals: Totals,
}

impl Copy<'_> {
    fn apply(&mut self, records: impl Iterator<Item = (Key, Option<Vec<u8>>)>) -> Result<(), OpenError> {
        let mut batch = sled::Batch::default();
        let mut seen = std::collections::HashMap::new();
        for (key, value) in records {
            // A dump comes from outside: no key is too odd, but the head is made, not taken.
            if key.is_empty() || key == HEAD_KEY {
                return Err(self.place.damaged("a dump with a key that no record has"));
            }
            if value.as_ref().is_some_and(|value| value.len() > RECORD_BYTES_MAX) {
                return Err(self.place.damaged("a dump with a record that is too long"));
            }
            let old = match seen.get(&key) {
                Some(value) => Option::<Vec<u8>>::clone(value),
                None => self.read(&key)?,
            };
            self.totals.replace(self.keys, &key, old.as_deref(), value.as_deref());
            match &value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
            seen.insert(key, value);
        }
        self.write(batch)
    }

    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, OpenError> {
        let bytes = quietly(|| self.db.get(key)).map_err(|_| self.place.damaged("it cannot be read"))?;
        Ok(bytes.map_err(|e| self.place.damaged(e))?.map(|bytes| bytes.to_vec()))
    }

    fn write(&self, batch: sled::Batch) -> Result<(), OpenError> {
        quietly(|| self.db.apply_batch(batch))
            .map_err(|_| self.place.damaged("it cannot be written to"))?
            .map_err(|e| self.place.damaged(e))
    }

    /// Whether all is there. Digests are of one master key: under another, counts must do, and the dump's own checksum.
    fn compare(&self, wanted: &Head) -> Result<bool, String> {
        let check = self.read(&KeyCheck::key(&())).map_err(|e| e.to_string())?;
        let check = check.and_then(|bytes| Record::decode(&bytes).ok());
        let check = check.and_then(|record| codec::decode::<KeyCheck>(&record.payload).ok());
        let same_key = check.ok_or("it holds no meta/key-check")?.value == self.keys.check;
        let differs = |table: &u8| match same_key {
            true => true,
            false => self.totals.of(*table).count != wanted.totals.of(*table).count,
        };
        let differing = self.totals.differences(&wanted.totals).into_iter().filter(differs);
        let said: Vec<_> = differing.map(|table| difference(table, &self.totals, &wanted.totals)).collect();
        if said.is_empty() { Ok(same_key) } else { Err(said.join("; ")) }
    }

    /// From here on the store is of the present master key.
    fn finish(mut self) -> Result<Totals, OpenError> {
        let key = KeyCheck::key(&());
        let old = self.read(&key)?;
        let payload = codec::encode(&KeyCheck { value: self.keys.check });
        let version = old.as_deref().and_then(super::record::version_of).unwrap_or(1);
        self.apply(std::iter::once((key, Some(Record::encode(version, &payload)))))?;
        Ok(self.totals)
    }
}

fn seal(db: &sled::Db, place: &Place, options: &Options, head: &Head) -> Result<(), OpenError> {
    let identity = identity(db, place)?;
    let (sealed, head_tag) = head.seal(&options.keys, &identity);
    let mut batch = sled::Batch::default();
    batch.insert(HEAD_KEY, sealed);
    quietly(|| db.apply_batch(batch))
        .map_err(|_| place.damaged("it cannot be written to"))?
        .map_err(|e| place.damaged(e))?;
    let io = |e| OpenError::Io(place.directory.clone(), e);
    let data_file = File::open(place.store.join("db")).map_err(io)?;
    make_durable(db, &data_file, place).map_err(io)?;
    let witness = Witness { identity, sequence: head.sequence, head_tag };
    Sidecar::open(&place.sidecar, witness).map(drop).map_err(io)
}
