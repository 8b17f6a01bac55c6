//! Damaged images of a data directory, by chance.

use crate::crowd::random;
use crate::server::copy;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// What befalls a file, or the store as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    FlippedBits,
    FlippedRecords,
    Truncated,
    ZeroedPages,
    Garbage,
    Emptied,
    Missing,
    OfAnotherAppliance,
    OfYesterday,
}

use Harm::*;

pub const HARMS: [Harm; 9] = [
    FlippedBits,
    FlippedRecords,
    Truncated,
    ZeroedPages,
    Garbage,
    Emptied,
    Missing,
    OfAnotherAppliance,
    OfYesterday,
];

const PAGE: u64 = 4096;

/// Data directories: the one to harm, the same of yesterday, and another appliance's.
pub struct Originals {
    pub whole: PathBuf,
    pub yesterday: PathBuf,
    pub other: PathBuf,
}

pub fn below(bound: u64) -> u64 {
    random() % bound.max(1)
}

impl Originals {
    /// Writes an image to `to`; what was done, in words.
    pub fn harm(&self, harm: Harm, to: &Path) -> String {
        copy(&self.whole, to);
        let part = self.part(harm);
        let path = to.join(&part);
        let what = match harm {
            FlippedBits => {
                let times = 1 + below(3);
                change(&path, times, 1, |bytes| bytes[0] ^= 1 << below(8))
            }
            FlippedRecords => flip_in_data(&path),
            ZeroedPages => change(&path, 1 + below(3), PAGE, |bytes| bytes.fill(0)),
            Garbage => change(&path, 1, 1 + below(PAGE), |bytes| {
                bytes.iter_mut().for_each(|byte| *byte = below(256) as u8)
            }),
            Truncated => {
                let length = below(length(&path));
                std::fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
                format!("to {length} bytes")
            }
            Emptied if path.is_dir() => {
                std::fs::remove_dir_all(&path).unwrap();
                std::fs::create_dir(&path).unwrap();
                String::new()
            }
            Emptied => std::fs::write(&path, "").map(|()| String::new()).unwrap(),
            Missing => {
                remove(&path);
                String::new()
            }
            OfAnotherAppliance => replace(&path, &self.other.join(&part)),
            OfYesterday => replace(&path, &self.yesterday.join(&part)),
        };
        close(to);
        format!("{harm:?} {} {what}", part.display())
    }

    /// A file that lies in all of them where it must, most of the time the one with the records.
    fn part(&self, harm: Harm) -> PathBuf {
        let mut parts = files(&self.whole);
        // Backups are damaged in a test of their own.
        parts.retain(|part| !part.starts_with("backups"));
        let is_record = |part: &PathBuf| part.ends_with("db");
        let of_store = parts.iter().filter(|part| is_record(part)).cloned().collect::<Vec<_>>();
        if matches!(harm, Emptied | Missing | OfAnotherAppliance | OfYesterday) {
            parts.push("store".into());
            if let OfAnotherAppliance | OfYesterday = harm {
                let from = if harm == OfYesterday { &self.yesterday } else { &self.other };
                // The key file is the same every day.
                parts.retain(|part| {
                    from.join(part).exists() && (harm != OfYesterday || !part.ends_with("key"))
                });
            }
        } else if harm == FlippedRecords || below(3) > 0 {
            parts = of_store;
        }
        parts.retain(|part| self.whole.join(part).is_dir() || length(&self.whole.join(part)) > 0);
        parts[below(parts.len() as u64) as usize].clone()
    }
}

/// All files below, by their paths from there; no sockets and nothing of a moment.
fn files(of: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(at) = left.pop() {
        for entry in std::fs::read_dir(of.join(&at)).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (at.join(entry.file_name()), entry.file_type().unwrap());
            if kind.is_dir() {
                left.push(path);
            } else if kind.is_file() && !path.ends_with("lock") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

/// Changes so many stretches of this size, anywhere.
fn change(path: &Path, times: u64, size: u64, change: impl Fn(&mut [u8])) -> String {
    let mut file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let length = length(path);
    let places = (0..times).map(|_| {
        let at = match size {
            PAGE => below(length.div_ceil(PAGE)) * PAGE,
            size => below(length.saturating_sub(size) + 1),
        };
        let mut bytes = vec![0; size.min(length - at) as usize];
        file.seek(SeekFrom::Start(at)).unwrap();
        file.read_exact(&mut bytes).unwrap();
        change(&mut bytes);
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&bytes).unwrap();
        at.to_string()
    });
    format!("at {}", places.collect::<Vec<_>>().join(", "))
}

/// A bit where there is something, and not in the zeros that sled has reserved.
fn flip_in_data(path: &Path) -> String {
    let mut bytes = std::fs::read(path).unwrap();
    let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let at = written[below(written.len() as u64) as usize];
    bytes[at] ^= 1 << below(8);
    std::fs::write(path, bytes).unwrap();
    format!("at {at}")
}

fn remove(path: &Path) {
    if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
}

fn replace(path: &Path, by: &Path) -> String {
    remove(path);
    if by.is_dir() {
        copy(by, path)
    } else {
        std::fs::copy(by, path).map(drop).unwrap()
    }
    String::new()
}

/// As the program demands: nobody else's business. What was copied has lost its modes.
fn close(directory: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for part in files(directory) {
        std::fs::set_permissions(directory.join(part), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    for directory in [directory.to_owned(), directory.join("store")] {
        if directory.exists() {
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
}
