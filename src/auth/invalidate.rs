//! Ending everything of everybody: after a restore, or after the machine or its file system was rolled back.
//!
//! What was revoked since the moment that is back must not come back to life, and nobody knows any more what that was.
//! So epochs and device proofs of all users move, all signing keys are replaced, secrets of apps wait to be confirmed,
//! and one-time codes are gone. The decision is one record; whoever finds it unfinished at a start finishes it first.

use crate::auth::check::RecentAdmin;
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::{Auth, TRIES_MAX};
use crate::model::JobId;
use crate::model::app::App;
use crate::model::code::CodeRecord;
use crate::model::job::{Job, Work};
use crate::model::session::EndedReason;
use crate::model::user::User;
use crate::store::{Batch, Outcome, Row};
use std::sync::atomic::{AtomicBool, Ordering};

/// How many users are cut in one batch.
const USERS_SLICE: usize = 400;
/// How many codes are removed in one batch, and how many apps' secrets suspended.
const SMALL_SLICE: usize = 100;

/// Shut while everything is being ended.
#[derive(Default)]
pub(crate) struct Gate {
    shut: AtomicBool,
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl Auth {
    /// Ends everything of everybody: sessions, refresh tokens, access tokens, device proofs, one-time codes; suspends
    /// the apps' secrets. Until it is done no credential of before is accepted, also across a crash.
    ///
    /// # Errors
    /// When the store fails: what was decided is then finished by housekeeping, or at the next start before the first
    /// answer.
    pub async fn invalidate_all(&self, by: &RecentAdmin) -> Verdict<()> {
        let _one = self.gate.one_at_a_time.lock().await;
        // The machine's own time, which counts again from here on.
        let now = self.clock.machine_now();
        let work = Work::EndEverything { cut_up_to: None };
        let job =
            Job { id: JobId::new(now, self.entropy.bytes()), work, by: by.actor(), at: now, cursor: None };
        let mut batch = Batch::new();
        batch.put(&job.id, &job);
        let was_shut = self.gate.shut.swap(true, Ordering::SeqCst);
        if let Err(error) = self.store.commit(batch).await {
            // Not opened where an earlier decision is unfinished: what that one ends would be good again.
            self.gate.shut.store(was_shut, Ordering::SeqCst);
            return Err(error.into());
        }
        tracing::warn!(event = "invalidation_begun", by = ?job.by);
        self.end_everything(job).await
    }

    /// Finishes what was begun before the last stop, or what an error broke off.
    pub(crate) async fn finish_invalidation(&self) -> Verdict<()> {
        let _one = self.gate.one_at_a_time.lock().await;
        if self.gate.shut.load(Ordering::SeqCst) {
            // The verb may have been given up while its decision was on its way: once this is answered, so is that.
            self.store.commit(Batch::new()).await?;
        }
        // Read under the lock: the verb itself may have been at it, and be done.
        for row in self.store.jobs().await? {
            if matches!(row.value.work, Work::EndEverything { .. }) {
                self.gate.shut.store(true, Ordering::SeqCst);
                self.end_everything(row.value).await?;
            }
        }
        self.gate.shut.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// # Errors
    /// `Overloaded` while everything is being ended: what was good a moment ago must not count, and no check knows yet
    /// which users are done.
    pub(crate) fn refuse_while_invalidating(&self) -> Verdict<()> {
        if self.gate.shut.load(Ordering::SeqCst) { Err(Refusal::Overloaded) } else { Ok(()) }
    }

    /// Every step may be done twice, so a crash between two of them costs nothing but time.
    async fn end_everything(&self, job: Job) -> Verdict<()> {
        self.accept_machine_clock().await?;
        self.replace_all_keys(job.by, EndedReason::Invalidated.as_str()).await?;
        self.suspend_app_secrets().await?;
        self.remove_codes().await?;
        self.cut_all_users(&job).await?;
        // What refers to the store's past no longer does.
        self.store.engine().begin_generation(0).await?;
        let work = Work::MarkCut { reason: EndedReason::Invalidated };
        let marking = Job { id: JobId::new(job.at, self.entropy.bytes()), work, ..job.clone() };
        let mut batch = Batch::new();
        batch.remove::<Job>(&job.id).put(&marking.id, &marking);
        self.store.commit(batch).await?;
        self.gate.shut.store(false, Ordering::SeqCst);
        tracing::warn!(event = "everything_invalidated", by = ?job.by);
        self.wake_housekeeping();
        Ok(())
    }

    async fn suspend_app_secrets(&self) -> Verdict<()> {
        let with_secrets = |app: &App| app.secrets.iter().any(|secret| !secret.suspended);
        for _ in 0..TRIES_MAX {
            let apps: Vec<_> = self
                .store
                .view()
                .apps()
                .filter(|app| with_secrets(&app.value))
                .take(SMALL_SLICE)
                .cloned()
                .collect();
            if apps.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            for row in apps {
                let mut app = row.value.clone();
                app.secrets.iter_mut().for_each(|secret| secret.suspended = true);
                batch.unchanged(&row).put(&app.id, &app);
            }
            // A conflict is an app that was changed just now: it is read again.
            let _: Outcome = self.store.commit(batch).await?;
        }
        Err(Refusal::Overloaded)
    }

    async fn remove_codes(&self) -> Verdict<()> {
        loop {
            let codes: Vec<Row<CodeRecord>> = self.store.codes(SMALL_SLICE).await?;
            if codes.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            codes.iter().for_each(|row| _ = batch.remove_row(row));
            let _: Outcome = self.store.commit(batch).await?;
        }
    }

    /// Moves the epochs of all users, a slice with the job's progress in one batch.
    async fn cut_all_users(&self, job: &Job) -> Verdict<()> {
        let Work::EndEverything { mut cut_up_to } = job.work else { return Ok(()) };
        let mut tries = 0;
        loop {
            let rows = self.store.user_rows(cut_up_to, USERS_SLICE).await?;
            let Some(last) = rows.last().map(|row| row.value.id) else { return Ok(()) };
            let mut batch = Batch::new();
            for row in &rows {
                batch.put_user(Some(row), &self.invalidated(&row.value, job));
            }
            let work = Work::EndEverything { cut_up_to: Some(last) };
            batch.put(&job.id, &Job { work, ..job.clone() });
            if self.store.commit(batch).await? == Outcome::Conflict {
                // Somebody signed in, or was changed: the slice is read again.
                tries += 1;
                if tries > TRIES_MAX {
                    return Err(Refusal::Overloaded);
                }
                continue;
            }
            (cut_up_to, tries) = (Some(last), 0);
        }
    }

    fn invalidated(&self, user: &User, job: &Job) -> User {
        let mut user = user.clone();
        user.cut(EndedReason::Invalidated, job.by, job.at);
        // A number counted on from here could be one that was given out between backup and restore: device proofs carry
        // it, and nothing of the store vouches for them.
        user.password_generation = u32::from_be_bytes(self.entropy.bytes()) >> 1;
        user
    }
}
