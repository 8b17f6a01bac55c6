//! Counting what happens, cheaply, from many threads at once. Plain numbers: whoever shows them decides how.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A number that only rises. Each thread counts on a line of its own: two cores that write to one line take it from
/// each other at every request.
#[derive(Debug, Default)]
pub struct Counter([Line; LINES]);

const LINES: usize = 8;

/// As far apart as cores fetch memory, neighbouring line included.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU64);

static THREADS: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    static LINE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % LINES;
}

impl Counter {
    pub fn count(&self) {
        LINE.with(|line| self.0[*line].0.fetch_add(1, Ordering::Relaxed));
    }

    pub fn read(&self) -> u64 {
        self.0.iter().map(|line| line.0.load(Ordering::Relaxed)).sum()
    }
}

/// How often something was how large, by bounds that are fixed.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: [u64; N],
    counts: [AtomicU64; N],
    above: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    /// The bounds rise, and each belongs to its own bucket.
    pub const fn new(bounds: [u64; N]) -> Self {
        Self {
            bounds,
            counts: [const { AtomicU64::new(0) }; N],
            above: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    pub fn note(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts.get(bucket).unwrap_or(&self.above).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    pub fn read(&self) -> Distribution {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Distribution {
            buckets: self.bounds.into_iter().zip(counts).collect(),
            above: self.above.load(Ordering::Relaxed),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// A histogram at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Each bound, and how many were at most that and above the bound before.
    pub buckets: Vec<(u64, u64)>,
    /// How many were above the last bound.
    pub above: u64,
    pub sum: u64,
}

impl Distribution {
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum::<u64>() + self.above
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_in_the_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::new([1, 10]);
        [0, 1, 2, 10, 11, 1000].into_iter().for_each(|value| histogram.note(value));
        let found = histogram.read();
        assert_eq!((found.buckets.as_slice(), found.above, found.sum), (&[(1, 2), (10, 2)][..], 2, 1024));
        assert_eq!(found.count(), 6);
    }

    #[test]
    fn threads_lose_no_count() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            (0..20).for_each(|_| _ = scope.spawn(|| (0..1000).for_each(|_| counter.count())));
        });
        assert_eq!(counter.read(), 20_000);
    }
}
