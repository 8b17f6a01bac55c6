//! Times that never go back, whatever the machine's clock does: what was over stays over.
//!
//! A machine that is set back a little (by NTP, by a leap second) makes time stand still until it is there again. One
//! that is set back by more than a bound is not followed any more: time goes on from the latest that was seen, at the
//! pace of a clock that nobody sets, until the machine's has come near it.

use crate::model::Time;

/// The latest time that was handed out, and what the steady clock said then.
#[derive(Clone, Copy, Debug)]
pub struct Timeline {
    latest: Time,
    steady_ms: i64,
    backwards_max_ms: i64,
    behind_ms: Option<i64>,
}

impl Timeline {
    pub fn new(machine: Time, steady_ms: i64, backwards_max_ms: i64) -> Self {
        Self { latest: machine, steady_ms, backwards_max_ms, behind_ms: None }
    }

    /// Goes on after a restart. `kept` was on disk, and so the latest time seen was at most `age_max_ms` later; where
    /// the machine has gone back behind it, nobody knows how much, so all of that is taken.
    pub fn resume(&mut self, kept: Time, age_max_ms: i64, machine: Time, steady_ms: i64) {
        let back = kept.since_ms(machine) > self.backwards_max_ms;
        let seen = if back { kept.plus_ms(age_max_ms) } else { kept };
        (self.latest, self.steady_ms) = (self.latest.max(seen), steady_ms);
        self.next(machine, steady_ms);
    }

    /// The time now, from what the machine's clock says and a steady one.
    pub fn next(&mut self, machine: Time, steady_ms: i64) -> Time {
        let passed_ms = steady_ms.saturating_sub(self.steady_ms).max(0);
        let expected = self.latest.plus_ms(passed_ms);
        let behind_ms = expected.since_ms(machine);
        self.behind_ms = (behind_ms > self.backwards_max_ms).then_some(behind_ms);
        self.latest = if self.behind_ms.is_some() { expected } else { self.latest.max(machine) };
        self.steady_ms = self.steady_ms.max(steady_ms);
        self.latest
    }

    /// Follows the machine's clock again, wherever it stands. Only where nothing that was over can come back.
    pub fn accept(&mut self, machine: Time, steady_ms: i64) {
        *self = Self::new(machine, steady_ms, self.backwards_max_ms);
    }

    /// How far behind the machine's clock was at the last look, where it is not followed.
    pub fn behind_ms(&self) -> Option<i64> {
        self.behind_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::{HOUR_MS, MINUTE_MS, SECOND_MS};

    const NOW: Time = Time::from_ms(1_800_000_000_000);
    const BOUND_MS: i64 = 2 * MINUTE_MS;

    /// The machine's clock stands `off_ms` beside the right time, which is `passed_ms` after NOW.
    fn at(line: &mut Timeline, passed_ms: i64, off_ms: i64) -> i64 {
        line.next(NOW.plus_ms(passed_ms + off_ms), passed_ms).since_ms(NOW)
    }

    #[test]
    fn a_machine_that_goes_right_is_followed_to_the_millisecond_and_also_forwards() {
        let mut line = Timeline::new(NOW, 0, BOUND_MS);
        for (passed, off) in [(0, 0), (1, 0), (500, 0), (501, 3 * HOUR_MS), (600, 3 * HOUR_MS)] {
            assert_eq!(at(&mut line, passed, off), passed + off);
            assert_eq!(line.behind_ms(), None);
        }
    }

    #[test]
    fn set_back_within_the_bound_time_stands_still_until_it_is_there_again() {
        let mut line = Timeline::new(NOW, 0, BOUND_MS);
        assert_eq!(at(&mut line, 10, 0), 10);
        for passed in [20, SECOND_MS, MINUTE_MS] {
            assert_eq!((at(&mut line, passed, -BOUND_MS), line.behind_ms()), (10, None));
        }
        assert_eq!(at(&mut line, BOUND_MS + 10, -BOUND_MS), 10);
        assert_eq!(at(&mut line, BOUND_MS + 11, -BOUND_MS), 11);
    }

    #[test]
    fn set_back_beyond_the_bound_time_goes_on_by_itself_until_the_machine_is_near() {
        let mut line = Timeline::new(NOW, 0, BOUND_MS);
        let back = -BOUND_MS - 1;
        for passed in [1, SECOND_MS, HOUR_MS, 24 * HOUR_MS] {
            assert_eq!(at(&mut line, passed, back), passed);
            assert_eq!(line.behind_ms(), Some(-back));
        }
        let passed = 24 * HOUR_MS + 5;
        assert_eq!(at(&mut line, passed, -MINUTE_MS), 24 * HOUR_MS);
        assert_eq!(line.behind_ms(), None);
        assert_eq!(at(&mut line, passed + MINUTE_MS, 0), passed + MINUTE_MS);
    }

    #[test]
    fn a_restart_goes_on_from_what_was_kept() {
        for (machine_ms, wanted_ms, held) in [
            (HOUR_MS, HOUR_MS, false),
            (1, 1, false),
            (-BOUND_MS, 0, false),
            // Up to a minute may have passed unwritten.
            (-BOUND_MS - 1, MINUTE_MS, true),
            (-24 * HOUR_MS, MINUTE_MS, true),
        ] {
            let machine = NOW.plus_ms(machine_ms);
            let mut line = Timeline::new(machine, 7, BOUND_MS);
            line.resume(NOW, MINUTE_MS, machine, 7);
            assert_eq!(line.next(machine, 7).since_ms(NOW), wanted_ms, "{machine_ms}");
            assert_eq!(line.behind_ms().is_some(), held, "{machine_ms}");
        }
    }

    #[test]
    fn once_accepted_the_machine_is_followed_wherever_it_stands() {
        let mut line = Timeline::new(NOW, 0, BOUND_MS);
        assert_eq!(at(&mut line, 5, -HOUR_MS), 5);
        line.accept(NOW.plus_ms(10 - HOUR_MS), 10);
        assert_eq!((at(&mut line, 20, -HOUR_MS), line.behind_ms()), (20 - HOUR_MS, None));
    }

    #[test]
    fn time_never_goes_back_whatever_both_clocks_say() {
        let mut line = Timeline::new(NOW, 0, BOUND_MS);
        let (mut state, mut latest) = (1_u64, NOW);
        for _ in 0..10_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let machine = NOW.plus_ms((state >> 34) as i64 - (1 << 29));
            let now = line.next(machine, (state >> 50) as i64);
            assert!(now >= latest && now.plus_ms(BOUND_MS) >= machine);
            latest = now;
        }
        for extreme in [i64::MIN, i64::MAX] {
            assert!(line.next(Time::from_ms(extreme), extreme) >= latest);
        }
    }
}
