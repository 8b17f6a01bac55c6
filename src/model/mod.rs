//! Nouns and pure rules: true without a machine. No clock, no randomness, no input or output.

pub mod id;
pub mod secret;
pub mod time;

pub use id::{AppId, DeviceId, JobId, SecretId, SessionId, TokenId, UserId};
pub use secret::{AppSecret, Digest, OneTimeCode, RefreshToken, SessionToken};
pub use time::Time;
