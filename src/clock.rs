//! The only place that reads the system's clock. A verb asks once, at its top, and hands the time down.

use crate::model::Time;
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
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance_ms`] moves it. For tests.
    pub fn manual(start: Time) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.ms()))))
    }

    /// The time now.
    #[allow(clippy::disallowed_methods)] // the one place where it is allowed
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System => Time::from_ms(chrono::Utc::now().timestamp_millis()),
            Source::Manual(ms) => Time::from_ms(ms.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the machine's own is left alone.
    pub fn advance_ms(&self, by_ms: i64) {
        if let Source::Manual(ms) = &self.0 {
            ms.fetch_add(by_ms, Ordering::SeqCst);
        }
    }
}
