//! Backups: made while the appliance serves, by hand and by night, and each restored once to see that it is good.

pub mod files;
pub mod secret;
pub mod upload;
mod verify;

pub use verify::{Exact, Task, Workshop};

use crate::auth::Auth;
use crate::auth::check::RecentAdmin;
use crate::auth::refusal::{Refusal, Verdict};
use crate::clock::Stopwatch;
use crate::model::Time;
use crate::model::backup::{self, BackupKind, BackupName, TimeOfDay};
use crate::store::backup::{BackupError, Header, SealedBy, Summary, Unopened, Writer};
use crate::store::engine::Dump;
use files::Files;
use parking_lot::Mutex;
use secret::{BackupSecret, key_for};
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// What must stay free beside a backup, above the store's own floor: it must not be what stops the store.
const FREE_BYTES_MIN: u64 = 64 << 20;
const BUFFER_BYTES: usize = 256 << 10;

/// What the verbs need of the configuration.
#[derive(Clone, Debug)]
pub struct BackupSettings {
    pub directory: PathBuf,
    pub nightly_at: Option<TimeOfDay>,
    pub keep: usize,
    /// Below so many bytes of free space the store, which may lie on the same disk, takes no writes.
    pub free_floor_bytes: u64,
    /// What nightly backups, and those by hand that name nothing else, are encrypted to.
    pub secret: Option<Arc<BackupSecret>>,
}

/// A backup as lists show it.
#[derive(Clone, Debug)]
pub struct BackupInfo {
    pub name: BackupName,
    pub bytes: u64,
    /// `None`: readable by everybody who has it.
    pub sealed_by: Option<SealedBy>,
    /// `None`: not yet checked.
    pub verdict: Option<files::Verdict>,
}

/// How it stands with backups, for metrics and for whoever looks after it.
#[derive(Clone, Debug, Default)]
pub struct BackupState {
    /// The newest backup that is there.
    pub last_made_at: Option<Time>,
    /// Whether it was found good; `None`: not checked yet, or there is none.
    pub last_verified: Option<bool>,
    /// When making one failed, if nothing was made since.
    pub failed_at: Option<Time>,
}

/// What is held of backups while the appliance runs.
pub(crate) struct Backups {
    /// Making one, and checking one: each at most once at a time.
    making: Arc<tokio::sync::Mutex<()>>,
    verifying: tokio::sync::Mutex<()>,
    workshop: OnceLock<Arc<dyn Workshop>>,
    state: Mutex<BackupState>,
    began_at: Time,
    /// A backup is being made ready to take the present store's place: nobody sets up meanwhile.
    pub(super) restoring: Arc<AtomicBool>,
    pub(super) wants_restart: tokio::sync::watch::Sender<bool>,
}

impl Backups {
    pub fn new(now: Time) -> Self {
        Self {
            making: Arc::default(),
            verifying: tokio::sync::Mutex::default(),
            workshop: OnceLock::new(),
            state: Mutex::default(),
            began_at: now,
            restoring: Arc::default(),
            wants_restart: tokio::sync::watch::Sender::new(false),
        }
    }
}

impl Auth {
    /// Who checks backups in a process of its own. Without one they stay unverified.
    pub fn use_workshop(&self, workshop: Arc<dyn Workshop>) {
        // Whoever comes second would do the same.
        let _ = self.backups.workshop.set(workshop);
    }

    /// Takes what a crash left half done out of the way, and looks what there is. Once, before anything is served.
    ///
    /// # Errors
    /// When the directory of backups cannot be used.
    pub async fn tidy_backups(&self) -> Verdict<()> {
        self.remove_uploads().await?;
        if !self.settings.backup.directory.exists() {
            return Ok(());
        }
        self.with_files(|files| files.sweep()).await?;
        let newest = self.backup_infos().await?.into_iter().next();
        let mut state = self.backups.state.lock();
        state.last_made_at = newest.as_ref().map(|info| info.name.made_at);
        state.last_verified = newest.and_then(|info| info.verdict).map(|verdict| verdict.fault.is_none());
        Ok(())
    }

    /// Whether a restored store waits to be moved in by a new start.
    pub fn wants_restart(&self) -> bool {
        *self.backups.wants_restart.borrow()
    }

    /// Waits for that.
    pub async fn until_restart_wanted(&self) {
        // The sender is our own, so it is not gone before.
        let _ = self.backups.wants_restart.subscribe().wait_for(|wanted| *wanted).await;
    }

    /// For metrics.
    pub fn backup_state(&self) -> BackupState {
        self.backups.state.lock().clone()
    }

    /// Makes a backup of the store as it is, while everything goes on. `secret`: instead of the configured one.
    ///
    /// # Errors
    /// `Conflict` while another is being made, or without room for it.
    pub async fn make_backup(
        &self,
        by: &RecentAdmin,
        kind: BackupKind,
        secret: Option<BackupSecret>,
    ) -> Verdict<BackupInfo> {
        let name = BackupName { made_at: self.clock.now(), kind };
        let secret = secret.map(Arc::new).or_else(|| self.settings.backup.secret.clone());
        match self.write_backup(name, secret).await {
            Ok((info, summary, took)) => {
                let Summary { records, changes } = summary;
                let (bytes, ms) = (info.bytes, took.elapsed_us() / 1000);
                tracing::info!(event = "backup_made", %name, bytes, records, changes, ms, by = ?by.actor());
                let mut state = self.backups.state.lock();
                (state.last_made_at, state.last_verified, state.failed_at) = (Some(name.made_at), None, None);
                Ok(info)
            }
            Err(refusal @ Refusal::Conflict { code: "backup_running", .. }) => Err(refusal),
            Err(refusal) => {
                tracing::error!(event = "backup_failed", %name, ?refusal);
                self.backups.state.lock().failed_at = Some(name.made_at);
                Err(refusal)
            }
        }
    }

    async fn write_backup(
        &self,
        name: BackupName,
        secret: Option<Arc<BackupSecret>>,
    ) -> Verdict<(BackupInfo, Summary, Stopwatch)> {
        let Ok(making) = Arc::clone(&self.backups.making).try_lock_owned() else {
            let message = "A backup is being made just now.";
            return Err(Refusal::Conflict { code: "backup_running", message });
        };
        let took = Stopwatch::start();
        // Its file is much smaller than the store's, which has room for changes and is not compressed.
        let wanted = self.store.engine().stats().size_on_disk / 2 + FREE_BYTES_MIN;
        let files = self.files_with_room(wanted).await?;
        let salt = self.entropy.bytes();
        // A passphrase takes a moment: before the dump begins, as the writer waits for nobody.
        let sealing = off_the_workers(move || secret.as_ref().map(|secret| secret.seal(salt))).await?;
        let (sealed, key) = match sealing {
            Some(Some((sealed, key))) => (Some(sealed), Some(key)),
            Some(None) => return Err(Refusal::Fault("no key comes of the passphrase".into())),
            None => (None, None),
        };
        let engine = self.store.engine();
        let header = Header {
            store_id: engine.store_id(),
            generation: engine.generation(),
            made_at: name.made_at,
            program: env!("CARGO_PKG_VERSION").into(),
            sealed,
        };
        let dump = engine.dump()?;
        // Also when whoever asked goes away: what was begun comes to its end, and then the next may begin.
        let written = off_the_workers(move || {
            let _making = making;
            let written = write_file(&files, &name, &header, key.as_ref(), dump);
            if written.is_err() {
                files.discard(&name);
            }
            let summary = written?;
            Ok::<_, BackupError>((info_of(&files, name)?, summary))
        });
        let (info, summary) = written.await?.map_err(refusal_of)?;
        Ok((info, summary, took))
    }

    async fn files_with_room(&self, wanted: u64) -> Verdict<Files> {
        let directory = self.settings.backup.directory.clone();
        let files = off_the_workers(move || Files::open(&directory)).await?;
        let files = files.map_err(|e| Refusal::Fault(e.to_string()))?;
        let wanted = wanted.saturating_add(self.settings.backup.free_floor_bytes);
        if files.free_bytes().is_some_and(|free| free < wanted) {
            return Err(Refusal::StorageFull);
        }
        Ok(files)
    }

    async fn with_files<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
    ) -> Verdict<T> {
        let directory = self.settings.backup.directory.clone();
        let done = off_the_workers(move || {
            let files = Files::open(&directory).map_err(|e| Refusal::Fault(e.to_string()))?;
            act(&files).map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => Refusal::NotFound,
                _ => Refusal::Fault(format!("{}: {e}", directory.display())),
            })
        });
        done.await?
    }

    async fn backup_infos(&self) -> Verdict<Vec<BackupInfo>> {
        self.with_files(|files| {
            let names = files.list()?.into_iter();
            // One that is no backup inside is left out of the list, not the list out of the answer.
            Ok(names.filter_map(|(name, _)| info_of(files, name).ok()).collect())
        })
        .await
    }

    /// All backups, the newest first.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub async fn list_backups(&self, _by: &RecentAdmin) -> Verdict<Vec<BackupInfo>> {
        self.backup_infos().await
    }

    /// A backup's file, to be handed out, and its size.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn open_backup(&self, by: &RecentAdmin, name: BackupName) -> Verdict<(File, u64)> {
        let file = self.with_files(move |files| files.read(&name).map_err(not_there)).await?;
        tracing::warn!(event = "backup_downloaded", %name, by = ?by.actor());
        Ok(file)
    }

    /// Checks a backup that was just made, once whoever checks another one is done.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn verify_made(&self, name: BackupName, secret: Option<BackupSecret>) -> Verdict<BackupInfo> {
        let _verifying = self.backups.verifying.lock().await;
        self.verify(name, secret.map(Arc::new)).await
    }

    /// Where a backup lies, for the operator at the machine.
    pub fn backup_path(&self, name: &BackupName) -> PathBuf {
        let path = self.settings.backup.directory.join(name.to_string());
        // Whoever reads it may be in another working directory.
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Removes a backup.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove_backup(&self, by: &RecentAdmin, name: BackupName) -> Verdict<()> {
        self.with_files(move |files| {
            files.read(&name).map_err(not_there)?;
            files.remove(&name)
        })
        .await?;
        tracing::warn!(event = "backup_removed", %name, by = ?by.actor());
        Ok(())
    }

    /// Makes the nightly backup when its time has come, lets go of those beyond keeping, and checks what is unchecked.
    ///
    /// # Errors
    /// When it cannot be made: it is tried again after an hour.
    pub async fn keep_backups(&self) -> Verdict<()> {
        let made = self.make_nightly_backup().await;
        self.verify_unverified().await?;
        made
    }

    async fn make_nightly_backup(&self) -> Verdict<()> {
        let Some(at) = self.settings.backup.nightly_at else { return Ok(()) };
        // What was never set up is not worth keeping.
        if !self.is_set_up().await? {
            return Ok(());
        }
        let now = self.clock.now();
        let names: Vec<_> = self.backup_infos().await?.into_iter().map(|info| info.name).collect();
        // One of a time when the clock was ahead keeps none waiting.
        let is_past = |name: &&BackupName| name.kind == BackupKind::Nightly && name.made_at <= now;
        let newest = names.iter().find(is_past);
        let last = newest.map_or(self.backups.began_at, |name| name.made_at);
        let failed = self.backups.state.lock().failed_at;
        let waits = failed.is_some_and(|failed| now.since_ms(failed) < backup::RETRY_AFTER_MS);
        if waits || !backup::is_due(at, last, now) {
            return Ok(());
        }
        let system = crate::auth::check::Admin::system();
        self.make_backup(&system, BackupKind::Nightly, None).await?;
        self.let_go_of_old_backups().await
    }

    async fn let_go_of_old_backups(&self) -> Verdict<()> {
        let infos = self.backup_infos().await?;
        let names: Vec<_> = infos.iter().map(|info| info.name).collect();
        let good = |name: &BackupName| {
            infos.iter().any(|info| {
                info.name == *name && info.verdict.as_ref().is_some_and(|verdict| verdict.fault.is_none())
            })
        };
        for name in backup::beyond_keeping(&names, self.settings.backup.keep, self.clock.now(), good) {
            self.with_files(move |files| files.remove(&name)).await?;
            tracing::info!(event = "backup_let_go", %name);
        }
        Ok(())
    }
}

/// Writes, syncs, names. Only what is whole on disk has a backup's name.
fn write_file(
    files: &Files,
    name: &BackupName,
    header: &Header,
    key: Option<&crate::store::backup::SealingKey>,
    dump: Dump,
) -> Result<Summary, BackupError> {
    let out = BufWriter::with_capacity(BUFFER_BYTES, files.begin(name)?);
    let (out, summary) = Writer::begin(out, header, key)?.all(dump)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    files.keep(name)?;
    Ok(summary)
}

fn info_of(files: &Files, name: BackupName) -> Result<BackupInfo, BackupError> {
    let (file, bytes) = files.read(&name)?;
    let header = Unopened::read(BufReader::new(file))?.header;
    let sealed_by = header.sealed.map(|sealed| sealed.by);
    Ok(BackupInfo { name, bytes, sealed_by, verdict: files.verdict(&name) })
}

/// A name without a file, or one that leads elsewhere, is all the same to the caller.
fn not_there(error: io::Error) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, error)
}

fn refusal_of(error: BackupError) -> Refusal {
    match error {
        BackupError::Store(error) => error.into(),
        BackupError::Io(error) if error.kind() == io::ErrorKind::StorageFull => Refusal::StorageFull,
        other => Refusal::Fault(other.to_string()),
    }
}

pub(super) async fn off_the_workers<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Verdict<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Refusal::Fault(format!("a backup stopped: {e}")))
}

/// Opens a backup with the secret that it needs, ready to be read to its end.
///
/// # Errors
/// In the words of [`BackupError`].
pub fn open_with(
    file: File,
    secret: Option<&BackupSecret>,
) -> Result<(Header, crate::store::backup::Reader<BufReader<File>>), BackupError> {
    let unopened = Unopened::read(BufReader::with_capacity(BUFFER_BYTES, file))?;
    let header = unopened.header.clone();
    let key = key_for(secret, header.sealed.as_ref())?;
    Ok((header, unopened.open(key.as_ref())?))
}
