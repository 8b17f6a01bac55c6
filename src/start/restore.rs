//! A backup becomes a store: to be checked and thrown away, or to take the place of the present one.
//!
//! The store of a restore is made whole in `next/`, with everything of everybody ended in it, before anything of the
//! present one is touched; what breaks off before the mark is thrown away by the next start.

use super::{Sources, StartError, assemble, master_key, options, said};
use crate::auth::backup::secret::BackupSecret;
use crate::auth::backup::{Exact, open_with};
use crate::auth::check::Admin;
use crate::auth::restore::{Before, Report, Survey, differences};
use crate::auth::vault::Vault;
use crate::auth::{keyfile, place};
use crate::config::Config;
use crate::store::backup::{BackupError, Header, Piece};
use crate::store::engine::{self, DirectoryLock, OpenError, Options, Salvage};
use crate::store::{Store, swap};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a check needs of the store's cache: it reads every record once.
const CHECK_CACHE_BYTES: u64 = 32 << 20;
/// After so many pieces, of a mebibyte at most, it is looked whether there is room for more.
const PIECES_UNTIL_A_LOOK: usize = 32;
/// How long the files of a store that was closed may still be held by a read on its way out.
const CLOSING_TRIES: u32 = 500;

/// A store in `next/` that may take the present one's place.
#[derive(Debug)]
pub struct Prepared {
    pub report: Report,
    /// What to call the old store once it is set aside.
    pub aside: String,
}

/// Restores a backup into `scratch`, compares counts and digests, and removes it.
///
/// # Errors
/// In words: why it is not verified.
pub fn verify_backup(
    config: &Config,
    file: &Path,
    scratch: &Path,
    secret: Option<&BackupSecret>,
) -> Result<Exact, String> {
    let vault = Vault::new(&master_key(config, None).map_err(|e| e.to_string())?);
    // What is removed in the end must be what was made here.
    std::fs::create_dir(scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
    let options = Options { cache_bytes: CHECK_CACHE_BYTES, ..options(config, scratch, &vault) };
    let restored = copy(&options, file, secret).map(|(_, restored)| restored);
    let removed = std::fs::remove_dir_all(scratch);
    let restored = restored?;
    removed.map_err(|e| format!("{}: {e}", scratch.display()))?;
    if !restored.same_key {
        return Err("it was made under another master key, so its digests say nothing here".into());
    }
    Ok(Exact { records: records_of(&restored) })
}

fn records_of(restored: &engine::Restored) -> u64 {
    restored.head.totals.iter().map(|(_, total)| total.count).sum()
}

/// The whole file is read, and found to be as it was written, before the store is said to be there.
fn copy(
    options: &Options,
    file: &Path,
    secret: Option<&BackupSecret>,
) -> Result<(Header, engine::Restored), String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(file, flags, Mode::empty()).map(File::from);
    let opened = opened.map_err(|e| e.to_string())?;
    let (header, reader) = open_with(opened, secret).map_err(|e| e.to_string())?;
    // What a small file holds may be large, and others write to the same disk.
    let disk = options.directory.parent().unwrap_or(&options.directory).to_owned();
    let full = || engine::free_bytes(&disk).is_some_and(|free| free < options.free_floor_bytes);
    let pieces = reader.enumerate().map(|(number, piece)| match number % PIECES_UNTIL_A_LOOK {
        0 if full() => Err(BackupError::NoRoom),
        _ => piece,
    });
    let restored = engine::restore(options, pieces).map_err(|e| e.to_string())?;
    Ok((header, restored))
}

/// Makes the store of a backup in `next/`, under the present master key, and ends everything in it. What is compared
/// with the store before is handed in, as one process has one store open at a time.
///
/// # Errors
/// In words; the present store is as it was.
pub async fn prepare_restore(
    config: &Config,
    sources: Sources,
    file: &Path,
    secret: Option<&BackupSecret>,
    old: Result<Option<Survey>, String>,
) -> Result<Prepared, String> {
    let prepared = prepare(config, sources, file, secret, old).await;
    if prepared.is_err() {
        // The next start would do it, too; but it may be large, and far away.
        let _ = std::fs::remove_dir_all(swap::next(&config.data_dir));
    }
    prepared
}

async fn prepare(
    config: &Config,
    sources: Sources,
    file: &Path,
    secret: Option<&BackupSecret>,
    old: Result<Option<Survey>, String>,
) -> Result<Prepared, String> {
    let words = |e: StartError| e.to_string();
    let vault = Vault::new(&master_key(config, Some(&sources.entropy)).map_err(words)?);
    let next = swap::next(&config.data_dir);
    if next.exists() {
        std::fs::remove_dir_all(&next).map_err(|e| format!("{}: {e}", next.display()))?;
    }
    let options = options(config, &next, &vault);
    let (header, restored) = copy(&options, file, secret)?;
    let now = sources.clock.now();

    let store = Store::open(options, config.store.session_cache as usize).map_err(|e| e.to_string())?;
    // As the store says itself: the header vouches for nothing.
    let store_id = uuid::Uuid::from_bytes(store.engine().store_id()).to_string();
    if let Some(wanted) = config.require_store.as_ref().filter(|wanted| **wanted != store_id) {
        return Err(format!(
            "require_store names the store {wanted}, and this is a backup of {store_id}: change it first"
        ));
    }
    let auth = assemble(config, store, vault, sources).await.map_err(words)?;
    let new = auth.survey().await.map_err(|refusal| words(said(config, refusal)))?;
    let known = old.as_ref().ok().and_then(Option::as_ref);
    let suspended_apps =
        auth.take_over(&Admin::console(), known).await.map_err(|refusal| words(said(config, refusal)))?;
    drop(auth);
    wait_until_closed(&next).await?;

    let report = Report {
        made_at: header.made_at,
        program: header.program,
        records: records_of(&restored),
        users: new.users(),
        same_key: restored.same_key,
        same_store: known.is_some_and(|old| old.store_id == new.store_id),
        before: match &old {
            Ok(Some(old)) => Before::Compared(differences(old, &new)),
            Ok(None) => Before::Nothing,
            Err(why) => Before::Unreadable(why.clone()),
        },
        suspended_apps,
    };
    Ok(Prepared { report, aside: format!("before-restore-{}", now.ms()) })
}

/// sled's own threads may hold the files for a moment: what they wrote after the move would be lost.
async fn wait_until_closed(directory: &Path) -> Result<(), String> {
    for _ in 0..CLOSING_TRIES {
        match DirectoryLock::take(directory) {
            Err(OpenError::Locked(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            taken => return taken.map(drop).map_err(|e| e.to_string()),
        }
    }
    Err(format!("{} is not let go of", directory.display()))
}

/// `hallpass restore`: the whole of it, where no appliance runs.
///
/// # Errors
/// In words; the present store is as it was.
pub async fn restore(
    config: &Config,
    sources: Sources,
    file: &Path,
    secret: Option<&BackupSecret>,
) -> Result<Report, String> {
    place::prepare(&config.data_dir, config.store.any_file_system).map_err(|e| e.to_string())?;
    // A backup that does not open is said to be so before anything else is looked at.
    look_through(file, secret).map_err(|words| format!("{}: {words}", file.display()))?;
    let old = survey_of_old(config, &sources).await?;
    let lock = DirectoryLock::take(&config.data_dir).map_err(|e| e.to_string())?;
    let words = |e: std::io::Error| format!("{}: {e}", config.data_dir.display());
    // What an earlier one left, finished or not.
    swap::finish(&config.data_dir).map_err(words)?;
    let Prepared { report, aside } = prepare_restore(config, sources, file, secret, old).await?;
    swap::ready(&config.data_dir, swap::Old::SetAside(&aside)).map_err(words)?;
    swap::finish(&config.data_dir).map_err(words)?;
    keyfile::settle(&config.data_dir).map_err(|e| e.to_string())?;
    drop(lock);
    Ok(report)
}

/// Puts what is left of a damaged store in the place of it, with everything of everybody ended. Answers where the
/// damaged one was set aside. The caller has it open, and so holds the directory's lock.
///
/// # Errors
/// In words; the damaged store is as it was.
pub async fn keep_what_is_left(
    config: &Config,
    sources: Sources,
    salvage: &Salvage,
) -> Result<PathBuf, String> {
    let io = |e: std::io::Error| format!("{}: {e}", config.data_dir.display());
    let words = |e: StartError| e.to_string();
    let next = swap::next(&config.data_dir);
    let vault = Vault::new(&master_key(config, None).map_err(words)?);
    let options = options(config, &next, &vault);
    engine::restore(&options, salvage.pieces()).map_err(|e| e.to_string())?;
    let now = sources.clock.now();
    let store = Store::open(options, config.store.session_cache as usize).map_err(|e| e.to_string())?;
    let auth = assemble(config, store, vault, sources).await.map_err(words)?;
    let ended = async {
        auth.mend_guards().await?;
        auth.invalidate_all(&Admin::console()).await
    };
    ended.await.map_err(|refusal| words(said(config, refusal)))?;
    drop(auth);
    wait_until_closed(&next).await?;
    let name = format!("before-accepting-loss-{}", now.ms());
    swap::ready(&config.data_dir, swap::Old::SetAside(&name)).map_err(io)?;
    swap::finish(&config.data_dir).map_err(io)?;
    Ok(swap::aside(&config.data_dir).join(name))
}

fn look_through(file: &Path, secret: Option<&BackupSecret>) -> Result<(), String> {
    let opened = File::open(file).map_err(|e| e.to_string())?;
    let (_, reader) = open_with(opened, secret).map_err(|e| e.to_string())?;
    for piece in reader {
        let _: Piece = piece.map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// What there is to compare with. A store that cannot be opened is no reason not to restore: it may be the very reason
/// to do so.
async fn survey_of_old(config: &Config, sources: &Sources) -> Result<Result<Option<Survey>, String>, String> {
    if !super::is_begun(config) {
        return Ok(Ok(None));
    }
    let key = match master_key(config, Some(&sources.entropy)) {
        Ok(key) => key,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let options = options(config, &config.data_dir, &Vault::new(&key));
    let store = match Store::open(options, 1000) {
        Ok(store) => store,
        // Somebody serves it.
        Err(error @ OpenError::Locked(_)) => return Err(error.to_string()),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let survey = Survey::of(&store).await.map_err(|e| e.to_string());
    drop(store);
    wait_until_closed(&config.data_dir).await?;
    Ok(survey.map(Some))
}
