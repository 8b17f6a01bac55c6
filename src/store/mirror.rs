//! What checks read: memory only. Users, apps, keys and the blacklist completely; sessions in a bounded cache.
//!
//! Only the writer thread changes a mirror, all of a group at once, after the sync. A check holds one [`View`], so
//! that session, user, app, key and blacklist are of one moment.

use crate::model::app::App;
use crate::model::blacklist::{BlacklistEntry, Target};
use crate::model::key::KeyRecord;
use crate::model::session::{Credential, Session, SessionCredential};
use crate::model::time::MINUTE_MS;
use crate::model::user::{Standing, User};
use crate::model::{AppId, Digest, SessionId, Time, UserId};
use crate::store::cache::{Cache, Uses};
use crate::store::engine::{Change, Key, Record};
use crate::store::tables::{Seen, is_live_key, table};
use crate::store::{Row, StoreError, codec};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A session as checks see it: its record, and when it was last seen.
pub struct Live {
    pub row: Row<Session>,
    seen_ms: AtomicI64,
    /// The last seen time that is on its way to the store.
    noted_ms: AtomicI64,
}

impl Live {
    fn new(row: Row<Session>, seen: Time) -> Self {
        Self { row, seen_ms: AtomicI64::new(seen.ms()), noted_ms: AtomicI64::new(seen.ms()) }
    }

    pub fn last_seen(&self) -> Time {
        Time::from_ms(self.seen_ms.load(Ordering::Relaxed))
    }
}

/// The mirrors of the store.
pub struct Mirror {
    state: RwLock<State>,
    /// Sessions whose last seen time is to be written; each at most once a minute.
    seen_queue: Mutex<HashMap<SessionId, Time>>,
    /// Moves whenever a signing key's record changes.
    keys_generation: AtomicU64,
    hasher: RandomState,
    pub session_uses: Uses,
    pub credential_uses: Uses,
}

struct State {
    users: HashMap<UserId, Arc<Row<User>>>,
    apps: HashMap<AppId, Arc<Row<App>>>,
    keys: HashMap<String, Arc<Row<KeyRecord>>>,
    blacklist: HashMap<Target, Arc<Row<BlacklistEntry>>>,
    sessions: Cache<SessionId, Arc<Live>>,
    credentials: Cache<Digest, Arc<SessionCredential>>,
    live_sessions: u64,
    /// Per slot of keys, how often one of them was published: a reader that filled the cache from a tree read
    /// older than that would put a revoked session back.
    stamps: Vec<u64>,
}

const STAMPS: usize = 4096;

/// What the cache knows of a key.
pub enum Cached<T> {
    Hit(T),
    /// Ask the store, and hand the stamp back when filling.
    Miss(Stamp),
}

/// When the cache was asked.
#[derive(Clone, Copy)]
pub struct Stamp(u64);

/// All mirrors at one moment. Hold it shortly: the writer waits.
pub struct View<'a> {
    state: RwLockReadGuard<'a, State>,
    mirror: &'a Mirror,
}

impl View<'_> {
    pub fn user(&self, id: &UserId) -> Option<&Arc<Row<User>>> {
        self.state.users.get(id)
    }

    pub fn app(&self, id: &AppId) -> Option<&Arc<Row<App>>> {
        self.state.apps.get(id)
    }

    pub fn apps(&self) -> impl Iterator<Item = &Arc<Row<App>>> {
        self.state.apps.values()
    }

    pub fn key(&self, kid: &str) -> Option<&Arc<Row<KeyRecord>>> {
        self.state.keys.get(kid)
    }

    pub fn keys(&self) -> impl Iterator<Item = &Arc<Row<KeyRecord>>> {
        self.state.keys.values()
    }

    /// The entry that strikes the target now.
    pub fn blacklisted(&self, target: &Target, now: Time) -> Option<&Arc<Row<BlacklistEntry>>> {
        self.state.blacklist.get(target).filter(|entry| now < entry.value.until)
    }

    pub fn blacklist(&self) -> impl Iterator<Item = &Arc<Row<BlacklistEntry>>> {
        self.state.blacklist.values()
    }

    pub fn session(&self, id: &SessionId) -> Cached<&Arc<Live>> {
        match self.state.sessions.get(id) {
            Some(live) => {
                self.mirror.session_uses.hits.count();
                Cached::Hit(live)
            }
            None => {
                self.mirror.session_uses.misses.count();
                Cached::Miss(self.stamp(id))
            }
        }
    }

    pub fn credential(&self, digest: &Digest) -> Cached<&Arc<SessionCredential>> {
        match self.state.credentials.get(digest) {
            Some(credential) => {
                self.mirror.credential_uses.hits.count();
                Cached::Hit(credential)
            }
            None => {
                self.mirror.credential_uses.misses.count();
                Cached::Miss(self.stamp(digest))
            }
        }
    }

    /// Notes that a session was used now. No check waits for it to be written.
    pub fn touch(&self, live: &Live, now: Time) {
        live.seen_ms.fetch_max(now.ms(), Ordering::Relaxed);
        let noted = live.noted_ms.load(Ordering::Relaxed);
        let due = now.ms() - noted >= MINUTE_MS;
        if due
            && live.noted_ms.compare_exchange(noted, now.ms(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.mirror.seen_queue.lock().insert(live.row.value.id, now);
        }
    }

    pub fn live_sessions(&self) -> u64 {
        self.state.live_sessions
    }

    /// All users, the deleted included.
    pub fn users(&self) -> impl Iterator<Item = &Arc<Row<User>>> {
        self.state.users.values()
    }

    pub fn users_count(&self) -> usize {
        self.state.users.values().filter(|user| user.value.standing != Standing::Deleted).count()
    }

    pub fn blacklist_size(&self) -> usize {
        self.state.blacklist.len()
    }

    fn stamp(&self, key: &impl Hash) -> Stamp {
        Stamp(self.state.stamps[self.mirror.slot(key)])
    }
}

impl Mirror {
    pub fn new(session_cache: usize) -> Self {
        Self {
            state: RwLock::new(State {
                users: HashMap::new(),
                apps: HashMap::new(),
                keys: HashMap::new(),
                blacklist: HashMap::new(),
                sessions: Cache::new(session_cache),
                credentials: Cache::new(session_cache),
                live_sessions: 0,
                stamps: vec![0; STAMPS],
            }),
            seen_queue: Mutex::new(HashMap::new()),
            keys_generation: AtomicU64::new(1),
            hasher: RandomState::new(),
            session_uses: Uses::default(),
            credential_uses: Uses::default(),
        }
    }

    /// Prefixes of all that is mirrored completely.
    pub fn complete_tables() -> Vec<Key> {
        let live = crate::store::tables::Walk::Live.prefix();
        vec![vec![table::USERS], vec![table::APPS], vec![table::KEYS], vec![table::BLACKLIST], live]
    }

    pub fn view(&self) -> View<'_> {
        View { state: self.state.read(), mirror: self }
    }

    /// Moves whenever a signing key changes, so that a key ring made earlier can be told to be old.
    pub fn keys_generation(&self) -> u64 {
        self.keys_generation.load(Ordering::Acquire)
    }

    /// Takes in a group's changes. Called by the writer after the sync, before any answer.
    ///
    /// # Panics
    /// When a record that this process has just encoded does not decode: the mirrors could no longer be trusted.
    pub fn publish(&self, changes: &[Change]) {
        self.try_publish(changes).expect("a record that was just written decodes");
    }

    /// As [`Mirror::publish`], for loading records of earlier processes.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn try_publish(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut state = self.state.write();
        for change in changes {
            self.take_in(&mut state, change)?;
        }
        Ok(())
    }

    fn take_in(&self, state: &mut State, change: &Change) -> Result<(), StoreError> {
        match change.key[0] {
            table::USERS => mirror_row(&mut state.users, change, user_id)?,
            table::APPS => mirror_row(&mut state.apps, change, app_id)?,
            table::BLACKLIST => mirror_row(&mut state.blacklist, change, Target::read_key)?,
            table::KEYS => {
                mirror_row(&mut state.keys, change, kid)?;
                self.keys_generation.fetch_add(1, Ordering::Release);
            }
            table::SESSIONS => self.take_in_session(state, change)?,
            table::CREDENTIALS => self.take_in_credential(state, change)?,
            table::SEEN => {
                if let (Some(record), Some(id)) = (&change.new, session_id(&change.key)) {
                    let seen: Seen = codec::decode(&record.payload)?;
                    match state.sessions.get(&id) {
                        Some(live) => _ = live.seen_ms.fetch_max(seen.at.ms(), Ordering::Relaxed),
                        // A reader may be about to fill in what it read before.
                        None => state.stamps[self.slot(&id)] += 1,
                    }
                }
            }
            table::INDEX if is_live_key(&change.key) => {
                let count = &mut state.live_sessions;
                *count = if change.new.is_some() { *count + 1 } else { count.saturating_sub(1) };
            }
            _ => {}
        }
        Ok(())
    }

    fn take_in_session(&self, state: &mut State, change: &Change) -> Result<(), StoreError> {
        let Some(id) = session_id(&change.key) else { return Ok(()) };
        state.stamps[self.slot(&id)] += 1;
        match &change.new {
            Some(record) => {
                // One that is not held may have been seen since it was opened: only the store knows.
                if let Some(old) = state.sessions.get(&id) {
                    let live = Live::new(read_row(&change.key, record)?, old.last_seen());
                    live.noted_ms.store(old.noted_ms.load(Ordering::Relaxed), Ordering::Relaxed);
                    self.insert_session(state, id, live);
                }
            }
            None => drop(state.sessions.remove(&id)),
        }
        Ok(())
    }

    fn take_in_credential(&self, state: &mut State, change: &Change) -> Result<(), StoreError> {
        let Ok(bytes) = change.key[1..].try_into() else { return Ok(()) };
        let digest = Digest(bytes);
        state.stamps[self.slot(&digest)] += 1;
        let known: Option<Credential> =
            change.new.as_ref().map(|record| codec::decode(&record.payload)).transpose()?;
        match known {
            Some(Credential::Session(credential)) => {
                drop(state.credentials.insert(digest, Arc::new(credential)))
            }
            Some(Credential::Refresh(_)) => {}
            None => drop(state.credentials.remove(&digest)),
        }
        Ok(())
    }

    /// Keeps a session that was read from the tree, unless it was published since the cache was asked.
    pub fn fill_session(&self, stamp: Stamp, row: Row<Session>, seen: Time) {
        let id = row.value.id;
        let mut state = self.state.write();
        if state.stamps[self.slot(&id)] == stamp.0 {
            // What was seen since may still wait to be written.
            let waiting = self.seen_queue.lock().get(&id).copied().unwrap_or(seen);
            self.insert_session(&mut state, id, Live::new(row, seen.max(waiting)));
        }
    }

    /// The same for a credential.
    pub fn fill_credential(&self, stamp: Stamp, digest: Digest, credential: SessionCredential) {
        let mut state = self.state.write();
        if state.stamps[self.slot(&digest)] == stamp.0 {
            state.credentials.insert(digest, Arc::new(credential));
        }
    }

    fn insert_session(&self, state: &mut State, id: SessionId, live: Live) {
        if let Some((evicted, old)) = state.sessions.insert(id, Arc::new(live)) {
            // Its last seen time must not be lost with its place in the cache.
            if old.seen_ms.load(Ordering::Relaxed) > old.noted_ms.load(Ordering::Relaxed) {
                self.seen_queue.lock().insert(evicted, old.last_seen());
            }
        }
    }

    /// What is to be written of the last seen times, at most `limit`; what comes back by failure is lost.
    pub fn take_seen(&self, limit: usize) -> Vec<(SessionId, Time)> {
        let mut queue = self.seen_queue.lock();
        let ids: Vec<_> = queue.keys().take(limit).copied().collect();
        ids.into_iter().filter_map(|id| queue.remove(&id).map(|at| (id, at))).collect()
    }

    /// When a session was last seen, where memory knows it better than the store.
    pub fn last_seen(&self, id: &SessionId, stored: Time) -> Time {
        let state = self.state.read();
        let held = state.sessions.get(id).map_or(stored, |live| live.last_seen());
        let waiting = self.seen_queue.lock().get(id).copied().unwrap_or(stored);
        stored.max(held).max(waiting)
    }

    fn slot(&self, key: &impl Hash) -> usize {
        self.hasher.hash_one(key) as usize % STAMPS
    }
}

fn session_id(key: &[u8]) -> Option<SessionId> {
    key[1..].try_into().ok().map(SessionId::from_bytes)
}

fn read_row<T: serde::de::DeserializeOwned>(key: &[u8], record: &Record) -> Result<Row<T>, StoreError> {
    Ok(Row { key: key.to_vec(), version: record.version, value: codec::decode(&record.payload)? })
}

/// The id is read from the key, as a removal has nothing else: looking for its row among all would hold all checks up.
fn mirror_row<I: Hash + Eq, T: serde::de::DeserializeOwned>(
    map: &mut HashMap<I, Arc<Row<T>>>,
    change: &Change,
    read_id: impl Fn(&[u8]) -> Option<I>,
) -> Result<(), StoreError> {
    let id =
        read_id(&change.key[1..]).ok_or_else(|| StoreError::Corrupt("a key that names nothing".into()))?;
    match &change.new {
        Some(record) => _ = map.insert(id, Arc::new(read_row(&change.key, record)?)),
        None => _ = map.remove(&id),
    }
    Ok(())
}

fn user_id(key: &[u8]) -> Option<UserId> {
    key.try_into().ok().map(UserId::from_bytes)
}

fn app_id(key: &[u8]) -> Option<AppId> {
    std::str::from_utf8(key).ok()?.trim_end_matches('\0').parse().ok()
}

fn kid(key: &[u8]) -> Option<String> {
    String::from_utf8(key.to_vec()).ok()
}

#[cfg(test)]
#[path = "mirror/tests.rs"]
mod tests;
