//! The preloaded shim: built, steered, and its journal read.

use crate::server::House;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The library, built once per run. `None`, and said loudly, where there is no C compiler.
pub fn library() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let library = directory.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power/shim.c");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-U_FORTIFY_SOURCE", "-o"];
        match Command::new(&compiler).args(flags).args([&library, &source]).status() {
            Ok(status) => assert!(status.success(), "{compiler} does not build the shim: {status}"),
            Err(e) => {
                let skipped =
                    format!("SKIPPED: power cuts and faults of the disk: {compiler} does not run: {e}\n");
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{skipped}");
                // Past the test harness, which keeps what a test prints to itself.
                std::io::stderr().write_all(skipped.as_bytes()).unwrap();
                return None;
            }
        }
        Some((directory, library))
    });
    built.as_ref().map(|(_, library)| library.as_path())
}

/// What is to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails with this number of the system's.
    Error(u32),
    /// A write is done by half. Nothing that anybody should notice.
    Short,
    /// The call never returns.
    Hang,
}

pub const EIO: Fault = Fault::Error(5);
pub const ENOSPC: Fault = Fault::Error(28);

/// Which calls count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// All that change something.
    All,
    Syncs,
}

/// What the shim was told and what it saw, for one house.
pub struct Shim {
    journal: PathBuf,
    control: File,
    _directory: tempfile::TempDir,
}

impl Shim {
    /// From now on the house's program runs under the shim.
    pub fn over(house: &mut House, library: &Path) -> Self {
        Self::off(house);
        let directory = tempfile::tempdir().unwrap();
        let (journal, control) = (directory.path().join("journal"), directory.path().join("control"));
        File::create(&journal).unwrap();
        std::fs::write(&control, [0; CONTROL_BYTES]).unwrap();
        let watched = house.directory();
        assert_eq!(watched, watched.canonicalize().unwrap(), "the shim compares whole paths");
        let text = |path: &Path| path.display().to_string();
        house.variables.extend([
            ("LD_PRELOAD", text(library)),
            ("SHIM_DIR", text(watched)),
            ("SHIM_JOURNAL", text(&journal)),
            ("SHIM_CONTROL", text(&control)),
        ]);
        let control = OpenOptions::new().read(true).write(true).open(control).unwrap();
        Self { journal, control, _directory: directory }
    }

    /// From now on it runs without.
    pub fn off(house: &mut House) {
        house.variables.retain(|(name, _)| *name != "LD_PRELOAD" && !name.starts_with("SHIM_"));
    }

    /// The `nth` of these calls from now on meets the fault; all later ones as well if it is lasting.
    pub fn arm(&self, nth: u32, calls: Calls, fault: Fault, is_lasting: bool) {
        let fault = match fault {
            Fault::Error(number) => number,
            Fault::Short => 1000,
            Fault::Hang => 1001,
        };
        let only = match calls {
            Calls::All => 0,
            Calls::Syncs => u32::from(b's'),
        };
        // The countdown comes last: it is what starts the others.
        let words = [fault, only, u32::from(is_lasting), 0];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.control.write_all_at(&bytes, 4).unwrap();
        self.control.write_all_at(&nth.to_ne_bytes(), 0).unwrap();
    }

    /// This byte of the data file can no longer be read.
    pub fn spoil(&self, at: u64) {
        self.control.write_all_at(&(at + 1).to_ne_bytes(), 24).unwrap();
    }

    pub fn delay_syncs(&self, ms: u32) {
        self.control.write_all_at(&ms.to_ne_bytes(), 20).unwrap();
    }

    /// The kind of the call that met the fault, once one has.
    pub fn hit(&self) -> Option<char> {
        let mut word = [0; 4];
        self.control.read_exact_at(&mut word, 16).unwrap();
        char::from_u32(u32::from_ne_bytes(word)).filter(|kind| *kind != '\0')
    }

    /// Where the journal stands: whatever was noted before is before.
    pub fn now(&self) -> u64 {
        self.journal.metadata().unwrap().len()
    }

    /// All that was noted, in order.
    pub fn records(&self) -> Vec<Record> {
        let bytes = std::fs::read(&self.journal).unwrap();
        let (mut records, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let record = Record::read(&bytes, at);
            at = record.end as usize;
            records.push(record);
        }
        records
    }
}

const CONTROL_BYTES: usize = 32;
const HEAD_BYTES: usize = 24;

/// One thing that happened.
pub struct Record {
    pub what: What,
    pub path: PathBuf,
    /// Where it ends in the journal.
    pub end: u64,
}

pub enum What {
    Created { mode: u32 },
    Directory { mode: u32 },
    Renamed { to: PathBuf },
    Removed,
    Written { offset: u64, data: Vec<u8> },
    Length(u64),
    SyncBegun { ticket: u64 },
    SyncDone { ticket: u64 },
    SyncFailed { ticket: u64 },
}

impl Record {
    fn read(bytes: &[u8], at: usize) -> Self {
        let word = |index: usize| {
            let at = at + 4 * index;
            u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
        };
        let number = u64::from_ne_bytes(bytes[at + 16..at + HEAD_BYTES].try_into().unwrap());
        let mut end = at + HEAD_BYTES;
        let [path, second, data] = [1, 2, 3].map(|index| {
            let begin = end;
            end += word(index) as usize;
            &bytes[begin..end]
        });
        let path_of = |bytes: &[u8]| PathBuf::from(std::str::from_utf8(bytes).unwrap());
        let what = match word(0) as u8 {
            b'c' => What::Created { mode: number as u32 },
            b'd' => What::Directory { mode: number as u32 },
            b'r' => What::Renamed { to: path_of(second) },
            b'x' => What::Removed,
            b'w' => What::Written { offset: number, data: data.to_vec() },
            b'l' => What::Length(number),
            b'b' => What::SyncBegun { ticket: number },
            b's' => What::SyncDone { ticket: number },
            b'f' => What::SyncFailed { ticket: number },
            other => panic!("the journal has an unknown record {other}"),
        };
        Self { what, path: path_of(path), end: end as u64 }
    }

    pub fn is_of_a_sync(&self) -> bool {
        matches!(self.what, What::SyncBegun { .. } | What::SyncDone { .. } | What::SyncFailed { .. })
    }
}
