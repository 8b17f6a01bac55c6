//! The only place that reads randomness. Tests hand in a seed and get the same run again.

use parking_lot::Mutex;
use std::sync::Arc;

/// Where randomness comes from: the operating system, or a seed that tests hold.
#[derive(Clone)]
pub struct Entropy(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<u64>>),
}

impl Entropy {
    /// The operating system's generator.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A repeatable sequence. For tests only: anyone who knows the seed knows every secret.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(seed))))
    }

    /// `N` random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: nothing may go on without it.
    #[allow(clippy::disallowed_methods)] // the one place where it is allowed
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        match &self.0 {
            Source::System => getrandom::fill(&mut out).expect("the system has no randomness"),
            Source::Seeded(state) => {
                let mut state = state.lock();
                out.iter_mut().for_each(|byte| *byte = split_mix(&mut state) as u8);
            }
        }
        out
    }
}

/// SplitMix64: small, repeatable, no security claimed.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) >> 24
}
