//! What is revoked before its time: tokens, sessions, users below an epoch, keys.

use crate::model::claims::BLACKLIST_KEEP_HOURS;
use crate::model::time::HOUR_MS;
use crate::model::user::Actor;
use crate::model::{SessionId, Time, TokenId, UserId};
use serde::{Deserialize, Serialize};

/// How long a reason may be, in characters.
pub const REASON_LENGTH_MAX: usize = 200;

/// What an entry strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Token(TokenId),
    Session(SessionId),
    /// Every token of the user below the entry's epoch.
    User(UserId),
    /// A signing key, by the 32 bytes of its thumbprint (RFC 7638).
    Key(#[serde(with = "serde_bytes")] [u8; 32]),
}

impl Target {
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Session(_) => "session",
            Self::User(_) => "user",
            Self::Key(_) => "key",
        }
    }

    /// Kind and id as a fixed-width store key: 1 + 32 bytes.
    pub fn key_bytes(&self) -> [u8; 33] {
        let mut out = [0; 33];
        match self {
            Self::Token(id) => (out[0], _) = (1, out[1..17].copy_from_slice(id.as_bytes())),
            Self::Session(id) => (out[0], _) = (2, out[1..17].copy_from_slice(id.as_bytes())),
            Self::User(id) => (out[0], _) = (3, out[1..17].copy_from_slice(id.as_bytes())),
            Self::Key(thumbprint) => (out[0], _) = (4, out[1..].copy_from_slice(thumbprint)),
        }
        out
    }

    /// What [`Target::key_bytes`] made.
    pub fn read_key(key: &[u8]) -> Option<Self> {
        let (kind, id) = key.split_first()?;
        let short = || id.first_chunk::<16>().copied();
        match kind {
            1 => short().map(TokenId::from_bytes).map(Self::Token),
            2 => short().map(SessionId::from_bytes).map(Self::Session),
            3 => short().map(UserId::from_bytes).map(Self::User),
            4 => id.try_into().ok().map(Self::Key),
            _ => None,
        }
    }
}

/// An entry of the blacklist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlacklistEntry {
    pub target: Target,
    /// Whose token or session it was, where that is known.
    pub user: Option<UserId>,
    /// For users: tokens below this epoch.
    pub below_epoch: Option<u32>,
    pub reason: String,
    pub by: Actor,
    pub at: Time,
    pub until: Time,
    /// Made by hand against a token: the only kind that can be removed.
    pub manual: bool,
}

impl BlacklistEntry {
    /// An entry made now. It is kept for a constant, never for a setting that may have changed since a token's issue.
    pub fn new(target: Target, user: Option<UserId>, reason: &str, by: Actor, now: Time) -> Self {
        let until = now.plus_ms(BLACKLIST_KEEP_HOURS * HOUR_MS);
        Self { target, user, below_epoch: None, reason: reason.to_owned(), by, at: now, until, manual: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_its_target() {
        let targets = [
            Target::Token(TokenId::from_bytes([1; 16])),
            Target::Session(SessionId::from_bytes([2; 16])),
            Target::User(UserId::from_bytes([0; 16])),
            Target::Key([4; 32]),
        ];
        for target in targets {
            assert_eq!(Target::read_key(&target.key_bytes()), Some(target));
        }
        assert_eq!(Target::read_key(&[9; 33]), None);
        assert_eq!(Target::read_key(&[]), None);
    }
}
