//! Ending sessions: one, many, all of a user.

use crate::auth::check::{Admin, Member};
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::{Auth, TRIES_MAX};
use crate::model::app::Strategy;
use crate::model::blacklist::{BlacklistEntry, Target};
use crate::model::job::{Job, SessionFilter, Work};
use crate::model::session::{Ended, EndedReason, Session};
use crate::model::user::{Actor, User};
use crate::model::{JobId, SessionId, Time, UserId};
use crate::store::session::SessionPage;
use crate::store::{Batch, Outcome, Row};

/// How many sessions one request may name.
pub const SESSION_IDS_MAX: usize = 200;

/// Which sessions a list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShownState {
    #[default]
    Live,
    Ended,
    All,
}

/// A session for display.
pub struct Shown {
    pub session: Session,
    pub last_seen: Time,
    /// How it ended, also where only an epoch or the clock says so yet.
    pub ended: Option<Ended>,
}

/// A page of sessions, newest first.
pub struct ShownPage {
    pub items: Vec<Shown>,
    pub next: Option<SessionId>,
}

impl Auth {
    /// Lists sessions.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_sessions(
        &self,
        _by: &Admin,
        filter: &SessionFilter,
        state: ShownState,
        cursor: Option<SessionId>,
        limit: usize,
    ) -> Verdict<ShownPage> {
        self.walk_sessions(filter, state, cursor, limit).await
    }

    /// Lists the caller's own sessions.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_own_sessions(
        &self,
        by: &Member,
        state: ShownState,
        cursor: Option<SessionId>,
        limit: usize,
    ) -> Verdict<ShownPage> {
        let filter = SessionFilter { user: Some(by.user().id), ..SessionFilter::default() };
        self.walk_sessions(&filter, state, cursor, limit).await
    }

    async fn walk_sessions(
        &self,
        filter: &SessionFilter,
        state: ShownState,
        cursor: Option<SessionId>,
        limit: usize,
    ) -> Verdict<ShownPage> {
        let now = self.clock.now();
        let keep = |session: &Session, seen: Time| {
            state == ShownState::All
                || self.ended(session, seen, now).is_some() == (state == ShownState::Ended)
        };
        let live_only = state == ShownState::Live;
        let SessionPage { items, next } = self.store.sessions(filter, live_only, cursor, limit, keep).await?;
        let items = items.into_iter().map(|(row, seen)| self.shown(row.value, seen, now)).collect();
        Ok(ShownPage { items, next })
    }

    /// One session for display.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn session(&self, _by: &Admin, id: &SessionId) -> Verdict<Shown> {
        let live = self.store.live_session(id).await?.ok_or(Refusal::NotFound)?;
        Ok(self.shown(live.row.value.clone(), live.last_seen(), self.clock.now()))
    }

    pub(crate) fn shown(&self, session: Session, last_seen: Time, now: Time) -> Shown {
        let ended = self.ended(&session, last_seen, now);
        Shown { session, last_seen, ended }
    }

    fn ended(&self, session: &Session, last_seen: Time, now: Time) -> Option<Ended> {
        let view = self.store.view();
        let (user, app) = (view.user(&session.user), view.app(&session.app));
        session.over(last_seen, user.map(|u| &u.value), app.map(|a| &a.value), now)
    }

    /// Ends a session as an administrator. Answers whether it was live.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn revoke_session(&self, by: &Admin, id: &SessionId, reason: &str) -> Verdict<bool> {
        self.end_session(id, None, EndedReason::Revoked, by.actor(), reason).await
    }

    /// Ends one of the caller's own sessions.
    ///
    /// # Errors
    /// `NotFound` also for other people's.
    pub async fn end_own_session(&self, by: &Member, id: &SessionId) -> Verdict<bool> {
        let user = by.user().id;
        self.end_session(id, Some(user), EndedReason::Revoked, Actor::User(user), "").await
    }

    /// Ends the named sessions, but not the caller's own. Answers how many were live and how many were not.
    ///
    /// # Errors
    /// When the store fails; those ended before stay ended.
    pub async fn revoke_sessions(
        &self,
        by: &Admin,
        ids: &[SessionId],
        reason: &str,
    ) -> Verdict<(usize, usize)> {
        let (mut ended, mut skipped) = (0, 0);
        for id in ids {
            let own = by.session_id() == Some(*id);
            let live = !own
                && match self.revoke_session(by, id, reason).await {
                    Err(Refusal::NotFound) => false,
                    other => other?,
                };
            *(if live { &mut ended } else { &mut skipped }) += 1;
        }
        Ok((ended, skipped))
    }

    /// Ends all matching sessions but the caller's own. The decision is durable first: a crash does not stop it.
    ///
    /// # Errors
    /// When the store fails; the job goes on at the next start.
    pub async fn revoke_matching(&self, by: &Admin, filter: SessionFilter, note: &str) -> Verdict<usize> {
        let now = self.clock.now();
        let work = Work::EndMatching { filter, except: by.session_id(), note: note.to_owned() };
        let job =
            Job { id: JobId::new(now, self.entropy.bytes()), work, by: by.actor(), at: now, cursor: None };
        let mut batch = Batch::new();
        batch.put(&job.id, &job);
        self.store.commit(batch).await?;
        self.run_job(job).await
    }

    pub(crate) async fn end_session(
        &self,
        id: &SessionId,
        owner: Option<UserId>,
        reason: EndedReason,
        by: Actor,
        note: &str,
    ) -> Verdict<bool> {
        for _ in 0..TRIES_MAX {
            let row = self.store.row::<Session>(id).await?;
            let row = row
                .filter(|row| owner.is_none_or(|owner| row.value.user == owner))
                .ok_or(Refusal::NotFound)?;
            let mut batch = Batch::new();
            let live = row.value.ended.is_none();
            if live {
                let ended = Ended { at: self.clock.now(), reason, by };
                self.put_end(&mut batch, &row, ended, note).await?;
            } else {
                // Ended by another: that too must be on disk before it is said.
                batch.unchanged(&row);
            }
            if self.store.commit(batch).await? != Outcome::Conflict {
                tracing::info!(event = "session_ended", session = %id, reason = reason.as_str());
                return Ok(live);
            }
        }
        Err(Refusal::Overloaded)
    }

    /// Puts the end of a session into the batch, with all that goes with it.
    pub(crate) async fn put_end(
        &self,
        batch: &mut Batch,
        row: &Row<Session>,
        ended: Ended,
        note: &str,
    ) -> Verdict<()> {
        put_end_record(batch, row, ended, note);
        self.put_fewer(batch, &row.value.user, 1).await
    }

    /// Moves the user's epoch and says so in the blacklist: everything opened so far is over, at once.
    /// The records are marked afterwards by a job.
    pub(crate) fn put_cut(
        &self,
        batch: &mut Batch,
        user: &mut User,
        reason: EndedReason,
        by: Actor,
        now: Time,
    ) {
        self.put_noted_cut(batch, user, reason, "", by, now);
    }

    /// The same with words of whoever does it for the blacklist.
    pub(crate) fn put_noted_cut(
        &self,
        batch: &mut Batch,
        user: &mut User,
        reason: EndedReason,
        note: &str,
        by: Actor,
        now: Time,
    ) {
        user.cut(reason, by, now);
        let note = if note.is_empty() { reason.as_str() } else { note };
        let mut entry = BlacklistEntry::new(Target::User(user.id), Some(user.id), note, by, now);
        entry.below_epoch = Some(user.epoch);
        put_entry(batch, &entry);
        let work = Work::EndOfUser { user: user.id, below_epoch: user.epoch, reason };
        let job = Job { id: JobId::new(now, self.entropy.bytes()), work, by, at: now, cursor: None };
        batch.put(&job.id, &job);
    }
}

/// The end of a session without its user's roster: the record, and the blacklist where access tokens of it are about.
pub(crate) fn put_end_record(batch: &mut Batch, row: &Row<Session>, ended: Ended, note: &str) {
    let session = &row.value;
    let has_access_tokens = matches!(session.strategy, Strategy::Tracked | Strategy::Refresh);
    // None outlives the session's own end.
    if has_access_tokens && ended.reason != EndedReason::Expired {
        let reason = if note.is_empty() { ended.reason.as_str() } else { note };
        let target = Target::Session(session.id);
        put_entry(batch, &BlacklistEntry::new(target, Some(session.user), reason, ended.by, ended.at));
    }
    batch.end_session(row, ended);
}

/// Puts an entry into the blacklist, to be swept when nothing it strikes can be alive.
pub(crate) fn put_entry(batch: &mut Batch, entry: &BlacklistEntry) {
    batch.put(&entry.target, entry).look_again::<BlacklistEntry>(&entry.target, entry.until);
}
