//! Signing out: here, everywhere else, everywhere.

use crate::auth::check::{Means, SignedIn};
use crate::auth::issue::Issued;
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::sessions::put_entry;
use crate::auth::{Auth, TRIES_MAX};
use crate::model::app::Strategy;
use crate::model::blacklist::{BlacklistEntry, Target};
use crate::model::session::{Credential, EndedReason, Session};
use crate::model::user::{Actor, Roster, User};
use crate::model::{Digest, Time};
use crate::store::tables::Seen;
use crate::store::{Batch, Outcome, Row};
use std::sync::Arc;

/// What to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// This session, or this access token of a `jwt` app.
    #[default]
    Local,
    /// All but this one.
    Others,
    /// All.
    Global,
}

impl Auth {
    /// Signs out. With `Scope::Others` the caller goes on under a new epoch, with new credentials.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn logout(&self, caller: &SignedIn, scope: Scope) -> Verdict<Option<Issued>> {
        match scope {
            Scope::Local => self.logout_here(caller).await.map(|()| None),
            Scope::Global => self.logout_everywhere(caller).await.map(|()| None),
            Scope::Others => {
                self.cut_others(caller, EndedReason::LogoutOthers, |_, _| Ok(())).await.map(Some)
            }
        }
    }

    async fn logout_here(&self, caller: &SignedIn) -> Verdict<()> {
        let user = caller.user().id;
        if let Some(id) = caller.session_id() {
            self.end_session(&id, None, EndedReason::Logout, Actor::User(user), "").await?;
        } else if let Means::Access { token } = caller.means() {
            let target = Target::Token(*token);
            let entry =
                BlacklistEntry::new(target, Some(user), "logout", Actor::User(user), self.clock.now());
            let mut batch = Batch::new();
            put_entry(&mut batch, &entry);
            self.store.commit(batch).await?;
        }
        Ok(())
    }

    async fn logout_everywhere(&self, caller: &SignedIn) -> Verdict<()> {
        let by = Actor::User(caller.user().id);
        self.change_user(&caller.user().id, |batch, user, now| {
            self.put_cut(batch, user, EndedReason::LogoutEverywhere, by, now);
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Moves the epoch and, in the same batch, re-opens the caller's session under it: nobody is cut by their own
    /// act. `also` may change the user and add to the batch; it runs once per try.
    pub(crate) async fn cut_others(
        &self,
        caller: &SignedIn,
        reason: EndedReason,
        also: impl Fn(&mut Batch, &mut User) -> Verdict<()>,
    ) -> Verdict<Issued> {
        let by = Actor::User(caller.user().id);
        self.ensure_signing_key(caller.app().algorithm).await?;
        for _ in 0..TRIES_MAX {
            let now = self.clock.now();
            let mut batch = Batch::new();
            let (row, app) = self.put_still_good(&mut batch, caller, now).await?;
            let mut user = row.value.clone();
            self.put_cut(&mut batch, &mut user, reason, by, now);
            also(&mut batch, &mut user)?;
            batch.put_user(Some(&row), &user);
            let session = self.put_re_opened(&mut batch, caller, &user, now).await?;
            let fresh = match &session {
                Some(session) => self.put_secrets(&mut batch, session, now),
                None => Default::default(),
            };
            if self.store.commit(batch).await? == Outcome::Conflict {
                continue;
            }
            self.wake_housekeeping();
            return self.issued(&user, &app.value, session, caller.proven_at(), fresh, now);
        }
        Err(Refusal::Overloaded)
    }

    async fn put_re_opened(
        &self,
        batch: &mut Batch,
        caller: &SignedIn,
        user: &User,
        now: Time,
    ) -> Verdict<Option<Session>> {
        let Some(id) = caller.session_id() else { return Ok(None) };
        let row = self.store.row::<Session>(&id).await?.ok_or(Refusal::InvalidToken)?;
        if let Some(ended) = &row.value.ended {
            return Err(Refusal::SessionEnded(ended.reason));
        }
        // No later than the caller's own proof: a cookie that a step-up replaced must not come by it like this.
        let proven_at = row.value.proven_at.min(caller.proven_at());
        let session = Session { epoch: user.epoch, proven_at, ..row.value.clone() };
        batch.unchanged(&row).put(&id, &session);
        if session.strategy == Strategy::Refresh {
            // A new refresh token, as at a rotation.
            batch.put(id.as_bytes(), &Seen { at: now });
        }
        if let Means::Session { digest } = caller.means() {
            self.put_dead(batch, digest, now).await?;
        }
        Ok(Some(session))
    }

    /// The credential that the caller came with answers no more.
    async fn put_dead(&self, batch: &mut Batch, digest: &Digest, now: Time) -> Verdict<()> {
        if let Some(row) = self.store.row::<Credential>(digest).await?
            && let Credential::Session(credential) = &row.value
        {
            let mut credential = credential.clone();
            credential.answers_until = Some(now);
            batch.unchanged(&row).put(digest, &Credential::Session(credential));
        }
        Ok(())
    }

    /// Changes a user's record in one batch, tried again when something else changed it. Jobs that `change` puts
    /// are found by housekeeping.
    pub(crate) async fn change_user(
        &self,
        id: &crate::model::UserId,
        change: impl Fn(&mut Batch, &mut User, Time) -> Verdict<()>,
    ) -> Verdict<Arc<Row<User>>> {
        for _ in 0..TRIES_MAX {
            let row = self.user(id).ok_or(Refusal::NotFound)?;
            let mut user = row.value.clone();
            let mut batch = Batch::new();
            change(&mut batch, &mut user, self.clock.now())?;
            batch.put_user(Some(&row), &user);
            self.guard_last_admin(&mut batch, Some(&row), &user).await?;
            if self.store.commit(batch).await? != Outcome::Conflict {
                self.wake_housekeeping();
                return self.user(id).ok_or(Refusal::NotFound);
            }
        }
        Err(Refusal::Overloaded)
    }

    /// What the user's roster says.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn roster(&self, id: &crate::model::UserId) -> Verdict<Roster> {
        Ok(self.store.row::<Roster>(id).await?.map(|row| row.value).unwrap_or_default())
    }
}
