//! The files of one data directory, and the lock that keeps others out while they are open.

use super::disk::make_private_directory;
use super::error::OpenError;
use super::sidecar::{Sidecar, Witness};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

pub(super) struct Place {
    pub directory: PathBuf,
    /// sled's alone.
    pub store: PathBuf,
    pub sidecar: PathBuf,
}

impl Place {
    pub fn new(directory: &Path) -> Self {
        let (store, sidecar) = (directory.join("store"), directory.join("sidecar"));
        Self { directory: directory.to_owned(), store, sidecar }
    }

    pub fn witness(&self) -> Result<Option<Witness>, OpenError> {
        Sidecar::read(&self.sidecar).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => OpenError::BadWitness(self.sidecar.clone()),
            _ => OpenError::Io(self.sidecar.clone(), e),
        })
    }

    pub fn make_store_directory(&self) -> Result<(), OpenError> {
        make_private_directory(&self.store).map_err(|e| OpenError::Io(self.store.clone(), e))
    }

    pub fn damaged(&self, what: impl std::fmt::Display) -> OpenError {
        OpenError::Damaged(format!("{}: {what}", self.store.display()))
    }

    pub fn lost(&self, what: impl std::fmt::Display) -> OpenError {
        OpenError::Lost(self.store.clone(), what.to_string())
    }
}

/// Held by whoever works on a data directory, as long as it does: sled's own lock leaves gaps in between.
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// # Errors
    /// [`OpenError::Locked`] when another process, or another part of this one, holds it.
    pub fn take(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join("lock");
        let io = |e| OpenError::Io(path.clone(), e);
        make_private_directory(directory).map_err(io)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked(directory.join("store"))),
            Err(e) => Err(io(e.into())),
        }
    }
}
