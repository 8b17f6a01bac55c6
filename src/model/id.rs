//! Names of things. None of them is a secret.

use crate::model::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A text that is no id of the wanted kind.
#[derive(Debug, PartialEq, Eq)]
pub struct BadId;

/// Makes a 16-byte id type: UUIDv7 (RFC 9562), so that ids sort by the time they were made.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new id from the time and ten random bytes.
            pub fn new(now: Time, random: [u8; 10]) -> Self {
                let ms = now.ms().max(0) as u64;
                Self(*uuid::Builder::from_unix_timestamp_millis(ms, &random).as_uuid().as_bytes())
            }

            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Whether it is a UUID of version 7, as all of ours are: lists rely on its time.
            pub const fn is_of_time(&self) -> bool {
                self.0[6] >> 4 == 7 && self.0[8] >> 6 == 2
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            /// Only the hyphenated lower-case form: one id has one spelling.
            fn from_str(text: &str) -> Result<Self, BadId> {
                let id = uuid::Uuid::try_parse(text).map_err(|_| BadId)?;
                let id = Self(*id.as_bytes());
                if id.to_string() == text { Ok(id) } else { Err(BadId) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.collect_str(self) } else { s.serialize_bytes(&self.0) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    let text = String::deserialize(d)?;
                    text.parse().map_err(|_| de::Error::custom("not an id"))
                } else {
                    serde_bytes::ByteArray::<16>::deserialize(d).map(|bytes| Self(bytes.into_array()))
                }
            }
        }
    };
}

uuid_id!(
    /// A person or machine with a login.
    UserId
);
uuid_id!(
    /// One sign-in of one user on one device for one app; `sid` in tokens.
    SessionId
);
uuid_id!(
    /// One access token; `jti` in tokens.
    TokenId
);
uuid_id!(
    /// A device that has signed in to an account before.
    DeviceId
);
uuid_id!(
    /// Unfinished work over many records.
    JobId
);
uuid_id!(
    /// One of an app's client secrets; not the secret itself.
    SecretId
);

/// An app's id: 1 to 32 of `a-z 0-9 -`, beginning with a letter. It stands in cookie names and in `client_id`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppId(String);

impl AppId {
    pub const LENGTH_MAX: usize = 32;
    /// The appliance's own cookies go by these names.
    const RESERVED: [&str; 3] = ["device", "form", "code"];

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Zero-padded to the fixed width that store keys need.
    pub fn padded(&self) -> [u8; Self::LENGTH_MAX] {
        let mut out = [0; Self::LENGTH_MAX];
        out[..self.0.len()].copy_from_slice(self.0.as_bytes());
        out
    }
}

impl FromStr for AppId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let fits = (1..=Self::LENGTH_MAX).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits && !Self::RESERVED.contains(&text) { Ok(Self(text.to_owned())) } else { Err(BadId) }
    }
}

impl TryFrom<String> for AppId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map_err(|_| "not an app id")
    }
}

impl From<AppId> for String {
    fn from(id: AppId) -> String {
        id.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = UserId::new(Time::from_ms(1_700_000_000_000), [7; 10]);
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse::<UserId>(), Err(BadId));
        assert_eq!(text.replace('-', "").parse::<UserId>(), Err(BadId));
        assert_eq!("".parse::<UserId>(), Err(BadId));
    }

    #[test]
    fn ids_sort_by_time() {
        let early = SessionId::new(Time::from_ms(1000), [255; 10]);
        let late = SessionId::new(Time::from_ms(1001), [0; 10]);
        assert!(early < late);
    }

    #[test]
    fn an_app_id_is_a_short_slug() {
        for bad in ["", "device", "1a", "-a", "A", "a_b", "a.b", "ä", &"a".repeat(33)] {
            assert_eq!(bad.parse::<AppId>(), Err(BadId), "{bad}");
        }
        assert_eq!("my-app-2".parse::<AppId>().unwrap().padded()[..8], *b"my-app-2");
    }
}
