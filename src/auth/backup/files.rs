//! The directory of backups. Files are opened below it by their names alone, and links are never followed.

use crate::auth::place::PlaceError;
use crate::model::Time;
use crate::model::backup::BackupName;
use rustix::fs::{self, AtFlags, Dir, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// A backup that is not whole yet.
const PART: &str = ".part";
/// What the check of a backup came to lies beside it.
const VERDICT: &str = ".json";
const VERDICT_BYTES_MAX: u64 = 16 << 10;
/// Where a backup is restored to be checked.
const SCRATCH: &str = ".verify";

/// What the check of a backup came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub at: Time,
    /// `None`: it was restored and is exact.
    pub fault: Option<String>,
}

/// The directory, held open.
pub struct Files {
    directory: OwnedFd,
    path: PathBuf,
}

impl Files {
    /// Opens the directory, and makes it where it is missing.
    ///
    /// # Errors
    /// When others could write in it.
    pub fn open(path: &Path) -> Result<Self, PlaceError> {
        let io = |e: io::Error| PlaceError::Io(path.to_owned(), e);
        DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(io)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::open(path, flags, Mode::empty()).map_err(|e| io(e.into()))?;
        let found = fs::fstat(&directory).map_err(|e| io(e.into()))?;
        let own = rustix::process::geteuid().as_raw();
        // Root may have made it for us.
        if found.st_uid != own && found.st_uid != 0 {
            return Err(PlaceError::Foreign { path: path.to_owned(), owner: found.st_uid, own });
        }
        if found.st_mode & 0o022 != 0 {
            return Err(PlaceError::Writable(path.to_owned()));
        }
        Ok(Self { directory, path: path.to_owned() })
    }

    /// Where a backup lies, for whom is handed a path.
    pub fn path_of(&self, name: &BackupName) -> PathBuf {
        self.path.join(name.to_string())
    }

    /// Where one backup at a time is restored to be checked.
    pub fn scratch(&self) -> PathBuf {
        self.path.join(SCRATCH)
    }

    /// All backups, the newest first.
    pub fn list(&self) -> io::Result<Vec<(BackupName, u64)>> {
        let mut found = Vec::new();
        for name in self.names()? {
            let Ok(name) = name.parse::<BackupName>() else { continue };
            // A link or a directory of such a name is none of ours.
            if let Ok((_, bytes)) = self.read(&name) {
                found.push((name, bytes));
            }
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.directory)? {
            names.extend(entry?.file_name().to_str().map(str::to_owned));
        }
        Ok(names)
    }

    /// A backup and its size.
    pub fn read(&self, name: &BackupName) -> io::Result<(File, u64)> {
        let file = self.open_file(&name.to_string())?;
        let bytes = file.metadata()?.size();
        Ok((file, bytes))
    }

    fn open_file(&self, name: &str) -> io::Result<File> {
        // Without NONBLOCK a pipe of that name would be waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(fs::openat(&self.directory, name, flags, Mode::empty())?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is no file"))),
        }
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(&self.directory, name, flags, Mode::from_raw_mode(0o600))?.into())
    }

    /// Begins a backup under a name that counts for nothing yet.
    pub fn begin(&self, name: &BackupName) -> io::Result<File> {
        self.create(&format!(".{name}{PART}"))
    }

    /// The backup is whole and synced: from here on it has its name.
    pub fn keep(&self, name: &BackupName) -> io::Result<()> {
        let part = format!(".{name}{PART}");
        fs::renameat(&self.directory, &part, &self.directory, name.to_string())?;
        Ok(fs::fsync(&self.directory)?)
    }

    /// A backup that came to nothing.
    pub fn discard(&self, name: &BackupName) {
        // If it cannot be removed now, the next start does.
        let _ = fs::unlinkat(&self.directory, format!(".{name}{PART}"), AtFlags::empty());
    }

    /// Removes a backup with what is known of it.
    pub fn remove(&self, name: &BackupName) -> io::Result<()> {
        fs::unlinkat(&self.directory, name.to_string(), AtFlags::empty())?;
        match fs::unlinkat(&self.directory, format!("{name}{VERDICT}"), AtFlags::empty()) {
            Err(e) if e != rustix::io::Errno::NOENT => return Err(e.into()),
            _ => {}
        }
        Ok(fs::fsync(&self.directory)?)
    }

    /// What the check of a backup came to; `None` where there was none yet.
    pub fn verdict(&self, name: &BackupName) -> Option<Verdict> {
        let file = self.open_file(&format!("{name}{VERDICT}")).ok()?;
        let mut bytes = Vec::new();
        file.take(VERDICT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    pub fn note(&self, name: &BackupName, verdict: &Verdict) -> io::Result<()> {
        let half = format!(".{name}{VERDICT}{PART}");
        let _ = fs::unlinkat(&self.directory, &half, AtFlags::empty());
        let mut file = self.create(&half)?;
        file.write_all(&serde_json::to_vec(verdict)?)?;
        file.sync_all()?;
        fs::renameat(&self.directory, &half, &self.directory, format!("{name}{VERDICT}"))?;
        Ok(fs::fsync(&self.directory)?)
    }

    /// What a crash left half done: only while nothing is being made.
    pub fn sweep(&self) -> io::Result<()> {
        for name in self.names()? {
            if name.starts_with('.') && name.ends_with(PART) {
                fs::unlinkat(&self.directory, &name, AtFlags::empty())?;
            }
        }
        self.sweep_scratch()
    }

    /// What was restored to be checked.
    pub fn sweep_scratch(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(self.scratch()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Free bytes on its disk; `None` where the file system does not say.
    pub fn free_bytes(&self) -> Option<u64> {
        let disk = fs::fstatvfs(&self.directory).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backup::BackupKind;

    fn name(ms: i64) -> BackupName {
        BackupName { made_at: Time::from_ms(1_800_000_000_000 + ms), kind: BackupKind::Manual }
    }

    fn made(files: &Files, name: &BackupName, bytes: &[u8]) {
        files.begin(name).unwrap().write_all(bytes).unwrap();
        files.keep(name).unwrap();
    }

    #[test]
    fn links_directories_and_pipes_of_a_backups_name_are_not_there() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = Files::open(&dir.path().join("backups")).unwrap();
        let secret = elsewhere.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        std::os::unix::fs::symlink(&secret, files.path_of(&name(1))).unwrap();
        std::fs::create_dir(files.path_of(&name(2))).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            files.path_of(&name(3)),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        for ms in 1..4 {
            assert!(files.read(&name(ms)).is_err());
        }
        assert_eq!(files.list().unwrap(), []);
        // A link is removed itself, never what it leads to, and nothing is written through one.
        files.remove(&name(1)).unwrap();
        let part = dir.path().join("backups").join(format!(".{}.part", name(4)));
        std::os::unix::fs::symlink(&secret, part).unwrap();
        assert!(files.begin(&name(4)).is_err());
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
    }

    #[test]
    fn what_is_half_there_is_no_backup_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        files.begin(&name(1)).unwrap().write_all(b"half").unwrap();
        made(&files, &name(2), b"whole");
        std::fs::create_dir(files.scratch()).unwrap();
        std::fs::write(dir.path().join("notes.txt"), "somebody's").unwrap();
        assert_eq!(files.list().unwrap(), [(name(2), 5)]);
        assert!(files.begin(&name(1)).is_err());
        files.sweep().unwrap();
        files.begin(&name(1)).unwrap();
        files.discard(&name(1));
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        let mode = std::fs::metadata(files.path_of(&name(2))).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_verdict_lies_beside_its_backup_and_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        made(&files, &name(1), b"x");
        assert_eq!(files.verdict(&name(1)), None);
        for fault in [Some("no room".to_owned()), None] {
            let verdict = Verdict { at: Time::from_ms(5), fault };
            files.note(&name(1), &verdict).unwrap();
            assert_eq!(files.verdict(&name(1)), Some(verdict));
        }
        made(&files, &name(2), b"y");
        assert_eq!(
            files.list().unwrap().iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            [name(2), name(1)]
        );
        files.remove(&name(1)).unwrap();
        assert!(files.remove(&name(1)).is_err());
        made(&files, &name(1), b"x");
        assert_eq!(files.verdict(&name(1)), None);
    }
}
