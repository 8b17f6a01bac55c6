//! What a backup is encrypted to: a passphrase, or a key file.

use crate::auth::hasher::passphrase::{self, PassphraseCost};
use crate::store::backup::{BackupError, Sealed, SealedBy, SealingKey};
use serde::{Deserialize, Serialize};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Whoever has the file may guess for ever: shorter ones are soon found.
const PASSPHRASE_LENGTH_MIN: usize = 12;
/// Nobody types more; a larger file is another one.
const PASSPHRASE_BYTES_MAX: usize = 1024;
const KEY_BYTES: usize = 32;

/// Why there is no passphrase or key. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{0}: {1}")]
    Io(PathBuf, std::io::Error),
    #[error("{0} can be read by others: chmod 600 it")]
    OpenToOthers(PathBuf),
    #[error(
        "{0} is no key of {KEY_BYTES} bytes: hallpass backup-key makes one, or openssl rand -out FILE {KEY_BYTES}"
    )]
    NoKey(PathBuf),
    #[error("{0}: {1}")]
    NoPassphrase(PathBuf, &'static str),
}

/// What a backup is encrypted to. It crosses to child processes and over the control socket, and nowhere else.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupSecret {
    Passphrase(Zeroizing<String>),
    KeyFile(Zeroizing<[u8; KEY_BYTES]>),
}

impl std::fmt::Debug for BackupSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BackupSecret")
    }
}

impl BackupSecret {
    /// # Errors
    /// In public words: too short or too long.
    pub fn passphrase(text: &str) -> Result<Self, &'static str> {
        if text.chars().count() < PASSPHRASE_LENGTH_MIN {
            return Err("A passphrase has at least 12 characters.");
        }
        if text.len() > PASSPHRASE_BYTES_MAX {
            return Err("A passphrase has at most 1024 bytes.");
        }
        Ok(Self::Passphrase(Zeroizing::new(text.to_owned())))
    }

    /// The file's one line.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn from_passphrase_file(path: &Path) -> Result<Self, SecretError> {
        let bytes = read(path, PASSPHRASE_BYTES_MAX + 2)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| "it is no text");
        let secret = text.and_then(|text| Self::passphrase(text.trim_end_matches(['\r', '\n'])));
        secret.map_err(|fault| SecretError::NoPassphrase(path.to_owned(), fault))
    }

    /// The file's 32 bytes.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn from_key_file(path: &Path) -> Result<Self, SecretError> {
        let bytes = read(path, KEY_BYTES + 1)?;
        let key = bytes.as_slice().try_into().map_err(|_| SecretError::NoKey(path.to_owned()))?;
        Ok(Self::KeyFile(Zeroizing::new(key)))
    }

    /// For a new backup. A passphrase takes a moment of a core.
    pub(crate) fn seal(&self, salt: [u8; 32]) -> Option<(Sealed, SealingKey)> {
        let by = match self {
            Self::Passphrase(_) => {
                let PassphraseCost { memory_kib, iterations, lanes } = PassphraseCost::DEFAULT;
                SealedBy::Passphrase { memory_kib, iterations, lanes }
            }
            Self::KeyFile(_) => SealedBy::KeyFile,
        };
        let key = self.key(by, &salt)?;
        Some((Sealed::new(by, salt, &key), key))
    }

    fn key(&self, by: SealedBy, salt: &[u8; 32]) -> Option<SealingKey> {
        match (self, by) {
            (Self::Passphrase(text), SealedBy::Passphrase { memory_kib, iterations, lanes }) => {
                let cost = PassphraseCost { memory_kib, iterations, lanes };
                passphrase::derive(text, salt, cost).map(SealingKey::new)
            }
            (Self::KeyFile(key), SealedBy::KeyFile) => Some(SealingKey::new(key.clone())),
            _ => None,
        }
    }
}

/// The key of a backup that says that it is sealed like this; whether it is the right one is for the reader to say.
///
/// # Errors
/// A secret of the wrong kind, none where one is needed, one where none is, or a passphrase's cost out of bounds.
pub(crate) fn key_for(
    secret: Option<&BackupSecret>,
    sealed: Option<&Sealed>,
) -> Result<Option<SealingKey>, BackupError> {
    let Some(sealed) = sealed else {
        return if secret.is_some() { Err(BackupError::NotSealed) } else { Ok(None) };
    };
    let wanted = match sealed.by {
        SealedBy::Passphrase { .. } => BackupError::NeedsPassphrase,
        SealedBy::KeyFile => BackupError::NeedsKeyFile,
    };
    match (secret, sealed.by) {
        (Some(secret @ BackupSecret::Passphrase(_)), SealedBy::Passphrase { .. })
        | (Some(secret @ BackupSecret::KeyFile(_)), SealedBy::KeyFile) => {
            let key = secret.key(sealed.by, &sealed.salt);
            key.map(Some).ok_or(BackupError::Damaged("its passphrase would cost too much"))
        }
        _ => Err(wanted),
    }
}

fn read(path: &Path, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let io = |e| SecretError::Io(path.to_owned(), e);
    let file = std::fs::File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.mode() & 0o077 != 0 {
        return Err(SecretError::OpenToOthers(path.to_owned()));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max));
    file.take(bytes_max as u64).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(dir: &Path, bytes: &[u8], mode: u32) -> PathBuf {
        let path = dir.join("secret");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_no_secret_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let key = |bytes: &[u8], mode| BackupSecret::from_key_file(&file(dir.path(), bytes, mode));
        assert!(matches!(key(&[1; 32], 0o640), Err(SecretError::OpenToOthers(_))));
        for bytes in [&[1; 31][..], &[1; 33], &[]] {
            assert!(matches!(key(bytes, 0o600), Err(SecretError::NoKey(_))));
        }
        assert!(key(&[1; 32], 0o400).is_ok());
        let phrase = |bytes: &[u8]| BackupSecret::from_passphrase_file(&file(dir.path(), bytes, 0o600));
        for bytes in [&b""[..], b"short\n", b"\xff\xfe not a text at all", &[b'a'; 1025]] {
            assert!(matches!(phrase(bytes), Err(SecretError::NoPassphrase(..))));
        }
        let Ok(BackupSecret::Passphrase(text)) = phrase(b"a long passphrase \n") else {
            panic!("a passphrase")
        };
        assert_eq!(text.as_str(), "a long passphrase ");
        let missing = BackupSecret::from_key_file(&dir.path().join("none"));
        assert!(matches!(missing, Err(SecretError::Io(..))));
    }

    #[test]
    fn a_secret_of_the_wrong_kind_is_asked_for_in_words() {
        let key = BackupSecret::KeyFile(Zeroizing::new([1; 32]));
        let (by_key, _) = key.seal([2; 32]).unwrap();
        let doctored = SealedBy::Passphrase { memory_kib: u32::MAX, iterations: 1, lanes: 1 };
        let mut by_phrase = by_key.clone();
        by_phrase.by = doctored;
        let phrase = BackupSecret::passphrase("a long passphrase").unwrap();
        let refused = |secret, sealed| key_for(secret, sealed).unwrap_err();
        assert!(matches!(refused(Some(&key), None), BackupError::NotSealed));
        assert!(matches!(refused(None, Some(&by_key)), BackupError::NeedsKeyFile));
        assert!(matches!(refused(Some(&phrase), Some(&by_key)), BackupError::NeedsKeyFile));
        assert!(matches!(refused(Some(&key), Some(&by_phrase)), BackupError::NeedsPassphrase));
        assert!(matches!(refused(Some(&phrase), Some(&by_phrase)), BackupError::Damaged(_)));
        assert!(key_for(Some(&key), Some(&by_key)).unwrap().is_some());
        assert!(key_for(None, None).unwrap().is_none());
        assert_eq!(format!("{key:?}{phrase:?}"), "BackupSecretBackupSecret");
    }
}
