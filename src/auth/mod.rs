//! The verbs: each an order of events over the store, with its rules in `model`. No HTTP, no sled.

pub mod apps;
mod attempts;
pub mod backup;
pub mod blacklist;
pub mod check;
mod clock;
pub mod data;
pub mod export;
pub mod hasher;
pub mod housekeeping;
pub mod import;
pub mod introspect;
pub mod invalidate;
pub mod issue;
pub mod jwt;
pub mod keyfile;
pub mod keys;
pub mod login;
pub mod logout;
mod mend;
pub mod metrics;
pub mod password;
pub mod place;
pub mod reauthenticate;
pub mod refresh;
pub mod refusal;
pub mod restore;
pub mod sessions;
pub mod settings;
pub mod setup;
pub mod throttle;
pub mod users;
pub mod vault;

use crate::clock::{Clock, ForwardClock};
use crate::entropy::Entropy;
use crate::model::app::App;
use crate::model::user::User;
use crate::model::{AppId, SecretId, Time, UserId};
use crate::store::{Batch, Outcome, Row, Store, StoreError, tables};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
pub use refusal::{FieldFault, Refusal, Verdict};
pub use settings::Settings;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

/// How often a verb tries again when what it read has changed: more than callers that can meet at one record.
pub(crate) const TRIES_MAX: usize = 300;

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: IpAddr,
    pub agent: String,
}

/// All that the verbs hold.
pub struct Auth {
    pub(crate) store: Store,
    clock: ForwardClock,
    /// The latest time that is on disk.
    time_kept_ms: AtomicI64,
    entropy: Entropy,
    vault: vault::Vault,
    hasher: hasher::Hasher,
    throttle: throttle::Throttle,
    verifier: jwt::Verifier,
    settings: Settings,
    ring: parking_lot::RwLock<Option<keys::Rung>>,
    making_keys: tokio::sync::Mutex<()>,
    work_waiting: tokio::sync::Notify,
    secrets_used: parking_lot::Mutex<HashMap<SecretId, Time>>,
    /// When the store was last read whole, or begun to be: at the start it is.
    verified_at: parking_lot::Mutex<Time>,
    gate: invalidate::Gate,
    backups: backup::Backups,
    tallies: metrics::Tallies,
}

/// The machines that [`Auth`] is made of.
pub struct Parts {
    pub store: Store,
    pub clock: Clock,
    pub entropy: Entropy,
    pub vault: vault::Vault,
    pub hasher: hasher::Hasher,
    pub throttle: throttle::Throttle,
    pub verifier: jwt::Verifier,
    pub settings: Settings,
}

impl Auth {
    /// Puts the machines together, and the built-in apps and the first signing key into a new store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start(parts: Parts) -> Verdict<Arc<Self>> {
        let Parts { store, clock, entropy, vault, hasher, throttle, verifier, settings } = parts;
        let verified_at = parking_lot::Mutex::new(clock.now());
        let backups = backup::Backups::new(clock.now());
        let tallies = metrics::Tallies::new(clock.now());
        let auth = Self {
            store,
            clock: ForwardClock::new(clock, settings.clock_backwards_max_ms),
            time_kept_ms: AtomicI64::new(0),
            entropy,
            vault,
            hasher,
            throttle,
            verifier,
            settings,
            ring: parking_lot::RwLock::new(None),
            making_keys: tokio::sync::Mutex::new(()),
            work_waiting: tokio::sync::Notify::new(),
            secrets_used: parking_lot::Mutex::new(HashMap::new()),
            verified_at,
            gate: invalidate::Gate::default(),
            backups,
            tallies,
        };
        auth.resume_time().await?;
        auth.put_built_in_apps().await?;
        // Before the first answer: what was decided to be dead must not have one more life.
        auth.finish_invalidation().await?;
        auth.ensure_signing_key(crate::model::claims::Algorithm::default()).await?;
        Ok(Arc::new(auth))
    }

    async fn put_built_in_apps(&self) -> Verdict<()> {
        for app in self.settings.built_in_apps(self.clock.now()) {
            // A full disk takes no batch at all, not even one that would change nothing.
            if self.app(&app.id).is_some() {
                continue;
            }
            let mut batch = Batch::new();
            batch.absent::<App>(&app.id).put(&app.id, &app);
            let _: Outcome = self.store.commit(batch).await?;
        }
        Ok(())
    }

    /// A user by id, as the checks see them.
    pub fn user(&self, id: &UserId) -> Option<Arc<Row<User>>> {
        self.store.view().user(id).cloned()
    }

    /// An app by id, as the checks see it.
    pub fn app(&self, id: &AppId) -> Option<Arc<Row<App>>> {
        self.store.view().app(id).cloned()
    }

    /// The vault, for what `web` derives: CSRF and form tokens.
    pub fn vault(&self) -> &vault::Vault {
        &self.vault
    }

    /// A new value for the cookie that forms are bound to before anybody is signed in. Nothing is kept of it.
    pub fn pre_session(&self) -> String {
        BASE64URL.encode(self.entropy.bytes::<32>())
    }

    /// The time, for replies.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Figures for the overview.
    pub fn figures(&self, _by: &check::Admin) -> Figures {
        let view = self.store.view();
        Figures {
            live_sessions: view.live_sessions(),
            users: view.users_count(),
            apps: view.apps().count(),
            blacklist: view.blacklist_size(),
        }
    }

    /// The store's id, for `require_store`.
    pub fn store_id(&self) -> String {
        uuid::Uuid::from_bytes(self.store.engine().store_id()).to_string()
    }

    /// Reads every record and compares each table with what was written; answers tables and their counts.
    ///
    /// # Errors
    /// When anything is not as it was written: the store has then failed.
    pub async fn verify_store(&self, _by: &check::Admin) -> Verdict<Vec<(&'static str, u64)>> {
        let head = self.store.engine().verify().await?;
        Ok(head.totals.iter().map(|(table, total)| (tables::name(table), total.count)).collect())
    }

    /// See [`Engine::beats`](crate::store::engine::Engine::beats).
    pub fn writer_beats(&self) -> u64 {
        self.store.engine().beats()
    }

    /// Gives the store up: nothing is read or written any more.
    pub fn give_up(&self, why: &str) {
        self.store.engine().give_up(why);
    }

    /// Why the store no longer answers, if so.
    pub fn failure(&self) -> Option<&StoreError> {
        self.store.engine().failure()
    }
}

/// How many of what there are.
pub struct Figures {
    pub live_sessions: u64,
    pub users: usize,
    pub apps: usize,
    pub blacklist: usize,
}
