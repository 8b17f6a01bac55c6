//! The check of a backup: restored in a process of its own, compared, thrown away. "Not verified" is said loudly.

use super::files::Verdict as Found;
use super::secret::BackupSecret;
use super::{BackupInfo, FREE_BYTES_MIN};
use crate::auth::Auth;
use crate::auth::check::RecentAdmin;
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::restore::Report;
use crate::model::backup::BackupName;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

/// Work that is done elsewhere.
pub type Task<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

/// What a restored backup came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Exact {
    pub records: u64,
}

/// A process beside this one, as two stores in one process share a lock, and a large one its memory.
pub trait Workshop: Send + Sync {
    /// Restores `file` into the empty `scratch`, compares counts and digests, and removes it again.
    fn verify(&self, file: PathBuf, scratch: PathBuf, secret: Option<Arc<BackupSecret>>) -> Task<Exact>;
    /// Prepares the store of `file` to take the place of the present one at the next start.
    fn prepare(&self, file: PathBuf, secret: Option<Arc<BackupSecret>>) -> Task<Report>;
}

impl Auth {
    /// Checks a backup now, by `secret` or else by the configured one, and keeps what it came to.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while another is being checked.
    pub async fn verify_backup(
        &self,
        _by: &RecentAdmin,
        name: BackupName,
        secret: Option<BackupSecret>,
    ) -> Verdict<BackupInfo> {
        let Ok(_verifying) = self.backups.verifying.try_lock() else {
            let message = "A backup is being checked just now.";
            return Err(Refusal::Conflict { code: "verification_running", message });
        };
        self.verify(name, secret.map(Arc::new)).await
    }

    /// Checks what was made and not checked, be it because the appliance stopped meanwhile.
    pub(super) async fn verify_unverified(&self) -> Verdict<()> {
        if self.backups.workshop.get().is_none() || !self.settings.backup.directory.exists() {
            return Ok(());
        }
        let _verifying = self.backups.verifying.lock().await;
        for info in self.backup_infos().await?.into_iter().filter(|info| info.verdict.is_none()) {
            self.verify(info.name, None).await?;
        }
        Ok(())
    }

    pub(super) async fn verify(
        &self,
        name: BackupName,
        secret: Option<Arc<BackupSecret>>,
    ) -> Verdict<BackupInfo> {
        let info = self.with_files(move |files| super::info_of(files, name).map_err(not_there)).await?;
        let fault = match self.restore_to_check(&info, secret).await {
            Ok(Exact { records }) => {
                tracing::info!(event = "backup_verified", %name, records);
                None
            }
            Err(why) => {
                tracing::warn!(event = "backup_not_verified", %name, why, "this backup is NOT VERIFIED");
                Some(why)
            }
        };
        {
            let mut state = self.backups.state.lock();
            if state.last_made_at == Some(name.made_at) {
                state.last_verified = Some(fault.is_none());
            }
        }
        let found = Found { at: self.clock.now(), fault };
        let kept = found.clone();
        self.with_files(move |files| files.note(&name, &kept)).await?;
        Ok(BackupInfo { verdict: Some(found), ..info })
    }

    async fn restore_to_check(
        &self,
        info: &BackupInfo,
        secret: Option<Arc<BackupSecret>>,
    ) -> Result<Exact, String> {
        let workshop = self.backups.workshop.get().ok_or("there is no program here that could restore it")?;
        // As large as the store that it was made of, at worst.
        let wanted = self.store.engine().stats().size_on_disk + FREE_BYTES_MIN;
        let files = self.files_with_room(wanted).await.map_err(|refusal| match refusal {
            Refusal::Store(_) => {
                format!("restoring it takes up to {} MB, and there is no room", wanted >> 20)
            }
            other => format!("{other:?}"),
        })?;
        let sealed = info.sealed_by.is_some();
        let secret = secret.or_else(|| self.settings.backup.secret.clone()).filter(|_| sealed);
        files.sweep_scratch().map_err(|e| e.to_string())?;
        let verified = workshop.verify(files.path_of(&info.name), files.scratch(), secret).await;
        // Whatever became of the other process, what it restored must not lie about.
        files.sweep_scratch().map_err(|e| e.to_string())?;
        verified
    }
}

fn not_there(error: crate::store::backup::BackupError) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::NotFound, error)
}
