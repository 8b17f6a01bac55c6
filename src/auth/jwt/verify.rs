//! Validation of access tokens, complete and in this order: size, form, header, key, signature, claims, time.

use super::key::{KeyRing, SigningKey};
use crate::auth::vault::token_digest;
use crate::model::claims::{ACCESS_TOKEN_BYTES_MAX, Claims, ISSUED_AHEAD_SECONDS_MAX};
use crate::model::{Digest, Time};
use crate::store::cache::Cache;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use parking_lot::RwLock;
use serde::Deserialize;
use std::sync::Arc;

/// Why a text is no access token of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    TooLarge,
    Malformed,
    UnknownKey,
    RetiredKey,
    WrongAlgorithm,
    WrongType,
    BadSignature,
    BadClaims,
    WrongIssuer,
    Expired,
    NotYetValid,
}

impl TokenFault {
    /// For the log.
    pub const fn log_word(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::RetiredKey => "retired_key",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::WrongType => "wrong_type",
            Self::BadSignature => "bad_signature",
            Self::BadClaims => "bad_claims",
            Self::WrongIssuer => "wrong_issuer",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
        }
    }
}

/// A token whose signature is good and whose claims are well formed. No verdict: time, key, blacklist, session and
/// epoch are looked at every time.
#[derive(Clone, Debug)]
pub struct Verified {
    pub claims: Arc<Claims>,
    pub kid: Arc<str>,
}

/// Everything that a header of ours has. Any other member (`crit`, `jwk`, `jku`, `b64`, …) is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

/// Validates, and remembers good signatures by the SHA-256 of the whole token.
pub struct Verifier {
    issuer: String,
    seen: RwLock<Cache<Digest, Verified>>,
}

impl Verifier {
    pub fn new(issuer: String, remembered: usize) -> Self {
        Self { issuer, seen: RwLock::new(Cache::new(remembered)) }
    }

    /// Validates an access token (RFC 9068 section 4, RFC 8725).
    ///
    /// # Errors
    /// The first fault found.
    pub fn verify(&self, ring: &KeyRing, token: &str, now: Time) -> Result<Verified, TokenFault> {
        let verified = self.read_signed(ring, token)?;
        let (claims, now) = (&verified.claims, now.seconds());
        if claims.exp <= now {
            return Err(TokenFault::Expired);
        }
        if claims.nbf.is_some_and(|nbf| now < nbf) || now + ISSUED_AHEAD_SECONDS_MAX < claims.iat {
            return Err(TokenFault::NotYetValid);
        }
        Ok(verified)
    }

    /// All but the time: to find the identifier of a token that may be over, never to let anybody in.
    ///
    /// # Errors
    /// The first fault found.
    pub fn read_signed(&self, ring: &KeyRing, token: &str) -> Result<Verified, TokenFault> {
        if token.len() > ACCESS_TOKEN_BYTES_MAX {
            return Err(TokenFault::TooLarge);
        }
        let digest = token_digest(token);
        let seen = self.seen.read().get(&digest).cloned();
        if let Some(verified) = seen {
            // The key may be gone since.
            return find(ring, &verified.kid).map(|_| verified);
        }
        let verified = self.read_fresh(ring, token)?;
        self.seen.write().insert(digest, verified.clone());
        Ok(verified)
    }

    fn read_fresh(&self, ring: &KeyRing, token: &str) -> Result<Verified, TokenFault> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenFault::Malformed)?;
        let header = decode(header)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| TokenFault::Malformed)?;
        let key = find(ring, header.kid)?;
        // The algorithm is the key's own; what the token says must agree, and chooses nothing.
        if header.alg != key.algorithm.as_str() {
            return Err(TokenFault::WrongAlgorithm);
        }
        if header.typ != "at+jwt" {
            return Err(TokenFault::WrongType);
        }
        // Strict base64url, so that one token has one spelling.
        if !key.verifies(message, &decode(signature)?) {
            return Err(TokenFault::BadSignature);
        }
        let claims: Claims = serde_json::from_slice(&decode(payload)?).map_err(|_| TokenFault::BadClaims)?;
        if claims.iss != self.issuer {
            return Err(TokenFault::WrongIssuer);
        }
        Ok(Verified { claims: Arc::new(claims), kid: key.kid.as_str().into() })
    }
}

fn find<'a>(ring: &'a KeyRing, kid: &str) -> Result<&'a SigningKey, TokenFault> {
    match ring.find(kid) {
        Some(key) => Ok(key),
        None if ring.is_retired(kid) => Err(TokenFault::RetiredKey),
        None => Err(TokenFault::UnknownKey),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenFault> {
    BASE64URL.decode(part).map_err(|_| TokenFault::Malformed)
}
