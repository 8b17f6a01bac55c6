//! How a store is opened.

use super::head::StoreKeys;
use std::path::PathBuf;

/// How to open.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory; the store lies in `store/`, the witness in `sidecar`.
    pub directory: PathBuf,
    pub keys: StoreKeys,
    pub cache_bytes: u64,
    /// How many batches may wait.
    pub queue_length: usize,
    /// Permits a new store, with this id, where there was never one.
    pub initialise: Option<[u8; 16]>,
    /// Below so many bytes of free space on the store's disk nothing is written.
    pub free_floor_bytes: u64,
    #[doc(hidden)]
    pub switches: Switches,
}

impl Options {
    pub fn new(directory: impl Into<PathBuf>, keys: StoreKeys) -> Self {
        Self {
            directory: directory.into(),
            keys,
            cache_bytes: 128 << 20,
            queue_length: 4096,
            initialise: None,
            free_floor_bytes: 0,
            switches: Switches::default(),
        }
    }
}

/// What tests and benchmarks switch off, to show what it is good for and what it costs. Then nothing is promised.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    pub sync: bool,
    pub sidecar: bool,
    pub digests: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self { sync: true, sidecar: true, digests: true }
    }
}
