//! The master key and all that is derived from it: sealing, refresh successors, CSRF, device proofs.

use crate::entropy::Entropy;
use crate::model::time::DAY_MS;
use crate::model::{AppSecret, DeviceId, Digest, OneTimeCode, RefreshToken, SessionToken, Time, UserId};
use crate::store::engine::StoreKeys;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, digest, hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How long a device is known.
const DEVICE_PROOF_DAYS: i64 = 400;

/// The one key that all others come from. It lies in the key file, never in the store.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    const PREFIX: &str = "hallpass-key-1:";

    pub fn generate(entropy: &Entropy) -> Self {
        Self(entropy.bytes())
    }

    /// Reads the key file's one line. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.trim().strip_prefix(Self::PREFIX)?;
        let bytes = Zeroizing::new(BASE64URL.decode(body).ok()?);
        Some(Self(bytes.as_slice().try_into().ok()?))
    }

    /// The key file's one line.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}\n", Self::PREFIX, BASE64URL.encode(self.0)))
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

/// What is kept of a secret: SHA-256 of its bytes. They are random, so no salt and no slowness is needed.
pub trait Digestible {
    fn digest(&self) -> Digest;
}

macro_rules! digestible {
    ($($secret:ty),*) => {
        $(impl Digestible for $secret {
            fn digest(&self) -> Digest {
                sha256(self.expose_bytes())
            }
        })*
    };
}

digestible!(SessionToken, RefreshToken, AppSecret, OneTimeCode);

fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    Digest(out)
}

/// SHA-256 of a whole access token, for the cache of verified ones.
pub fn token_digest(text: &str) -> Digest {
    sha256(text.as_bytes())
}

/// A device's proof that it has signed in to the account before.
pub struct DeviceProof(String);

impl DeviceProof {
    /// The text, to hand to the device.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// What a good device proof says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceClaim {
    pub user: UserId,
    pub device: DeviceId,
    /// The password it was given for: dead after a change.
    pub password_generation: u32,
    pub issued: Time,
}

const CLAIM_BYTES: usize = 1 + 16 + 16 + 4 + 8;

/// The derived keys, each good for one thing.
pub struct Vault {
    seal: LessSafeKey,
    refresh: hmac::Key,
    csrf: hmac::Key,
    form: hmac::Key,
    device: hmac::Key,
    throttle: hmac::Key,
    store: StoreKeys,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Derives all keys by HKDF-SHA256 (RFC 5869), a label each.
    pub fn new(master: &MasterKey) -> Self {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"hallpass").extract(&master.0);
        let derive = |label: &str| {
            let mut key = Zeroizing::new([0; 32]);
            prk.expand(&[label.as_bytes()], hkdf::HKDF_SHA256)
                .and_then(|okm| okm.fill(key.as_mut()))
                .expect("32 bytes are within what HKDF gives");
            key
        };
        let mac = |label: &str| hmac::Key::new(hmac::HMAC_SHA256, derive(label).as_ref());
        let seal = UnboundKey::new(&AES_256_GCM, derive("seal").as_ref()).expect("the key has 32 bytes");
        Self {
            seal: LessSafeKey::new(seal),
            refresh: mac("refresh"),
            csrf: mac("csrf"),
            form: mac("form"),
            device: mac("device"),
            throttle: mac("throttle"),
            store: StoreKeys::new(&derive("digest"), *derive("check")),
        }
    }

    /// What the store holds its records to, and knows the master key by.
    pub fn store_keys(&self) -> StoreKeys {
        self.store.clone()
    }

    /// The one successor of a presented token under a nonce: derived, not kept, so that it can be given again.
    pub fn refresh_successor(&self, presented: &RefreshToken, nonce: &[u8; 32]) -> RefreshToken {
        let mut message = Zeroizing::new([0; 64]);
        message[..32].copy_from_slice(presented.expose_bytes());
        message[32..].copy_from_slice(nonce);
        RefreshToken::new(sign(&self.refresh, message.as_ref()))
    }

    /// What unsafe requests by cookie must carry, by session (or token, where there is no session).
    pub fn csrf_token(&self, subject: &[u8; 16]) -> String {
        BASE64URL.encode(sign(&self.csrf, subject))
    }

    pub fn csrf_matches(&self, subject: &[u8; 16], text: &str) -> bool {
        matches(&self.csrf, subject, text)
    }

    /// What a form must carry that was served with this pre-session cookie.
    pub fn form_token(&self, pre_session: &str) -> String {
        BASE64URL.encode(sign(&self.form, pre_session.as_bytes()))
    }

    pub fn form_matches(&self, pre_session: &str, text: &str) -> bool {
        matches(&self.form, pre_session.as_bytes(), text)
    }

    pub fn device_proof(
        &self,
        user: UserId,
        device: DeviceId,
        password_generation: u32,
        issued: Time,
    ) -> DeviceProof {
        let mut claim = Vec::with_capacity(CLAIM_BYTES + 32);
        claim.push(1);
        claim.extend_from_slice(user.as_bytes());
        claim.extend_from_slice(device.as_bytes());
        claim.extend_from_slice(&password_generation.to_be_bytes());
        claim.extend_from_slice(&issued.ms().to_be_bytes());
        let tag = sign(&self.device, &claim);
        claim.extend_from_slice(&tag);
        DeviceProof(BASE64URL.encode(claim))
    }

    /// What a device proof says, if it is ours and not too old.
    pub fn read_device_proof(&self, text: &str, now: Time) -> Option<DeviceClaim> {
        let bytes = BASE64URL.decode(text).ok().filter(|bytes| bytes.len() == CLAIM_BYTES + 32)?;
        let (claim, tag) = bytes.split_at(CLAIM_BYTES);
        hmac::verify(&self.device, claim, tag).ok()?;
        let part = |from: usize, to: usize| claim.get(from..to);
        let issued = Time::from_ms(i64::from_be_bytes(part(37, 45)?.try_into().ok()?));
        let known = claim[0] == 1 && now.since_ms(issued) < DEVICE_PROOF_DAYS * DAY_MS;
        known.then_some(DeviceClaim {
            user: UserId::from_bytes(part(1, 17)?.try_into().ok()?),
            device: DeviceId::from_bytes(part(17, 33)?.try_into().ok()?),
            password_generation: u32::from_be_bytes(part(33, 37)?.try_into().ok()?),
            issued,
        })
    }

    /// Seals under AES-256-GCM with a random nonce in front. `label` must be given again to open.
    pub fn seal(&self, label: &[u8], plain: &[u8], entropy: &Entropy) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = entropy.bytes();
        let mut sealed = plain.to_vec();
        self.seal
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(label), &mut sealed)
            .expect("nothing that we seal is too long");
        [&nonce[..], &sealed].concat()
    }

    /// Opens what was sealed under the same label; `None` when anything was altered.
    pub fn open(&self, label: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self.seal.open_in_place(nonce, Aad::from(label), &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }

    /// Where a name that nobody has falls in the table of unknown logins: keyed, so that nobody can aim.
    pub fn throttle_hash(&self, folded: &str) -> u64 {
        let tag = sign(&self.throttle, folded.as_bytes());
        u64::from_be_bytes([tag[0], tag[1], tag[2], tag[3], tag[4], tag[5], tag[6], tag[7]])
    }
}

fn sign(key: &hmac::Key, message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(key, message).as_ref());
    out
}

/// Compares in constant time: the caller may be guessing.
fn matches(key: &hmac::Key, message: &[u8], text: &str) -> bool {
    let wanted = BASE64URL.encode(sign(key, message));
    constant_time::verify_slices_are_equal(wanted.as_bytes(), text.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(seed: u64) -> Vault {
        Vault::new(&MasterKey::generate(&Entropy::seeded(seed)))
    }

    const NOW: Time = Time::from_ms(1_800_000_000_000);

    #[test]
    fn another_key_or_label_opens_nothing() {
        let entropy = Entropy::seeded(5);
        let sealed = vault(1).seal(b"kid", b"private", &entropy);
        assert_eq!(vault(2).open(b"kid", &sealed), None);
        assert_eq!(vault(1).open(b"other", &sealed), None);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(vault(1).open(b"kid", &altered), None);
            assert_eq!(vault(1).open(b"kid", &sealed[..at]), None);
        }
        assert_eq!(vault(1).open(b"kid", &sealed).unwrap().as_slice(), b"private");
    }

    #[test]
    fn a_device_proof_is_of_one_account_password_and_appliance() {
        let (user, device) = (UserId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
        let text = vault(1).device_proof(user, device, 7, NOW).reveal().to_owned();
        assert_eq!(vault(2).read_device_proof(&text, NOW), None);
        assert_eq!(vault(1).read_device_proof("", NOW), None);
        assert_eq!(vault(1).read_device_proof(&text[1..], NOW), None);
        assert_eq!(vault(1).read_device_proof(&text.replace('A', "B"), NOW), None);
        assert_eq!(vault(1).read_device_proof(&text, NOW.plus_ms(401 * DAY_MS)), None);
        let claim = vault(1).read_device_proof(&text, NOW).unwrap();
        assert_eq!(claim, DeviceClaim { user, device, password_generation: 7, issued: NOW });
    }

    #[test]
    fn a_successor_depends_on_token_nonce_and_key() {
        let token = |byte| RefreshToken::new([byte; 32]);
        let successor = vault(1).refresh_successor(&token(1), &[1; 32]);
        assert_eq!(successor, vault(1).refresh_successor(&token(1), &[1; 32]));
        assert_ne!(successor, vault(1).refresh_successor(&token(1), &[2; 32]));
        assert_ne!(successor, vault(1).refresh_successor(&token(2), &[1; 32]));
        assert_ne!(successor, vault(2).refresh_successor(&token(1), &[1; 32]));
    }

    #[test]
    fn tokens_of_forms_and_sessions_are_not_each_others() {
        let vault = vault(1);
        let text = vault.csrf_token(&[3; 16]);
        assert!(vault.csrf_matches(&[3; 16], &text));
        assert!(!vault.csrf_matches(&[4; 16], &text));
        assert!(!vault.csrf_matches(&[3; 16], ""));
        assert!(!vault.form_matches("x", &text) && vault.form_matches("x", &vault.form_token("x")));
    }

    #[test]
    fn the_key_file_reads_back_and_nothing_else_does() {
        let key = MasterKey::generate(&Entropy::seeded(1));
        assert_eq!(MasterKey::parse(&key.reveal()).unwrap().0, key.0);
        for bad in ["", "hallpass-key-1:", "hallpass-key-1:AAAA", "hallpass-key-2:AAAA", &"A".repeat(43)] {
            assert!(MasterKey::parse(bad).is_none());
        }
        assert_eq!(format!("{key:?}"), "MasterKey");
    }
}
