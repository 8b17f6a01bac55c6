//! Opening: refuse rather than start with less than was promised.

use super::sidecar::{Sidecar, Witness};
use super::writer::{Publish, SEQUENCE_KEY, Writer};
use super::{Engine, Record, Shared};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::mpsc::{RecvTimeoutError, channel, sync_channel};
use std::sync::{Arc, Once};
use std::time::Duration;

/// How to open.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory; the store lies in `store/`, the witness in `sidecar`.
    pub directory: PathBuf,
    pub cache_bytes: u64,
    /// How many batches may wait.
    pub queue_length: usize,
    /// Permits a new store, with this id, where there was never one.
    pub initialise: Option<[u8; 16]>,
    /// Off only in the crash test's negative control: then nothing is promised.
    #[doc(hidden)]
    pub sync: bool,
}

impl Options {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            cache_bytes: 128 << 20,
            queue_length: 4096,
            initialise: None,
            sync: true,
        }
    }
}

/// Why a store is not opened. Each says which file, and the ways out.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0} is in use by another process: stop it first, or use the command line, which talks to it")]
    Locked(PathBuf),
    #[error(
        "there is no store in {0}, but traces of one beside it. An empty store would open the first set-up again: \
         restore a backup, or move the whole data directory away to begin anew"
    )]
    Missing(PathBuf),
    #[error("{store} is behind its witness {witness}: acknowledged writes are missing. Restore a backup")]
    Behind { store: PathBuf, witness: PathBuf },
    #[error("{witness} belongs to another store than {store}: bring together what belongs together")]
    OtherStore { store: PathBuf, witness: PathBuf },
    #[error("the store is damaged ({0}); nothing was touched. Restore a backup")]
    Damaged(String),
    #[error("{0} has format {1}, which is newer than this program: use the newer program")]
    NewerFormat(PathBuf, u64),
    #[error("{0}: {1}")]
    Io(PathBuf, std::io::Error),
}

const FORMAT_KEY: &[u8] = b"\x01format";
const STORE_ID_KEY: &[u8] = b"\x01store-id";
const GENERATION_KEY: &[u8] = b"\x01generation";
/// Of the whole store; moves with migrations.
const STORE_FORMAT: u64 = 1;
/// sled can hang on a damaged file.
const OPEN_SECONDS_MAX: u64 = 300;
const QUIET_THREAD: &str = "store";

impl Engine {
    /// Opens the store and starts its writer. `publish` takes in each group's changes.
    ///
    /// # Errors
    /// Whenever less might be there than was promised; see [`OpenError`].
    pub fn open(options: Options, publish: Publish) -> Result<Self, OpenError> {
        keep_panics_quiet();
        let store = options.directory.join("store");
        let sidecar_path = options.directory.join("sidecar");
        let witness = Sidecar::read(&sidecar_path).map_err(|e| OpenError::Io(sidecar_path.clone(), e))?;
        if !store.exists() {
            if witness.is_some() || options.initialise.is_none() {
                return Err(OpenError::Missing(store));
            }
            let made = DirBuilder::new().mode(0o700).recursive(true).create(&store);
            made.map_err(|e| OpenError::Io(store.clone(), e))?;
        }
        remove_torn_snapshots(&store)?;
        let db = open_db(&store, &options)?;
        let witness = read_witness(&db, &store, &sidecar_path, witness, options.initialise)?;
        let db_path = store.join("db");
        let data_file = File::open(&db_path).map_err(|e| OpenError::Io(db_path, e))?;
        let mut sidecar = Sidecar::open(&sidecar_path).map_err(|e| OpenError::Io(sidecar_path.clone(), e))?;
        if options.sync {
            let synced = make_durable(&db, &data_file, &store, &options.directory);
            synced.and_then(|()| sidecar.write(witness)).map_err(|e| OpenError::Io(store.clone(), e))?;
        }
        let shared = Arc::new(Shared {
            db,
            failed: AtomicBool::new(false),
            sequence: AtomicU64::new(witness.sequence),
            groups: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            queued: AtomicUsize::new(0),
        });
        let (sender, requests) = sync_channel(options.queue_length);
        let writer = Writer {
            shared: Arc::clone(&shared),
            requests,
            publish,
            data_file,
            sidecar,
            witness,
            sync: options.sync,
        };
        let writer = std::thread::Builder::new()
            .name(QUIET_THREAD.into())
            .spawn(move || writer.run())
            .map_err(|e| OpenError::Io(store, e))?;
        Ok(Self {
            shared,
            sender: Some(sender),
            writer: Some(writer),
            store_id: witness.store_id,
            generation: witness.generation,
            directory: options.directory,
        })
    }
}

/// A torn snapshot under its temporary name makes every later open fail (sled issue 1533); the log has all of it.
fn remove_torn_snapshots(store: &Path) -> Result<(), OpenError> {
    let io = |e| OpenError::Io(store.to_owned(), e);
    for entry in std::fs::read_dir(store).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            std::fs::remove_file(entry.path()).map_err(io)?;
        }
    }
    Ok(())
}

/// sled panics or hangs on damaged files: it opens on a thread of its own, in time or not at all.
fn open_db(store: &Path, options: &Options) -> Result<sled::Db, OpenError> {
    let config = sled::Config::new()
        .path(store)
        .cache_capacity(options.cache_bytes)
        // Its garbage collection runs only in this flusher. The negative control must not be saved by it.
        .flush_every_ms(Some(if options.sync { 500 } else { 3_600_000 }));
    let (sender, opened) = channel();
    let open = move || {
        let result = catch_unwind(AssertUnwindSafe(|| config.open()));
        // Nobody waits any more after the time limit.
        let _ = sender.send(result);
    };
    let thread = std::thread::Builder::new().name(QUIET_THREAD.into()).spawn(open);
    thread.map_err(|e| OpenError::Io(store.to_owned(), e))?;
    let damaged = |what: &str| OpenError::Damaged(format!("{}: {what}", store.display()));
    match opened.recv_timeout(Duration::from_secs(OPEN_SECONDS_MAX)) {
        Ok(Ok(Ok(db))) => Ok(db),
        Ok(Ok(Err(sled::Error::Io(e)))) if is_lock_error(&e) => Err(OpenError::Locked(store.to_owned())),
        Ok(Ok(Err(sled::Error::Io(e)))) => Err(OpenError::Io(store.to_owned(), e)),
        Ok(Ok(Err(e))) => Err(damaged(&e.to_string())),
        Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => Err(damaged("it cannot be read")),
        Err(RecvTimeoutError::Timeout) => Err(damaged("opening it does not come to an end")),
    }
}

fn is_lock_error(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

/// Compares the store with its witness, or makes it where that is permitted.
fn read_witness(
    db: &sled::Db,
    store: &Path,
    sidecar: &Path,
    witness: Option<Witness>,
    initialise: Option<[u8; 16]>,
) -> Result<Witness, OpenError> {
    let damaged = |what: &str| OpenError::Damaged(format!("{}: {what}", store.display()));
    let read = |key: &[u8]| -> Result<Option<Vec<u8>>, OpenError> {
        let bytes = db.get(key).map_err(|e| damaged(&e.to_string()))?;
        bytes
            .map(|bytes| {
                Record::decode(&bytes).map(|record| record.payload).map_err(|e| damaged(&e.to_string()))
            })
            .transpose()
    };
    let number = |key: &[u8], name: &str| -> Result<u64, OpenError> {
        let bytes = read(key)?.and_then(|payload| payload.try_into().ok()).map(u64::from_be_bytes);
        bytes.ok_or_else(|| damaged(&format!("meta/{name} is missing")))
    };
    if read(FORMAT_KEY)?.is_none() {
        let Some(store_id) = initialise.filter(|_| witness.is_none() && db.is_empty()) else {
            return Err(if db.is_empty() {
                OpenError::Missing(store.to_owned())
            } else {
                damaged("meta is missing")
            });
        };
        let fresh = Witness { store_id, generation: 1, sequence: 1 };
        let mut batch = sled::Batch::default();
        let number = |value: u64| Record::encode(fresh.sequence, &value.to_be_bytes());
        batch.insert(FORMAT_KEY, number(STORE_FORMAT));
        batch.insert(STORE_ID_KEY, Record::encode(fresh.sequence, &store_id));
        batch.insert(GENERATION_KEY, number(fresh.generation));
        batch.insert(SEQUENCE_KEY, number(fresh.sequence));
        db.apply_batch(batch).map_err(|e| damaged(&e.to_string()))?;
        return Ok(fresh);
    }
    let format = number(FORMAT_KEY, "format")?;
    if format > STORE_FORMAT {
        return Err(OpenError::NewerFormat(store.to_owned(), format));
    }
    let store_id = read(STORE_ID_KEY)?.and_then(|payload| payload.try_into().ok());
    let found = Witness {
        store_id: store_id.ok_or_else(|| damaged("meta/store-id is missing"))?,
        generation: number(GENERATION_KEY, "generation")?,
        sequence: number(SEQUENCE_KEY, "sequence")?,
    };
    if let Some(witness) = witness {
        let paths = (store.to_owned(), sidecar.to_owned());
        if witness.store_id != found.store_id {
            return Err(OpenError::OtherStore { store: paths.0, witness: paths.1 });
        }
        if (witness.generation, witness.sequence) > (found.generation, found.sequence) {
            return Err(OpenError::Behind { store: paths.0, witness: paths.1 });
        }
    }
    Ok(found)
}

/// What sled has just made or recovered, and the names of the files, before anything is promised.
fn make_durable(db: &sled::Db, data_file: &File, store: &Path, directory: &Path) -> std::io::Result<()> {
    db.flush().map_err(std::io::Error::other)?;
    data_file.sync_all()?;
    File::open(store)?.sync_all()?;
    File::open(directory)?.sync_all()
}

/// The threads that touch sled catch its panics and say in our words what happened.
fn keep_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some(QUIET_THREAD) {
                tracing::error!("a panic inside the store: {info}");
            } else {
                loud(info);
            }
        }));
    });
}
