//! Nouns and pure rules: true without a machine. No clock, no randomness, no input or output.

pub mod app;
pub mod backup;
pub mod blacklist;
pub mod claims;
pub mod code;
pub mod device;
pub mod ended;
pub mod hash;
pub mod id;
pub mod job;
pub mod key;
pub mod misfit;
pub mod name;
pub mod network;
pub mod password;
pub mod refresh;
pub mod secret;
pub mod session;
pub mod throttle;
pub mod time;
pub mod timeline;
pub mod transfer;
pub mod user;

pub use id::{AppId, DeviceId, JobId, SecretId, SessionId, TokenId, UserId};
pub use secret::{AppSecret, Digest, OneTimeCode, RefreshToken, SessionToken};
pub use time::Time;
