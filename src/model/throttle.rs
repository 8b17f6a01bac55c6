//! How many attempts are too many: the generic cell rate algorithm, as a value of one number.

use crate::model::Time;
use crate::model::time::MINUTE_MS;
use serde::{Deserialize, Serialize};

/// How much may be taken: `burst` at once, and one more every `refill_every_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub burst: u32,
    pub refill_every_ms: i64,
}

impl Limit {
    /// Ten failures at an account, then one a minute.
    pub const ACCOUNT: Self = Self { burst: 10, refill_every_ms: MINUTE_MS };

    /// The milliseconds that a wholly spent bucket needs to be full again.
    fn whole_ms(self) -> i64 {
        self.step_ms().saturating_mul(i64::from(self.burst))
    }

    /// A step of nothing would be no limit at all.
    fn step_ms(self) -> i64 {
        self.refill_every_ms.max(1)
    }
}

/// What has been taken and not yet refilled: the time at which all of it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bucket {
    full_at: Time,
}

/// What an attempt at taking one comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Charge {
    /// It was taken; the bucket as it is now.
    Taken(Bucket),
    /// There was none left.
    Refused { retry_after_ms: i64 },
}

impl Bucket {
    /// A bucket of which nothing was taken.
    pub const FULL: Self = Self { full_at: Time::from_ms(0) };

    /// Takes one, if there is one.
    pub fn charge(self, limit: Limit, now: Time) -> Charge {
        let full_at = self.settled(limit, now).full_at.max(now).plus_ms(limit.step_ms());
        match full_at.since_ms(now).saturating_sub(limit.whole_ms()) {
            over_ms if over_ms > 0 => Charge::Refused { retry_after_ms: over_ms },
            _ => Charge::Taken(Self { full_at }),
        }
    }

    /// Puts one back.
    pub fn refund(self, limit: Limit) -> Self {
        Self { full_at: self.full_at.plus_ms(-limit.step_ms()) }
    }

    /// No more taken than can be. Only a clock that was set back makes a difference: who keeps the settled bucket
    /// waits for a refill, and not until the clock is where it was.
    #[must_use]
    pub fn settled(self, limit: Limit, now: Time) -> Self {
        Self { full_at: self.full_at.min(now.plus_ms(limit.whole_ms())) }
    }

    /// All was refilled: as good as no bucket.
    pub fn is_idle(self, now: Time) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_ms(1_700_000_000_000);

    /// Charges `times` times and counts what was taken.
    fn charge(bucket: &mut Bucket, limit: Limit, now: Time, times: usize) -> usize {
        (0..times)
            .filter(|_| match bucket.settled(limit, now).charge(limit, now) {
                Charge::Taken(new) => {
                    *bucket = new;
                    true
                }
                Charge::Refused { .. } => {
                    *bucket = bucket.settled(limit, now);
                    false
                }
            })
            .count()
    }

    #[test]
    fn a_hundred_charges_get_exactly_the_burst() {
        let mut bucket = Bucket::FULL;
        assert_eq!(charge(&mut bucket, Limit::ACCOUNT, NOW, 100), 10);
    }

    #[test]
    fn the_refusal_says_exactly_when_to_come_back() {
        let mut bucket = Bucket::FULL;
        charge(&mut bucket, Limit::ACCOUNT, NOW, 10);
        let later = NOW.plus_ms(1);
        let refused = bucket.charge(Limit::ACCOUNT, later);
        assert_eq!(refused, Charge::Refused { retry_after_ms: MINUTE_MS - 1 });
        assert!(matches!(bucket.charge(Limit::ACCOUNT, NOW.plus_ms(MINUTE_MS - 1)), Charge::Refused { .. }));
        assert_eq!(charge(&mut bucket, Limit::ACCOUNT, NOW.plus_ms(MINUTE_MS), 100), 1);
    }

    #[test]
    fn a_refund_gives_back_one_and_no_more_than_was_taken() {
        let mut bucket = Bucket::FULL;
        charge(&mut bucket, Limit::ACCOUNT, NOW, 10);
        bucket = bucket.refund(Limit::ACCOUNT);
        assert_eq!(charge(&mut bucket, Limit::ACCOUNT, NOW, 100), 1);
        let mut rich = (0..50).fold(Bucket::FULL, |bucket, _| bucket.refund(Limit::ACCOUNT));
        assert_eq!(charge(&mut rich, Limit::ACCOUNT, NOW, 100), 10);
    }

    #[test]
    fn a_clock_set_back_costs_no_more_than_a_refill() {
        let mut bucket = Bucket::FULL;
        charge(&mut bucket, Limit::ACCOUNT, NOW, 10);
        let earlier = NOW.plus_ms(-1000 * MINUTE_MS);
        assert_eq!(charge(&mut bucket, Limit::ACCOUNT, earlier, 100), 0);
        assert_eq!(charge(&mut bucket, Limit::ACCOUNT, earlier.plus_ms(MINUTE_MS), 100), 1);
    }

    #[test]
    fn an_idle_bucket_is_one_that_is_full_again() {
        let mut bucket = Bucket::FULL;
        assert!(bucket.is_idle(NOW));
        charge(&mut bucket, Limit::ACCOUNT, NOW, 2);
        assert!(!bucket.is_idle(NOW.plus_ms(2 * MINUTE_MS - 1)));
        assert!(bucket.is_idle(NOW.plus_ms(2 * MINUTE_MS)));
    }

    #[test]
    fn extreme_numbers_neither_panic_nor_open_the_gate() {
        for now in [i64::MIN, -1, 0, i64::MAX].map(Time::from_ms) {
            for step in [i64::MIN, 0, 1, i64::MAX] {
                for burst in [0, 1, u32::MAX] {
                    let limit = Limit { burst, refill_every_ms: step };
                    for full_at in [i64::MIN, 0, i64::MAX].map(Time::from_ms) {
                        let bucket = Bucket { full_at };
                        let _ = (bucket.charge(limit, now), bucket.refund(limit), bucket.is_idle(now));
                    }
                }
            }
        }
        let none = Limit { burst: 0, refill_every_ms: 5 };
        assert_eq!(Bucket::FULL.charge(none, NOW), Charge::Refused { retry_after_ms: 5 });
    }
}
