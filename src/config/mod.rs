//! What an operator may set. Read once at start, checked whole, and never changed afterwards.
//!
//! `Rocket.toml` beside `Cargo.toml` documents every option with its default; a test keeps the two equal.

mod check;
mod error;
mod listing;
mod load;
mod tree;
mod values;

pub use error::{ConfigError, ConfigErrors};
pub use listing::Listed;
pub use load::{Loaded, environment};
pub use values::{Listen, LogFormat, LogLevel, Network, PublicUrl, SecretText, split_port};

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use values::unset_when_empty;

/// The commented file with every option and its default.
pub const DOCUMENTATION: &str = include_str!("../../Rocket.toml");

/// Every option. The fields are documented in `Rocket.toml`, which operators read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub address: Listen,
    pub port: u16,
    /// Threads that serve requests; 0 means one per core.
    pub workers: u16,
    pub data_dir: PathBuf,
    /// `None`: derived; ask [`Config::public_url`].
    #[serde(with = "unset_when_empty")]
    pub public_url: Option<PublicUrl>,
    pub trusted_proxies: Vec<Network>,
    pub insecure_http: bool,
    #[serde(with = "unset_when_empty")]
    pub master_key: Option<SecretText>,
    #[serde(with = "unset_when_empty")]
    pub master_key_file: Option<PathBuf>,
    #[serde(with = "unset_when_empty")]
    pub admin_email: Option<String>,
    #[serde(with = "unset_when_empty")]
    pub admin_password_file: Option<PathBuf>,
    /// The id of the store without which nothing is started.
    #[serde(with = "unset_when_empty")]
    pub require_store: Option<String>,
    pub tls: Tls,
    pub registration: Registration,
    pub session: Session,
    pub access_token: AccessToken,
    pub refresh: Refresh,
    pub password: Password,
    pub throttle: Throttle,
    pub log: Log,
    pub store: Store,
    pub keep: Keep,
    pub backup: Backup,
    pub limits: Limits,
    pub clock: Clock,
    pub metrics: Metrics,
}

/// Makes a table of options from its fields and their defaults.
macro_rules! options {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

/// Certificate and key with which the appliance serves HTTPS itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    #[serde(with = "unset_when_empty")]
    pub certs: Option<PathBuf>,
    #[serde(with = "unset_when_empty")]
    pub key: Option<PathBuf>,
}

options!(
    /// Whether strangers may make accounts for themselves.
    Registration { enabled: bool = false, }
);
options!(
    /// How long a sign-in lasts.
    Session {
        idle_minutes: u32 = 90,
        absolute_minutes: u32 = 720,
        remember_days: u32 = 30,
        step_up_minutes: u32 = 10,
    }
);
options!(
    /// Life of access tokens by strategy, where the app sets none.
    AccessToken {
        refresh_minutes: u32 = 10,
        jwt_minutes: u32 = 15,
        tracked_minutes: u32 = 720,
    }
);
options!(
    /// Life of refresh tokens.
    Refresh {
        idle_days: u32 = 7,
        absolute_days: u32 = 30,
    }
);
options!(
    /// Rules for passwords and the cost of hashing them.
    Password {
        min_length: u32 = 12,
        argon2_memory_kib: u32 = 19456,
        argon2_iterations: u32 = 2,
        argon2_parallelism: u32 = 1,
        hash_workers: u32 = 0,
        hash_queue: u32 = 64,
    }
);
options!(
    /// How often a sign-in may fail.
    Throttle {
        account_failures: u32 = 10,
        account_refill_per_minute: u32 = 1,
        address_failures: u32 = 100,
        address_refill_per_minute: u32 = 30,
    }
);
options!(
    /// What is logged, and how it looks.
    Log {
        level: LogLevel = LogLevel::Info,
        format: LogFormat = LogFormat::Auto,
        access: bool = true,
    }
);
options!(
    /// The database: its memory, and what it asks of the disk.
    Store {
        cache_mb: u32 = 128,
        session_cache: u32 = 200_000,
        free_floor_mb: u32 = 256,
        write_seconds_max: u32 = 30,
        compact_at_start: bool = false,
        any_file_system: bool = false,
    }
);
options!(
    /// How long the past is kept.
    Keep {
        ended_sessions_days: u32 = 90,
    }
);
/// Where backups lie, when one is made by night, and what they are encrypted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// `None`: below the data directory; ask [`Config::backup_directory`].
    #[serde(with = "unset_when_empty")]
    pub dir: Option<PathBuf>,
    /// `HH:MM`; `None`: none by night.
    #[serde(with = "unset_when_empty")]
    pub nightly_at_utc: Option<String>,
    pub keep: u32,
    #[serde(with = "unset_when_empty")]
    pub passphrase_file: Option<PathBuf>,
    #[serde(with = "unset_when_empty")]
    pub key_file: Option<PathBuf>,
    pub upload_mb_max: u32,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            dir: None,
            nightly_at_utc: Some("03:00".into()),
            keep: 7,
            passphrase_file: None,
            key_file: None,
            upload_mb_max: 4096,
        }
    }
}

options!(
    /// Sizes beyond which a request is refused.
    Limits {
        json_kib: u32 = 64,
        form_kib: u32 = 32,
        import_mb: u32 = 64,
        body_seconds: u32 = 10,
    }
);
options!(
    /// What to make of a clock that is set back.
    Clock { backwards_seconds_max: u32 = 120, }
);
/// Where `/metrics` answers, and to whom. Nowhere by default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    pub address: Listen,
    /// 0: on the appliance's own address, for those who have the token.
    pub port: u16,
    #[serde(with = "unset_when_empty")]
    pub token: Option<SecretText>,
    #[serde(with = "unset_when_empty")]
    pub token_file: Option<PathBuf>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { address: Listen::Localhost, port: 0, token: None, token_file: None }
    }
}

impl Metrics {
    pub fn has_own_address(&self) -> bool {
        self.port != 0
    }

    /// Whether anybody may ask for them anywhere.
    pub fn are_on(&self) -> bool {
        self.has_own_address() || self.token.is_some() || self.token_file.is_some()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: Listen::Localhost,
            port: 8000,
            workers: 0,
            data_dir: "data".into(),
            public_url: None,
            trusted_proxies: Vec::new(),
            insecure_http: false,
            master_key: None,
            master_key_file: None,
            admin_email: None,
            admin_password_file: None,
            require_store: None,
            tls: Tls::default(),
            registration: Registration::default(),
            session: Session::default(),
            access_token: AccessToken::default(),
            refresh: Refresh::default(),
            password: Password::default(),
            throttle: Throttle::default(),
            log: Log::default(),
            store: Store::default(),
            keep: Keep::default(),
            backup: Backup::default(),
            limits: Limits::default(),
            clock: Clock::default(),
            metrics: Metrics::default(),
        }
    }
}

impl Config {
    /// The configured public address, or this machine's own.
    pub fn public_url(&self) -> PublicUrl {
        self.public_url.clone().unwrap_or_else(|| {
            let scheme = if self.serves_tls() { "https" } else { "http" };
            let text = format!("{scheme}://{}:{}", self.address.link_host(), self.port);
            PublicUrl::try_from(text).expect("a scheme, a host from an IP address or localhost, and a port")
        })
    }

    /// Where backups lie.
    pub fn backup_directory(&self) -> PathBuf {
        self.backup.dir.clone().unwrap_or_else(|| self.data_dir.join("backups"))
    }

    /// Whether the appliance itself speaks TLS.
    pub fn serves_tls(&self) -> bool {
        self.tls.certs.is_some() && self.tls.key.is_some()
    }
}
