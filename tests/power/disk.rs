//! A disk with a cache before it: what was synced is on it for certain, of the rest any part may be.
//!
//! Data is drawn block by block: a block holds what some moment since its last sync gave it. Names and renames come
//! to the disk in their order, as the journals of ext4 and xfs keep it: some first part of them is there, and all up
//! to the last one that a sync of its directory promised. A length that was not synced may be there without the data.

use crate::shim::{Record, What};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Chance that can be repeated.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        // Xorshift; what a power cut spares needs no better.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory { mode: u32 },
    File { mode: u32, number: usize },
}

type Names = BTreeMap<PathBuf, Node>;

enum NameChange {
    Made(PathBuf, Node),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
}

enum Change {
    Written { offset: u64, data: Vec<u8> },
    Length(u64),
}

/// A file's bytes on the disk, and what was done to them since.
#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    pending: Vec<(u64, Change)>,
}

/// What a sync concerns, and when it began.
enum Target {
    File(usize),
    Directory(PathBuf),
}

/// The disk below one directory.
pub struct Disk {
    top: PathBuf,
    /// As the program sees them.
    names: Names,
    durable_names: Names,
    pending_names: Vec<(u64, NameChange)>,
    contents: Vec<Content>,
    syncs: HashMap<u64, (u64, Target)>,
    /// The number of the record that was taken in last.
    time: u64,
    /// Files of this name are not synced, whatever the program does: the negative control.
    pub deaf_to: Option<&'static str>,
}

/// How a cut treats what was not synced.
#[derive(Clone, Copy, Debug)]
pub struct Luck {
    /// Of a hundred, how many writes are kept.
    kept: usize,
    /// What is kept or lost as one; 0: whole writes.
    block: usize,
    /// Whether lengths and names may be behind as well.
    whole_names: bool,
}

impl Luck {
    pub fn draw(dice: &mut Dice) -> Self {
        Self {
            kept: [0, 100, 50, 90, 10][dice.below(5)],
            block: [512, 4096, 0][dice.below(3)],
            whole_names: dice.below(3) == 0,
        }
    }
}

impl Disk {
    /// All that lies in a directory, as durable.
    pub fn of(top: &Path) -> Self {
        let mut disk = Self {
            top: top.to_owned(),
            names: Names::new(),
            durable_names: Names::new(),
            pending_names: Vec::new(),
            contents: Vec::new(),
            syncs: HashMap::new(),
            time: 0,
            deaf_to: None,
        };
        let contents = &mut disk.contents;
        disk.names = read(top, &mut |bytes| {
            contents.push(Content { durable: bytes, pending: Vec::new() });
            contents.len() - 1
        });
        disk.durable_names = disk.names.clone();
        disk
    }

    pub fn take_in(&mut self, record: &Record) {
        self.time += 1;
        let path = record.path.clone();
        match &record.what {
            What::Created { mode } => {
                self.contents.push(Content::default());
                let number = self.contents.len() - 1;
                self.rename(NameChange::Made(path, Node::File { mode: *mode, number }));
            }
            What::Directory { mode } => {
                self.rename(NameChange::Made(path, Node::Directory { mode: *mode }));
            }
            What::Renamed { to } => self.rename(NameChange::Renamed(path, to.clone())),
            What::Removed => self.rename(NameChange::Removed(path)),
            What::Written { offset, data } => {
                self.change(&path, Change::Written { offset: *offset, data: data.clone() });
            }
            What::Length(length) => self.change(&path, Change::Length(*length)),
            What::SyncBegun { ticket } => {
                let target = match self.names.get(&path) {
                    Some(Node::File { number, .. }) => Target::File(*number),
                    _ => Target::Directory(path),
                };
                self.syncs.insert(*ticket, (self.time, target));
            }
            What::SyncDone { ticket } => {
                let (begun, target) = self.syncs.remove(ticket).expect("a sync that began");
                match target {
                    _ if self.deaf_to.is_some_and(|name| path.ends_with(name)) => {}
                    Target::File(number) => self.contents[number].settle(begun),
                    Target::Directory(directory) => self.settle_names(&directory, begun),
                }
            }
            // What a failed sync did not write, no later one will: the system takes it for written.
            What::SyncFailed { ticket } => {
                if let Some((begun, Target::File(number))) = self.syncs.remove(ticket) {
                    self.contents[number].pending.retain(|(time, _)| *time > begun);
                }
            }
        }
    }

    fn rename(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push((self.time, change));
    }

    fn change(&mut self, path: &Path, change: Change) {
        // A file without a name is nobody's any more.
        match self.names.get(path) {
            Some(Node::File { number, .. }) => self.contents[*number].pending.push((self.time, change)),
            found => assert!(path.to_string_lossy().ends_with(" (deleted)"), "{path:?} is {found:?}"),
        }
    }

    fn settle_names(&mut self, directory: &Path, begun: u64) {
        let promised = |(time, change): &(u64, NameChange)| *time <= begun && change.concerns(directory);
        let settled = self.pending_names.iter().rposition(promised).map_or(0, |last| last + 1);
        self.pending_names.drain(..settled).for_each(|(_, change)| change.apply(&mut self.durable_names));
    }

    /// Where the journal's account differs from the directory itself: something passed the shim by.
    pub fn differences(&self) -> Vec<String> {
        let mut contents = Vec::new();
        let found = read(&self.top, &mut |bytes| {
            contents.push(bytes);
            contents.len() - 1
        });
        let mut faults = BTreeSet::new();
        for path in self.names.keys().chain(found.keys()) {
            let same = match (self.names.get(path), found.get(path)) {
                (Some(Node::Directory { .. }), Some(Node::Directory { .. })) => true,
                (Some(Node::File { number, .. }), Some(Node::File { number: there, .. })) => {
                    self.contents[*number].newest() == contents[*there]
                }
                _ => false,
            };
            if !same {
                faults.insert(path.display().to_string());
            }
        }
        faults.into_iter().collect()
    }

    /// What a power cut at this moment may leave, written below `to`, which is empty.
    pub fn write_image(&self, to: &Path, luck: Luck, dice: &mut Dice) {
        let lost = if luck.whole_names { 0 } else { dice.below(self.pending_names.len() + 1) };
        let mut names = self.durable_names.clone();
        let there = self.pending_names.len() - lost;
        self.pending_names[..there].iter().for_each(|(_, change)| change.apply(&mut names));
        for (path, node) in &names {
            let path = to.join(path.strip_prefix(&self.top).unwrap());
            match node {
                Node::Directory { mode } => {
                    std::fs::DirBuilder::new().mode(mode & 0o755).create(&path).unwrap();
                }
                Node::File { mode, number } => {
                    let mut options = std::fs::OpenOptions::new();
                    let mut file =
                        options.write(true).create_new(true).mode(mode & 0o755).open(&path).unwrap();
                    let bytes = self.contents[*number].after_a_cut(luck, dice);
                    std::io::Write::write_all(&mut file, &bytes).unwrap();
                }
            }
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Made(path, node) => drop(names.insert(path.clone(), *node)),
            Self::Removed(path) => drop(names.remove(path)),
            Self::Renamed(from, to) => {
                let moved: Vec<PathBuf> =
                    names.keys().filter(|path| path.starts_with(from)).cloned().collect();
                names.retain(|path, _| !path.starts_with(to));
                for path in moved {
                    let node = names.remove(&path).expect("just listed");
                    // `join` of an empty path would add a slash.
                    let rest = path.strip_prefix(from).expect("below it");
                    names.insert(if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) }, node);
                }
            }
        }
    }

    fn concerns(&self, directory: &Path) -> bool {
        let is_in = |path: &Path| path.parent() == Some(directory);
        match self {
            Self::Made(path, _) | Self::Removed(path) => is_in(path),
            Self::Renamed(from, to) => is_in(from) || is_in(to),
        }
    }
}

impl Content {
    /// Everything that was done before this moment is on the disk.
    fn settle(&mut self, begun: u64) {
        let settled = self.pending.partition_point(|(time, _)| *time <= begun);
        self.pending.drain(..settled).for_each(|(_, change)| change.apply(&mut self.durable, |_| true));
    }

    fn newest(&self) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        self.pending.iter().for_each(|(_, change)| change.apply(&mut bytes, |_| true));
        bytes
    }

    fn after_a_cut(&self, luck: Luck, dice: &mut Dice) -> Vec<u8> {
        let mut block_bytes = luck.block as u64;
        if block_bytes == 0 {
            block_bytes = 512;
        }
        // Of each block, the last write that it holds.
        let mut newest: HashMap<u64, usize> = HashMap::new();
        for (index, (_, change)) in self.pending.iter().enumerate() {
            let Change::Written { offset, data } = change else { continue };
            let is_kept = dice.below(100) < luck.kept;
            for block in offset / block_bytes..(offset + data.len() as u64).div_ceil(block_bytes) {
                if if luck.block == 0 { is_kept } else { dice.below(100) < luck.kept } {
                    newest.insert(block, index);
                }
            }
        }
        // Lengths come in their order, too.
        let lengths = self.pending.iter().filter(|(_, change)| matches!(change, Change::Length(_))).count();
        let mut lengths = if luck.whole_names { lengths } else { dice.below(lengths + 1) };
        let (mut bytes, mut sizes) = (self.durable.clone(), vec![self.durable.len()]);
        for (index, (_, change)) in self.pending.iter().enumerate() {
            match change {
                Change::Length(_) if lengths == 0 => {}
                Change::Length(length) => {
                    lengths -= 1;
                    change.apply(&mut bytes, |_| true);
                    sizes = vec![*length as usize];
                }
                Change::Written { offset, data } => {
                    let kept = |at: u64| newest.get(&(at / block_bytes)).is_some_and(|last| *last >= index);
                    change.apply(&mut bytes, kept);
                    sizes.push((*offset as usize + data.len()).max(sizes.last().copied().unwrap_or(0)));
                }
            }
        }
        // The length may be behind the data, or before it: zeros.
        bytes.resize(sizes[if luck.whole_names { sizes.len() - 1 } else { dice.below(sizes.len()) }], 0);
        bytes
    }
}

impl Change {
    /// `kept` says of each place whether the disk has this write's byte there.
    fn apply(&self, bytes: &mut Vec<u8>, kept: impl Fn(u64) -> bool) {
        match self {
            Self::Length(length) => bytes.resize(*length as usize, 0),
            Self::Written { offset, data } => {
                let end = *offset as usize + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                for (at, byte) in (*offset..).zip(data) {
                    if kept(at) {
                        bytes[at as usize] = *byte;
                    }
                }
            }
        }
    }
}

/// Every name below a directory; `keep` takes in a file's bytes and gives its number.
fn read(top: &Path, keep: &mut impl FnMut(Vec<u8>) -> usize) -> Names {
    let mut names = Names::new();
    let mut directories = vec![top.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let mode = metadata.permissions().mode();
            if metadata.is_dir() {
                directories.push(path.clone());
                names.insert(path, Node::Directory { mode });
            } else if metadata.is_file() {
                let number = keep(std::fs::read(&path).unwrap());
                names.insert(path, Node::File { mode, number });
            }
        }
    }
    names
}
