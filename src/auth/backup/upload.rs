//! A restore from the set-up page: only with a set-up code, only while nobody has set up, one at a time.

use super::secret::BackupSecret;
use super::{FREE_BYTES_MIN, off_the_workers};
use crate::auth::Auth;
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::restore::Report;
use crate::model::code::CodePurpose;
use crate::store::swap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The right to restore, held from before the upload until the end: meanwhile nobody else may, and nobody sets up.
pub struct Restoring {
    flag: Arc<AtomicBool>,
    /// Where the upload may be written, on the disk of the data.
    pub directory: PathBuf,
}

impl Drop for Restoring {
    fn drop(&mut self) {
        self.flag.store(false, Ordering::SeqCst);
    }
}

impl Auth {
    /// Begins a restore by a set-up code. `bytes`: how large the upload says that it is.
    ///
    /// # Errors
    /// `SetUpClosed`, `InvalidCode`; `Conflict` while another one is at it; without room, the store's `Full`.
    pub async fn begin_restore(&self, code: &str, bytes: u64) -> Verdict<Restoring> {
        if self.is_set_up().await? {
            return Err(Refusal::SetUpClosed);
        }
        if self.read_code(code).await?.value.purpose != CodePurpose::SetUp {
            return Err(Refusal::InvalidCode);
        }
        let flag = Arc::clone(&self.backups.restoring);
        if flag.swap(true, Ordering::SeqCst) {
            return Err(RESTORE_RUNNING);
        }
        let restoring = Restoring { flag, directory: self.uploads() };
        let directory = restoring.directory.clone();
        let free = off_the_workers(move || {
            DirBuilder::new().mode(0o700).recursive(true).create(&directory)?;
            let disk = rustix::fs::statvfs(&directory)?;
            Ok::<_, io::Error>(disk.f_bavail.saturating_mul(disk.f_frsize))
        });
        let free = free.await?.map_err(|e| Refusal::Fault(format!("uploads: {e}")))?;
        // The upload, and the store that it becomes.
        let floor = self.settings.backup.free_floor_bytes;
        if free < bytes.saturating_mul(2).saturating_add(FREE_BYTES_MIN + floor) {
            return Err(Refusal::StorageFull);
        }
        Ok(restoring)
    }

    /// Makes an uploaded backup the store of the next start, which is wanted at once.
    ///
    /// # Errors
    /// `Invalid` with the words of what is wrong with the backup; `SetUpClosed` when somebody was set up otherwise.
    pub async fn restore_upload(
        &self,
        restoring: Restoring,
        file: &Path,
        secret: Option<BackupSecret>,
    ) -> Verdict<Report> {
        let workshop = self.backups.workshop.get().cloned();
        let workshop = workshop.ok_or_else(|| Refusal::Fault("nobody here could restore a backup".into()))?;
        let prepared = workshop.prepare(file.to_owned(), secret.map(Arc::new)).await;
        let report = prepared.map_err(|words| Refusal::field("backup", "not_restored", sentence(&words)))?;
        if self.is_set_up().await? {
            return Err(Refusal::SetUpClosed);
        }
        let directory = self.store.engine().directory().to_owned();
        let aside = format!("before-restore-{}", self.clock.now().ms());
        let marked = off_the_workers(move || swap::ready(&directory, swap::Old::SetAside(&aside)));
        marked.await?.map_err(|e| Refusal::Fault(format!("the restored store could not be marked: {e}")))?;
        tracing::warn!(
            event = "restored",
            records = report.records,
            users = report.users,
            "a new start follows"
        );
        self.backups.wants_restart.send_replace(true);
        // Nothing that is written from here on would be found again.
        std::mem::forget(restoring);
        Ok(report)
    }

    /// # Errors
    /// `Conflict` while a backup is about to take the place of this store: what is made in it would be lost.
    pub(crate) fn refuse_while_restoring(&self) -> Verdict<()> {
        if self.backups.restoring.load(Ordering::SeqCst) { Err(RESTORE_RUNNING) } else { Ok(()) }
    }

    fn uploads(&self) -> PathBuf {
        self.store.engine().directory().join(UPLOADS)
    }

    /// Those of before the last stop.
    pub(super) async fn remove_uploads(&self) -> Verdict<()> {
        let directory = self.uploads();
        match off_the_workers(move || std::fs::remove_dir_all(directory)).await? {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Refusal::Fault(format!("uploads: {e}"))),
            _ => Ok(()),
        }
    }
}

/// Below the data directory.
pub const UPLOADS: &str = "upload";

const RESTORE_RUNNING: Refusal =
    Refusal::Conflict { code: "restore_running", message: "A backup is being restored just now." };

/// Words of the log as a person reads them.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}
