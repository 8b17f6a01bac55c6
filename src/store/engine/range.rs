//! Stretches of keys.

use super::Key;
use std::ops::Bound;

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

/// A stretch of keys.
#[derive(Clone, Debug)]
pub struct Range {
    from: Bound<Key>,
    to: Bound<Key>,
}

impl Range {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: Key) -> Self {
        let mut end = prefix.clone();
        while end.last() == Some(&u8::MAX) {
            end.pop();
        }
        let to = match end.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(end)
            }
            None => Bound::Unbounded,
        };
        Self { from: Bound::Included(prefix), to }
    }

    /// Only what comes after `key`.
    pub fn after(mut self, key: &[u8]) -> Self {
        self.from = Bound::Excluded(key.to_vec());
        self
    }

    /// Only what comes before `key`.
    pub fn before(mut self, key: &[u8]) -> Self {
        self.to = Bound::Excluded(key.to_vec());
        self
    }

    pub(super) fn bounds(&self) -> (Bound<Key>, Bound<Key>) {
        (self.from.clone(), self.to.clone())
    }

    /// The table that it begins in.
    pub(super) fn table(&self) -> Option<u8> {
        match &self.from {
            Bound::Included(key) | Bound::Excluded(key) => key.first().copied(),
            Bound::Unbounded => None,
        }
    }

    /// A cursor from outside may lie beyond the end: sled panics on such a range.
    pub(super) fn is_empty(&self) -> bool {
        match (&self.from, &self.to) {
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
                from >= to
            }
        }
    }
}
