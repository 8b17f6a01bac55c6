//! `hallpass export`: apps, users and the hashes of their passwords, to a file that only its owner reads.

use super::converse::converse;
use crate::config::Config;
use crate::console::transfer::{Transfer, receive};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) fn run(config: Config, to: Option<PathBuf>) -> Result<ExitCode, String> {
    let end = match &to {
        None => converse(config, Transfer::Export, |stream| receive(stream, &mut std::io::stdout().lock()))?,
        Some(path) => {
            let file = create(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let written = converse(config, Transfer::Export, move |stream| {
                let mut out = BufWriter::new(file);
                let end = receive(stream, &mut out)?;
                out.flush()
                    .and_then(|()| out.get_ref().sync_all())
                    .map_err(|e| format!("cannot write: {e}"))?;
                Ok(end)
            });
            if written.is_err() {
                let _ = std::fs::remove_file(path);
            }
            written?
        }
    };
    // Not to stdout, where the lines may go.
    eprintln!("{} users and {} apps were exported.", end["users"], end["apps"]);
    eprintln!("This holds the hashes of their passwords: keep it as safe as the data directory.");
    Ok(ExitCode::SUCCESS)
}

/// A new file, never one that is there: it could be a link, or readable by others.
fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
