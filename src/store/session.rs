//! Sessions with their indexes: what is changed together is written together.

use crate::model::job::SessionFilter;
use crate::model::session::{Credential, Ended, Session};
use crate::model::time::DAY_MS;
use crate::model::user::Roster;
use crate::model::{Digest, SessionId, Time};
use crate::store::engine::{Direction, Range};
use crate::store::mirror::Cached;
use crate::store::tables::{Seen, Walk};
use crate::store::{Batch, Live, Row, Store, StoreError};
use std::sync::Arc;

/// How many records a filtered walk may look at before it answers with what it found.
pub const WALK_RECORDS_MAX: usize = 20_000;
/// How many of them are read at a time.
const WALK_SLICE: usize = 200;

impl Batch {
    /// A new session with its indexes. The id must be new: it never overwrites another's.
    pub fn open_session(&mut self, session: &Session) -> &mut Self {
        self.absent::<Session>(&session.id).put(&session.id, session);
        self.put(session.id.as_bytes(), &Seen { at: session.opened_at });
        for walk in walks_of(session) {
            self.put_raw(walk.key(session.id), Vec::new());
        }
        let first_look =
            session.idle_ends_at(session.opened_at).map_or(session.ends_at, |idle| idle.min(session.ends_at));
        self.look_again::<Session>(&session.id, first_look)
    }

    /// Marks a session as ended. Its record stays for the history and is swept later.
    pub fn end_session(&mut self, row: &Row<Session>, ended: Ended) -> &mut Self {
        let session = Session { ended: Some(ended), data: None, ..row.value.clone() };
        self.unchanged(row).put(&session.id, &session);
        self.remove_raw(Walk::Live.key(session.id))
    }

    /// One more or one less on the user's roster.
    pub fn put_roster(
        &mut self,
        row: Option<&Row<Roster>>,
        id: &crate::model::UserId,
        roster: &Roster,
    ) -> &mut Self {
        self.same(id, row).put(id, roster)
    }

    pub fn put_credential(&mut self, digest: &Digest, credential: &Credential, ends_at: Time) -> &mut Self {
        self.absent::<Credential>(digest).put(digest, credential).look_again::<Credential>(digest, ends_at)
    }

    /// Takes an ended session's record away, with all that belongs to it.
    pub fn forget_session(&mut self, row: &Row<Session>) -> &mut Self {
        let session = &row.value;
        self.unchanged(row).remove::<Session>(&session.id).remove::<Seen>(session.id.as_bytes());
        for walk in walks_of(session).into_iter().filter(|walk| !matches!(walk, Walk::Live)) {
            self.remove_raw(walk.key(session.id));
        }
        self
    }
}

fn walks_of(session: &Session) -> [Walk; 4] {
    [Walk::Live, Walk::User(session.user), Walk::App(session.app.clone()), Walk::Network(session.network)]
}

/// A page of a walk, newest first.
pub struct SessionPage {
    pub items: Vec<(Row<Session>, Time)>,
    /// Where to go on; `None` at the end.
    pub next: Option<SessionId>,
}

impl Store {
    /// A session with its last seen time, from the cache or the tree.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn live_session(&self, id: &SessionId) -> Result<Option<Arc<Live>>, StoreError> {
        for _ in 0..FILLS_MAX {
            let stamp = match self.view().session(id) {
                Cached::Hit(live) => return Ok(Some(Arc::clone(live))),
                Cached::Miss(stamp) => stamp,
            };
            let Some(row) = self.row::<Session>(id).await? else { return Ok(None) };
            let seen = self.row::<Seen>(id.as_bytes()).await?.map_or(row.value.opened_at, |row| row.value.at);
            self.mirror.fill_session(stamp, row, seen);
        }
        Err(StoreError::Overloaded)
    }

    /// Walks sessions newest first, from after `cursor`, and keeps those that `keep` says yes to.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        live_only: bool,
        cursor: Option<SessionId>,
        limit: usize,
        keep: impl Fn(&Session, Time) -> bool,
    ) -> Result<SessionPage, StoreError> {
        let walk = walk_for(filter, live_only);
        let prefix = walk.prefix();
        let mut next = cursor;
        let mut items = Vec::new();
        for _ in 0..WALK_RECORDS_MAX / WALK_SLICE {
            let mut range = Range::prefix(prefix.clone());
            if let Some(cursor) = next {
                range = range.before(&walk.key(cursor));
            }
            let found = self.engine.scan(&range, Direction::Descending, WALK_SLICE).await?;
            let ids: Vec<SessionId> = found.iter().filter_map(|(key, _)| id_at_end(key)).collect();
            let at_end = ids.len() < WALK_SLICE;
            for (row, seen) in self.with_seen(&ids).await? {
                next = Some(row.value.id);
                if filter.matches(&row.value) && keep(&row.value, seen) {
                    items.push((row, seen));
                    if items.len() == limit {
                        return Ok(SessionPage { items, next });
                    }
                }
            }
            if at_end {
                return Ok(SessionPage { items, next: None });
            }
            next = ids.last().copied();
        }
        Ok(SessionPage { items, next })
    }

    async fn with_seen(&self, ids: &[SessionId]) -> Result<Vec<(Row<Session>, Time)>, StoreError> {
        use crate::store::tables::Stored;
        let rows = self.rows::<Session>(ids.iter().map(Session::key).collect()).await?;
        let seen = self.rows::<Seen>(ids.iter().map(|id| Seen::key(id.as_bytes())).collect()).await?;
        let both = rows.into_iter().zip(seen).filter_map(|(row, seen)| row.map(|row| (row, seen)));
        Ok(both
            .map(|(row, seen)| {
                let stored = seen.map_or(row.value.opened_at, |seen| seen.value.at);
                let seen = self.mirror.last_seen(&row.value.id, stored);
                (row, seen)
            })
            .collect())
    }
}

/// How often a check reads the store for a session that is pushed out of the cache again.
pub const FILLS_MAX: usize = 5;

fn walk_for(filter: &SessionFilter, live_only: bool) -> Walk {
    if let Some(user) = filter.user {
        Walk::User(user)
    } else if let Some(network) = filter.network {
        Walk::Network(network)
    } else if let Some(app) = &filter.app {
        Walk::App(app.clone())
    } else if live_only {
        Walk::Live
    } else {
        Walk::All
    }
}

fn id_at_end(key: &[u8]) -> Option<SessionId> {
    key.last_chunk::<16>().map(|bytes| SessionId::from_bytes(*bytes))
}

/// How long ended sessions are kept, from a setting in days.
pub fn kept_until(ended_at: Time, days: u32) -> Time {
    ended_at.plus_ms(i64::from(days) * DAY_MS)
}
