//! The only place that reads the system's clock. A verb asks once, at its top, and hands the time down.

use crate::model::Time;
use crate::model::timeline::Timeline;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Measures how long something takes, in the machine's own steady time, which no test needs to hold.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts counting.
    #[allow(clippy::disallowed_methods, clippy::new_without_default)] // the one place where it is allowed
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Microseconds since the start.
    pub fn elapsed_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Where the time comes from: the machine, or a hand that tests hold.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System(Stopwatch),
    Manual(Arc<Hands>),
}

/// Of a manual clock: what time it says, and how much has passed.
struct Hands {
    ms: AtomicI64,
    steady_ms: AtomicI64,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System(Stopwatch::start()))
    }

    /// A clock that stands still until [`Clock::advance_ms`] moves it. For tests.
    pub fn manual(start: Time) -> Self {
        let hands = Hands { ms: AtomicI64::new(start.ms()), steady_ms: AtomicI64::new(0) };
        Self(Source::Manual(Arc::new(hands)))
    }

    /// The time now.
    #[allow(clippy::disallowed_methods)] // the one place where it is allowed
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System(_) => Time::from_ms(chrono::Utc::now().timestamp_millis()),
            Source::Manual(hands) => Time::from_ms(hands.ms.load(Ordering::SeqCst)),
        }
    }

    /// What has passed since this clock was made, whoever sets the time meanwhile.
    fn steady_ms(&self) -> i64 {
        match &self.0 {
            Source::System(watch) => i64::try_from(watch.elapsed_us() / 1000).unwrap_or(i64::MAX),
            Source::Manual(hands) => hands.steady_ms.load(Ordering::SeqCst),
        }
    }

    /// Lets time pass on a manual clock; the machine's own is left alone.
    pub fn advance_ms(&self, by_ms: i64) {
        if let Source::Manual(hands) = &self.0 {
            hands.steady_ms.fetch_add(by_ms, Ordering::SeqCst);
        }
        self.set_by_ms(by_ms);
    }

    /// Sets a manual clock forwards or back, while no time passes.
    pub fn set_by_ms(&self, by_ms: i64) {
        if let Source::Manual(hands) = &self.0 {
            hands.ms.fetch_add(by_ms, Ordering::SeqCst);
        }
    }
}

/// A clock that never goes back: what the verbs ask. See [`Timeline`].
pub struct ForwardClock {
    machine: Clock,
    line: Mutex<Timeline>,
}

impl ForwardClock {
    pub fn new(machine: Clock, backwards_max_ms: i64) -> Self {
        let line = Timeline::new(machine.now(), machine.steady_ms(), backwards_max_ms);
        Self { machine, line: Mutex::new(line) }
    }

    /// The time now, never earlier than before.
    pub fn now(&self) -> Time {
        self.turn(|line, machine, steady_ms| line.next(machine, steady_ms))
    }

    /// Goes on from a time that an earlier process kept, at most `age_max_ms` before its latest.
    pub fn resume(&self, kept: Time, age_max_ms: i64) {
        self.turn(|line, machine, steady_ms| line.resume(kept, age_max_ms, machine, steady_ms));
    }

    /// Follows the machine's clock again, wherever it stands. Only where nothing that was over can come back.
    pub fn accept(&self) {
        self.turn(Timeline::accept);
    }

    /// How far the machine's clock is behind, where it is not followed.
    pub fn behind_ms(&self) -> Option<i64> {
        self.now();
        self.line.lock().behind_ms()
    }

    /// What the machine's clock says, followed or not.
    pub fn machine_now(&self) -> Time {
        self.machine.now()
    }

    fn turn<T>(&self, turn: impl FnOnce(&mut Timeline, Time, i64) -> T) -> T {
        let mut line = self.line.lock();
        let was_behind = line.behind_ms().is_some();
        // Asked under the lock: two that asked before it could overtake each other.
        let result = turn(&mut line, self.machine.now(), self.machine.steady_ms());
        match line.behind_ms() {
            Some(behind_ms) if !was_behind => tracing::error!(
                event = "clock_behind",
                seconds = behind_ms / 1000,
                "the machine's clock is far behind the latest time seen: time goes on from there, and nothing that was \
                 over comes back. Set the clock right; if the latest time was the wrong one: hallpass invalidate-all"
            ),
            None if was_behind => {
                tracing::warn!(event = "clock_followed", "the machine's clock is followed again")
            }
            _ => {}
        }
        result
    }
}
