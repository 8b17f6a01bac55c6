//! `hallpass backup`, `backups` and `backup-key`.

use super::ask_or_do;
use crate::auth::backup::secret::BackupSecret;
use crate::config::Config;
use crate::console::Command;
use crate::start::Sources;
use crate::store::engine::sync_directory;
use clap::Args;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a backup is encrypted to, instead of what the configuration says.
#[derive(Args)]
pub(super) struct SecretFiles {
    /// Encrypted to the passphrase in this file, its one line.
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    passphrase_file: Option<PathBuf>,
    /// Encrypted to the key in this file, 32 bytes.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl SecretFiles {
    pub(super) fn read(&self) -> Result<Option<BackupSecret>, String> {
        let secret = match (&self.passphrase_file, &self.key_file) {
            (Some(path), _) => BackupSecret::from_passphrase_file(path),
            (None, Some(path)) => BackupSecret::from_key_file(path),
            (None, None) => return Ok(None),
        };
        secret.map(Some).map_err(|e| e.to_string())
    }
}

#[derive(Args)]
pub(super) struct Arguments {
    /// Move it there, instead of keeping it in the directory of backups.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    secret: SecretFiles,
}

/// Makes a backup and checks it. One that is not verified is kept all the same, and said so.
pub(super) fn run(config: Config, own: Option<PathBuf>, arguments: &Arguments) -> Result<ExitCode, String> {
    let to = arguments.to.as_deref();
    // Before the work: a name that is taken is found out soon.
    let target = to.map(|path| create(path).map_err(|e| format!("{}: {e}", path.display()))).transpose()?;
    let made = make(config, own, arguments, target);
    if let (Err(_), Some(path)) = (&made, to) {
        let _ = std::fs::remove_file(path);
    }
    let (path, made) = made?;
    println!("{}", path.display());
    match made["fault"].as_str() {
        None => {
            eprintln!("It was restored once and is exact.");
            Ok(ExitCode::SUCCESS)
        }
        Some(fault) => {
            eprintln!("hallpass: this backup is NOT VERIFIED: {fault}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn make(
    config: Config,
    own: Option<PathBuf>,
    arguments: &Arguments,
    target: Option<File>,
) -> Result<(PathBuf, Value), String> {
    let secret = arguments.secret.read()?;
    let made = ask_or_do(config.clone(), own.clone(), Command::Backup { secret })?;
    let path = PathBuf::from(made["path"].as_str().ok_or("it was not said where it is")?);
    let (Some(to), Some(target)) = (&arguments.to, target) else { return Ok((path, made)) };
    copy(&path, target, to)
        .map_err(|e| format!("{}: {e}; the backup is {}", to.display(), path.display()))?;
    let name = made["name"].as_str().unwrap_or_default().to_owned();
    ask_or_do(config, own, Command::BackupRemove { name })?;
    Ok((to.clone(), made))
}

/// A new file, for its owner alone, never one that is there: it could be a link, or readable by others.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn copy(from: &Path, mut to: File, path: &Path) -> io::Result<()> {
    io::copy(&mut File::open(from)?, &mut to)?;
    make_durable(&to, path)
}

/// The file, and its name: what it replaces is removed next, or relies on it.
fn make_durable(file: &File, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    sync_directory(directory.unwrap_or(Path::new(".")))
}

/// Makes a key file.
pub(super) fn make_key(path: &Path) -> Result<ExitCode, String> {
    let key = zeroize::Zeroizing::new(Sources::system().entropy.bytes::<32>());
    let written = create(path).and_then(|mut file| {
        file.write_all(key.as_ref())?;
        make_durable(&file, path)
    });
    written.map_err(|e| format!("{}: {e}", path.display()))?;
    eprintln!(
        "Keep a copy of {} where the backups are not: without it they open for nobody.",
        path.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// A line for each.
pub(super) fn print(backup: &Value) {
    let field = |name: &str| match &backup[name] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let verified = match backup["verified"].as_str() {
        Some("no") => format!("NOT VERIFIED: {}", field("fault")),
        Some("yes") => "verified".to_owned(),
        _ => "not checked yet".to_owned(),
    };
    println!("{}\t{} bytes\t{}\t{verified}", field("name"), field("bytes"), field("encrypted"));
}
