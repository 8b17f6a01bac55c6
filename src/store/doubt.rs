//! A mark beside the store: something in it was found damaged, so that the next start looks at every table first.

use std::path::{Path, PathBuf};

fn path(directory: &Path) -> PathBuf {
    directory.join("doubt")
}

/// Leaves the mark. Called when the store is failing anyway: what goes wrong here changes nothing.
pub fn raise(directory: &Path) {
    let _ = std::fs::write(path(directory), "");
}

pub fn is_raised(directory: &Path) -> bool {
    path(directory).exists()
}

/// Every table was found whole.
pub fn settle(directory: &Path) {
    let _ = std::fs::remove_file(path(directory));
}
