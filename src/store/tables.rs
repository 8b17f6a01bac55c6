//! Which record lies under which key. The first byte of a key is its table; ids follow at fixed width.

use crate::model::app::App;
use crate::model::blacklist::{BlacklistEntry, Target};
use crate::model::code::CodeRecord;
use crate::model::job::Job;
use crate::model::key::KeyRecord;
use crate::model::session::{Credential, Session};
use crate::model::throttle::Bucket;
use crate::model::time::MINUTE_MS;
use crate::model::user::{Roster, User};
use crate::model::{AppId, DeviceId, Digest, JobId, SessionId, Time, UserId};
use crate::store::codec;
use crate::store::engine::Key;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Table bytes. Never reused: a store written today opens for ever.
pub mod table {
    pub const META: u8 = 0x01;
    pub const USERS: u8 = 0x02;
    pub const ROSTERS: u8 = 0x03;
    pub const NAMES: u8 = 0x04;
    pub const WORDS: u8 = 0x05;
    pub const PASSWORDS: u8 = 0x06;
    pub const SESSIONS: u8 = 0x10;
    pub const CREDENTIALS: u8 = 0x11;
    pub const SEEN: u8 = 0x12;
    pub const INDEX: u8 = 0x13;
    pub const BLACKLIST: u8 = 0x20;
    pub const APPS: u8 = 0x30;
    pub const KEYS: u8 = 0x31;
    pub const ATTEMPTS: u8 = 0x32;
    pub const CODES: u8 = 0x33;
    pub const EXPIRY: u8 = 0x40;
    pub const JOBS: u8 = 0x41;
}

/// A table's name, for operators.
pub fn name(table: u8) -> &'static str {
    match table {
        table::META => "meta",
        table::USERS => "users",
        table::ROSTERS => "rosters",
        table::NAMES => "names",
        table::WORDS => "words",
        table::PASSWORDS => "passwords",
        table::SESSIONS => "sessions",
        table::CREDENTIALS => "credentials",
        table::SEEN => "seen",
        table::INDEX => "index",
        table::BLACKLIST => "blacklist",
        table::APPS => "apps",
        table::KEYS => "keys",
        table::ATTEMPTS => "attempts",
        table::CODES => "codes",
        table::EXPIRY => "expiry",
        table::JOBS => "jobs",
        _ => "unknown",
    }
}

/// Whether a record of a table is one that we understand.
pub fn is_readable(key: &[u8], payload: &[u8]) -> bool {
    fn is<T: Stored>(payload: &[u8]) -> bool {
        codec::decode::<T>(payload).is_ok()
    }
    match key.first() {
        Some(&table::USERS) => is::<User>(payload),
        Some(&table::ROSTERS) => is::<Roster>(payload),
        Some(&table::NAMES) => is::<NameEntry>(payload),
        Some(&table::PASSWORDS) => is::<PasswordRecord>(payload),
        Some(&table::SESSIONS) => is::<Session>(payload),
        Some(&table::CREDENTIALS) => is::<Credential>(payload),
        Some(&table::SEEN) => is::<Seen>(payload),
        Some(&table::BLACKLIST) => is::<BlacklistEntry>(payload),
        Some(&table::APPS) => is::<App>(payload),
        Some(&table::KEYS) => is::<KeyRecord>(payload),
        Some(&table::ATTEMPTS) => is::<Attempts>(payload),
        Some(&table::CODES) => is::<CodeRecord>(payload),
        Some(&table::JOBS) => is::<Job>(payload),
        _ => true,
    }
}

/// A record type that knows its key.
pub trait Stored: Serialize + DeserializeOwned + Send + 'static {
    type Id: ?Sized + Sync;
    fn key(id: &Self::Id) -> Key;
}

fn join(table: u8, parts: &[&[u8]]) -> Key {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(table);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

macro_rules! stored {
    ($type:ty, $id:ty, |$arg:ident| $table:ident, $($part:expr),*) => {
        impl Stored for $type {
            type Id = $id;
            fn key($arg: &$id) -> Key {
                join(table::$table, &[$($part),*])
            }
        }
    };
}

stored!(User, UserId, |id| USERS, id.as_bytes());
stored!(Roster, UserId, |id| ROSTERS, id.as_bytes());
stored!(NameEntry, str, |name| NAMES, name.as_bytes());
stored!(PasswordRecord, UserId, |id| PASSWORDS, id.as_bytes());
stored!(Session, SessionId, |id| SESSIONS, id.as_bytes());
stored!(Credential, Digest, |digest| CREDENTIALS, &digest.0);
stored!(Seen, [u8; 16], |id| SEEN, id);
stored!(BlacklistEntry, Target, |target| BLACKLIST, &target.key_bytes());
stored!(App, AppId, |id| APPS, &id.padded());
stored!(KeyRecord, str, |kid| KEYS, kid.as_bytes());
stored!(CodeRecord, Digest, |digest| CODES, &digest.0);
stored!(Job, JobId, |id| JOBS, id.as_bytes());
stored!(Attempts, AttemptsId, |id| ATTEMPTS, id.user.as_bytes(), &id.device_bytes());
stored!(Claimed, (), |_id| META, b"claimed");
stored!(Admins, (), |_id| META, b"admins");
stored!(KeyCheck, (), |_id| META, b"key-check");
stored!(LatestTime, (), |_id| META, b"latest-time");

/// Who a login name or a verified e-mail belongs to: one table makes both unique together.
#[derive(Serialize, Deserialize)]
pub struct NameEntry {
    pub user: UserId,
}

/// A password's hash in PHC form. Apart from the user's record, so that it never lies in a mirror or a reply.
#[derive(Serialize, Deserialize)]
pub struct PasswordRecord {
    pub phc: String,
}

/// When a session, or a client secret, was last used.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Seen {
    pub at: Time,
}

/// Failed attempts at an account, or at an account from a known device.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Attempts {
    pub bucket: Bucket,
}

/// Whose [`Attempts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptsId {
    pub user: UserId,
    pub device: Option<DeviceId>,
}

impl AttemptsId {
    fn device_bytes(&self) -> [u8; 16] {
        self.device.map_or([0; 16], |device| *device.as_bytes())
    }
}

/// Written once by set-up and never removed: set-up is open only while it is absent.
#[derive(Serialize, Deserialize)]
pub struct Claimed {
    pub at: Time,
    pub by: UserId,
}

/// How many enabled administrators there are: the guard that keeps the last one.
#[derive(Serialize, Deserialize)]
pub struct Admins {
    pub enabled: u32,
}

/// A value that only the right master key gives, so that a wrong key file is noticed.
#[derive(Serialize, Deserialize)]
pub struct KeyCheck {
    #[serde(with = "serde_bytes")]
    pub value: [u8; 32],
}

/// The latest time that was seen, so that a clock that was set back takes nobody back behind it after a restart.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct LatestTime {
    pub at: Time,
}

/// `word · 0 · user`: the search by prefix of login, e-mail and words of the name.
pub fn word_key(word: &str, user: UserId) -> Key {
    join(table::WORDS, &[word.as_bytes(), &[0], user.as_bytes()])
}

/// All keys of words that begin with `prefix`.
pub fn word_prefix(prefix: &str) -> Key {
    join(table::WORDS, &[prefix.as_bytes()])
}

/// Word and user of a [`word_key`].
pub fn read_word_key(key: &[u8]) -> Option<(&str, UserId)> {
    let (head, id) = key.split_at_checked(key.len().checked_sub(16)?)?;
    let word = std::str::from_utf8(head.get(1..head.len().checked_sub(1)?)?).ok()?;
    Some((word, UserId::from_bytes(id.try_into().ok()?)))
}

/// The ways to walk sessions, each newest first.
#[derive(Clone)]
pub enum Walk {
    All,
    Live,
    User(UserId),
    App(AppId),
    Network(crate::model::network::Network),
}

impl Walk {
    /// What every key of this walk begins with; the session's id follows.
    pub fn prefix(&self) -> Key {
        match self {
            Self::All => vec![table::SESSIONS],
            Self::Live => vec![table::INDEX, 4],
            Self::User(id) => join(table::INDEX, &[&[1], id.as_bytes()]),
            Self::App(id) => join(table::INDEX, &[&[2], &id.padded()]),
            Self::Network(network) => join(table::INDEX, &[&[3], &network.bytes()]),
        }
    }

    pub fn key(&self, session: SessionId) -> Key {
        let mut key = self.prefix();
        key.extend_from_slice(session.as_bytes());
        key
    }
}

/// Whether the key marks a session as live; for counting.
pub fn is_live_key(key: &[u8]) -> bool {
    key.starts_with(&[table::INDEX, 4])
}

/// `minute · key of the record`: when to look at a record again.
pub fn expiry_key(at: Time, record: &[u8]) -> Key {
    // Rounded up, so that at its minute the record is over.
    let minute = at.ms().max(0).saturating_add(MINUTE_MS - 1) / MINUTE_MS;
    join(table::EXPIRY, &[&(minute.min(i64::from(u32::MAX)) as u32).to_be_bytes(), record])
}

/// The key of the record that an expiry key is about.
pub fn read_expiry_key(key: &[u8]) -> Option<&[u8]> {
    key.get(5..)
}
