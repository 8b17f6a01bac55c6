//! Opening: refuse rather than start with less than was promised.

use super::error::OpenError;
use super::head::{HEAD_KEY, Head, Identity, StoreKeys, Totals};
use super::migrate;
use super::place::{DirectoryLock, Place, sync_directory};
use super::quiet::quietly;
use super::shared::Shared;
use super::sidecar::{Sidecar, Witness};
use super::walk::{Listener, Walk, difference};
use super::writer::{GENERATION_KEY, Publish, Switches, Writer};
use super::{Engine, Record};
use crate::store::tables::{KeyCheck, Stored, table};
use crate::store::{codec, doubt, swap};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel, sync_channel};
use std::time::Duration;

/// How to open.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory; the store lies in `store/`, the witness in `sidecar`.
    pub directory: PathBuf,
    pub keys: StoreKeys,
    pub cache_bytes: u64,
    /// How many batches may wait.
    pub queue_length: usize,
    /// Permits a new store, with this id, where there was never one.
    pub initialise: Option<[u8; 16]>,
    /// Below so many bytes of free space on the store's disk nothing is written.
    pub free_floor_bytes: u64,
    #[doc(hidden)]
    pub switches: Switches,
}

impl Options {
    pub fn new(directory: impl Into<PathBuf>, keys: StoreKeys) -> Self {
        Self {
            directory: directory.into(),
            keys,
            cache_bytes: 128 << 20,
            queue_length: 4096,
            initialise: None,
            free_floor_bytes: 0,
            switches: Switches::default(),
        }
    }
}

pub(super) const FORMAT_KEY: &[u8] = b"\x01format";
pub(super) const STORE_ID_KEY: &[u8] = b"\x01store-id";
/// Of the whole store; moves with migrations.
pub(super) const STORE_FORMAT: u64 = 2;
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
/// Where sled keeps its settings.
const SETTINGS: &str = "conf";
/// sled can hang on a damaged file.
const OPEN_SECONDS_MAX: u64 = 300;

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
        let sequence = number(meta(&db, migrate::SEQUENCE_KEY)?);
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

pub(super) fn identity(db: &sled::Db, place: &Place) -> Result<Identity, OpenError> {
    let store_id = read_meta(db, place, STORE_ID_KEY)?.and_then(|payload| payload.try_into().ok());
    Ok(Identity {
        store_id: store_id.ok_or_else(|| place.damaged("meta/store-id is missing"))?,
        generation: number(read_meta(db, place, GENERATION_KEY)?)
            .ok_or_else(|| place.damaged("meta/generation is missing"))?,
    })
}

pub(super) fn number(payload: Option<Vec<u8>>) -> Option<u64> {
    payload?.try_into().ok().map(u64::from_be_bytes)
}

pub(super) fn read_meta(db: &sled::Db, place: &Place, key: &[u8]) -> Result<Option<Vec<u8>>, OpenError> {
    let bytes = quietly(|| db.get(key)).map_err(|_| place.damaged("it cannot be read"))?;
    let Some(bytes) = bytes.map_err(|e| place.damaged(e))? else { return Ok(None) };
    Record::decode(&bytes).map(|record| Some(record.payload)).map_err(|e| place.damaged(e))
}

/// Before anything that the key vouches for: a wrong key file must not look like damage.
pub(super) fn check_key(db: &sled::Db, place: &Place, keys: &StoreKeys) -> Result<(), OpenError> {
    let payload = read_meta(db, place, &KeyCheck::key(&()))?;
    let payload = payload.ok_or_else(|| place.lost("meta/key-check is missing"))?;
    match codec::decode::<KeyCheck>(&payload) {
        Ok(check) if check.value == keys.check => Ok(()),
        Ok(_) => Err(OpenError::WrongKey(place.store.clone())),
        Err(e) => Err(place.damaged(e)),
    }
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

/// What the tables come to.
pub(super) fn sum(db: &sled::Db, keys: &StoreKeys, wants: impl Fn(u8) -> bool) -> Result<Totals, String> {
    let sum_up = || {
        let mut totals = Totals::default();
        for table in (0..=u8::MAX).filter(|table| wants(*table)) {
            for found in db.scan_prefix([table]) {
                let (key, value) = found.map_err(|e| e.to_string())?;
                totals.add(keys, &key, &value);
            }
        }
        Ok(totals)
    };
    quietly(sum_up).unwrap_or_else(|_| Err("a record cannot be read".into()))
}

/// A torn snapshot under its temporary name makes every later open fail (sled issue 1533); the log has all of it.
fn remove_torn_snapshots(place: &Place) -> Result<(), OpenError> {
    for path in snapshots(place)? {
        if path.extension().is_some_and(|kind| kind == "generating") {
            std::fs::remove_file(&path).map_err(|e| OpenError::Io(path, e))?;
        }
    }
    Ok(())
}

/// Where no first start came to its end, sled's settings were perhaps never synced. It writes them again: they are
/// always the same, and torn they make every later open fail.
fn remove_torn_settings(place: &Place) -> Result<(), OpenError> {
    let path = place.store.join(SETTINGS);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(OpenError::Io(path, e)),
        _ => Ok(()),
    }
}

fn snapshots(place: &Place) -> Result<Vec<PathBuf>, OpenError> {
    let io = |e| OpenError::Io(place.store.clone(), e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&place.store).map_err(io)? {
        let entry = entry.map_err(io)?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// sled takes for empty what it cannot read, and writes its log over it: a bad block must be met before.
fn read_through(path: &Path) -> std::io::Result<()> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0; 1 << 20]);
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

/// sled panics or hangs on damaged files: it opens on a thread of its own, in time or not at all.
pub(super) fn open_db(place: &Place, options: &Options) -> Result<sled::Db, OpenError> {
    let data = place.store.join("db");
    if snapshots(place)?.pop().is_some() && !data.exists() {
        return Err(place.damaged(format!("{} is missing", data.display())));
    }
    if data.exists() {
        read_through(&data).map_err(|e| OpenError::Unreadable(data.clone(), e))?;
    }
    let config = sled::Config::new()
        .path(&place.store)
        .cache_capacity(options.cache_bytes)
        // Its garbage collection runs only in this flusher. The negative control must not be saved by it.
        .flush_every_ms(Some(if options.switches.sync { 500 } else { 3_600_000 }));
    let (sender, opened) = channel();
    let open = move || {
        // Nobody waits any more after the time limit.
        let _ = sender.send(quietly(|| config.open()));
    };
    let thread = std::thread::Builder::new().name("store".into()).spawn(open);
    thread.map_err(|e| OpenError::Io(place.store.clone(), e))?;
    let torn = |what: &str| match snapshots(place).unwrap_or_default().pop() {
        Some(snapshot) => OpenError::TornSnapshot(snapshot),
        None => place.damaged(what),
    };
    match opened.recv_timeout(Duration::from_secs(OPEN_SECONDS_MAX)) {
        Ok(Ok(Ok(db))) => Ok(db),
        Ok(Ok(Err(sled::Error::Io(e)))) if is_lock_error(&e) => Err(OpenError::Locked(place.store.clone())),
        Ok(Ok(Err(sled::Error::Io(e)))) => Err(OpenError::Io(place.store.clone(), e)),
        Ok(Ok(Err(sled::Error::Corruption { .. }))) => Err(torn("it is corrupt")),
        // What sled says of settings that it cannot read: that a much earlier version wrote them.
        Ok(Ok(Err(sled::Error::Unsupported(_)))) => Err(OpenError::TornSettings(place.store.join(SETTINGS))),
        Ok(Ok(Err(e))) => Err(place.damaged(e)),
        Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => Err(place.damaged("it cannot be read")),
        Err(RecvTimeoutError::Timeout) => Err(place.damaged("opening it does not come to an end")),
    }
}

fn is_lock_error(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

/// What sled has just made or recovered, and the names of the files, before anything is promised.
pub(super) fn make_durable(db: &sled::Db, data_file: &File, place: &Place) -> std::io::Result<()> {
    let flushed =
        quietly(|| db.flush().map(drop)).unwrap_or(Err(sled::Error::Unsupported("it stopped".into())));
    flushed.map_err(std::io::Error::other)?;
    data_file.sync_all()?;
    // sled itself never does.
    File::open(place.store.join(SETTINGS))?.sync_all()?;
    sync_directory(&place.store)?;
    sync_directory(&place.directory)
}
