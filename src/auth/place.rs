//! The data directory: on a file system that keeps its word, and its owner's alone.

use std::fs::{DirBuilder, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Why a data directory is not used. Each names the file and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    #[error(
        "{0} lies on {1}: {2}. Use a file system of this machine, or set store.any_file_system = true if you know \
         that locks and syncs can be trusted there"
    )]
    FileSystem(PathBuf, &'static str, &'static str),
    #[error("{0} is mounted read-only: mount it for writing")]
    ReadOnly(PathBuf),
    #[error(
        "{path} belongs to the user {owner}, and this program runs as {own}: run it as {owner}, or chown -R the \
         data directory to {own}"
    )]
    Foreign { path: PathBuf, owner: u32, own: u32 },
    #[error("{0} can be written by others: chmod go-w it, once you know that nobody has changed it")]
    Writable(PathBuf),
    #[error("{0} is a symbolic link: put what it points to in its place, or link the whole data directory")]
    Link(PathBuf),
    #[error("{0} is neither a file nor a directory: take it away")]
    Odd(PathBuf),
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
}

/// What is ours in the data directory. What else may lie there, like `lost+found`, is left alone.
const OURS: [&str; 12] = [
    "key",
    "key.first-start",
    "key.half",
    "sidecar",
    "doubt",
    "lock",
    "control.sock",
    "store",
    "next",
    "aside",
    "backups",
    "upload",
];

/// Makes the data directory where it is missing, and looks at it.
///
/// # Errors
/// As [`examine`].
pub fn prepare(directory: &Path, any_file_system: bool) -> Result<(), PlaceError> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(directory);
    made.map_err(|e| PlaceError::Io(directory.to_owned(), e))?;
    examine(directory, any_file_system)
}

/// Looks at the data directory and all that is ours in it. `any_file_system` lets those pass that are refused
/// otherwise.
///
/// # Errors
/// When it cannot be trusted to keep what it is given, or others have, or had, their hands in it.
pub fn examine(directory: &Path, any_file_system: bool) -> Result<(), PlaceError> {
    // Followed, if it is a link: a directory is what it is, by whatever name.
    let found = std::fs::metadata(directory).map_err(|e| PlaceError::Io(directory.to_owned(), e))?;
    // Root may have made it for us.
    if found.uid() != 0 {
        refuse_foreign(directory, &found)?;
    }
    refuse_writable(directory, &found)?;
    // A volume may be mounted at the store alone.
    for path in [directory.to_owned(), directory.join("store")] {
        examine_file_system(&path, any_file_system)?;
    }
    OURS.iter().try_for_each(|name| examine_entry(&directory.join(name)))
}

/// A file or a directory with all below it. What is missing is fine; what only others may read is closed to them.
fn examine_entry(path: &Path) -> Result<(), PlaceError> {
    let io = |e| PlaceError::Io(path.to_owned(), e);
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io(e)),
    };
    let kind = found.file_type();
    if kind.is_symlink() {
        return Err(PlaceError::Link(path.to_owned()));
    }
    refuse_foreign(path, &found)?;
    if kind.is_socket() && path.ends_with("control.sock") {
        // One that was left behind: it is made anew.
        return Ok(());
    }
    if !kind.is_file() && !kind.is_dir() {
        return Err(PlaceError::Odd(path.to_owned()));
    }
    refuse_writable(path, &found)?;
    // A key that others could read may be known to them: whoever loads it refuses it.
    if found.mode() & 0o077 != 0 && !path.ends_with("key") {
        let mode = found.mode() & 0o700;
        std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(io)?;
        tracing::info!(path = %path.display(), "was open for others to read by its mode: closed");
    }
    if kind.is_dir() {
        for entry in std::fs::read_dir(path).map_err(io)? {
            examine_entry(&entry.map_err(io)?.path())?;
        }
    }
    Ok(())
}

fn refuse_foreign(path: &Path, found: &Metadata) -> Result<(), PlaceError> {
    let (owner, own) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner == own { Ok(()) } else { Err(PlaceError::Foreign { path: path.to_owned(), owner, own }) }
}

fn refuse_writable(path: &Path, found: &Metadata) -> Result<(), PlaceError> {
    if found.mode() & 0o022 == 0 { Ok(()) } else { Err(PlaceError::Writable(path.to_owned())) }
}

/// What a kind of file system means for a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileSystem {
    Sound,
    /// It keeps what it is given, but not for long.
    Fleeting(&'static str, &'static str),
    Unfit(&'static str, &'static str),
}

const REMOTE: &str = "locks and syncs may not mean there what they mean on a disk";
const NO_MODES: &str = "it keeps neither owners nor modes";

/// By the magic number of statfs(2). What is unknown is taken for sound: there are more good ones than a list can name.
fn judge(magic: u32) -> FileSystem {
    use FileSystem::{Fleeting, Sound, Unfit};
    match magic {
        0x6969 => Unfit("NFS", REMOTE),
        0x517B | 0xFE53_4D42 | 0xFF53_4D42 => Unfit("SMB", REMOTE),
        0x0102_1997 => Unfit("9p", REMOTE),
        0x6573_5546 => Unfit("FUSE", REMOTE),
        0x00C3_6400 => Unfit("Ceph", REMOTE),
        0x0BD0_0BD0 => Unfit("Lustre", REMOTE),
        0x5346_414F | 0x6B41_4653 => Unfit("AFS", REMOTE),
        0x7375_7245 => Unfit("Coda", REMOTE),
        0x786F_4256 => Unfit("a VirtualBox folder", REMOTE),
        0xBACB_ACBC => Unfit("a VMware folder", REMOTE),
        0x4D44 => Unfit("FAT", NO_MODES),
        0x2011_BAB0 => Unfit("exFAT", NO_MODES),
        0x0102_1994 | 0x8584_58F6 => Fleeting("memory", "everything is lost when the machine restarts"),
        0x794C_7630 => {
            Fleeting("a container's own layer", "everything is lost with the container: mount a volume")
        }
        _ => Sound,
    }
}

#[cfg(target_os = "linux")]
fn examine_file_system(path: &Path, any: bool) -> Result<(), PlaceError> {
    let io = |e: rustix::io::Errno| PlaceError::Io(path.to_owned(), e.into());
    let found = match rustix::fs::statfs(path) {
        Ok(found) => found,
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(e) => return Err(io(e)),
    };
    let flags = rustix::fs::statvfs(path).map_err(io)?.f_flag;
    if flags.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Err(PlaceError::ReadOnly(path.to_owned()));
    }
    // Of 32 bits, which some machines hand over with a sign.
    let verdict = judge(found.f_type as u32);
    let shown = path.display();
    match verdict {
        FileSystem::Sound => {}
        FileSystem::Fleeting(kind, fate) => tracing::warn!("{shown} lies on {kind}: {fate}"),
        FileSystem::Unfit(kind, reason) if any => {
            tracing::warn!("{shown} lies on {kind}: {reason}. store.any_file_system lets it pass");
        }
        FileSystem::Unfit(kind, reason) => return Err(PlaceError::FileSystem(path.to_owned(), kind, reason)),
    }
    Ok(())
}

/// Elsewhere the numbers mean something else.
#[cfg(not(target_os = "linux"))]
fn examine_file_system(_path: &Path, _any: bool) -> Result<(), PlaceError> {
    Ok(())
}

#[cfg(test)]
#[path = "place/tests.rs"]
mod tests;
