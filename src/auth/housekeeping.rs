//! What is done in the background: last-seen times, unfinished jobs, the sweep of the expired, keys that take turns.

use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::sessions::put_end_record;
use crate::auth::{Auth, TRIES_MAX};
use crate::model::job::{Job, SessionFilter, Work};
use crate::model::key::{KeyRecord, KeyState};
use crate::model::session::{Ended, EndedReason, Session};
use crate::model::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::model::user::{Roster, Standing, User};
use crate::model::{SecretId, Time, UserId};
use crate::store::session::kept_until;
use crate::store::sweep::{Due, DueRecord};
use crate::store::tables::Seen;
use crate::store::{Batch, Outcome, Row};
use std::collections::HashMap;

/// How much is done in one batch or read in one slice: five operations a session stay below what a batch may have.
const SLICE: usize = 90;
const SEEN_SLICE: usize = 500;

impl Auth {
    /// One round. Call it once a minute, when woken, and once more at the end.
    ///
    /// # Errors
    /// When the store fails; the next round goes on where this one stopped.
    pub async fn keep_house(&self) -> Verdict<()> {
        self.keep_time().await?;
        self.write_seen().await?;
        if self.refuse_while_invalidating().is_err() {
            self.finish_invalidation().await?;
        }
        for row in self.store.jobs().await? {
            self.run_job(row.value).await?;
        }
        self.sweep().await?;
        self.rotate_due_keys().await?;
        let now = self.clock.now();
        self.throttle.sweep(now);
        self.verify_daily(now)
    }

    /// What lies on a disk for long is looked at now and then, before it is needed.
    fn verify_daily(&self, now: Time) -> Verdict<()> {
        let mut verified_at = self.verified_at.lock();
        if now.since_ms(*verified_at) >= DAY_MS {
            *verified_at = now;
            self.store.engine().verify_meanwhile()?;
        }
        Ok(())
    }

    /// Waits until a verb has left work behind.
    pub async fn until_woken(&self) {
        self.work_waiting.notified().await;
    }

    pub(crate) fn wake_housekeeping(&self) {
        self.work_waiting.notify_one();
    }

    pub(crate) fn note_secret_use(&self, id: SecretId) {
        self.secrets_used.lock().insert(id, self.clock.now());
    }

    /// Writes when sessions and secrets were last used.
    ///
    /// # Errors
    /// When the store fails: then these times are lost, and sessions look idle a minute earlier.
    pub async fn write_seen(&self) -> Verdict<()> {
        loop {
            let sessions = self.store.mirror().take_seen(SEEN_SLICE);
            // Together no more than one batch may have.
            let secrets = self.take_secrets_used(SEEN_SLICE - sessions.len());
            if sessions.is_empty() && secrets.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            for (id, at) in sessions {
                batch.put(id.as_bytes(), &Seen { at });
            }
            for (id, at) in secrets {
                batch.put(id.as_bytes(), &Seen { at });
            }
            self.store.commit(batch).await?;
        }
    }

    fn take_secrets_used(&self, limit: usize) -> Vec<(SecretId, Time)> {
        let mut used = self.secrets_used.lock();
        let ids: Vec<_> = used.keys().take(limit).copied().collect();
        ids.into_iter().filter_map(|id| used.remove(&id).map(|at| (id, at))).collect()
    }

    /// Carries a job to its end, a slice with the job's progress in one batch. Answers how many sessions it ended.
    pub(crate) async fn run_job(&self, mut job: Job) -> Verdict<usize> {
        if matches!(job.work, Work::EndEverything { .. }) {
            return self.finish_invalidation().await.map(|()| 0);
        }
        let filter = match &job.work {
            Work::EndOfUser { user, .. } => SessionFilter { user: Some(*user), ..SessionFilter::default() },
            Work::EndMatching { filter, .. } => filter.clone(),
            Work::MarkCut { .. } | Work::EndEverything { .. } => SessionFilter::default(),
        };
        let (mut count, mut tries) = (0, 0);
        loop {
            self.keep_time().await?;
            let (rows, next) = self.store.session_rows(&filter, job.cursor, SLICE).await?;
            let concerned: Vec<_> = rows.iter().filter(|row| self.concerns(&job, &row.value)).collect();
            let mut batch = self.slice_of(&job, &concerned).await?;
            match next {
                Some(_) => batch.put(&job.id, &Job { cursor: next, ..job.clone() }),
                None => batch.remove::<Job>(&job.id),
            };
            if self.store.commit(batch).await? == Outcome::Conflict {
                // Somebody signed in or out meanwhile: the slice is read again.
                tries += 1;
                if tries > TRIES_MAX {
                    return Err(Refusal::Overloaded);
                }
                continue;
            }
            count += concerned.len();
            if next.is_none() {
                return Ok(count);
            }
            (job.cursor, tries) = (next, 0);
        }
    }

    fn concerns(&self, job: &Job, session: &Session) -> bool {
        match &job.work {
            Work::EndOfUser { below_epoch, .. } => session.epoch < *below_epoch,
            // Sessions opened after the decision were not meant.
            Work::EndMatching { except, .. } => *except != Some(session.id) && session.opened_at <= job.at,
            Work::MarkCut { .. } => {
                self.user(&session.user).is_none_or(|user| session.epoch < user.value.epoch)
            }
            Work::EndEverything { .. } => false,
        }
    }

    /// Ends the sessions of a slice, and counts them off their users' rosters.
    async fn slice_of(&self, job: &Job, rows: &[&Row<Session>]) -> Verdict<Batch> {
        let mut batch = Batch::new();
        let mut ended_of: HashMap<UserId, u32> = HashMap::new();
        for row in rows {
            match &job.work {
                Work::EndMatching { note, .. } => {
                    let ended = Ended { at: self.clock.now(), reason: EndedReason::Revoked, by: job.by };
                    put_end_record(&mut batch, row, ended, note);
                }
                // The epoch has ended it already: only the record is marked, nothing new is blacklisted.
                Work::EndOfUser { reason, .. } | Work::MarkCut { reason } => {
                    batch.end_session(row, Ended { at: job.at, reason: *reason, by: job.by });
                }
                Work::EndEverything { .. } => {}
            }
            *ended_of.entry(row.value.user).or_default() += 1;
        }
        for (user, ended) in ended_of {
            self.put_fewer(&mut batch, &user, ended).await?;
        }
        Ok(batch)
    }

    /// Ends what is over and forgets what was kept long enough. A check never relies on it.
    async fn sweep(&self) -> Verdict<()> {
        loop {
            // Long rounds must not leave the latest time to be lost.
            self.keep_time().await?;
            let now = self.clock.now();
            let due = self.store.due(now, SLICE).await?;
            let mut batches = Vec::with_capacity(due.len());
            for due in &due {
                batches.push(self.sweep_one(due, now).await?);
            }
            // Together: one after the other, each with a sync of its own, they fall behind what comes in.
            let outcomes = self.store.commit_all(batches).await?;
            // A conflict: somebody has just changed the record, or two are of one user's roster. Those are read again.
            let (conflicts, all) =
                (outcomes.iter().filter(|one| **one == Outcome::Conflict).count(), outcomes.len());
            if all < SLICE && (conflicts == 0 || conflicts == all) {
                self.tallies.note_swept(now);
                return Ok(());
            }
        }
    }

    async fn sweep_one(&self, due: &Due, now: Time) -> Verdict<Batch> {
        let mut batch = Batch::new();
        match &due.record {
            DueRecord::Gone => _ = batch.settle(due),
            DueRecord::Session(row) => self.sweep_session(&mut batch, due, row, now).await?,
            DueRecord::Credential(row) => {
                let session = self.store.row::<Session>(&row.value.session()).await?;
                match session.filter(|session| now < session.value.ends_at) {
                    Some(session) => _ = batch.refile(due, session.value.ends_at),
                    None => _ = batch.settle(due).remove_row(row),
                }
            }
            DueRecord::Blacklist(row) if row.value.until <= now => _ = batch.settle(due).remove_row(row),
            DueRecord::Blacklist(row) => _ = batch.refile(due, row.value.until),
            DueRecord::Code(row) => _ = batch.settle(due).remove_row(row),
            DueRecord::Attempts(row) if row.value.bucket.is_idle(now) => {
                _ = batch.settle(due).remove_row(row)
            }
            DueRecord::Attempts(_) => _ = batch.refile(due, now.plus_ms(HOUR_MS)),
            DueRecord::Key(row) => sweep_key(&mut batch, due, row, now),
            DueRecord::User(row) => self.sweep_user(&mut batch, due, row, now).await?,
        }
        Ok(batch)
    }

    /// A tombstone goes once no session in the history names it.
    async fn sweep_user(&self, batch: &mut Batch, due: &Due, row: &Row<User>, now: Time) -> Verdict<()> {
        let filter = SessionFilter { user: Some(row.value.id), ..SessionFilter::default() };
        let page = self.store.sessions(&filter, false, None, 1, |_, _| true).await?;
        match row.value.standing {
            Standing::Deleted if page.items.is_empty() => {
                batch.settle(due).remove_row(row).remove::<Roster>(&row.value.id);
            }
            Standing::Deleted => _ = batch.refile(due, now.plus_ms(DAY_MS)),
            Standing::Enabled | Standing::Disabled => _ = batch.settle(due),
        }
        Ok(())
    }

    async fn sweep_session(
        &self,
        batch: &mut Batch,
        due: &Due,
        row: &Row<Session>,
        now: Time,
    ) -> Verdict<()> {
        let session = &row.value;
        let last_seen = match self.store.live_session(&session.id).await? {
            Some(live) => live.last_seen(),
            None => session.opened_at,
        };
        let days = self.settings.ended_sessions_days;
        match (&session.ended, self.shown(session.clone(), last_seen, now).ended) {
            (Some(ended), _) if kept_until(ended.at, days) <= now => {
                _ = batch.settle(due).forget_session(row)
            }
            (Some(ended), _) => _ = batch.refile(due, kept_until(ended.at, days)),
            (None, Some(ended)) if paused(ended.reason) && now < session.ends_at => {
                batch.refile(due, session.ends_at);
            }
            (None, Some(ended)) => {
                let at = kept_until(ended.at, days);
                self.put_end(batch, row, ended, "").await?;
                batch.refile(due, at.max(now.plus_ms(MINUTE_MS)));
            }
            (None, None) => {
                let idle = session.idle_ends_at(last_seen).unwrap_or(session.ends_at);
                batch.refile(due, idle.min(session.ends_at).max(now.plus_ms(MINUTE_MS)));
            }
        }
        Ok(())
    }
}

/// A disabled app may be enabled again: its sessions wait.
fn paused(reason: EndedReason) -> bool {
    reason == EndedReason::AppDisabled
}

fn sweep_key(batch: &mut Batch, due: &Due, row: &Row<KeyRecord>, now: Time) {
    match row.value.state {
        KeyState::Active | KeyState::Next => _ = batch.settle(due),
        KeyState::Retiring { until } if now < until => _ = batch.refile(due, until),
        KeyState::Retiring { .. } => {
            let retired = KeyRecord { state: KeyState::Retired { at: now }, ..row.value.clone() };
            batch.unchanged(row).put(row.value.kid.as_str(), &retired);
            batch.refile(due, crate::auth::keys::end_of_memory(now));
        }
        KeyState::Retired { at } => {
            let end = crate::auth::keys::end_of_memory(at);
            let _ = if now < end { batch.refile(due, end) } else { batch.settle(due).remove_row(row) };
        }
    }
}
