//! Looking at a store that need not be whole: what it holds against what it should, and the pieces of what is left.

use super::database::{open_db, sum};
use super::disk::{disk_bytes, free_bytes};
use super::error::OpenError;
use super::head::{HEAD_KEY, Head, Identity, Total, Totals};
use super::meta::{FORMAT_KEY, STORE_FORMAT, check_key, identity, number, read_meta};
use super::open::open_checked;
use super::options::Options;
use super::place::{DirectoryLock, Place};
use super::quiet::quietly;
use super::record::{Record, version_of};
use super::restore::{RestoreError, restore};
use super::sidecar::Witness;
use super::walk::{Piece, difference};
use super::{Key, StoreError};
use crate::store::{swap, tables};
use aws_lc_rs::digest::{Context, SHA256};
use std::ops::Bound;

/// One table of a store that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableFound {
    pub table: u8,
    pub found: Total,
    /// `None`: the store no longer says.
    pub wanted: Option<Total>,
}

impl TableFound {
    pub fn is_whole(&self) -> bool {
        self.wanted == Some(self.found)
    }
}

/// What a look at a store found.
#[derive(Clone, Debug)]
pub struct Examination {
    pub identity: Option<Identity>,
    pub sequence: Option<u64>,
    pub witness: Option<Witness>,
    pub tables: Vec<TableFound>,
    /// Records that cannot be read: they would be left behind.
    pub unreadable: Vec<Key>,
    /// What is wrong, in words. None: all that was acknowledged is there.
    pub losses: Vec<String>,
}

impl Examination {
    /// What whoever accepts the losses must name, so that they have read what these are.
    pub fn code(&self) -> String {
        let mut context = Context::new(&SHA256);
        let identity = self.identity.map(|identity| identity.store_id).unwrap_or_default();
        context.update(&identity);
        context.update(&self.sequence.unwrap_or_default().to_be_bytes());
        self.losses.iter().for_each(|loss| context.update(loss.as_bytes()));
        context.finish().as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A store and its pieces, whatever state they are in.
pub struct Salvage {
    db: sled::Db,
    place: Place,
    _lock: DirectoryLock,
    options: Options,
}

impl Salvage {
    /// Opens without asking whether it is whole. It must be readable at all, and of this master key.
    ///
    /// # Errors
    /// When sled cannot open it, or there is nothing.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        let lock = DirectoryLock::take(&options.directory)?;
        let place = Place::new(&options.directory);
        // A store that was marked counts from then on, and not the one that is still in its place.
        swap::finish(&options.directory).map_err(|e| OpenError::Io(place.directory.clone(), e))?;
        if !place.store.exists() {
            return Err(OpenError::Missing(place.store));
        }
        let db = open_db(&place, options)?;
        match number(read_meta(&db, &place, FORMAT_KEY)?) {
            Some(format) if format > STORE_FORMAT => return Err(OpenError::NewerFormat(place.store, format)),
            Some(format) if format < STORE_FORMAT => return Err(OpenError::OlderFormat(place.store, format)),
            _ => {}
        }
        check_key(&db, &place, &options.keys)?;
        Ok(Self { db, place, _lock: lock, options: options.clone() })
    }

    /// Compares everything with everything.
    ///
    /// # Errors
    /// When it cannot be read to its end.
    pub fn examine(&self) -> Result<Examination, OpenError> {
        let found = sum(&self.db, &self.options.keys, |_| true).map_err(|what| self.place.damaged(what))?;
        let identity = identity(&self.db, &self.place).ok();
        let head = quietly(|| self.db.get(HEAD_KEY)).ok().and_then(Result::ok).flatten();
        let head = head
            .zip(identity)
            .and_then(|(bytes, identity)| Head::open(&bytes, &self.options.keys, &identity));
        let mut losses = Vec::new();
        let witness = self.place.witness().unwrap_or_else(|error| {
            losses.push(error.to_string());
            None
        });
        if witness.is_none() && losses.is_empty() {
            losses.push("the sidecar is missing, which tells whether anything is".into());
        }
        match &head {
            None => losses.push("the store no longer says what it must hold".into()),
            Some((head, _)) => {
                let differing = found.differences(&head.totals);
                losses.extend(differing.into_iter().map(|table| difference(table, &found, &head.totals)));
            }
        }
        let sequence = head.as_ref().map(|(head, _)| head.sequence);
        if let (Some(witness), Some(identity), Some((head, tag))) = (witness, identity, &head) {
            losses.extend(said_of_witness(&witness, &identity, head, tag));
        }
        let unreadable = self.unreadable()?;
        if !unreadable.is_empty() {
            losses.push(format!("{} records cannot be read", unreadable.len()));
        }
        let wanted = head.map(|(head, _)| head.totals);
        let tables = tables_of(&found, wanted.as_ref());
        Ok(Examination { identity, sequence, witness, tables, unreadable, losses })
    }

    fn unreadable(&self) -> Result<Vec<Key>, OpenError> {
        let mut unreadable = Vec::new();
        for piece in self.records() {
            let records = piece.map_err(|e| self.place.damaged(e))?;
            unreadable.extend(records.into_iter().filter(|record| !is_readable(record)).map(|(key, _)| key));
        }
        Ok(unreadable)
    }

    /// What is left, as the pieces of a dump whose end says just that.
    pub fn pieces(&self) -> impl Iterator<Item = Result<Piece, StoreError>> {
        let keys = &self.options.keys;
        let mut head = Some(Head::default());
        let mut records = self.records();
        std::iter::from_fn(move || {
            let Some(slice) = records.next() else { return head.take().map(|head| Ok(Piece::End(head))) };
            let head = head.as_mut()?;
            Some(slice.map(|records| {
                let kept: Vec<_> = records.into_iter().filter(is_readable).collect();
                for (key, value) in &kept {
                    head.totals.add(keys, key, value);
                    head.sequence = head.sequence.max(version_of(value).unwrap_or_default());
                }
                Piece::Records(kept)
            }))
        })
    }

    /// All records but the head, in slices.
    fn records(&self) -> impl Iterator<Item = Result<Vec<(Key, Vec<u8>)>, StoreError>> {
        let mut cursor: Option<Key> = None;
        let mut over = false;
        std::iter::from_fn(move || {
            if over {
                return None;
            }
            let from = cursor.clone().map_or(Bound::Unbounded, Bound::Excluded);
            let slice = quietly(|| {
                let found = self.db.range::<Key, _>((from, Bound::Unbounded)).take(SLICE_RECORDS);
                found
                    .map(|found| found.map(|(key, value)| (key.to_vec(), value.to_vec())))
                    .collect::<Result<Vec<_>, _>>()
            });
            let slice =
                slice.unwrap_or_else(|_| Err(sled::Error::Unsupported("a record cannot be read".into())));
            over = slice.as_ref().map_or(true, |slice| slice.len() < SLICE_RECORDS);
            Some(slice.map_err(StoreError::from).map(|mut slice| {
                cursor = slice.last().map(|(key, _)| key.clone());
                slice.retain(|(key, _)| key != HEAD_KEY);
                slice
            }))
        })
    }
}

const SLICE_RECORDS: usize = 1000;

fn is_readable((key, value): &(Key, Vec<u8>)) -> bool {
    Record::decode(value).is_ok_and(|record| tables::is_readable(key, &record.payload))
}

fn tables_of(found: &Totals, wanted: Option<&Totals>) -> Vec<TableFound> {
    let all = found.iter().chain(wanted.into_iter().flat_map(Totals::iter)).map(|(table, _)| table);
    let all: std::collections::BTreeSet<u8> = all.collect();
    let look =
        |table| TableFound { table, found: found.of(table), wanted: wanted.map(|wanted| wanted.of(table)) };
    all.into_iter().map(look).collect()
}

fn said_of_witness(witness: &Witness, identity: &Identity, head: &Head, tag: &[u8; 32]) -> Option<String> {
    let place = (identity.generation, head.sequence);
    if witness.identity.store_id != identity.store_id {
        return Some("the sidecar belongs to another store".into());
    }
    if witness.place() > place {
        let missing = witness.sequence.saturating_sub(head.sequence);
        return Some(match witness.identity.generation == identity.generation {
            true => format!("the last {missing} acknowledged batches are missing"),
            false => "the store is of an earlier generation than the sidecar".into(),
        });
    }
    let exchanged = witness.place() == place && witness.head_tag != *tag && !witness.is_of_earlier_format();
    exchanged.then(|| "store and sidecar tell two different stories of the same moment".into())
}

/// Writes the store anew, without what sled no longer needs. Exact, or nothing changes; nor does anything where the
/// new one would take more.
///
/// # Errors
/// When the store is not whole, or the disk does not take the copy.
pub fn compact(options: &Options) -> Result<Compacted, RestoreError<StoreError>> {
    let lock = DirectoryLock::take(&options.directory)?;
    let place = Place::new(&options.directory);
    let io = |e| RestoreError::Store(OpenError::Io(options.directory.clone(), e));
    swap::finish(&options.directory).map_err(io)?;
    let (db, found) = open_checked(&place, options)?;
    let before_bytes = disk_bytes(&place.store).map_err(io)?;
    if free_bytes(&place.directory).is_some_and(|free| free < before_bytes + options.free_floor_bytes) {
        return Err(OpenError::NoRoom(place.directory, before_bytes >> 20).into());
    }
    let salvage = Salvage { db, place, _lock: lock, options: options.clone() };
    // The end is the one that the store is held to, not what happens to be left.
    let pieces = salvage.pieces().map(|piece| match piece {
        Ok(Piece::End(_)) => Ok(Piece::End(found.head.clone())),
        other => other,
    });
    let next = Options { directory: swap::next(&options.directory), initialise: None, ..options.clone() };
    let restored = restore(&next, pieces);
    let after_bytes = disk_bytes(&Place::new(&next.directory).store).unwrap_or_default();
    if restored.is_err() || after_bytes > before_bytes {
        // sled takes about twice what it is given: a store that takes less is not worth it.
        std::fs::remove_dir_all(&next.directory).map_err(io)?;
        return restored.map(|_| Compacted { before_bytes, after_bytes: before_bytes });
    }
    swap::ready(&options.directory, swap::Old::Discarded).map_err(io)?;
    let Salvage { db, _lock, .. } = salvage;
    drop(db);
    swap::finish(&options.directory).map_err(io)?;
    Ok(Compacted { before_bytes, after_bytes })
}

/// What a store took on disk before and after it was written anew.
#[derive(Clone, Copy, Debug)]
pub struct Compacted {
    pub before_bytes: u64,
    pub after_bytes: u64,
}
