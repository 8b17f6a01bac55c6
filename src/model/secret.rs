//! Opaque secrets, each as two types: the one that travels, and the digest that is kept.
//!
//! Text form: a prefix that scanners know, 32 random bytes in base64url, and a CRC-32 of both in
//! base64url, so that a mistyped or truncated secret is refused before anything is looked up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A text that is no secret of the wanted kind.
#[derive(Debug, PartialEq, Eq)]
pub struct BadSecret;

/// SHA-256 of a secret's bytes: what is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        serde_bytes::ByteArray::<32>::deserialize(d).map(|bytes| Self(bytes.into_array()))
    }
}

/// Makes a travelling secret: no Display, no Serialize, no Clone; wiped on drop.
macro_rules! secret {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// What its text begins with.
            pub const PREFIX: &str = $prefix;

            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Reads the text form.
            ///
            /// # Errors
            /// On any other prefix, length, alphabet or checksum.
            pub fn parse(text: &str) -> Result<Self, BadSecret> {
                decode($prefix, text).map(Self)
            }

            /// The one way out: the text form, to hand to its owner.
            pub fn reveal(&self) -> String {
                encode($prefix, &self.0)
            }

            /// The bytes, to take a digest or derive a successor of.
            pub fn expose_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

secret!(
    /// The id that a `session` app's client holds, in a cookie or as bearer.
    SessionToken, "hps_"
);
secret!(
    /// The opaque half of a `refresh` app's pair; rotated at every use.
    RefreshToken, "hpr_"
);
secret!(
    /// A confidential app's client secret.
    AppSecret, "hpc_"
);
secret!(
    /// A code of one use: set-up, password reset.
    OneTimeCode, "hpo_"
);

/// 32 bytes are 43 characters, 4 bytes of checksum are 6.
const BODY_LENGTH: usize = 43;
const CHECK_LENGTH: usize = 6;

fn encode(prefix: &str, bytes: &[u8; 32]) -> String {
    let mut text = String::with_capacity(prefix.len() + BODY_LENGTH + CHECK_LENGTH);
    text.push_str(prefix);
    BASE64URL.encode_string(bytes, &mut text);
    let check = crc32(text.as_bytes()).to_be_bytes();
    BASE64URL.encode_string(check, &mut text);
    text
}

fn decode(prefix: &str, text: &str) -> Result<[u8; 32], BadSecret> {
    let right_length = prefix.len() + BODY_LENGTH + CHECK_LENGTH;
    if text.len() != right_length || !text.is_ascii() || !text.starts_with(prefix) {
        return Err(BadSecret);
    }
    let (signed, check) = text.split_at(right_length - CHECK_LENGTH);
    let mut expected = [0; CHECK_LENGTH];
    let sum = crc32(signed.as_bytes()).to_be_bytes();
    BASE64URL.encode_slice(sum, &mut expected).map_err(|_| BadSecret)?;
    if check.as_bytes() != expected {
        return Err(BadSecret);
    }
    // A decoder needs three bytes of room more than it fills.
    let mut bytes = [0; 35];
    let length = BASE64URL.decode_slice(&signed[prefix.len()..], &mut bytes).map_err(|_| BadSecret)?;
    let secret = bytes[..length].try_into().map_err(|_| BadSecret)?;
    bytes.zeroize();
    Ok(secret)
}

/// CRC-32 (IEEE 802.3). It finds typing errors; it protects nothing.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| CRC_TABLE[usize::from(sum as u8 ^ byte)] ^ (sum >> 8))
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let (mut sum, mut bit) = (i as u32, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
            bit += 1;
        }
        table[i] = sum;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_matches_the_published_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn anything_but_the_exact_text_is_refused() {
        let text = SessionToken::new([0xa5; 32]).reveal();
        assert!(SessionToken::parse(&text).is_ok());
        for cut in 0..text.len() {
            assert_eq!(SessionToken::parse(&text[..cut]), Err(BadSecret));
            assert_eq!(SessionToken::parse(&text[cut + 1..]), Err(BadSecret));
            let mut other = text.clone().into_bytes();
            other[cut] = if other[cut] == b'x' { b'y' } else { b'x' };
            assert_eq!(SessionToken::parse(&String::from_utf8(other).unwrap()), Err(BadSecret));
        }
        assert_eq!(SessionToken::parse(&format!("{text}x")), Err(BadSecret));
        assert_eq!(SessionToken::parse(&format!(" {text}")), Err(BadSecret));
        assert_eq!(RefreshToken::parse(&text), Err(BadSecret));
        assert_eq!(SessionToken::parse(&"ä".repeat(27)), Err(BadSecret));
    }

    #[test]
    fn debug_shows_only_the_name() {
        assert_eq!(format!("{:?}", RefreshToken::new([1; 32])), "RefreshToken");
        assert_eq!(format!("{:?}", Digest([1; 32])), "Digest");
    }
}
