//! Access tokens: their claims (RFC 9068), algorithms and bounds.

use crate::model::{AppId, SessionId, TokenId, UserId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest an access token may live, whatever an app is set to.
pub const ACCESS_TOKEN_LIFE_MINUTES_MAX: u32 = 720;
/// How long blacklist entries and retiring keys are kept: the longest life, its jitter, and room for clocks.
pub const BLACKLIST_KEEP_HOURS: i64 = 13;
/// Larger texts are not even parsed.
pub const ACCESS_TOKEN_BYTES_MAX: usize = 4096;
/// How far in the future `iat` may lie: another machine's clock may have written it.
pub const ISSUED_AHEAD_SECONDS_MAX: i64 = 60;

/// How access tokens are signed. Nothing symmetric, and never "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA over P-256: every library reads it.
    #[default]
    ES256,
    /// Ed25519.
    EdDSA,
    /// RSA with 3072 bits.
    RS256,
}

impl Algorithm {
    pub const ALL: [Self; 3] = [Self::ES256, Self::EdDSA, Self::RS256];

    /// As `alg` says it (RFC 7518 section 3.1, RFC 8037).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
            Self::RS256 => "RS256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = crate::model::id::BadId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(crate::model::id::BadId)
    }
}

/// The claims of an access token (RFC 9068 section 2.2), `sid` where there is a session, and `ep`, the user's epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    pub iss: String,
    pub sub: UserId,
    pub aud: String,
    pub client_id: AppId,
    /// Seconds since 1970, as `exp`, `nbf` and `auth_time`.
    pub iat: i64,
    pub exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    pub jti: TokenId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    pub ep: u32,
    /// When the password was last proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
}

/// A life up to 5 % shorter, so that tokens issued together do not come back together.
pub const fn jittered_seconds(life_seconds: i64, random: u16) -> i64 {
    life_seconds - life_seconds * random as i64 / (20 * u16::MAX as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_only_shortens_and_by_five_percent_at_most() {
        assert_eq!(jittered_seconds(600, 0), 600);
        assert_eq!(jittered_seconds(600, u16::MAX), 570);
        assert!((0..=u16::MAX).all(|random| (41_040..=43_200).contains(&jittered_seconds(43_200, random))));
    }

    #[test]
    fn the_blacklist_outlives_the_longest_token() {
        assert!(BLACKLIST_KEEP_HOURS * 60 > i64::from(ACCESS_TOKEN_LIFE_MINUTES_MAX));
    }

    #[test]
    fn only_our_three_algorithms_have_names() {
        for other in ["none", "HS256", "es256", "ES384", "PS256", ""] {
            assert!(other.parse::<Algorithm>().is_err());
        }
        assert!(Algorithm::ALL.iter().all(|algorithm| algorithm.as_str().parse() == Ok(*algorithm)));
    }
}
