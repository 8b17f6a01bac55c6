//! What a passphrase comes to as the key of an encrypted backup.

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

/// What one derivation costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassphraseCost {
    pub memory_kib: u32,
    pub iterations: u32,
    pub lanes: u32,
}

impl PassphraseCost {
    /// More than a sign-in's, as nobody waits at a page and whoever has the file may try for ever (RFC 9106 section 4).
    pub const DEFAULT: Self = Self { memory_kib: 65_536, iterations: 3, lanes: 1 };
    /// The most that a backup may ask for: it comes from outside, and must not take the machine's memory.
    const MAX: Self = Self { memory_kib: 1_048_576, iterations: 16, lanes: 16 };

    fn is_affordable(self) -> bool {
        self.memory_kib <= Self::MAX.memory_kib
            && self.iterations <= Self::MAX.iterations
            && self.lanes <= Self::MAX.lanes
    }
}

/// Derives by argon2id. `None` at a cost that is not to be paid, or that argon2 does not know.
pub fn derive(passphrase: &str, salt: &[u8; 32], cost: PassphraseCost) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    let params = Params::new(cost.memory_kib, cost.iterations, cost.lanes, Some(key.len())).ok();
    let params = params.filter(|_| cost.is_affordable())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(passphrase.as_bytes(), salt, key.as_mut()).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_out_of_bounds_is_not_paid() {
        let cheap = PassphraseCost { memory_kib: 64, iterations: 1, lanes: 1 };
        for bad in [
            PassphraseCost { memory_kib: u32::MAX, ..cheap },
            PassphraseCost { iterations: u32::MAX, ..cheap },
            PassphraseCost { lanes: u32::MAX, ..cheap },
            PassphraseCost { memory_kib: 0, ..cheap },
            PassphraseCost { iterations: 0, ..cheap },
            PassphraseCost { lanes: 0, ..cheap },
        ] {
            assert!(derive("a passphrase", &[1; 32], bad).is_none(), "{bad:?}");
        }
        let of = |passphrase, salt| derive(passphrase, &[salt; 32], cheap).expect("affordable");
        assert_eq!(of("a passphrase", 1), of("a passphrase", 1));
        assert_ne!(of("a passphrase", 1), of("a passphrase", 2));
        assert_ne!(of("a passphrase", 1), of("A passphrase", 1));
    }
}
