//! The schemes of other systems: verified once, and never used for a new password.

use super::{HashRefusal, failed};
use crate::model::hash::{BCRYPT_BYTES_MAX, Prf, Scheme, StoredHash};
use aws_lc_rs::pbkdf2;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// What the password gives by the scheme and the salt of a stored hash. `None`: nothing there could match it.
pub(super) fn derive(password: &[u8], known: &StoredHash) -> Result<Option<Vec<u8>>, HashRefusal> {
    // bcrypt repeats its key, NUL included, and HMAC fills its own up with NULs: "a" would match with some behind it.
    if password.contains(&0) {
        return Ok(None);
    }
    let mut output = vec![0; known.output.len()];
    match known.scheme {
        Scheme::Bcrypt { cost } => bcrypt(password, cost, &known.salt, &mut output)?,
        Scheme::Scrypt { log_n, r, p } => {
            let params = scrypt::Params::new(log_n, r, p).map_err(|error| failed(&error))?;
            scrypt::scrypt(password, &known.salt, &params, &mut output).map_err(|error| failed(&error))?;
        }
        Scheme::Pbkdf2 { prf, iterations } => {
            let algorithm = match prf {
                Prf::HmacSha1 => pbkdf2::PBKDF2_HMAC_SHA1,
                Prf::HmacSha256 => pbkdf2::PBKDF2_HMAC_SHA256,
                Prf::HmacSha512 => pbkdf2::PBKDF2_HMAC_SHA512,
            };
            let iterations = NonZeroU32::new(iterations).ok_or_else(|| failed(&"no iterations"))?;
            pbkdf2::derive(algorithm, iterations, &known.salt, password, &mut output);
        }
        Scheme::Argon2 { .. } => return Err(failed(&"argon2 is not foreign")),
    }
    Ok(Some(output))
}

/// bcrypt takes a C string: its NUL belongs to the key, and of both together only the first 72 bytes count. A longer
/// password must match here as it did where it was chosen; once it has, our hash counts all of it.
fn bcrypt(password: &[u8], cost: u32, salt: &[u8], output: &mut [u8]) -> Result<(), HashRefusal> {
    let salt = salt.try_into().map_err(|_| failed(&"a salt of another length"))?;
    let mut key = Zeroizing::new(Vec::with_capacity(password.len() + 1));
    key.extend_from_slice(password);
    key.push(0);
    key.truncate(BCRYPT_BYTES_MAX);
    let whole = bcrypt::bcrypt(cost, salt, &key);
    output.copy_from_slice(&whole[..output.len()]);
    Ok(())
}

#[cfg(test)]
#[path = "foreign/tests.rs"]
mod tests;
