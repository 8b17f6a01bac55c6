//! The expiry queue: for every record that ends, when to look at it again. A check never relies on it.

use crate::model::blacklist::BlacklistEntry;
use crate::model::code::CodeRecord;
use crate::model::key::KeyRecord;
use crate::model::session::{Credential, Session};
use crate::model::user::User;
use crate::model::{SessionId, Time};
use crate::store::engine::{Direction, Key, Range};
use crate::store::tables::{Attempts, expiry_key, read_expiry_key, table};
use crate::store::{Batch, Row, Store, StoreError};

/// A record that is due, with the queue's entry that said so.
pub struct Due {
    pub entry: Key,
    pub record: DueRecord,
}

/// What is due. `Gone`: its record was removed before.
pub enum DueRecord {
    Session(Row<Session>),
    Credential(Row<Credential>),
    Blacklist(Row<BlacklistEntry>),
    Key(Row<KeyRecord>),
    Code(Row<CodeRecord>),
    Attempts(Row<Attempts>),
    User(Row<User>),
    Gone,
}

impl Batch {
    /// Takes a due entry from the queue.
    pub fn settle(&mut self, due: &Due) -> &mut Self {
        self.remove_raw(due.entry.clone())
    }

    /// Looks at a due record again at `at`.
    pub fn refile(&mut self, due: &Due, at: Time) -> &mut Self {
        let record = read_expiry_key(&due.entry).unwrap_or_default().to_vec();
        self.settle(due).put_raw(expiry_key(at, &record), Vec::new())
    }

    /// Removes a row that is as it was read.
    pub fn remove_row<T>(&mut self, row: &Row<T>) -> &mut Self {
        self.unchanged(row).remove_raw(row.key.clone())
    }
}

impl Store {
    /// What is due at `now`, the longest overdue first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn due(&self, now: Time, limit: usize) -> Result<Vec<Due>, StoreError> {
        // The queue counts in whole minutes, rounded up: an entry of this very minute is over.
        let end = expiry_key(now.plus_ms(1), &[]);
        let range = Range::prefix(vec![table::EXPIRY]).before(&end);
        let found = self.engine.scan(&range, Direction::Ascending, limit).await?;
        let keys: Vec<Key> =
            found.iter().map(|(key, _)| read_expiry_key(key).unwrap_or_default().to_vec()).collect();
        let records = self.engine.get_many(keys.clone()).await?;
        let mut due = Vec::with_capacity(found.len());
        for (((entry, _), key), record) in found.into_iter().zip(keys).zip(records) {
            let record = match record {
                None => DueRecord::Gone,
                Some(record) => match key.first() {
                    Some(&table::SESSIONS) => DueRecord::Session(Row::read(key, record)?),
                    Some(&table::CREDENTIALS) => DueRecord::Credential(Row::read(key, record)?),
                    Some(&table::BLACKLIST) => DueRecord::Blacklist(Row::read(key, record)?),
                    Some(&table::KEYS) => DueRecord::Key(Row::read(key, record)?),
                    Some(&table::CODES) => DueRecord::Code(Row::read(key, record)?),
                    Some(&table::USERS) => DueRecord::User(Row::read(key, record)?),
                    Some(&table::ATTEMPTS) => DueRecord::Attempts(Row::read(key, record)?),
                    _ => return Err(StoreError::Corrupt("an expiry entry of an unknown table".into())),
                },
            };
            due.push(Due { entry, record });
        }
        Ok(due)
    }

    /// All unfinished jobs.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn jobs(&self) -> Result<Vec<Row<crate::model::job::Job>>, StoreError> {
        // Without a bound: the one that ends everything must be found behind however many others.
        let range = Range::prefix(vec![table::JOBS]);
        let found = self.engine.scan(&range, Direction::Ascending, usize::MAX).await?;
        found.into_iter().map(|(key, record)| Row::read(key, record)).collect()
    }

    /// One-time codes, used or not.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn codes(&self, limit: usize) -> Result<Vec<Row<CodeRecord>>, StoreError> {
        let found = self.engine.scan(&Range::prefix(vec![table::CODES]), Direction::Ascending, limit).await?;
        found.into_iter().map(|(key, record)| Row::read(key, record)).collect()
    }

    /// Sessions of a walk that the store knows to be live, newest first, after `cursor`; for jobs.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn session_rows(
        &self,
        filter: &crate::model::job::SessionFilter,
        cursor: Option<SessionId>,
        limit: usize,
    ) -> Result<(Vec<Row<Session>>, Option<SessionId>), StoreError> {
        let page = self.sessions(filter, true, cursor, limit, |session, _| session.ended.is_none()).await?;
        Ok((page.items.into_iter().map(|(row, _)| row).collect(), page.next))
    }
}
