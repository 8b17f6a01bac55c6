//! Everything that must be atomic or survive a crash. Nothing else knows of sled.
//!
//! Verbs read rows (each with its version), decide, and commit a [`Batch`](crate::store::Batch) that says what it
//! relied on. The engine applies it whole or answers a conflict, and the verb tries again.

pub mod backup;
pub mod cache;
pub mod codec;
pub mod doubt;
pub mod engine;
pub mod mirror;
pub mod session;
pub mod swap;
pub mod sweep;
pub mod tables;
pub mod user;

use crate::clock::Stopwatch;
use crate::model::Time;
pub use engine::{BATCH_OPERATIONS_MAX, Outcome, StoreError};
use engine::{Direction, Engine, Key, Range, Record};
pub use mirror::{Live, Mirror, View};
use std::sync::Arc;
use tables::Stored;

/// A record with the version it was read at.
#[derive(Debug)]
pub struct Row<T> {
    pub key: Key,
    pub version: u64,
    pub value: T,
}

impl<T: serde::de::DeserializeOwned> Row<T> {
    fn read(key: Key, record: Record) -> Result<Self, StoreError> {
        Ok(Self { key, version: record.version, value: codec::decode(&record.payload)? })
    }
}

/// What a verb relied on and what it wants done: applied whole or not at all.
#[derive(Default)]
pub struct Batch(engine::Batch);

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    /// Relies on `row` being as it was read.
    pub fn unchanged<T>(&mut self, row: &Row<T>) -> &mut Self {
        self.0.expects.push(engine::Expect::Version(row.key.clone(), row.version));
        self
    }

    /// Relies on there being no such record.
    pub fn absent<T: Stored>(&mut self, id: &T::Id) -> &mut Self {
        self.0.expects.push(engine::Expect::Absent(T::key(id)));
        self
    }

    /// Relies on what a read found, be it a row or nothing.
    pub fn same<T: Stored>(&mut self, id: &T::Id, row: Option<&Row<T>>) -> &mut Self {
        match row {
            Some(row) => self.unchanged(row),
            None => self.absent::<T>(id),
        }
    }

    pub fn put<T: Stored>(&mut self, id: &T::Id, value: &T) -> &mut Self {
        self.put_raw(T::key(id), codec::encode(value))
    }

    pub fn remove<T: Stored>(&mut self, id: &T::Id) -> &mut Self {
        self.remove_raw(T::key(id))
    }

    /// Notes that the sweep shall look at the record at `at`.
    pub fn look_again<T: Stored>(&mut self, id: &T::Id, at: Time) -> &mut Self {
        self.put_raw(tables::expiry_key(at, &T::key(id)), Vec::new())
    }

    /// How many operations it has so far; see [`BATCH_OPERATIONS_MAX`].
    pub fn operations(&self) -> usize {
        self.0.ops.len()
    }

    fn put_raw(&mut self, key: Key, payload: Vec<u8>) -> &mut Self {
        self.0.ops.push(engine::Op::Put(key, payload));
        self
    }

    fn remove_raw(&mut self, key: Key) -> &mut Self {
        self.0.ops.push(engine::Op::Remove(key));
        self
    }
}

/// The store: the engine with the mirrors in front of it.
pub struct Store {
    engine: Engine,
    mirror: Arc<Mirror>,
    open_us: u64,
}

impl Store {
    /// Opens the store and loads the mirrors, before the first answer.
    ///
    /// # Errors
    /// As [`Engine::open`]; or when a record that the mirrors need cannot be read.
    pub fn open(options: engine::Options, session_cache: usize) -> Result<Self, engine::OpenError> {
        let watch = Stopwatch::start();
        let mirror = Arc::new(Mirror::new(session_cache));
        let directory = options.directory.join("store");
        let publisher = Arc::clone(&mirror);
        let engine = Engine::open(options, Box::new(move |changes| publisher.publish(changes)))?;
        let mut store = Self { engine, mirror, open_us: 0 };
        store.load().map_err(|e| engine::OpenError::Lost(directory, e.to_string()))?;
        store.open_us = watch.elapsed_us();
        Ok(store)
    }

    fn load(&self) -> Result<(), StoreError> {
        for prefix in Mirror::complete_tables() {
            let mut range = Range::prefix(prefix);
            loop {
                let found = self.engine.scan_blocking(&range, Direction::Ascending, LOAD_SLICE)?;
                let Some((last, _)) = found.last() else { break };
                range = range.after(last);
                let changes: Vec<_> = found
                    .into_iter()
                    .map(|(key, record)| engine::Change { key, new: Some(record) })
                    .collect();
                self.mirror.try_publish(&changes)?;
            }
        }
        Ok(())
    }

    /// Reads one record from the tree. It may belong to a group that is not synced yet: rely on it in a batch.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn row<T: Stored>(&self, id: &T::Id) -> Result<Option<Row<T>>, StoreError> {
        let key = T::key(id);
        let record = self.engine.get(&key).await?;
        record.map(|record| Row::read(key, record)).transpose()
    }

    async fn rows<T: Stored>(&self, keys: Vec<Key>) -> Result<Vec<Option<Row<T>>>, StoreError> {
        let records = self.engine.get_many(keys.clone()).await?;
        keys.into_iter()
            .zip(records)
            .map(|(key, record)| record.map(|record| Row::read(key, record)).transpose())
            .collect()
    }

    /// Applies a batch whole, or not at all. When it answers, what it says is on disk.
    ///
    /// # Errors
    /// When the store fails or is overloaded; then nothing is promised either way.
    pub async fn commit(&self, batch: Batch) -> Result<Outcome, StoreError> {
        self.engine.commit(batch.0).await
    }

    /// As [`Store::commit`] for batches that do not build on one another: they share their syncs.
    ///
    /// # Errors
    /// As [`Store::commit`], for any of them; the others count all the same.
    pub async fn commit_all(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        self.engine.commit_all(batches.into_iter().map(|batch| batch.0)).await
    }

    /// As [`Store::commit`], where nothing is async yet.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit_blocking(&self, batch: Batch) -> Result<Outcome, StoreError> {
        self.engine.commit_blocking(batch.0)
    }

    /// All mirrors under one read: what one check looks at fits together.
    pub fn view(&self) -> View<'_> {
        self.mirror.view()
    }

    /// How long it took to open, mirrors included.
    pub fn open_us(&self) -> u64 {
        self.open_us
    }

    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// How many records the mirrors load at a time.
const LOAD_SLICE: usize = 5000;
