//! A new store takes the old one's place: prepared beside it in `next/`, marked as ready, then moved in by renames.
//!
//! Whatever breaks off, the next start finds either the old store and throws `next/` away, or the mark, and moves on.

use crate::store::engine::{make_private_directory, sync_directory};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const MARK: &str = "ready";
/// What is swapped. `lock` and `key` stay where they are.
const MOVED: [&str; 2] = ["store", "sidecar"];
/// Sets of files that nobody needs any more; a removal that broke off is finished by the next start.
const DISCARDED: &str = "discarded-";

/// Where the new store is prepared: a data directory of its own, without a key.
pub fn next(directory: &Path) -> PathBuf {
    directory.join("next")
}

/// Where stores are kept that were replaced.
pub fn aside(directory: &Path) -> PathBuf {
    directory.join("aside")
}

/// What becomes of the old store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old<'a> {
    /// Kept in `aside/` under this name.
    SetAside(&'a str),
    /// Removed, as the new one holds the same.
    Discarded,
}

/// Marks `next/` as whole. From here on only the new store counts.
///
/// # Errors
/// When the disk does not take it, or the name is taken; then the old store still counts.
pub fn ready(directory: &Path, old: Old<'_>) -> io::Result<()> {
    let next = next(directory);
    let name = match old {
        Old::SetAside(name) => name.to_owned(),
        Old::Discarded => free_name(directory),
    };
    if aside(directory).join(&name).exists() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("aside/{name}")));
    }
    let half = next.join("ready.half");
    let mut file = File::create(&half)?;
    file.write_all(name.as_bytes())?;
    file.sync_all()?;
    sync_directory(&next)?;
    sync_directory(directory)?;
    std::fs::rename(half, next.join(MARK))?;
    sync_directory(&next)
}

/// Whether a new store waits to be moved in.
pub fn is_ready(directory: &Path) -> bool {
    next(directory).join(MARK).exists()
}

fn free_name(directory: &Path) -> String {
    let mut names = (0u32..).map(|n| format!("{DISCARDED}{n}"));
    names.find(|name| !aside(directory).join(name).exists()).unwrap_or_default()
}

/// Moves a marked store in, and throws an unmarked one away. Called with the directory's lock held, before anything is
/// opened; where there is nothing to do it does nothing.
///
/// # Errors
/// When a file cannot be moved; called again it goes on.
pub fn finish(directory: &Path) -> io::Result<()> {
    let (next, aside) = (next(directory), aside(directory));
    if is_ready(directory) {
        let name = std::fs::read_to_string(next.join(MARK))?;
        let kept = aside.join(name);
        make_private_directory(&kept)?;
        sync_directory(&aside)?;
        sync_directory(directory)?;
        for entry in MOVED {
            // What is no more in `next/` was moved before.
            if !next.join(entry).exists() {
                continue;
            }
            if directory.join(entry).exists() {
                std::fs::rename(directory.join(entry), kept.join(entry))?;
                sync_directory(&kept)?;
                sync_directory(directory)?;
            }
            std::fs::rename(next.join(entry), directory.join(entry))?;
            sync_directory(directory)?;
            sync_directory(&next)?;
        }
        std::fs::remove_file(next.join(MARK))?;
        sync_directory(&next)?;
    }
    if next.exists() {
        std::fs::remove_dir_all(&next)?;
        sync_directory(directory)?;
    }
    if aside.exists() {
        for entry in std::fs::read_dir(&aside)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(DISCARDED) {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
    }
    Ok(())
}
