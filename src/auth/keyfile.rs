//! The key file: made safely, refused when others could read it.

use crate::auth::vault::MasterKey;
use crate::entropy::Entropy;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Why there is no master key. Each names the file and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("{0} can be read by others: chmod 600 it")]
    OpenKey(PathBuf),
    #[error("{0} belongs to another user: chown it to the one that runs this program")]
    Foreign(PathBuf),
    #[error("{0} holds no master key: bring the right file back")]
    NoKey(PathBuf),
    #[error(
        "there is a store beside {0}, but no key file: bring it back, or give the key by master_key or master_key_file"
    )]
    Missing(PathBuf),
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
}

/// Where the key file lies.
pub fn path(directory: &Path) -> PathBuf {
    directory.join("key")
}

/// The key file's key. Where neither key nor store was ever made, a draft is written first: it becomes the key file by
/// [`settle`] once the store is there, so that a first start that broke off can be done again, and yet a key file
/// without a store is a sign of loss.
///
/// # Errors
/// When the file is missing beside a store, open to others, or holds no key.
pub fn load_or_draft(directory: &Path, entropy: &Entropy) -> Result<MasterKey, KeyFileError> {
    let (path, draft) = (path(directory), directory.join(DRAFT));
    if path.exists() {
        return load(&path);
    }
    if draft.exists() {
        return load(&draft);
    }
    if directory.join("sidecar").exists() {
        return Err(KeyFileError::Missing(path));
    }
    let key = MasterKey::generate(entropy);
    write_new(directory, &draft, &key).map_err(|e| KeyFileError::Io(draft, e))?;
    Ok(key)
}

/// Whether the key file says that there was a store.
pub fn is_settled(directory: &Path) -> bool {
    path(directory).exists()
}

/// The store is there: the draft becomes the key file.
///
/// # Errors
/// When it cannot be renamed.
pub fn settle(directory: &Path) -> Result<(), KeyFileError> {
    let (path, draft) = (path(directory), directory.join(DRAFT));
    if !draft.exists() {
        return Ok(());
    }
    let renamed = std::fs::rename(&draft, &path).and_then(|()| File::open(directory)?.sync_all());
    renamed.map_err(|e| KeyFileError::Io(path, e))
}

const DRAFT: &str = "key.first-start";

/// Reads a key file that is its owner's alone.
///
/// # Errors
/// As [`load_or_draft`].
pub fn load(path: &Path) -> Result<MasterKey, KeyFileError> {
    let io = |e| KeyFileError::Io(path.to_owned(), e);
    let metadata = std::fs::metadata(path).map_err(io)?;
    refuse_foreign(path, metadata.uid())?;
    if metadata.mode() & 0o077 != 0 {
        return Err(KeyFileError::OpenKey(path.to_owned()));
    }
    let bytes = zeroize::Zeroizing::new(std::fs::read(path).map_err(io)?);
    // What is no text is no key either, and is told in the same words.
    let key = std::str::from_utf8(&bytes).ok().and_then(MasterKey::parse);
    key.ok_or_else(|| KeyFileError::NoKey(path.to_owned()))
}

/// Under another name until it is whole and on disk: a key that is half there would lock everybody out.
fn write_new(directory: &Path, path: &Path, key: &MasterKey) -> io::Result<()> {
    let half = directory.join("key.half");
    if half.exists() {
        std::fs::remove_file(&half)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half)?;
    file.write_all(key.reveal().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&half, path)?;
    File::open(directory)?.sync_all()
}

fn refuse_foreign(path: &Path, owner: u32) -> Result<(), KeyFileError> {
    let own = rustix::process::geteuid().as_raw();
    // Root may have made it for us.
    if owner == own || owner == 0 { Ok(()) } else { Err(KeyFileError::Foreign(path.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_that_others_could_read_or_that_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let entropy = Entropy::seeded(1);
        let key = load_or_draft(dir.path(), &entropy).unwrap();
        // A first start that broke off goes on with the same key.
        assert_eq!(*load_or_draft(dir.path(), &entropy).unwrap().reveal(), *key.reveal());
        assert!(!is_settled(dir.path()));
        settle(dir.path()).unwrap();
        let path = dir.path().join("key");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(*load_or_draft(dir.path(), &entropy).unwrap().reveal(), *key.reveal());
        set_mode(&path, 0o640);
        assert!(matches!(load_or_draft(dir.path(), &entropy), Err(KeyFileError::OpenKey(_))));
        set_mode(&path, 0o600);
        std::fs::write(&path, "hello").unwrap();
        assert!(matches!(load_or_draft(dir.path(), &entropy), Err(KeyFileError::NoKey(_))));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(dir.path().join("sidecar"), "").unwrap();
        assert!(matches!(load_or_draft(dir.path(), &entropy), Err(KeyFileError::Missing(_))));
    }
}
