//! The blacklist by hand: tokens, sessions, users, keys.

use crate::auth::check::{Admin, RecentAdmin};
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::sessions::put_entry;
use crate::auth::vault::Digestible;
use crate::auth::{Auth, TRIES_MAX};
use crate::model::blacklist::{BlacklistEntry, REASON_LENGTH_MAX, Target};
use crate::model::session::{Credential, EndedReason, Session};
use crate::model::{Digest, RefreshToken, SessionId, SessionToken, Time, TokenId, UserId};
use crate::store::{Batch, Outcome, Row};
use std::cmp::Reverse;
use std::sync::Arc;

/// Where an entry stands in the list: the newest first.
pub type Place = (Reverse<Time>, Target);

/// What an administrator wants to strike.
pub enum Strike {
    /// A pasted secret: only its identifier is kept.
    Secret(String),
    Token(TokenId),
    Session(SessionId),
    User(UserId),
    Key(String),
}

impl Auth {
    /// Entries of a kind or of all, newest first, from after `cursor`.
    pub fn list_blacklist(
        &self,
        _by: &Admin,
        kind: Option<&str>,
        cursor: Option<Place>,
        limit: usize,
    ) -> (Vec<Arc<Row<BlacklistEntry>>>, Option<Place>) {
        let now = self.clock.now();
        let place = |entry: &BlacklistEntry| (Reverse(entry.at), entry.target);
        let shown = |entry: &BlacklistEntry| {
            now < entry.until
                && kind.is_none_or(|kind| entry.target.kind() == kind)
                && cursor.is_none_or(|cursor| cursor < place(entry))
        };
        let mut entries: Vec<_> =
            self.store.view().blacklist().filter(|entry| shown(&entry.value)).cloned().collect();
        entries.sort_by_key(|entry| place(&entry.value));
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| more).map(|last| place(&last.value));
        (entries, next)
    }

    /// Strikes. Answers the entry that now stands in the list.
    ///
    /// # Errors
    /// `Invalid` for a pasted text that is no token of ours; `NotFound` for a session, user or key that is not.
    pub async fn blacklist(
        &self,
        by: &RecentAdmin,
        strike: Strike,
        reason: &str,
    ) -> Verdict<Arc<Row<BlacklistEntry>>> {
        if reason.chars().count() > REASON_LENGTH_MAX || reason.chars().any(char::is_control) {
            return Err(Refusal::field("reason", "invalid", "Up to 200 characters, no control characters."));
        }
        let target = match strike {
            Strike::Secret(text) => self.strike_secret(by, &text, reason).await?,
            Strike::Token(id) => self.strike_token(by, id, None, reason).await?,
            Strike::Session(id) => self.strike_session(by, id, reason).await?,
            Strike::User(id) => {
                self.end_all_of_user(by, &id, reason).await?;
                Target::User(id)
            }
            Strike::Key(kid) => self.retire_key(by, &kid, reason).await?,
        };
        let view = self.store.view();
        view.blacklisted(&target, self.clock.now()).cloned().ok_or(Refusal::NotFound)
    }

    async fn strike_secret(&self, by: &Admin, text: &str, reason: &str) -> Verdict<Target> {
        let digest = SessionToken::parse(text).map(|token| token.digest());
        let digest = digest.or_else(|_| RefreshToken::parse(text).map(|token| token.digest()));
        if let Ok(digest) = digest {
            let session = self.session_of(&digest).await?.ok_or(Refusal::NotFound)?;
            return self.strike_session(by, session, reason).await;
        }
        let fault = || Refusal::field("token", "not_ours", "This is no token that was issued here.");
        let claims = self.read_access_even_if_over(text).ok_or_else(fault)?;
        self.strike_token(by, claims.jti, Some(claims.sub), reason).await
    }

    async fn session_of(&self, digest: &Digest) -> Verdict<Option<SessionId>> {
        Ok(self.store.row::<Credential>(digest).await?.map(|row| row.value.session()))
    }

    async fn strike_token(
        &self,
        by: &Admin,
        id: TokenId,
        user: Option<UserId>,
        reason: &str,
    ) -> Verdict<Target> {
        let mut entry = BlacklistEntry::new(Target::Token(id), user, reason, by.actor(), self.clock.now());
        entry.manual = true;
        self.add_entry(&entry).await?;
        tracing::info!(event = "token_blacklisted", token = %id, by = ?by.actor());
        Ok(entry.target)
    }

    async fn strike_session(&self, by: &Admin, id: SessionId, reason: &str) -> Verdict<Target> {
        self.end_session(&id, None, EndedReason::Revoked, by.actor(), reason).await?;
        // A session without tokens got no entry by its end.
        let user = self.store.row::<Session>(&id).await?.map(|row| row.value.user);
        let target = Target::Session(id);
        let entry = BlacklistEntry::new(target, user, reason, by.actor(), self.clock.now());
        self.add_entry(&entry).await?;
        Ok(target)
    }

    /// Puts an entry into the blacklist, unless there is one against the same: that one stays as it is.
    async fn add_entry(&self, entry: &BlacklistEntry) -> Verdict<()> {
        for _ in 0..TRIES_MAX {
            let existing = self.store.row::<BlacklistEntry>(&entry.target).await?;
            let mut batch = Batch::new();
            // Another's, too, must be on disk and seen by checks before it is said.
            batch.same(&entry.target, existing.as_ref());
            // One that has run out strikes nothing, though it is not swept yet.
            if existing.is_none_or(|row| row.value.until <= entry.at) {
                put_entry(&mut batch, entry);
            }
            if self.store.commit(batch).await? != Outcome::Conflict {
                return Ok(());
            }
        }
        Err(Refusal::Overloaded)
    }

    /// Takes a hand-made token entry back.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for every other entry: it is final.
    pub async fn unblacklist(&self, by: &RecentAdmin, target: &Target) -> Verdict<()> {
        let row = self.store.row::<BlacklistEntry>(target).await?.ok_or(Refusal::NotFound)?;
        if !row.value.manual {
            let message = "Only token entries made by hand can be removed.";
            return Err(Refusal::Conflict { code: "entry_is_final", message });
        }
        let mut batch = Batch::new();
        batch.remove_row(&row);
        match self.store.commit(batch).await? {
            Outcome::Committed(_) => {
                tracing::info!(event = "token_unblacklisted", by = ?by.actor());
                Ok(())
            }
            Outcome::Conflict => Err(Refusal::NotFound),
        }
    }
}
