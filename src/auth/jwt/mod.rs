//! Access tokens as JWTs (RFC 7519, RFC 9068): signing with keys parsed once, and complete validation.

mod key;
mod verify;

#[cfg(test)]
mod tests;

pub use key::{KeyFault, KeyMaterial, KeyRing, SigningKey};
pub use verify::{TokenFault, Verified, Verifier};
