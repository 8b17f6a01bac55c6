//! A bounded map with second chances. Only hot things lie here; a miss reads the store and never means "not revoked".

use crate::tally::Counter;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};

/// A bounded map. Whoever was asked for since the last round stays for another.
pub struct Cache<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Oldest first. A place whose ticket is not its entry's any more is stale.
    order: VecDeque<(K, u64)>,
    tickets: u64,
    capacity: usize,
}

struct Entry<V> {
    value: V,
    used: AtomicBool,
    ticket: u64,
}

/// How often a cache had what was asked for.
#[derive(Debug, Default)]
pub struct Uses {
    pub hits: Counter,
    pub misses: Counter,
}

impl<K: Hash + Eq + Clone, V> Cache<K, V> {
    pub fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), tickets: 0, capacity: capacity.max(1) }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        let entry = self.entries.get(key)?;
        // A plain load first: writing to a shared line at every check would cost the other core its copy.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(&entry.value)
    }

    /// Puts an entry in; answers the one that had to leave for it.
    pub fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.value = value;
            return None;
        }
        self.tickets += 1;
        let ticket = self.tickets;
        self.order.push_back((key.clone(), ticket));
        self.entries.insert(key, Entry { value, used: AtomicBool::new(false), ticket });
        if self.order.len() > 2 * self.capacity {
            let entries = &self.entries;
            self.order.retain(|(key, ticket)| entries.get(key).is_some_and(|entry| entry.ticket == *ticket));
        }
        if self.entries.len() > self.capacity { self.evict() } else { None }
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key).map(|entry| entry.value)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn evict(&mut self) -> Option<(K, V)> {
        while let Some((key, ticket)) = self.order.pop_front() {
            match self.entries.get(&key) {
                Some(entry) if entry.ticket == ticket => {
                    if entry.used.swap(false, Ordering::Relaxed) {
                        self.order.push_back((key, ticket));
                    } else {
                        return self.remove(&key).map(|value| (key, value));
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_its_capacity_and_spares_the_used() {
        let mut cache = Cache::new(3);
        for i in 0..3 {
            assert!(cache.insert(i, i).is_none());
        }
        assert_eq!(cache.get(&0), Some(&0));
        assert_eq!(cache.insert(3, 3), Some((1, 1)));
        assert_eq!(cache.len(), 3);
        assert!(cache.get(&1).is_none() && cache.get(&0).is_some());
    }

    #[test]
    fn removed_and_inserted_again_counts_once() {
        let mut cache = Cache::new(2);
        for _ in 0..100 {
            cache.insert(1, 1);
            cache.remove(&1);
        }
        cache.insert(1, 1);
        cache.insert(2, 2);
        assert_eq!(cache.len(), 2);
        assert!(cache.order.len() <= 5);
    }
}
