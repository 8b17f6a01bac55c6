//! Signing keys as they are kept.

use crate::model::Time;
use crate::model::claims::Algorithm;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Signs.
    Active,
    /// Signs no more; what it signed is accepted until then.
    Retiring { until: Time },
    /// Blacklisted or past its time: nothing that it signed is accepted.
    Retired { at: Time },
}

/// A signing key's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// RFC 7638 thumbprint in base64url.
    pub kid: String,
    pub algorithm: Algorithm,
    pub state: KeyState,
    pub created_at: Time,
    /// PKCS#8 sealed under the master key.
    #[serde(with = "serde_bytes")]
    pub sealed: Vec<u8>,
}

impl KeyRecord {
    /// Whether tokens that it signed count.
    pub fn verifies(&self, now: Time) -> bool {
        match self.state {
            KeyState::Active => true,
            KeyState::Retiring { until } => now < until,
            KeyState::Retired { .. } => false,
        }
    }
}
