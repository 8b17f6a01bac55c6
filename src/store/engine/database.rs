//! sled itself: opened in time or not at all, made durable, summed up.

use super::disk::sync_directory;
use super::error::OpenError;
use super::head::{StoreKeys, Totals};
use super::options::Options;
use super::place::Place;
use super::quiet::quietly;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Where sled keeps its settings.
const SETTINGS: &str = "conf";
/// sled can hang on a damaged file.
const OPEN_SECONDS_MAX: u64 = 300;

/// A torn snapshot under its temporary name makes every later open fail (sled issue 1533); the log has all of it.
pub(super) fn remove_torn_snapshots(place: &Place) -> Result<(), OpenError> {
    for path in snapshots(place)? {
        if path.extension().is_some_and(|kind| kind == "generating") {
            std::fs::remove_file(&path).map_err(|e| OpenError::Io(path, e))?;
        }
    }
    Ok(())
}

/// Where no first start came to its end, sled's settings were perhaps never synced. It writes them again: they are
/// always the same, and torn they make every later open fail.
pub(super) fn remove_torn_settings(place: &Place) -> Result<(), OpenError> {
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
