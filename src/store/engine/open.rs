//! Opening: refuse rather than start with less than was promised.

use super::database::{make_durable, open_db, remove_torn_settings, remove_torn_snapshots, sum};
use super::error::OpenError;
use super::head::{HEAD_KEY, Head, Identity, StoreKeys, Totals};
use super::meta::{
    FORMAT_KEY, GENERATION_KEY, SEQUENCE_KEY, STORE_FORMAT, STORE_ID_KEY, check_key, identity, number,
    read_meta,
};
use super::migrate;
use super::options::Options;
use super::place::{DirectoryLock, Place};
use super::quiet::quietly;
use super::shared::Shared;
use super::sidecar::{Sidecar, Witness};
use super::walk::{Listener, Walk, difference};
use super::writer::{Publish, Writer};
use super::{Engine, Record};
use crate::store::tables::{KeyCheck, Stored, table};
use crate::store::{codec, doubt, swap};
use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// Where a loss could let somebody in, or open what is closed: summed up before the first answer. The others are by the
/// cursor scan, soon after.
const FIRST_TABLES: [u8; 8] = [
    table::META,
    table::USERS,
    table::NAMES,
    table::SESSIONS,
    table::BLACKLIST,
    table::APPS,
    table::KEYS,
    table::JOBS,
];
/// Of the batch that a store begins with.
const FIRST_SEQUENCE: u64 = 1;
impl Engine {
    /// Opens the store and starts its writer. `publish` takes in each group's changes.
    ///
    /// # Errors
    /// Whenever less might be there than was promised; see [`OpenError`].
    pub fn open(options: Options, publish: Publish) -> Result<Self, OpenError> {
        let lock = DirectoryLock::take(&options.directory)?;
        let place = Place::new(&options.directory);
        swap::finish(&options.directory).map_err(|e| OpenError::Io(place.directory.clone(), e))?;
        let (db, found) = open_checked(&place, &options)?;
        let looks_at_all = doubt::is_raised(&place.directory);
        if options.switches.digests {
            verify(&db, &place, &options.keys, &found.head.totals, looks_at_all)?;
        }
        doubt::settle(&place.directory);

        let io = |e| OpenError::Io(place.store.clone(), e);
        let data_file = File::open(place.store.join("db")).map_err(io)?;
        if options.switches.sync {
            make_durable(&db, &data_file, &place).map_err(io)?;
        }
        let mut sidecar = Sidecar::open(&place.sidecar, found.witness()).map_err(io)?;
        if options.switches.sync {
            sidecar.write(found.witness()).map_err(io)?;
        }
        let Found { identity, head, .. } = found;
        let directory = place.directory.clone();
        let shared = Arc::new(Shared::new(db, options.keys, directory, head.clone(), identity.generation));
        let (sender, requests) = sync_channel(options.queue_length);
        let mut walks = VecDeque::new();
        if options.switches.digests && !looks_at_all {
            walks.push_back(Walk::new(Listener::Nobody));
        }
        let writer = Writer {
            shared: Arc::clone(&shared),
            requests,
            publish,
            store: place.store.clone(),
            data_file,
            sidecar,
            identity,
            head,
            walks,
            switches: options.switches,
            free_floor_bytes: options.free_floor_bytes,
        };
        let writer =
            std::thread::Builder::new().name("store".into()).spawn(move || writer.run()).map_err(io)?;
        Ok(Self {
            shared,
            sender: Some(sender),
            writer: Some(writer),
            store_id: identity.store_id,
            _lock: lock,
        })
    }
}

/// What a store says of itself.
pub(super) struct Found {
    pub identity: Identity,
    pub head: Head,
    pub head_tag: [u8; 32],
}

impl Found {
    pub fn witness(&self) -> Witness {
        Witness { identity: self.identity, sequence: self.head.sequence, head_tag: self.head_tag }
    }
}

/// The database with its head, neither behind its witness nor of another key; or a new one where that is permitted.
pub(super) fn open_checked(place: &Place, options: &Options) -> Result<(sled::Db, Found), OpenError> {
    let witness = place.witness()?;
    if !place.store.exists() {
        if witness.is_some() || options.initialise.is_none() {
            return Err(OpenError::Missing(place.store.clone()));
        }
        place.make_store_directory()?;
    }
    remove_torn_snapshots(place)?;
    if witness.is_none() && options.initialise.is_some() {
        remove_torn_settings(place)?;
    }
    if witness.is_some_and(|witness| witness.is_of_earlier_format()) {
        // Before sled opens it: by that alone it writes.
        migrate::copy_aside(place, options)?;
    }
    let db = open_db(place, options)?;
    let meta = |db: &sled::Db, key: &[u8]| read_meta(db, place, key);
    let Some(format) = meta(&db, FORMAT_KEY)? else {
        let may_begin = options.initialise.filter(|_| witness.is_none() && db.is_empty());
        let Some(store_id) = may_begin else {
            return Err(match db.is_empty() {
                true => OpenError::Missing(place.store.clone()),
                false => place.damaged("meta/format is missing"),
            });
        };
        let begun = quietly(|| begin(&db, &options.keys, store_id));
        let found = begun.unwrap_or_else(|_| Err(place.damaged("it cannot be written to")))?;
        return Ok((db, found));
    };
    let format = number(Some(format)).ok_or_else(|| place.damaged("meta/format is no number"))?;
    if format > STORE_FORMAT {
        return Err(OpenError::NewerFormat(place.store.clone(), format));
    }
    check_key(&db, place, &options.keys)?;
    let identity = identity(&db, place)?;
    if format < STORE_FORMAT {
        let sequence = number(meta(&db, SEQUENCE_KEY)?);
        let sequence = sequence.ok_or_else(|| place.damaged("meta/sequence is missing"))?;
        compare(place, options, witness, &Witness { identity, sequence, head_tag: [0; 32] })?;
        migrate::forward(&db, format, place, options)?;
    }
    let bytes = quietly(|| db.get(HEAD_KEY)).map_err(|_| place.damaged("meta/head cannot be read"))?;
    let bytes = bytes.map_err(|e| place.damaged(e))?.ok_or_else(|| place.lost("meta/head is missing"))?;
    let opened = Head::open(&bytes, &options.keys, &identity);
    let (head, head_tag) = opened.ok_or_else(|| place.lost("meta/head is not what was written"))?;
    let found = Found { identity, head, head_tag };
    compare(place, options, witness, &found.witness())?;
    Ok((db, found))
}

fn compare(
    place: &Place,
    options: &Options,
    witness: Option<Witness>,
    found: &Witness,
) -> Result<(), OpenError> {
    let (store, path) = (place.store.clone(), place.sidecar.clone());
    let Some(witness) = witness else {
        // A first start that broke off before anything was promised: nothing followed its first batch.
        return match options.initialise.filter(|_| found.sequence <= FIRST_SEQUENCE) {
            Some(_) => Ok(()),
            None => Err(OpenError::NoWitness { store, witness: path }),
        };
    };
    if witness.identity.store_id != found.identity.store_id {
        return Err(OpenError::OtherStore { store, witness: path });
    }
    if witness.place() > found.place() {
        let said = |(generation, sequence)| format!("batch {sequence} of generation {generation}");
        let (found, wanted) = (said(found.place()), said(witness.place()));
        return Err(OpenError::Behind { store, witness: path, found, wanted });
    }
    let told_apart = !witness.is_of_earlier_format() && witness.head_tag != found.head_tag;
    if witness.place() == found.place() && told_apart {
        return Err(OpenError::OtherPast { store, witness: path });
    }
    Ok(())
}

/// A new store's first records.
fn begin(db: &sled::Db, keys: &StoreKeys, store_id: [u8; 16]) -> Result<Found, OpenError> {
    let identity = Identity { store_id, generation: 1 };
    let mut head = Head { sequence: FIRST_SEQUENCE, totals: Totals::default() };
    let mut batch = sled::Batch::default();
    let mut put = |key: &[u8], payload: &[u8]| {
        let value = Record::encode(1, payload);
        head.totals.add(keys, key, &value);
        batch.insert(key, value);
    };
    put(FORMAT_KEY, &STORE_FORMAT.to_be_bytes());
    put(STORE_ID_KEY, &store_id);
    put(GENERATION_KEY, &identity.generation.to_be_bytes());
    put(&KeyCheck::key(&()), &codec::encode(&KeyCheck { value: keys.check }));
    let (sealed, head_tag) = head.seal(keys, &identity);
    batch.insert(HEAD_KEY, sealed);
    db.apply_batch(batch).map_err(|e| OpenError::Damaged(e.to_string()))?;
    Ok(Found { identity, head, head_tag })
}

/// Sums up the first tables, or all of them, and compares.
fn verify(
    db: &sled::Db,
    place: &Place,
    keys: &StoreKeys,
    wanted: &Totals,
    all: bool,
) -> Result<(), OpenError> {
    let found = sum(db, keys, |table| all || FIRST_TABLES.contains(&table));
    let found = found.map_err(|what| place.damaged(what))?;
    let differing = found.differences(wanted).into_iter();
    let differing = differing.filter(|table| all || FIRST_TABLES.contains(table));
    let said: Vec<_> = differing.map(|table| difference(table, &found, wanted)).collect();
    if said.is_empty() { Ok(()) } else { Err(place.lost(said.join("; "))) }
}
