//! Signing keys and the ring of those that count.

use crate::model::claims::{Algorithm, Claims};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, VerificationAlgorithm,
};
use aws_lc_rs::{encoding::Pkcs8V1Der, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A key that cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeyFault(String);

fn fault(error: impl std::fmt::Display) -> KeyFault {
    KeyFault(error.to_string())
}

/// A new key, to be sealed and kept.
pub struct KeyMaterial {
    /// RFC 7638 thumbprint, SHA-256, base64url.
    pub kid: String,
    pub pkcs8: Zeroizing<Vec<u8>>,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// A key parsed once: reading an RSA key costs more than a signature.
pub struct SigningKey {
    pub(super) algorithm: Algorithm,
    pub(super) kid: String,
    public: ParsedPublicKey,
    jwk: Jwk,
    pair: Pair,
    /// `{"alg":…,"typ":"at+jwt","kid":…}` in base64url, with its dot.
    header: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

impl SigningKey {
    /// Makes a key. RSA takes up to seconds of a core: not on an async worker.
    ///
    /// # Errors
    /// When the library cannot.
    pub fn generate(algorithm: Algorithm) -> Result<KeyMaterial, KeyFault> {
        let random = SystemRandom::new();
        let pkcs8 = Zeroizing::new(match algorithm {
            Algorithm::ES256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                .map_err(fault)?
                .as_ref()
                .to_vec(),
            Algorithm::EdDSA => Ed25519KeyPair::generate_pkcs8(&random).map_err(fault)?.as_ref().to_vec(),
            Algorithm::RS256 => {
                let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa3072).map_err(fault)?;
                let der: Pkcs8V1Der = pair.as_der().map_err(fault)?;
                der.as_ref().to_vec()
            }
        });
        let kid = Self::from_pkcs8(algorithm, &pkcs8)?.kid;
        Ok(KeyMaterial { kid, pkcs8 })
    }

    /// Reads a key.
    ///
    /// # Errors
    /// When it is no such key.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, KeyFault> {
        let (pair, decoding, public) = match algorithm {
            Algorithm::ES256 => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(fault)?;
                let decoding = DecodingKey::from_ec_der(pair.public_key().as_ref());
                let public = parsed(&pair, &ECDSA_P256_SHA256_FIXED)?;
                (Pair::Ec(pair), decoding, public)
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(fault)?;
                let decoding = DecodingKey::from_ed_der(pair.public_key().as_ref());
                let public = parsed(&pair, &ED25519)?;
                (Pair::Ed(pair), decoding, public)
            }
            Algorithm::RS256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(fault)?;
                let decoding = DecodingKey::from_rsa_der(pair.public_key().as_ref());
                let public = parsed(&pair, &RSA_PKCS1_2048_8192_SHA256)?;
                (Pair::Rsa(pair), decoding, public)
            }
        };
        let mut jwk = Jwk::from_decoding_key(&decoding, Some(theirs(algorithm))).map_err(fault)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(fault)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let header = serde_json::json!({ "alg": algorithm.as_str(), "typ": "at+jwt", "kid": kid });
        let header = format!("{}.", BASE64URL.encode(header.to_string()));
        Ok(Self { algorithm, kid, public, jwk, pair, header })
    }

    /// Whether the signature over the signing input is this key's.
    pub(super) fn verifies(&self, message: &str, signature: &[u8]) -> bool {
        self.public.verify_sig(message.as_bytes(), signature).is_ok()
    }

    fn sign(&self, claims: &Claims) -> Result<String, KeyFault> {
        let mut token = self.header.clone();
        BASE64URL.encode_string(serde_json::to_vec(claims).map_err(fault)?, &mut token);
        self.finish(token)
    }

    /// Appends the signature to the signing input (RFC 7515 section 5.1).
    fn finish(&self, mut token: String) -> Result<String, KeyFault> {
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, token.as_bytes()).map_err(fault)?.as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(token.as_bytes()).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature).map_err(fault)?;
                signature
            }
        };
        token.push('.');
        BASE64URL.encode_string(signature, &mut token);
        Ok(token)
    }
}

fn parsed(pair: &impl KeyPair, by: &'static dyn VerificationAlgorithm) -> Result<ParsedPublicKey, KeyFault> {
    ParsedPublicKey::new(by, pair.public_key()).map_err(fault)
}

pub(super) const fn theirs(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
    }
}

/// All keys whose tokens count, and which of them sign.
#[derive(Debug, Default)]
pub struct KeyRing {
    keys: HashMap<String, Arc<SigningKey>>,
    active: HashMap<Algorithm, Arc<SigningKey>>,
    /// Their tokens are refused by name: revoked, not unknown.
    retired: HashSet<String>,
}

impl KeyRing {
    /// From keys, each with whether it signs, and the ids of retired ones.
    pub fn new(keys: impl IntoIterator<Item = (SigningKey, bool)>, retired: HashSet<String>) -> Self {
        let mut ring = Self { retired, ..Self::default() };
        for (key, active) in keys {
            let key = Arc::new(key);
            if active {
                ring.active.insert(key.algorithm, Arc::clone(&key));
            }
            ring.keys.insert(key.kid.clone(), key);
        }
        ring
    }

    pub(super) fn find(&self, kid: &str) -> Option<&Arc<SigningKey>> {
        self.keys.get(kid)
    }

    pub(super) fn is_retired(&self, kid: &str) -> bool {
        self.retired.contains(kid)
    }

    /// A signed access token.
    ///
    /// # Errors
    /// When there is no active key of the algorithm.
    pub fn sign(&self, algorithm: Algorithm, claims: &Claims) -> Result<String, KeyFault> {
        let key = self.active.get(&algorithm).ok_or_else(|| KeyFault("there is no active key".into()))?;
        key.sign(claims)
    }

    /// Anything at all, signed: for tests of what must be refused.
    #[cfg(test)]
    pub fn sign_raw(&self, algorithm: Algorithm, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(payload));
        self.active[&algorithm].finish(input).expect("the key signs")
    }

    /// The published keys (RFC 7517 section 5), in a steady order.
    pub fn jwks(&self) -> serde_json::Value {
        let mut keys: Vec<_> = self.keys.values().collect();
        keys.sort_by_key(|key| (key.algorithm, key.kid.clone()));
        serde_json::json!({ "keys": keys.into_iter().map(|key| &key.jwk).collect::<Vec<_>>() })
    }
}
