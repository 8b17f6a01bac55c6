//! From the configuration to the running verbs: data directory, master key, store, machines.

mod restore;

pub use restore::{Prepared, keep_what_is_left, prepare_restore, restore, verify_backup};

use crate::auth::backup::BackupSettings;
use crate::auth::backup::secret::{BackupSecret, SecretError};
use crate::auth::hasher::{HashSetting, Hasher};
use crate::auth::jwt::Verifier;
use crate::auth::keyfile::{self, KeyFileError};
use crate::auth::place::{self, PlaceError};
use crate::auth::throttle::{Throttle, ThrottleSettings};
use crate::auth::vault::{MasterKey, Vault};
use crate::auth::{Auth, Parts, Refusal, Settings};
use crate::clock::Clock;
use crate::config::Config;
use crate::entropy::Entropy;
use crate::model::app::Lifetimes;
use crate::model::backup::TimeOfDay;
use crate::model::password::Password;
use crate::model::throttle::Limit;
use crate::model::time::{MINUTE_MS, SECOND_MS};
use crate::store::engine::{self, OpenError, Options};
use crate::store::{Store, StoreError, swap};
use std::path::Path;
use std::sync::Arc;

/// How many verified access tokens are remembered.
const VERIFIED_TOKENS: usize = 50_000;
/// How many batches may wait for the writer.
const QUEUE_LENGTH: usize = 4096;
/// Set, it takes the flush out, so that the crash test can show what it would find. No release build reads it.
#[cfg(debug_assertions)]
#[doc(hidden)]
pub const WITHOUT_SYNC: &str = "UNSYNCED_HALLPASS";

/// Why the appliance does not start. Every text names what and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Key(#[from] KeyFileError),
    #[error("master_key is no key: it is the one line of a key file, hallpass-key-1:…")]
    BadMasterKey,
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(
        "require_store names the store {wanted}, but {found}: mount the right volume, or restore a backup"
    )]
    OtherStore { wanted: String, found: String },
    #[error("{0}")]
    Verbs(String),
    #[error("backups: {0}")]
    BackupSecret(#[from] SecretError),
    #[error("admin_email and admin_password_file make no administrator: {0}")]
    Unattended(String),
}

impl StartError {
    /// Whether another process, or a read of this one that is on its way out, still has the data directory.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Store(OpenError::Locked(_)))
    }
}

/// Where time and randomness come from: the machine, or a test's hand.
#[derive(Clone)]
pub struct Sources {
    pub clock: Clock,
    pub entropy: Entropy,
}

impl Sources {
    pub fn system() -> Self {
        Self { clock: Clock::system(), entropy: Entropy::system() }
    }
}

/// Opens everything and puts it together.
///
/// # Errors
/// Whenever less might be there than was promised.
pub async fn start(config: &Config, sources: Sources) -> Result<Arc<Auth>, StartError> {
    let (store, vault) = open(config, &sources.entropy)?;
    let auth = assemble(config, store, vault, sources).await?;
    keyfile::settle(&config.data_dir)?;
    set_up_unattended(config, &auth).await?;
    Ok(auth)
}

async fn assemble(
    config: &Config,
    store: Store,
    vault: Vault,
    sources: Sources,
) -> Result<Arc<Auth>, StartError> {
    let hashing = HashSetting {
        memory_kib: config.password.argon2_memory_kib,
        iterations: config.password.argon2_iterations,
        parallelism: config.password.argon2_parallelism,
    };
    let workers = config.password.hash_workers as usize;
    let queue = config.password.hash_queue as usize;
    let hasher = Hasher::new(hashing, workers, queue, sources.entropy.clone())
        .map_err(|e| StartError::Verbs(format!("no threads for password hashing: {e}")))?;
    let settings = settings(config)?;
    let parts = Parts {
        store,
        vault,
        hasher,
        throttle: Throttle::new(throttling(config)),
        verifier: Verifier::new(settings.issuer.clone(), VERIFIED_TOKENS),
        clock: sources.clock,
        entropy: sources.entropy,
        settings,
    };
    Auth::start(parts).await.map_err(|refusal| said(config, refusal))
}

/// Not an option: nothing that is promised would be true without it.
#[cfg(debug_assertions)]
#[allow(clippy::disallowed_methods)]
fn syncs() -> bool {
    std::env::var_os(WITHOUT_SYNC).is_none()
}

/// How the configuration's store is opened: by whom nothing may be made there, in `directory`.
fn options(config: &Config, directory: &Path, vault: &Vault) -> Options {
    Options {
        cache_bytes: u64::from(config.store.cache_mb) << 20,
        queue_length: QUEUE_LENGTH,
        free_floor_bytes: u64::from(config.store.free_floor_mb) << 20,
        #[cfg(debug_assertions)]
        switches: engine::Switches { sync: syncs(), ..engine::Switches::default() },
        ..Options::new(directory, vault.store_keys())
    }
}

/// The store of a stopped appliance, for those who work on it as a whole.
///
/// # Errors
/// When there is no key for it, or the data directory is not fit.
pub fn offline(config: &Config) -> Result<(Options, Vault), StartError> {
    place::examine(&config.data_dir, config.store.any_file_system)?;
    let vault = Vault::new(&master_key(config, None)?);
    Ok((options(config, &config.data_dir, &vault), vault))
}

/// The master key; with `entropy` also a new one, where nothing was ever begun.
fn master_key(config: &Config, entropy: Option<&Entropy>) -> Result<MasterKey, StartError> {
    match (&config.master_key, &config.master_key_file, entropy) {
        (Some(text), ..) => MasterKey::parse(text.reveal()).ok_or(StartError::BadMasterKey),
        (None, Some(path), _) => Ok(keyfile::load(path)?),
        (None, None, Some(entropy)) => Ok(keyfile::load_or_draft(&config.data_dir, entropy)?),
        (None, None, None) => Ok(keyfile::load(&keyfile::path(&config.data_dir))?),
    }
}

fn open(config: &Config, entropy: &Entropy) -> Result<(Store, Vault), StartError> {
    place::prepare(&config.data_dir, config.store.any_file_system)?;
    let vault = Vault::new(&master_key(config, Some(entropy))?);
    // A key file without a store is a sign of loss: only where neither is there may a store be made.
    let may_begin = config.require_store.is_none() && !keyfile::is_settled(&config.data_dir);
    let initialise = may_begin.then(|| entropy.bytes());
    let options = Options { initialise, ..options(config, &config.data_dir, &vault) };
    if config.store.compact_at_start && is_begun(config) {
        compact(&options);
    }
    let other_store = |wanted: &String, found| StartError::OtherStore { wanted: wanted.clone(), found };
    let store = Store::open(options, config.store.session_cache as usize).map_err(|error| {
        match (&config.require_store, error) {
            (Some(wanted), OpenError::Missing(path)) => {
                other_store(wanted, format!("{} is not there", path.display()))
            }
            (_, error) => error.into(),
        }
    })?;
    let found = uuid::Uuid::from_bytes(store.engine().store_id()).to_string();
    match &config.require_store {
        Some(wanted) if *wanted != found => {
            Err(other_store(wanted, format!("{} holds {found}", config.data_dir.display())))
        }
        _ => Ok((store, vault)),
    }
}

/// Where it comes to nothing the store is as it was: why that is, the opening will say.
fn compact(options: &Options) {
    match engine::compact(options) {
        Ok(done) => tracing::info!(event = "compacted", before = done.before_bytes, after = done.after_bytes),
        Err(error) => tracing::warn!(%error, "the store was not compacted"),
    }
}

/// The administrator that the configuration names, only where nothing was ever set up.
async fn set_up_unattended(config: &Config, auth: &Auth) -> Result<(), StartError> {
    let (Some(email), Some(path)) = (&config.admin_email, &config.admin_password_file) else { return Ok(()) };
    if auth.is_set_up().await.map_err(|refusal| said(config, refusal))? {
        return Ok(());
    }
    let text = std::fs::read_to_string(path)
        .map_err(|e| StartError::Unattended(format!("{}: {e}", path.display())))?;
    // Editors end files with a line break that nobody means.
    let password = Password::new(text.trim_end_matches(['\r', '\n']).to_owned());
    match auth.set_up_unattended(email.clone(), password).await {
        Ok(_) | Err(Refusal::SetUpClosed) => Ok(()),
        Err(refusal) => Err(StartError::Unattended(said(config, refusal).to_string())),
    }
}

/// Whether there is something to open. What begins nothing asks first: a directory that was named wrongly must not look
/// like an appliance without users, and must not become one.
pub fn is_begun(config: &Config) -> bool {
    // Between the two renames of a swap there is none in its place.
    config.data_dir.join("store").exists() || swap::is_ready(&config.data_dir)
}

/// A refusal at the start, in words for the operator.
fn said(config: &Config, refusal: Refusal) -> StartError {
    let store = config.data_dir.join("store");
    StartError::Verbs(match refusal {
        Refusal::Fault(text) => text,
        // What only a read found, after the tables that are looked at first.
        Refusal::Store(StoreError::Corrupt(what)) => return OpenError::Lost(store, what).into(),
        Refusal::Store(error) => format!("{}: {error}", store.display()),
        Refusal::StorageFull => format!(
            "{}: the disk has less free space than store.free_floor_mb ({} MB): make room",
            store.display(),
            config.store.free_floor_mb
        ),
        Refusal::Invalid(faults) => {
            let said: Vec<_> =
                faults.iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect();
            said.join("; ")
        }
        other => format!("{other:?}"),
    })
}

fn backup_settings(config: &Config) -> Result<BackupSettings, StartError> {
    let backup = &config.backup;
    let secret = match (&backup.passphrase_file, &backup.key_file) {
        (Some(path), _) => Some(BackupSecret::from_passphrase_file(path)?),
        (None, Some(path)) => Some(BackupSecret::from_key_file(path)?),
        (None, None) => None,
    };
    Ok(BackupSettings {
        directory: config.backup_directory(),
        nightly_at: backup.nightly_at_utc.as_deref().and_then(TimeOfDay::parse),
        keep: backup.keep as usize,
        free_floor_bytes: u64::from(config.store.free_floor_mb) << 20,
        secret: secret.map(Arc::new),
    })
}

fn settings(config: &Config) -> Result<Settings, StartError> {
    let days = |days: u32| days * 24 * 60;
    let (session, refresh) = (&config.session, &config.refresh);
    let lives = |access_minutes, idle_minutes, absolute_minutes| Lifetimes {
        access_minutes,
        idle_minutes,
        absolute_minutes,
        remember_minutes: days(session.remember_days).max(absolute_minutes),
    };
    let tokens = &config.access_token;
    let (idle, absolute) = (session.idle_minutes, session.absolute_minutes);
    Ok(Settings {
        issuer: config.public_url().origin().to_owned(),
        registration: config.registration.enabled,
        step_up_minutes: session.step_up_minutes,
        password_length_min: config.password.min_length as usize,
        clock_backwards_max_ms: i64::from(config.clock.backwards_seconds_max) * SECOND_MS,
        ended_sessions_days: config.keep.ended_sessions_days,
        backup: backup_settings(config)?,
        session: lives(tokens.tracked_minutes, idle, absolute),
        jwt: lives(tokens.jwt_minutes, idle, absolute),
        tracked: lives(tokens.tracked_minutes, idle, absolute),
        refresh: lives(tokens.refresh_minutes, days(refresh.idle_days), days(refresh.absolute_days)),
    })
}

fn throttling(config: &Config) -> ThrottleSettings {
    let limit =
        |burst, per_minute: u32| Limit { burst, refill_every_ms: MINUTE_MS / i64::from(per_minute.max(1)) };
    let throttle = &config.throttle;
    ThrottleSettings {
        account: limit(throttle.account_failures, throttle.account_refill_per_minute),
        address: limit(throttle.address_failures, throttle.address_refill_per_minute),
    }
}
