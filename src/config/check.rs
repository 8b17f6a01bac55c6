//! Ranges and contradictions.

use super::error::ConfigError;
use super::tree::{find, plain};
use super::{Config, Network};
use figment::value::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

/// The least and the most of every number.
const RANGES: &[(&str, u64, u64)] = &[
    ("port", 0, 65_535),
    ("workers", 0, 1024),
    ("session.idle_minutes", 1, 43_200),
    ("session.absolute_minutes", 1, 43_200),
    ("session.remember_days", 1, 365),
    ("session.step_up_minutes", 1, 60),
    ("access_token.refresh_minutes", 1, 720),
    ("access_token.jwt_minutes", 1, 30),
    ("access_token.tracked_minutes", 1, 720),
    ("refresh.idle_days", 1, 365),
    ("refresh.absolute_days", 1, 365),
    ("password.min_length", 8, 64),
    ("password.argon2_memory_kib", 8, 4_194_304),
    ("password.argon2_iterations", 1, 100),
    ("password.argon2_parallelism", 1, 16),
    ("password.hash_workers", 0, 256),
    ("password.hash_queue", 1, 10_000),
    ("throttle.account_failures", 3, 1000),
    ("throttle.account_refill_per_minute", 1, 1000),
    ("throttle.address_failures", 3, 1_000_000),
    ("throttle.address_refill_per_minute", 1, 1_000_000),
    ("store.cache_mb", 8, 1_048_576),
    ("store.session_cache", 1000, 100_000_000),
    ("keep.ended_sessions_days", 1, 3650),
    ("metrics.port", 0, 65_535),
    ("clock.backwards_seconds_max", 60, 3600),
    ("backup.keep", 1, 10_000),
    ("backup.upload_mb_max", 1, 1_048_576),
    ("limits.json_kib", 8, 1024),
    ("limits.form_kib", 4, 1024),
    ("limits.import_mb", 1, 4096),
    ("limits.body_seconds", 1, 300),
];

/// OWASP's equally strong settings of argon2id: memory in KiB and the iterations that it needs at least.
const OWASP_ARGON2: &[(u32, u32)] = &[(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

pub(super) fn range_of(key: &str) -> Option<(u64, u64)> {
    RANGES.iter().find(|(name, ..)| *name == key).map(|(_, least, most)| (*least, *most))
}

impl Config {
    /// What is out of range or contradicts itself; `sources` says where an option was set.
    pub fn check(&self, sources: &BTreeMap<String, String>) -> Vec<ConfigError> {
        let tree = plain(self);
        let mut errors = Vec::new();
        let mut wrong = |key: &str, problem: String, remedy: String| {
            let source = sources.get(key).cloned().unwrap_or_else(|| "default".to_string());
            errors.push(ConfigError { key: key.to_string(), source, problem, remedy });
        };
        for (key, least, most) in RANGES {
            let number = find(&tree, key).and_then(Value::to_u128).unwrap_or_default();
            let number = u64::try_from(number).unwrap_or(u64::MAX);
            if !(*least..=*most).contains(&number) {
                wrong(
                    key,
                    format!("{number} is out of range"),
                    format!("Give a number from {least} to {most}"),
                );
            }
        }
        for (refused, key, problem, remedy) in self.contradictions() {
            if refused {
                wrong(key, problem.to_string(), remedy.to_string());
            }
        }
        errors
    }

    fn contradictions(&self) -> Vec<(bool, &'static str, &'static str, &'static str)> {
        let everyone = |Network(net): &Network| net.prefix_len() == 0;
        let http = self.public_url.as_ref().is_some_and(|url| !url.is_https());
        let token_minutes = u64::from(self.access_token.refresh_minutes);
        let refresh_minutes = u64::from(self.refresh.idle_days) * 24 * 60;
        vec![
            (
                self.session.idle_minutes > self.session.absolute_minutes,
                "session.idle_minutes",
                "is longer than session.absolute_minutes",
                "Lower it, or raise session.absolute_minutes",
            ),
            (
                self.refresh.idle_days > self.refresh.absolute_days,
                "refresh.idle_days",
                "is longer than refresh.absolute_days",
                "Lower it, or raise refresh.absolute_days",
            ),
            (
                token_minutes > refresh_minutes,
                "access_token.refresh_minutes",
                "is longer than refresh.idle_days",
                "Lower it: an access token must not outlive its refresh token",
            ),
            (
                u64::from(self.password.argon2_memory_kib) < 8 * u64::from(self.password.argon2_parallelism),
                "password.argon2_memory_kib",
                "is less than 8 KiB for each lane of argon2_parallelism",
                "Raise it, or lower password.argon2_parallelism",
            ),
            (
                self.tls.certs.is_some() && self.tls.key.is_none(),
                "tls.key",
                "is missing, while tls.certs is set",
                "Name the file with the private key, or unset tls.certs",
            ),
            (
                self.tls.key.is_some() && self.tls.certs.is_none(),
                "tls.certs",
                "is missing, while tls.key is set",
                "Name the file with the certificate chain, or unset tls.key",
            ),
            (
                self.backup
                    .nightly_at_utc
                    .as_deref()
                    .is_some_and(|text| crate::model::backup::TimeOfDay::parse(text).is_none()),
                "backup.nightly_at_utc",
                "is no time of day",
                "Give hours and minutes like 03:00, or an empty text for none",
            ),
            (
                self.backup.passphrase_file.is_some() && self.backup.key_file.is_some(),
                "backup.key_file",
                "is set beside backup.passphrase_file",
                "Give only one of them",
            ),
            (
                self.serves_tls() && http,
                "public_url",
                "is http, while tls.certs and tls.key serve https",
                "Write https:// in public_url, or unset tls",
            ),
            (
                self.master_key.is_some() && self.master_key_file.is_some(),
                "master_key",
                "is set, and master_key_file too",
                "Keep only one of them",
            ),
            (
                self.admin_email.is_some() && self.admin_password_file.is_none(),
                "admin_password_file",
                "is missing, while admin_email is set",
                "Name a file that holds the password, or unset admin_email",
            ),
            (
                self.admin_password_file.is_some() && self.admin_email.is_none(),
                "admin_email",
                "is missing, while admin_password_file is set",
                "Give the first administrator's e-mail, or unset admin_password_file",
            ),
            (
                self.admin_email.as_ref().is_some_and(|email| !email.contains('@')),
                "admin_email",
                "is no e-mail address",
                "Write it as name@example.org",
            ),
            (
                self.metrics.token.is_some() && self.metrics.token_file.is_some(),
                "metrics.token",
                "is set, and metrics.token_file too",
                "Keep only one of them",
            ),
            (
                self.metrics.has_own_address() && self.metrics.port == self.port,
                "metrics.port",
                "is the port of the appliance itself",
                "Choose another, or 0 and a token to have /metrics on that one",
            ),
            (
                self.trusted_proxies.iter().any(everyone),
                "trusted_proxies",
                "trusts every caller, so that anybody may claim any address",
                "Name only the addresses of your proxies",
            ),
        ]
    }

    /// Files that are needed to serve and cannot be read. The files of the master key and of the first
    /// administrator's password are looked at by those who need them.
    pub(super) fn unreadable(&self, sources: &BTreeMap<String, String>) -> Vec<ConfigError> {
        let files = [
            ("tls.certs", &self.tls.certs),
            ("tls.key", &self.tls.key),
            ("metrics.token_file", &self.metrics.token_file),
        ];
        let fault = |(key, path): (&str, &Option<PathBuf>)| {
            let path = path.as_ref()?;
            let error = File::open(path).err()?;
            Some(ConfigError {
                key: key.to_string(),
                source: sources.get(key).cloned().unwrap_or_else(|| "default".to_string()),
                problem: format!("{} cannot be read: {error}", path.display()),
                remedy: "Name a file that exists and that this user may read".to_string(),
            })
        };
        files.into_iter().filter_map(fault).collect()
    }

    /// What is allowed but must be said loudly at the start.
    pub fn warnings(&self) -> Vec<String> {
        let mut out = Vec::new();
        if self.insecure_http {
            out.push(
                "insecure_http = true: passwords and cookies cross the network readable by anyone between. \
                 Set tls.certs and tls.key, or put a proxy with TLS in front"
                    .to_string(),
            );
        }
        let metrics = &self.metrics;
        let is_open = metrics.token.is_none() && metrics.token_file.is_none();
        if metrics.has_own_address() && is_open && !metrics.address.addresses()[0].is_loopback() {
            out.push(
                "metrics.address is open to other machines: whoever reaches it reads all figures. Set \
                 metrics.token_file, or let a firewall keep strangers away"
                    .to_string(),
            );
        }
        let password = &self.password;
        let strong = |(memory, iterations): &(u32, u32)| {
            password.argon2_memory_kib >= *memory && password.argon2_iterations >= *iterations
        };
        if !OWASP_ARGON2.iter().any(strong) {
            out.push(format!(
                "password.argon2_memory_kib = {} with argon2_iterations = {} is below OWASP's minimum: stolen hashes \
                 are cheap to guess. The default is 19456 and 2",
                password.argon2_memory_kib, password.argon2_iterations
            ));
        }
        out
    }
}
